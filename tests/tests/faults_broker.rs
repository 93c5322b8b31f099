//! What RabbitMQ may do to a run: a broker of these tests' own restarts, starves, refuses and forgets. Each time
//! everything is delivered in the end, nothing is removed at the source before, and the log says what happened.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::time::Duration;

use anyhow::{Result, ensure};
use connector_tests::fixtures::Scenario;
use connector_tests::host::{CONNECTOR_ID, Finished, Host};
use connector_tests::rabbitmq::{self, Node};
use connector_tests::virustotal::Kind;
use connector_tests::{opencti, virustotal};
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

static NODE: OnceCell<Option<RwLock<Node>>> = OnceCell::const_new();

async fn node() -> Result<Option<&'static RwLock<Node>>> {
    let node = NODE
        .get_or_try_init(|| async { anyhow::Ok(Node::start().await?.map(RwLock::new)) })
        .await?;
    Ok(node.as_ref())
}

/// The broker, for a test that harms its own queue, user or connection only.
async fn shared() -> Result<Option<RwLockReadGuard<'static, Node>>> {
    Ok(match node().await? {
        Some(node) => Some(node.read().await),
        None => None,
    })
}

/// The broker, for a test that harms all of it.
async fn alone() -> Result<Option<RwLockWriteGuard<'static, Node>>> {
    Ok(match node().await? {
        Some(node) => Some(node.write().await),
        None => None,
    })
}

/// A connector that sends to the broker, and removes at the source what is delivered.
struct Bench {
    notifications: usize,
    virustotal: virustotal::Server,
    platform: opencti::Server,
    host: Host,
}

/// Enough for a run of many batches and, with [`SLOWLY`], many seconds.
const MANY: usize = 480;
const SLOWLY: Duration = Duration::from_secs(1);

impl Bench {
    async fn new(node: &Node, notifications: usize, latency: Duration) -> Result<Self> {
        let scenario = Scenario {
            mixed: false,
            ..Scenario::of_today(notifications)
        };
        let options = virustotal::Options {
            latency,
            ..Default::default()
        };
        let virustotal = virustotal::Server::start_with(scenario.world(), options).await?;
        let platform = opencti::Server::start(opencti::Options {
            amqp_url: Some(node.url()),
            lasting_queues: true,
            ..Default::default()
        })
        .await?;
        let host = Host::new(&virustotal, &platform)?
            .variable("CONNECTOR_QUEUE_PROTOCOL", "amqp")
            .setting("CREATE_YARA_RULE", "false");
        Ok(Self {
            notifications,
            virustotal,
            platform,
            host,
        })
    }

    /// The same, whose connector removes what it has delivered.
    async fn removing(node: &Node, notifications: usize) -> Result<Self> {
        let mut bench = Self::new(node, notifications, Duration::ZERO).await?;
        bench.host = bench.host.setting("DELETE_NOTIFICATION", "true");
        Ok(bench)
    }

    /// Whether nothing is removed at the source, nor passed by the checkpoint.
    fn nothing_is_done(&self) -> bool {
        let state = self.platform.state().unwrap_or_default();
        self.virustotal.deletions().is_empty() && !state.contains("checkpoint")
    }

    async fn until_something_is_delivered(&self) -> Result<()> {
        self.platform
            .until("a delivery", |platform| !platform.deliveries.is_empty())
            .await
    }

    /// What must hold in the end, whatever went wrong before.
    async fn assert_delivered(&self, run: &Finished) -> Result<()> {
        ensure!(run.success, "{}", run.log);
        let incidents = self.notifications;
        self.platform
            .until("every incident is there", |platform| {
                let all = platform.store.iter();
                all.filter(|it| it.object["type"] == "incident").count() == incidents
            })
            .await?;
        assert!(self.platform.state().unwrap().contains("checkpoint"));
        assert_eq!(self.platform.validity_problems(), Vec::<String>::new());
        assert_no_password(&run.log);
        Ok(())
    }

    fn assert_removed(&self) {
        assert_eq!(self.virustotal.deletions().len(), self.notifications);
    }
}

fn assert_no_password(log: &str) {
    for password in [rabbitmq::PASSWORD, OLD_PASSWORD, NEW_PASSWORD] {
        assert!(!log.contains(password), "a password is in the log:\n{log}");
    }
}

const OLD_PASSWORD: &str = "old-password-of-a-test";
const NEW_PASSWORD: &str = "new-password-of-a-test";

