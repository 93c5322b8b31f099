//! What the connector shows of itself over HTTP, and to whom.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use connector_tests::endpoint::{address, ask, status, status_with_quota};
use connector_tests::fixtures::Scenario;
use connector_tests::host::Host;
use connector_tests::virustotal::World;
use connector_tests::{opencti, virustotal};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// More than the connector has places for.
const MANY: usize = 64;

struct Stage {
    _virustotal: virustotal::Server,
    platform: opencti::Server,
    host: Host,
}

impl Stage {
    async fn new() -> Result<Self> {
        Self::with(Scenario::of_today(1).world()).await
    }

    async fn with(world: World) -> Result<Self> {
        let virustotal = virustotal::Server::start(world).await?;
        let platform = opencti::Server::start(opencti::Options::default()).await?;
        let host = Host::new(&virustotal, &platform)?
            .variable("CONNECTOR_EXPOSE_METRICS", "true")
            .variable("CONNECTOR_METRICS_PORT", "0");
        Ok(Self {
            _virustotal: virustotal,
            platform,
            host,
        })
    }
}

/// The value of a metric with these labels, written as Prometheus writes them.
fn metric(text: &str, name: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.with_context(|| format!("no {name} in\n{text}"))?;
    Ok(value.trim().parse()?)
}

#[tokio::test]
async fn a_run_is_told_in_the_same_numbers_everywhere() -> Result<()> {
    let scenario = Scenario {
        mixed: false,
        bodies: false,
        ..Scenario::of_today(60)
    };
    let mut world = scenario.world();
    let mut found = world.notifications.iter_mut();
    let wanted = found.find(|it| it.item()["attributes"]["type_extension"] == "exe");
    let wanted = wanted.context("no file with this extension")?;
    *wanted = wanted.without_rule();
    let mut stage = Stage::with(world).await?;
    stage.host = stage
        .host
        .setting("EXTENSIONS", "exe")
        .setting("DELETE_NOTIFICATION", "true");
    let mut running = stage.host.start(&["run"])?;
    let address = address(&mut running).await?;
    running.until_logged("notifications read").await?;
    let status = status_with_quota(address).await?;
    let (_, metrics) = ask(address, "GET", "/metrics").await?;

    let run = &status["runs"][0];
    let number = |pointer: &str| -> Result<f64> {
        let found = run.pointer(pointer).and_then(Value::as_f64);
        found.with_context(|| format!("no {pointer} in {run}"))
    };
    let (delivered, skipped) = (number("/delivered")?, number("/skipped/extension")?);
    assert!(delivered > 0.0 && skipped > 0.0, "{run}");
    assert_eq!(number("/failed")?, 1.0);
    assert_eq!(number("/read")?, delivered + skipped + 1.0);
    assert_eq!(number("/removed")?, delivered);
    assert_eq!(number("/objects/incident")?, delivered);
    assert_eq!(run["end"], "drained");
    assert_eq!(status["checkpoint"]["failed_items"], 1);
    assert_eq!(status["checkpoint"]["to_remove"], 0);
    assert_eq!(status["activity"]["state"], "idle");
    assert_eq!(status["totals"]["delivered"], run["delivered"]);
    assert!(
        running
            .log()
            .contains(run["summary"].as_str().context("no summary")?)
    );

    let notifications = |outcome: &str, filter: &str| {
        let labels = format!("{{outcome=\"{outcome}\",filter=\"{filter}\"}}");
        metric(&metrics, &format!("connector_notifications_total{labels}"))
    };
    assert_eq!(notifications("delivered", "")?, delivered);
    assert_eq!(notifications("skipped", "extension")?, skipped);
    assert_eq!(notifications("failed", "")?, 1.0);
    for (name, expected) in [
        ("runs_total", 1.0),
        ("bundles_sent_total", number("/bundles")?),
        ("errors_total", 1.0),
        ("client_errors_total", 0.0),
        ("connector_failed_items", 1.0),
        ("connector_removed_total", delivered),
        ("connector_delivery_latency_seconds_count", delivered),
        ("state{state=\"idle\"}", 1.0),
        ("state{state=\"running\"}", 0.0),
    ] {
        assert_eq!(metric(&metrics, name)?, expected, "{name}");
    }
    for (kind, pointer) in [
        ("page", "pages"),
        ("lookup", "lookups"),
        ("removal", "removals"),
    ] {
        let name = format!("connector_source_requests_total{{kind=\"{kind}\"}}");
        assert_eq!(
            metric(&metrics, &name)?,
            number(&format!("/source_requests/{pointer}"))?
        );
    }
    let objects = run["objects"].as_object().context("no objects")?;
    let objects: f64 = objects.values().filter_map(Value::as_f64).sum();
    assert_eq!(metric(&metrics, "records_sent_total")?, objects);
    // All was read a moment ago, so it lags by the time since the run began.
    assert!(metric(&metrics, "connector_checkpoint_lag_seconds")? < 60.0);

    let quota = &status["quota"][0];
    let name = quota["name"].as_str().context("no quota")?;
    for (key, metric_name) in [
        ("allowed", "connector_quota_allowed"),
        ("used", "connector_quota_used"),
    ] {
        let name = format!("{metric_name}{{quota=\"{name}\"}}");
        assert_eq!(Some(metric(&metrics, &name)?), quota[key].as_f64());
    }

    // Newest first.
    let shown = status["notifications"].as_array().context("none shown")?;
    assert_eq!(shown.len(), 50);
    let dates: Vec<_> = shown.iter().map(|it| it["date"].as_str()).collect();
    assert!(
        dates.iter().rev().is_sorted() && dates[0] > dates[49],
        "{dates:?}"
    );
    for notification in shown {
        let object = notification["object"].as_str().context("no object")?;
        assert_eq!(
            notification["link"],
            format!("https://www.virustotal.com/gui/file/{object}")
        );
    }
    running.terminate()?;
    assert!(running.finish().await?.success);
    Ok(())
}

