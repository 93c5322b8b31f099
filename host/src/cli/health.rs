//! `health`: asks a connector that runs beside this process how it is, for a container's health check.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use super::start::Setup;
use crate::config::{self, Status};

/// Time for an answer, which comes from memory.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Ask whether it is at work (`/readyz`), and not only whether it lives (`/healthz`).
    #[arg(long)]
    ready: bool,
}

pub(super) fn run(setup: &Setup, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Some(Status { address, .. }) = config::load_status(&setup.raw)? else {
        // Whoever serves no status has chosen not to be watched: no reason to kill the connector.
        println!("not known: CONNECTOR_EXPOSE_METRICS is not true, so there is nobody to ask");
        return Ok(ExitCode::SUCCESS);
    };
    let path = if arguments.ready { "readyz" } else { "healthz" };
    let url = format!("http://{}/{path}", reachable(address));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let (status, text) = runtime
        .block_on(ask(&url))
        .with_context(|| format!("no answer from {url}"))?;
    if !status.is_success() {
        bail!("{url} answers {status}: {text}");
    }
    println!("{text}");
    Ok(ExitCode::SUCCESS)
}

async fn ask(url: &str) -> reqwest::Result<(reqwest::StatusCode, String)> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()?;
    let response = client.get(url).send().await?;
    Ok((response.status(), response.text().await?))
}

/// Where a process on the same machine finds who listens at an address: one for all is no address to call.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_for_all_is_called_by_its_loopback() {
        for (listening, called) in [
            ("127.0.0.1:9095", "127.0.0.1:9095"),
            ("0.0.0.0:9095", "127.0.0.1:9095"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            let address: SocketAddr = listening.parse().unwrap();
            assert_eq!(reachable(address).to_string(), called);
        }
    }
}