/// Lets the connector log in as a user of its own.
async fn with_user(node: &Node, bench: &Bench, user: &str) -> Result<()> {
    node.control(&["add_user", user, OLD_PASSWORD]).await?;
    node.control(&["set_permissions", user, ".*", ".*", ".*"])
        .await?;
    bench.platform.tell_broker(|connection| {
        connection["user"] = user.into();
        connection["pass"] = OLD_PASSWORD.into();
    });
    Ok(())
}

#[tokio::test]
async fn a_queue_at_its_limit_is_tried_again() -> Result<()> {
    let Some(node) = shared().await? else {
        return Ok(());
    };
    let bench = Bench::removing(&node, 20).await?;
    let queue = format!("^{}$", bench.platform.queue_name(CONNECTOR_ID));
    let full = r#"{"max-length":0,"overflow":"reject-publish"}"#;
    node.control(&["set_policy", "full", &queue, full, "--apply-to", "queues"])
        .await?;
    let mut running = bench.host.start(&["run", "--once"])?;
    running.until_logged("basic.nack").await?;
    assert!(bench.nothing_is_done(), "{}", running.log());
    node.control(&["clear_policy", "full"]).await?;
    let run = running.finish().await?;
    bench.assert_delivered(&run).await?;
    bench.assert_removed();
    let registrations = bench.platform.requests_of("registerConnector").len();
    assert_eq!(registrations, 1, "the platform cannot help");
    Ok(())
}

