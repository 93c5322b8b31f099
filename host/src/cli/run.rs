//! `run`: the connector.

use std::process::ExitCode;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::connect::{self, Peers};
use super::start::Setup;
use super::summary;
use crate::config::{Http, Settings};
use crate::guest_source::Watcher;
use crate::opencti::{self, NotReady, Registration};
use crate::pipeline::{End, Report};
use crate::runtime::Live;
use crate::schedule::{self, Observer};
use crate::status;
use crate::swap::Exchange;
use crate::telemetry::Level;

#[derive(Debug, clap::Args)]
pub(super) struct RunArguments {
    /// One run, then exit.
    #[arg(long)]
    once: bool,

    /// Show progress on the terminal, and after each run a table of what it did on standard output.
    #[arg(long)]
    summary: bool,
}

pub(super) fn run(setup: &Setup, arguments: &RunArguments) -> anyhow::Result<ExitCode> {
    let name = setup.raw.get("CONNECTOR_NAME").unwrap_or("connector-host");
    setup.init_logs(name, Level::Error)?;
    // From here on, what goes wrong is a line of the log, where the platform's manager looks for it.
    match run_logged(setup, arguments) {
        Ok(code) => Ok(code),
        Err(error) => {
            tracing::error!("{error:#}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn run_logged(setup: &Setup, arguments: &RunArguments) -> anyhow::Result<ExitCode> {
    let http = Http::new(&setup.raw)?;
    let (finder, found) = setup.find_guest(&http)?;
    let (guest, chooser) = setup.choose_guest(&found)?;
    let mut settings = setup.settings(&guest)?;
    settings.connector.run_and_terminate |= arguments.once;
    let guests = Live::new(chooser.workshop().open(&guest)?);
    let source = finder.source().clone();
    let exchange = Exchange::new(finder, chooser, guests.clone());
    let report = connect::runtime()?.block_on(async {
        let stop = connect::stop_on_signals()?;
        let watcher = Watcher::new(&source, setup.guest.poll).context("cannot listen to SIGHUP")?;
        tokio::spawn(exchange.run(watcher, stop.clone()));
        connect_and_run(&http, settings, guests, stop, arguments.summary).await
    })?;
    Ok(match report {
        Some(Report {
            end: End::Error(_), ..
        }) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

async fn connect_and_run(
    http: &Http,
    settings: Settings,
    guests: Live,
    stop: CancellationToken,
    with_summary: bool,
) -> anyhow::Result<Option<Report>> {
    let connector = &settings.connector;
    if let Some(address) = connector.status {
        status::serve(address, guests.clone(), stop.clone()).await?;
    }
    let peers = Peers::new(&settings, http)?;
    let Some((peers, registration)) =
        unless_cancelled(register(peers, &settings, http, &stop).await)?
    else {
        return Ok(None);
    };
    let shift = guests.shift();
    tracing::info!(
        digest = %shift.pool.guest().digest(),
        "guest {} is ready",
        shift.pool.guest()
    );
    drop(shift);
    let pipeline = peers.pipeline(&settings, http, guests, &registration)?;
    let observer: Box<dyn Observer> = if with_summary {
        Box::new(summary::Table::new(&connector.sinks))
    } else {
        Box::new(Silent)
    };
    let runs = schedule::run(&pipeline, connector, &stop, &*observer);
    let report = connect::within_grace(&stop, runs).await.flatten();
    pipeline.keeper.stop().await;
    Ok(report)
}

/// Waits until the platform knows the connector.
async fn register(
    peers: Peers,
    settings: &Settings,
    http: &Http,
    stop: &CancellationToken,
) -> anyhow::Result<(Peers, Registration)> {
    let peers = peers.with_service_account(settings, http, stop).await?;
    let connector = &settings.connector;
    let registration = opencti::wait_for_platform(&peers.platform, connector, stop).await?;
    Ok((peers, registration))
}

/// That it is to end while it waits is no error.
fn unless_cancelled<T>(waited: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
    match waited {
        Err(error) if matches!(error.downcast_ref(), Some(NotReady::Cancelled)) => Ok(None),
        waited => waited.map(Some),
    }
}

struct Silent;

impl Observer for Silent {
    fn progress(&self, _: &Report) {}
    fn ended(&self, _: &Report) {}
}
