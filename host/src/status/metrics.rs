//! Metrics for Prometheus: pycti's under its names (protocol section 16), with what these say, and our own.

use jiff::Timestamp;
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::board::{Activity, Board, Record};
use super::{guests, latency};
use crate::virustotal::{Allowance, Requests};

/// Says once what the metrics mean.
pub(super) fn describe() {
    for (name, help) in [
        ("bundles_sent_total", "Number of bundles sent"),
        (
            "records_sent_total",
            "Number of records (objects per bundle) sent",
        ),
        ("runs_total", "Number of runs"),
        ("ping_api_total", "Number of pings to the API"),
        (
            "ping_api_errors_total",
            "Number of errors when pinging the API",
        ),
        (
            "errors_total",
            "Number of errors: runs that an error ended, and notifications that could not be mapped",
        ),
        (
            "client_errors_total",
            "Number of client errors: requests to VirusTotal or OpenCTI without success, each try counted",
        ),
        (
            "connector_notifications_total",
            "Notifications by what became of them, and by the filter that did not want them.",
        ),
        (
            "connector_source_requests_total",
            "Requests to VirusTotal that the key pays for, by kind.",
        ),
        (
            "connector_lookup_cache_hits_total",
            "Lookups at VirusTotal that needed no request.",
        ),
        (
            "connector_platform_requests_total",
            "Requests to OpenCTI, each try counted.",
        ),
        (
            "connector_artifacts_total",
            "Files copied to OpenCTI, or not, by outcome.",
        ),
        (
            "connector_objects_refused_total",
            "Objects that OpenCTI refused, as far as its works tell.",
        ),
        (
            "connector_removed_total",
            "Notifications removed at VirusTotal.",
        ),
    ] {
        describe_counter!(name, help);
    }
    describe_gauge!("state", "State of connector");
    describe_gauge!(
        "connector_quota_allowed",
        "Requests to VirusTotal that the key allows, by kind of quota."
    );
    describe_gauge!(
        "connector_quota_used",
        "Requests to VirusTotal of that quota that were sent, by whomever."
    );
    describe_gauge!(
        "connector_failed_items",
        "Notifications on the list of those that could not be mapped."
    );
    describe_gauge!(
        "connector_checkpoint_lag_seconds",
        Unit::Seconds,
        "Time since all that VirusTotal had reported was delivered."
    );
    describe_gauge!(
        "connector_queue_bytes",
        Unit::Bytes,
        "What waits in the connector's queue, as of the last run."
    );
    latency::describe();
    guests::describe();
}

/// Brings the metrics up to date. The label of pycti's `state` is called as the metric.
pub(super) fn measure(board: &Board, state_label: &str) {
    let record = board.record();
    measure_runs(&record);
    measure_peers(board);
    measure_state(board, &record, state_label);
    guests::measure(board.guests());
}

fn measure_runs(record: &Record) {
    let totals = record.totals();
    let report = &totals.report;
    counter!("runs_total").absolute(totals.runs);
    counter!("bundles_sent_total").absolute(report.bundles);
    counter!("records_sent_total").absolute(report.objects.values().sum());
    counter!("errors_total").absolute(totals.runs_failed + report.failed);
    for (outcome, count) in [
        ("delivered", report.delivered),
        ("failed", report.failed),
        ("gone", report.gone),
    ] {
        counter!("connector_notifications_total", "outcome" => outcome, "filter" => "")
            .absolute(count);
    }
    for (filter, count) in &report.skipped {
        let labels = [
            ("outcome", "skipped".to_owned()),
            ("filter", filter.clone()),
        ];
        counter!("connector_notifications_total", &labels).absolute(*count);
    }
    for (outcome, count) in [
        ("copied", report.artifacts),
        ("failed", report.artifacts_failed),
    ] {
        counter!("connector_artifacts_total", "outcome" => outcome).absolute(count);
    }
    counter!("connector_objects_refused_total").absolute(report.refused);
    counter!("connector_removed_total").absolute(report.removed);
}

#[expect(clippy::cast_precision_loss, reason = "no quota has 2^53 requests")]
fn measure_peers(board: &Board) {
    let pings = board.pings();
    counter!("ping_api_total").absolute(pings.sent);
    counter!("ping_api_errors_total").absolute(pings.failed);
    let peers = board.peers();
    let Requests {
        pages,
        lookups,
        downloads,
        removals,
        retries,
        cache_hits,
        errors,
    } = peers.map(|it| it.source.requests()).unwrap_or_default();
    for (kind, count) in [
        ("page", pages),
        ("lookup", lookups),
        ("download", downloads),
        ("removal", removals),
        ("retry", retries),
    ] {
        counter!("connector_source_requests_total", "kind" => kind).absolute(count);
    }
    counter!("connector_lookup_cache_hits_total").absolute(cache_hits);
    for quota in board.quotas() {
        let Allowance { allowed, used } = quota.allowance;
        gauge!("connector_quota_allowed", "quota" => quota.name).set(allowed as f64);
        gauge!("connector_quota_used", "quota" => quota.name).set(used as f64);
    }
    let (requests, platform_errors) = peers
        .map(|it| (it.platform.requests(), it.platform.errors()))
        .unwrap_or_default();
    counter!("connector_platform_requests_total").absolute(requests);
    counter!("client_errors_total").absolute(errors + platform_errors);
}

#[expect(clippy::cast_precision_loss, reason = "no lag has 2^53 seconds")]
fn measure_state(board: &Board, record: &Record, state_label: &str) {
    let now = match board.activity(record) {
        Activity::Running => "running",
        Activity::Waiting | Activity::Idle | Activity::HeldBack => "idle",
        Activity::Stopping => "stopped",
    };
    for state in ["idle", "running", "stopped"] {
        let labels = [(state_label.to_owned(), state)];
        gauge!("state", &labels).set(f64::from(u8::from(state == now)));
    }
    let state = board.state();
    let failed = state.as_ref().map_or(0, |state| state.failed().count());
    gauge!("connector_failed_items").set(failed as f64);
    if let Some(lag) = record.lag(state.as_ref(), Timestamp::now()) {
        gauge!("connector_checkpoint_lag_seconds").set(lag as f64);
    }
    let info = board.peers().map(|peers| peers.keeper.info());
    if let Some(megabytes) = info.and_then(|info| info.queue_messages_size) {
        gauge!("connector_queue_bytes").set(megabytes * 1e6);
    }
}
