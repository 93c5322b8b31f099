//! `run`: the connector.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::start::Setup;
use super::summary;
use crate::config::{self, Http, Settings};
use crate::delivery::Deliverer;
use crate::guest_source::Watcher;
use crate::opencti::{self, StateKeeper};
use crate::pipeline::{End, Pipeline, Report};
use crate::runtime::Live;
use crate::schedule::{self, Observer};
use crate::status;
use crate::swap::{Exchange, defaults};
use crate::virustotal;

/// Time to end after SIGTERM: the publish in hand and the state. Docker kills after ten seconds.
const GRACE: Duration = Duration::from_secs(9);

/// Threads for blocking work: calls of the guest, and name resolution.
const BLOCKING_THREADS: usize = 8;

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
    setup.init_logs(setup.raw.get("CONNECTOR_NAME").unwrap_or("connector-host"))?;
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
    let mut settings = config::load(&setup.raw, &defaults(guest.description()))?;
    settings.connector.run_and_terminate |= arguments.once;
    for warning in setup.guest.warnings.iter().chain(&settings.warnings) {
        tracing::warn!("{warning}");
    }
    let guests = Live::new(chooser.workshop().open(&guest)?);
    let source = finder.source().clone();
    let exchange = Exchange::new(finder, chooser, guests.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let report = runtime.block_on(async {
        let stop = CancellationToken::new();
        stop_on_signals(&stop)?;
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
    let connector = settings.connector;
    if let Some(address) = connector.status {
        status::serve(address, guests.clone(), stop.clone()).await?;
    }
    let user_agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
    let platform = opencti::Client::new(&settings.opencti, http, user_agent)?;
    let source = virustotal::Client::new(&settings.source, http)?;
    let Ok(registration) = opencti::wait_for_platform(&platform, &connector, &stop).await else {
        return Ok(None);
    };
    let shift = guests.shift();
    tracing::info!(
        digest = %shift.pool.guest().digest(),
        "guest {} is ready",
        shift.pool.guest()
    );
    drop(shift);
    let pipeline = Pipeline {
        deliverer: Deliverer::new(&connector.sinks, &connector, &platform, &registration, http)?,
        keeper: StateKeeper::start(platform.clone(), connector.clone(), &registration),
        connector_id: connector.id.clone(),
        connector_name: connector.name.clone(),
        limit: settings.source.limit.map(Into::into),
        guests,
        source,
        platform,
    };
    let observer: Box<dyn Observer> = if with_summary {
        Box::new(summary::Table::new(&connector.sinks))
    } else {
        Box::new(Silent)
    };
    let report = tokio::select! {
        report = schedule::run(&pipeline, &connector, &stop, &*observer) => report,
        () = grace_is_over(&stop) => {
            tracing::error!("the run did not end within {GRACE:?}: what is not confirmed will be done again");
            None
        }
    };
    pipeline.keeper.stop().await;
    Ok(report)
}

async fn grace_is_over(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

fn stop_on_signals(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: the connector ends"),
            _ = interrupt.recv() => tracing::info!("SIGINT: the connector ends"),
        }
        stop.cancel();
    });
    Ok(())
}

struct Silent;

impl Observer for Silent {
    fn progress(&self, _: &Report) {}
    fn ended(&self, _: &Report) {}
}
