//! `/status.json`: the same story as the metrics, for people and the page.

use jiff::{Timestamp, Unit};
use serde_json::{Value, json};

use super::board::{Board, Record, Run};
use super::guests;
use crate::date::timestamp;
use crate::opencti::Info;
use crate::pipeline::{End, Report};

/// All that the connector shows of itself.
pub(super) fn status(board: &Board) -> Value {
    let now = Timestamp::now();
    let record = board.record();
    let connector = board.connector();
    let info = board.peers().map(|peers| peers.keeper.info());
    json!({
        "connector": {
            "id": connector.id,
            "name": connector.name,
            "version": env!("CARGO_PKG_VERSION"),
            "started": time(board.started()),
            "time": time(now),
        },
        "activity": {
            "state": board.activity(&record),
            "since": time(record.since),
        },
        "platform": platform(board),
        "run": record.current.as_ref().map(|run| describe(run, false)),
        "next_run": info.as_ref().and_then(|info| info.next_run).map(time),
        "runs": record.runs.iter().map(|run| describe(run, true)).collect::<Vec<_>>(),
        "totals": totals(&record),
        "checkpoint": checkpoint(board, &record, now),
        "notifications": record.notifications,
        "guest": guests::status(board.guests()),
        "guest_changes": guests::changes(board.guests()),
        "quota": board.quotas(),
        "queue": info.and_then(|info| queue(&info, connector.queue_threshold)),
        "errors": board.troubles().latest(),
    })
}

/// None where the platform does not tell its size.
fn queue(info: &Info, threshold: f64) -> Option<Value> {
    info.queue_messages_size.map(|megabytes| {
        json!({
            "megabytes": megabytes,
            "threshold_megabytes": threshold,
            "held_back": info.buffering,
        })
    })
}

fn platform(board: &Board) -> Value {
    let pings = board.pings();
    json!({
        "url": board.connector().platform,
        "version": board.peers().map(|peers| peers.platform.version().to_string()),
        "registered": board.peers().is_some(),
        "last_ping": pings.last.map(time),
        "pings": pings.sent,
        "ping_errors": pings.failed,
    })
}

fn totals(record: &Record) -> Value {
    let totals = record.totals();
    let Report {
        read,
        skipped,
        delivered,
        failed,
        gone,
        ..
    } = totals.report;
    json!({
        "runs": totals.runs,
        "read": read,
        "skipped": skipped,
        "delivered": delivered,
        "failed": failed,
        "gone": gone,
    })
}

fn checkpoint(board: &Board, record: &Record, now: Timestamp) -> Value {
    let state = board.state();
    let state = state.as_ref();
    json!({
        "date": state.and_then(|state| timestamp(state.checkpoint_date())).map(time),
        "lag_seconds": record.lag(state, now),
        "failed_items": state.map(|state| state.failed().count()),
        "to_remove": state.map(|state| state.removals().count()),
    })
}

fn describe(Run { begun, report }: &Run, is_over: bool) -> Value {
    let requests = report.source_requests;
    let (end, error) = match &report.end {
        End::Drained => ("drained", None),
        End::Limit => ("limit", None),
        End::Quota => ("quota", None),
        End::Shutdown => ("shutdown", None),
        End::Reset => ("reset", None),
        End::Error(words) => ("error", Some(words)),
    };
    json!({
        "begun": time(*begun),
        "seconds": report.duration.as_secs_f64(),
        "read": report.read,
        "skipped": report.skipped,
        "delivered": report.delivered,
        "failed": report.failed,
        "gone": report.gone,
        "objects": report.objects,
        "bundles": report.bundles,
        "artifacts": report.artifacts,
        "artifacts_failed": report.artifacts_failed,
        "refused": report.refused,
        "removed": report.removed,
        "source_requests": {
            "pages": requests.pages,
            "lookups": requests.lookups,
            "downloads": requests.downloads,
            "removals": requests.removals,
            "retries": requests.retries,
            "cache_hits": requests.cache_hits,
        },
        "platform_requests": report.platform_requests,
        "end": is_over.then_some(end),
        "error": error,
        "summary": report.summary(),
    })
}

/// In whole seconds.
fn time(timestamp: Timestamp) -> String {
    timestamp
        .round(Unit::Second)
        .unwrap_or(timestamp)
        .to_string()
}
