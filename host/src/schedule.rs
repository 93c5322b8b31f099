//! When to run: after each period, at once after a reset in the user interface, and not while the platform
//! has too much to do.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::Connector;
use crate::opencti::Info;
use crate::pipeline::{End, Observer, Pipeline, Report};
use crate::state::{FIRST_RUN_SECONDS, State};

/// Runs until stopped, or once where the settings say so. Answers the report of the last run.
pub async fn run(
    pipeline: &Pipeline,
    connector: &Connector,
    stop: &CancellationToken,
    observer: &dyn Observer,
) -> Option<Report> {
    let mut last = None;
    let mut resets = pipeline.keeper.resets();
    loop {
        // What was reset so far is known to the run that begins now.
        resets.mark_unchanged();
        if stop.is_cancelled() {
            return last;
        }
        if !is_held_back(pipeline, connector).await {
            let report = run_once(pipeline, connector, stop, observer).await;
            let end = report.end.clone();
            last = Some(report);
            if end == End::Reset && !connector.run_and_terminate {
                continue;
            }
        }
        if connector.run_and_terminate {
            return last;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return last,
            _ = resets.changed() => {}
            () = tokio::time::sleep(connector.period) => {}
        }
    }
}

async fn run_once(
    pipeline: &Pipeline,
    connector: &Connector,
    stop: &CancellationToken,
    observer: &dyn Observer,
) -> Report {
    let begun = Timestamp::now();
    show(pipeline, |info| {
        info.buffering = false;
        info.last_run = Some(begun);
        info.next_run = None;
    });
    let (generation, stored) = pipeline.keeper.current();
    let state = read_state(stored.as_deref(), begun);
    tracing::info!(since = state.since(), "a run begins");
    let report = pipeline.run(generation, state, stop, observer).await;
    if !connector.run_and_terminate {
        let next = next_run(connector.period);
        show(pipeline, |info| info.next_run = next);
    }
    observer.ended(&report);
    // Last, so that who reads of the end in the log finds it in the status.
    match &report.end {
        End::Error(_) => tracing::error!("{}", report.summary()),
        End::Quota => tracing::warn!("{}", report.summary()),
        _ => tracing::info!("{}", report.summary()),
    }
    report
}

fn read_state(stored: Option<&str>, now: Timestamp) -> State {
    let now = u64::try_from(now.as_second()).unwrap_or_default();
    let first = State::starting_at(now.saturating_sub(FIRST_RUN_SECONDS));
    match State::parse(stored.unwrap_or_default()) {
        Ok(state) => state.unwrap_or(first),
        Err(error) => {
            tracing::error!(%error, "the run begins as without a state, three days back");
            first
        }
    }
}

/// Whether the connector's queue is too full for a run.
async fn is_held_back(pipeline: &Pipeline, connector: &Connector) -> bool {
    if !pipeline.deliverer.has_queue() {
        return false;
    }
    let size = match pipeline.platform.queue_size(&connector.id).await {
        Ok(Some(size)) => size.megabytes(),
        Ok(None) => return false,
        Err(error) => {
            tracing::warn!(%error, "cannot ask for the size of the queue: the run is not held back");
            return false;
        }
    };
    let full = size >= connector.queue_threshold;
    if full {
        tracing::warn!(
            megabytes = size,
            threshold = connector.queue_threshold,
            "the queue is too full for a run: it is held back"
        );
    }
    let next = next_run(connector.period);
    show(pipeline, |info| {
        info.buffering = full;
        info.queue_messages_size = size;
        if full {
            info.next_run = next;
        }
    });
    full
}

fn next_run(period: Duration) -> Option<Timestamp> {
    Timestamp::now().checked_add(period).ok()
}

/// Changes what the user interface shows. That it cannot be shown now is no reason to stop: the next ping
/// shows it.
fn show(pipeline: &Pipeline, change: impl FnOnce(&mut Info)) {
    let mut info = pipeline.keeper.info();
    change(&mut info);
    pipeline.keeper.set_info(info);
}