#[tokio::test]
async fn metrics_have_the_names_that_the_settings_want() -> Result<()> {
    let scenario = Scenario {
        mixed: false,
        ..Scenario::of_today(1)
    };
    let mut stage = Stage::with(scenario.world()).await?;
    stage.host = stage
        .host
        .variable("CONNECTOR_METRICS_NAMESPACE", "soc")
        .variable("CONNECTOR_METRICS_SUBSYSTEM", "virustotal");
    let mut running = stage.host.start(&["run"])?;
    let address = address(&mut running).await?;
    running.until_logged("notifications read").await?;
    let (_, metrics) = ask(address, "GET", "/metrics").await?;
    for (name, expected) in [
        ("soc_virustotal_runs_total", 1.0),
        ("soc_virustotal_state{soc_virustotal_state=\"idle\"}", 1.0),
        (
            "soc_virustotal_connector_delivery_latency_seconds_bucket{le=\"+Inf\"}",
            1.0,
        ),
    ] {
        assert_eq!(metric(&metrics, name)?, expected, "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_is_shown() -> Result<()> {
    let mut world = Scenario::of_today(1).world();
    world.notifications[0] = world.notifications[0].without_rule();
    let stage = Stage::with(world).await?;
    let mut running = stage.host.start(&["run"])?;
    let address = address(&mut running).await?;
    running.until_logged("notifications read").await?;
    let status = status(address).await?;
    let errors = status["errors"].as_array().context("no errors")?;
    let error = errors
        .iter()
        .find(|it| it["message"] == "cannot map the notification");
    let error = error.with_context(|| status.to_string())?;
    assert_eq!(error["level"], "ERROR");
    assert_eq!(
        error["attributes"]["notification"],
        status["notifications"][0]["id"]
    );
    Ok(())
}

#[tokio::test]
async fn it_lives_at_once_and_is_ready_when_the_platform_has_taken_a_ping() -> Result<()> {
    let stage = Stage::new().await?;
    let (open, closed) = watch::channel(false);
    stage.platform.check(move |request| {
        let mut closed = closed.clone();
        let waits = request
            .fields
            .iter()
            .any(|field| field == "registerConnector");
        Box::pin(async move {
            if waits {
                // The sender lives as long as the test.
                let _ = closed.wait_for(|open| *open).await;
            }
        })
    });
    let mut running = stage.host.start(&["run"])?;
    let address = address(&mut running).await?;
    let (head, body) = ask(address, "GET", "/healthz").await?;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, r#"{"alive":true}"#);
    let (head, body) = ask(address, "GET", "/readyz").await?;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(
        body,
        r#"{"ready":false,"reason":"OpenCTI does not know the connector yet"}"#
    );
    let waiting = status(address).await?;
    assert_eq!(waiting["activity"]["state"], "waiting for the platform");
    assert_eq!(waiting["platform"]["registered"], false);
    let health = stage
        .host
        .clone()
        .variable("CONNECTOR_METRICS_PORT", address.port().to_string());
    let asked = health.start(&["health"])?.finish().await?;
    assert!(asked.success, "{}", asked.log);
    let asked = health.start(&["health", "--ready"])?.finish().await?;
    assert!(
        !asked.success && asked.log.contains("does not know the connector yet"),
        "{}",
        asked.log
    );

    open.send_replace(true);
    running.until_logged("notifications read").await?;
    let (head, body) = ask(address, "GET", "/readyz").await?;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head} {body}");
    assert_eq!(body, r#"{"ready":true}"#);
    let asked = health.start(&["health", "--ready"])?.finish().await?;
    assert!(asked.success, "{}", asked.log);
    let status = status(address).await?;
    assert_eq!(status["activity"]["state"], "idle");
    assert_eq!(status["platform"]["registered"], true);
    assert!(status["next_run"].is_string() && status["platform"]["last_ping"].is_string());
    Ok(())
}

#[tokio::test]
async fn status_is_shown_on_the_loopback_address_alone_unless_told_otherwise() -> Result<()> {
    let stage = Stage::new().await?;
    let mut running = stage.host.start(&["run"])?;
    let address = address(&mut running).await?;
    assert_eq!(address.ip().to_string(), "127.0.0.1");
    assert!(ask(address, "GET", "/metrics").await?.0.contains(" 200 "));
    // Another address of this machine.
    let other = SocketAddr::new("127.0.0.2".parse()?, address.port());
    let error = TcpStream::connect(other)
        .await
        .err()
        .context("it listens")?;
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    drop(running);

    let everywhere = stage.host.variable("CONNECTOR_METRICS_ADDRESS", "0.0.0.0");
    let mut running = everywhere.start(&["run"])?;
    let port = connector_tests::endpoint::address(&mut running)
        .await?
        .port();
    let other = SocketAddr::new("127.0.0.2".parse()?, port);
    assert!(ask(other, "GET", "/metrics").await?.0.contains(" 200 "));
    Ok(())
}

#[tokio::test]
async fn nothing_can_be_changed_there() -> Result<()> {
    let stage = Stage::new().await?;
    let mut running = stage.host.start(&["run"])?;
    let address = address(&mut running).await?;
    // After this the connector waits for its next run, and asks nobody.
    running.until_logged("notifications read").await?;
    let requests = || stage.platform.read(|platform| platform.count("workAdd"));
    let (works, state) = (requests(), stage.platform.state());
    for path in ["/", "/metrics", "/status.json", "/healthz", "/readyz"] {
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            let (head, _) = ask(address, method, path).await?;
            assert!(head.starts_with("HTTP/1.1 405 "), "{method} {path}: {head}");
            assert!(head.to_lowercase().contains("allow: get,head"), "{head}");
        }
        let (head, body) = ask(address, "HEAD", path).await?;
        assert!(
            head.starts_with("HTTP/1.1 200 ") && body.is_empty(),
            "{head}"
        );
        let (head, body) = ask(address, "GET", path).await?;
        assert!(
            head.starts_with("HTTP/1.1 200 ") && !body.is_empty(),
            "{head}"
        );
    }
    for path in [
        "/status",
        "/run",
        "/reset",
        "/guests",
        "/../metrics",
        "/metrics/",
    ] {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            let (head, _) = ask(address, method, path).await?;
            assert!(head.starts_with("HTTP/1.1 404 "), "{method} {path}: {head}");
        }
    }
    assert_eq!((requests(), stage.platform.state()), (works, state));
    running.terminate()?;
    assert!(running.finish().await?.success);
    Ok(())
}

#[tokio::test]
async fn who_says_nothing_holds_up_neither_others_nor_the_end() -> Result<()> {
    let stage = Stage::new().await?;
    let mut running = stage.host.start(&["run"])?;
    let address = address(&mut running).await?;
    let mut silent = Vec::new();
    for _ in 0..MANY {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await?;
        silent.push(stream);
    }
    let (head, body) = ask(address, "GET", "/metrics").await?;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(body.contains("connector_guest_info"), "{body}");
    // The silent were let go in the meantime.
    let mut rest = Vec::new();
    silent[0].read_to_end(&mut rest).await?;

    let mut last = TcpStream::connect(address).await?;
    last.write_all(b"GET /status.json HTTP/1.1\r\n").await?;
    running.terminate()?;
    assert!(running.finish().await?.success);
    Ok(())
}
