//! What the connector shows of itself over HTTP, and to whom.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use connector_tests::endpoint::{address, ask};
use connector_tests::fixtures::Scenario;
use connector_tests::host::Host;
use connector_tests::{opencti, virustotal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// More than the connector has places for.
const MANY: usize = 64;

struct Stage {
    _virustotal: virustotal::Server,
    platform: opencti::Server,
    host: Host,
}

impl Stage {
    async fn new() -> Result<Self> {
        let virustotal = virustotal::Server::start(Scenario::of_today(1).world()).await?;
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
    for path in ["/metrics", "/status.json"] {
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
        "/",
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
