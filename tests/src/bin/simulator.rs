//! `simulator`: a VirusTotal to hunt in and an OpenCTI to deliver to, both on loopback.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use connector_tests::fixtures::{Scenario, now};
use connector_tests::opencti::{self, Version};
use connector_tests::virustotal;
use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

/// Simulates VirusTotal and OpenCTI on free ports of the loopback interface.
///
/// Prints one line of JSON with the URLs, the API key and the token, and runs until SIGTERM, SIGINT,
/// or the end of standard input.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many Livehunt notifications there are.
    #[arg(long, default_value_t = 240)]
    notifications: usize,
    /// How many rulesets they come from.
    #[arg(long, default_value_t = 12)]
    rulesets: usize,
    /// How many hours back the notifications reach.
    #[arg(long, default_value_t = 48)]
    hours: u64,
    /// Another seed makes another world.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Milliseconds by which every answer is delayed, as by a network.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// The release that the platform simulates.
    #[arg(long, default_value_t)]
    opencti_version: Version,
    /// A RabbitMQ (amqp://user:password@host:port/vhost); without one the platform takes bundles by
    /// its API only.
    #[arg(long)]
    amqp_url: Option<String>,
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(simulate(Arguments::parse()));
    // The thread that reads standard input may wait for ever: it is not waited for.
    runtime.shutdown_background();
    result
}

async fn simulate(arguments: Arguments) -> Result<()> {
    let latency = Duration::from_millis(arguments.latency_ms);
    let scenario = Scenario {
        seed: arguments.seed,
        now: now(),
        hours: arguments.hours,
        notifications: arguments.notifications,
        rulesets: arguments.rulesets,
        ..Scenario::default()
    };
    let options = virustotal::Options {
        latency,
        ..virustotal::Options::default()
    };
    let virustotal = virustotal::Server::start_with(scenario.world(), options).await?;
    let platform = opencti::Server::start(opencti::Options {
        version: arguments.opencti_version,
        amqp_url: arguments.amqp_url,
        latency,
        ..opencti::Options::default()
    })
    .await?;
    let line = json!({
        "virustotal": virustotal.api_url(),
        "opencti": platform.url(),
        "api_key": virustotal.api_key(),
        "token": platform.token(),
    });
    // Standard output is a pipe when a script reads it: without a flush the line would wait.
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()?;
    drop(output);
    end().await?;
    for line in platform.report().lines() {
        eprintln!("simulator: {line}");
    }
    platform.expect_anything();
    platform.stop().await
}

/// Returns when the simulator is told to end.
async fn end() -> Result<()> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let mut input = tokio::io::stdin();
    let closed = async {
        let mut buffer = [0; 1024];
        while input.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = closed => {}
    }
    Ok(())
}