#[tokio::test]
async fn an_exchange_that_is_gone_is_made_again_by_the_platform() -> Result<()> {
    let Some(node) = shared().await? else {
        return Ok(());
    };
    let bench = Bench::new(&node, 100, SLOWLY).await?;
    let running = bench.host.start(&["run", "--once"])?;
    // A ping makes the exchange as well: two come before the run, the next long after it.
    bench
        .platform
        .until("the second ping", |platform| {
            platform.connectors.values().any(|it| it.pings > 1)
        })
        .await?;
    bench.platform.delete_exchange().await?;
    let run = running.finish().await?;
    bench.assert_delivered(&run).await?;
    let warnings = run.messages("WARNING").join("\n");
    assert!(
        warnings.contains("NOT_FOUND")
            && warnings.contains("OpenCTI makes the exchange at registration"),
        "{warnings}"
    );
    assert_eq!(bench.platform.requests_of("registerConnector").len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_connection_that_an_operator_closes_is_made_again() -> Result<()> {
    let Some(node) = shared().await? else {
        return Ok(());
    };
    let bench = Bench::new(&node, MANY, SLOWLY).await?;
    with_user(&node, &bench, "closed").await?;
    let running = bench.host.start(&["run", "--once"])?;
    bench.until_something_is_delivered().await?;
    node.control(&["close_all_user_connections", "closed", "maintenance"])
        .await?;
    let run = running.finish().await?;
    bench.assert_delivered(&run).await?;
    let warnings = run.messages("WARNING").join("\n");
    assert!(
        warnings.contains("CONNECTION_FORCED") && warnings.contains("maintenance"),
        "{warnings}"
    );
    Ok(())
}

#[tokio::test]
async fn a_password_that_changes_in_mid_run_is_asked_of_the_platform() -> Result<()> {
    let Some(node) = shared().await? else {
        return Ok(());
    };
    let bench = Bench::new(&node, MANY, SLOWLY).await?;
    with_user(&node, &bench, "rotated").await?;
    let running = bench.host.start(&["run", "--once"])?;
    bench.until_something_is_delivered().await?;
    node.control(&["change_password", "rotated", NEW_PASSWORD])
        .await?;
    bench
        .platform
        .tell_broker(|connection| connection["pass"] = NEW_PASSWORD.into());
    node.control(&["close_all_user_connections", "rotated", "another password"])
        .await?;
    let run = running.finish().await?;
    bench.assert_delivered(&run).await?;
    let warnings = run.messages("WARNING").join("\n");
    assert!(
        warnings.contains("ACCESS_REFUSED") && warnings.contains("tells another way to RabbitMQ"),
        "{warnings}"
    );
    Ok(())
}

#[tokio::test]
async fn a_refused_login_ends_the_run_and_is_asked_for_again_by_the_next() -> Result<()> {
    let Some(node) = shared().await? else {
        return Ok(());
    };
    let bench = Bench::removing(&node, 20).await?;
    bench
        .platform
        .tell_broker(|connection| connection["pass"] = OLD_PASSWORD.into());
    let mut running = bench
        .host
        .clone()
        .variable("CONNECTOR_DURATION_PERIOD", "PT2S")
        .start(&["run"])?;
    running.until_logged("ACCESS_REFUSED").await?;
    running
        .until_logged("MQ_USER, MQ_PASS and MQ_VHOST")
        .await?;
    assert!(bench.nothing_is_done(), "{}", running.log());
    // Nobody restarts the connector.
    bench
        .platform
        .tell_broker(|connection| connection["pass"] = rabbitmq::PASSWORD.into());
    bench
        .virustotal
        .until("all is removed", |world| {
            world.count(Kind::Deletion) == bench.notifications
        })
        .await?;
    running.terminate()?;
    let run = running.finish().await?;
    bench.assert_delivered(&run).await
}

#[tokio::test]
async fn sigterm_is_obeyed_while_the_broker_is_away_and_the_next_run_delivers() -> Result<()> {
    let Some(node) = shared().await? else {
        return Ok(());
    };
    let bench = Bench::removing(&node, 20).await?;
    let away = bench.host.clone().variable("MQ_PORT", "1");
    let mut running = away.start(&["run"])?;
    running.until_logged("sent again").await?;
    assert!(running.log().contains("MQ_PORT"), "{}", running.log());
    running.terminate()?;
    let stopped = running.finish().await?;
    assert!(stopped.success, "{}", stopped.log);
    assert!(bench.nothing_is_done(), "{}", stopped.log);
    let run = bench.host.run_once().await?;
    bench.assert_delivered(&run).await?;
    bench.assert_removed();
    Ok(())
}

#[tokio::test]
async fn a_broker_without_memory_is_waited_for_and_gets_nothing_twice() -> Result<()> {
    let Some(node) = alone().await? else {
        return Ok(());
    };
    let bench = Bench::removing(&node, MANY).await?;
    node.control(&["set_vm_memory_high_watermark", "0"]).await?;
    let mut running = bench.host.start(&["run", "--once"])?;
    let logged = running.until_logged("takes no messages until").await;
    let removed = bench.virustotal.deletions().len();
    node.control(&["set_vm_memory_high_watermark", "0.8"])
        .await?;
    logged?;
    assert!(removed < MANY, "{removed}");
    let run = running.finish().await?;
    bench.assert_delivered(&run).await?;
    bench.assert_removed();
    assert!(run.log.contains("low on memory"), "{}", run.log);
    assert!(run.log.contains("takes messages again"), "{}", run.log);
    assert!(!run.log.contains("sent again"), "{}", run.log);
    bench.platform.until_works_complete().await?;
    let messages = bench.platform.deliveries().len();
    assert_eq!(
        messages,
        MANY.div_ceil(10),
        "one message for ten notifications"
    );
    Ok(())
}

#[tokio::test]
async fn a_broker_that_restarts_in_mid_run_loses_nothing() -> Result<()> {
    let Some(node) = alone().await? else {
        return Ok(());
    };
    let bench = Bench::new(&node, MANY, SLOWLY).await?;
    let mut running = bench.host.start(&["run", "--once"])?;
    bench.until_something_is_delivered().await?;
    node.control(&["stop_app"]).await?;
    running.until_logged("sent again").await?;
    node.control(&["start_app"]).await?;
    bench.platform.resume_queues().await?;
    let run = running.finish().await?;
    bench.assert_delivered(&run).await?;
    let warnings = run.messages("WARNING").join("\n");
    assert!(
        warnings.contains("broke, and is made again") && warnings.contains("check that it runs"),
        "{warnings}"
    );
    Ok(())
}

#[tokio::test]
async fn a_broker_that_is_down_at_start_is_waited_for() -> Result<()> {
    let Some(node) = alone().await? else {
        return Ok(());
    };
    let bench = Bench::removing(&node, 20).await?;
    node.control(&["stop_app"]).await?;
    let mut running = bench.host.start(&["run", "--once"])?;
    // The platform makes the queue at registration, and cannot.
    let logged = running.until_logged("waiting for OpenCTI").await;
    node.control(&["start_app"]).await?;
    logged?;
    let run = running.finish().await?;
    bench.assert_delivered(&run).await?;
    bench.assert_removed();
    assert!(
        run.messages("WARNING")
            .iter()
            .any(|line| line.contains("waiting for OpenCTI") && line.contains("RabbitMQ")),
        "{}",
        run.log
    );
    Ok(())
}
