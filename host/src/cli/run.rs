//! `run`: the connector.

use std::process::ExitCode;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::back_fill;
use super::connect::{self, Peers};
use super::start::Setup;
use super::steps::Steps;
use super::summary;
use crate::config::{Http, Settings};
use crate::guest_source::Watcher;
use crate::opencti::{self, NotReady, Registration};
use crate::pipeline::{Observer, Report};
use crate::runtime::Live;
use crate::schedule;
use crate::status::{self, Board};
use crate::swap::Exchange;
use crate::telemetry::{Level, Troubles};

#[derive(Debug, clap::Args)]
pub(super) struct RunArguments {
    /// One run, then exit.
    #[arg(long)]
    once: bool,

    /// Read from this time on, RFC 3339 or a date, and deliver again what is delivered: a back-fill.
    #[arg(long, value_name = "TIME", value_parser = back_fill::since)]
    since: Option<u64>,

    /// Show progress on the terminal, and after each run a table of what it did on standard output.
    #[arg(long)]
    summary: bool,
}

pub(super) fn run(setup: &Setup, arguments: &RunArguments) -> anyhow::Result<ExitCode> {
    let name = setup.raw.get("CONNECTOR_NAME").unwrap_or("connector-host");
    // Somebody waits for a back-fill.
    let level = if arguments.since.is_some() {
        Level::Info
    } else {
        Level::Error
    };
    let troubles = setup.init_logs(name, level)?;
    // From here on, what goes wrong is a line of the log, where the platform's manager looks for it.
    match run_logged(setup, arguments, troubles) {
        Ok(code) => Ok(code),
        Err(error) => {
            tracing::error!("{error:#}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn run_logged(
    setup: &Setup,
    arguments: &RunArguments,
    troubles: Troubles,
) -> anyhow::Result<ExitCode> {
    let http = Http::new(&setup.raw)?;
    let (finder, found) = setup.find_guest(&http)?;
    let (guest, chooser) = setup.choose_guest(&found)?;
    let mut settings = setup.settings(&guest)?;
    settings.connector.run_and_terminate |= arguments.once;
    let guests = Setup::live(&settings.connector, &guest, &chooser)?;
    let source = finder.source().clone();
    let exchange = Exchange::new(finder, chooser, guests.clone());
    connect::runtime()?.block_on(async {
        let stop = connect::stop_on_signals()?;
        let watcher = Watcher::new(&source, setup.guest.poll).context("cannot listen to SIGHUP")?;
        tokio::spawn(exchange.run(watcher, stop.clone()));
        let board = Board::new(&settings, guests.clone(), troubles, stop.clone());
        connect_and_run(&http, settings, guests, stop, board, arguments).await
    })
}

async fn connect_and_run(
    http: &Http,
    settings: Settings,
    guests: Live,
    stop: CancellationToken,
    board: Board,
    arguments: &RunArguments,
) -> anyhow::Result<ExitCode> {
    let connector = &settings.connector;
    if let Some(settings) = &connector.status {
        status::serve(settings, board.clone()).await?;
    }
    let peers = Peers::new(&settings, http)?;
    let Some((peers, registration)) =
        unless_cancelled(register(peers, &settings, http, &stop).await)?
    else {
        return Ok(exit_code(None, arguments.since));
    };
    let shift = guests.shift();
    tracing::info!(
        digest = %shift.pool.guest().digest(),
        "guest {} is ready",
        shift.pool.guest()
    );
    let since = match arguments.since {
        Some(since) => Some(back_fill::within_retention(since, &shift.pool)?),
        None => None,
    };
    drop(shift);
    let pipeline = peers.pipeline(&settings, http, guests, &registration)?;
    pipeline.heal_author().await;
    let mut observers: Vec<Box<dyn Observer>> = Vec::new();
    if connector.status.is_some() {
        board.connected(status::Peers {
            keeper: pipeline.keeper.view(),
            platform: pipeline.platform.clone(),
            source: pipeline.source.clone(),
        });
        observers.push(Box::new(board));
    }
    if arguments.summary {
        // One line of progress is enough.
        let with_progress = since.is_none();
        observers.push(Box::new(summary::Table::new(
            &connector.sinks,
            with_progress,
        )));
    }
    observers.push(match since {
        Some(_) => Box::new(back_fill::Progress::new()),
        None => Box::new(Steps::default()),
    });
    let mut left = since;
    let runs = schedule::run(&pipeline, connector, &stop, &observers, &mut left);
    let report = connect::within_grace(&stop, runs).await.flatten();
    pipeline.keeper.stop().await;
    Ok(exit_code(report.as_ref(), left))
}

/// Success, unless the last run failed, a file could not be copied in it, or anything is left of a back-fill. That a run was held back, or stopped for the
/// quota, is none: the next one does what it left, and pycti ends with 0 as well.
fn exit_code(report: Option<&Report>, left: Option<u64>) -> ExitCode {
    if let Some(since) = left {
        schedule::tell_rest(since);
        return ExitCode::FAILURE;
    }
    let is_incomplete = |report: &Report| report.is_failed() || report.artifacts_failed > 0;
    if report.is_some_and(is_incomplete) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
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
