//! When to run: after each period, at once after a reset in the user interface, and not while the platform
//! has too much to do.

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::config::Connector;
use crate::date::{date, seconds};
use crate::opencti::Info;
use crate::pipeline::{End, Observer, Pipeline, Report};
use crate::state::{FIRST_RUN_SECONDS, State};

/// Runs until stopped, or once where the settings say so. Answers the report of the last run.
///
/// With `back_fill`, a time in seconds since the epoch, the first run reads from then on, whatever is done; where it
/// does not come to the end, the next goes on where it stopped. What is left of it stands there afterwards, also where
/// this is given up.
pub async fn run(
    pipeline: &Pipeline,
    connector: &Connector,
    stop: &CancellationToken,
    observer: &dyn Observer,
    back_fill: &mut Option<u64>,
) -> Option<Report> {
    let mut last = None;
    let mut resets = pipeline.keeper.resets();
    loop {
        if stop.is_cancelled() {
            return last;
        }
        learn_of_reset(pipeline).await;
        // What was reset so far is known to the run that begins now.
        resets.mark_unchanged();
        if !is_held_back(pipeline, connector).await {
            let report = run_once(pipeline, connector, stop, observer, *back_fill).await;
            let end = report.end.clone();
            *back_fill = back_fill.and_then(|from| rest_of(from, &report));
            last = Some(report);
            if end == End::Reset && !connector.run_and_terminate {
                continue;
            }
        }
        if connector.run_and_terminate {
            return last;
        }
        if let Some(since) = *back_fill
            && !stop.is_cancelled()
        {
            tell_rest(since);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return last,
            _ = resets.changed() => {}
            () = tokio::time::sleep(connector.period) => {}
        }
    }
}

/// Pings, so that the run that begins now does not go on from a state that was reset since the last ping
/// (platform.md P3). Where the platform does not answer, the run begins all the same: a reset shows when it saves its
/// state.
async fn learn_of_reset(pipeline: &Pipeline) {
    if let Err(error) = pipeline.keeper.ping().await {
        tracing::debug!(%error, "cannot ask for a reset before the run");
    }
}

async fn run_once(
    pipeline: &Pipeline,
    connector: &Connector,
    stop: &CancellationToken,
    observer: &dyn Observer,
    back_fill: Option<u64>,
) -> Report {
    let begun = Timestamp::now();
    show(pipeline, |info| {
        info.buffering = false;
        info.last_run = Some(begun);
        info.next_run = None;
    });
    let (generation, stored) = pipeline.keeper.current();
    let (state, again_from) = begin(stored.as_deref(), begun, back_fill);
    match again_from {
        Some(since) => tracing::info!(since = date(since), "a back-fill begins"),
        None => tracing::info!(since = date(state.since()), "a run begins"),
    }
    let report = pipeline
        .run(generation, state, again_from, stop, observer)
        .await;
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

/// The state, and where a back-fill reads from: no later than a run from the same state would, or the checkpoint would
/// pass over what lies between. Without a state the connector begins there.
fn begin(stored: Option<&str>, now: Timestamp, back_fill: Option<u64>) -> (State, Option<u64>) {
    let now = seconds(now);
    let three_days_back = || State::starting_at(now.saturating_sub(FIRST_RUN_SECONDS));
    let state = match State::parse(stored.unwrap_or_default()) {
        Ok(Some(state)) => state,
        Ok(None) => match back_fill {
            Some(since) => return (State::starting_at(since), Some(since)),
            None => three_days_back(),
        },
        Err(error) => {
            tracing::error!(%error, "the run begins as without a state, three days back");
            three_days_back()
        }
    };
    let again_from = back_fill.map(|since| since.min(state.since()));
    (state, again_from)
}

/// What is left of a back-fill after a run.
fn rest_of(from: u64, report: &Report) -> Option<u64> {
    match report.end {
        // A reset begins with nothing, three days back.
        End::Drained | End::Reset => None,
        End::Limit | End::Quota | End::Shutdown | End::Error(_) => Some(from.max(report.done_to)),
    }
}

/// Tells what is left of a back-fill, in the form that the command line takes.
pub fn tell_rest(since: u64) {
    tracing::warn!(
        since = date(since),
        "the back-fill did not come to its end; what is left begins there"
    );
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
        info.queue_messages_size = Some(size);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_back_fill_leaves_nothing_out_between_itself_and_the_checkpoint() {
        const NOW: u64 = 1_767_261_600;
        let now = Timestamp::from_second(NOW as i64).unwrap();
        let stored = State::starting_at(NOW - 5_000).to_json();
        for (stored, back_fill, since, again_from) in [
            (None, None, NOW - FIRST_RUN_SECONDS - 600, None),
            (None, Some(NOW - 90), NOW - 690, Some(NOW - 90)),
            (Some(&*stored), None, NOW - 5_600, None),
            (
                Some(&*stored),
                Some(NOW - 9_000),
                NOW - 5_600,
                Some(NOW - 9_000),
            ),
            (
                Some(&*stored),
                Some(NOW - 90),
                NOW - 5_600,
                Some(NOW - 5_600),
            ),
        ] {
            let (state, found) = begin(stored, now, back_fill);
            assert_eq!((state.since(), found), (since, again_from), "{back_fill:?}");
        }
    }

    #[test]
    fn what_is_left_of_a_back_fill_begins_where_it_stopped() {
        for (end, done_to, expected) in [
            (End::Drained, 70, None),
            (End::Reset, 70, None),
            (End::Quota, 70, Some(70)),
            (End::Error(String::new()), 0, Some(50)),
        ] {
            let report = Report {
                end,
                done_to,
                ..Report::default()
            };
            assert_eq!(rest_of(50, &report), expected);
        }
    }
}
