//! From VirusTotal's date of a notification to the confirmation of its objects.

use jiff::SignedDuration;
use metrics::{Unit, describe_histogram, histogram};

pub(super) const NAME: &str = "connector_delivery_latency_seconds";

/// Upper bounds of the buckets, in seconds: from a run that comes at once to VirusTotal's seven days.
pub(super) const BUCKETS: [f64; 11] = [
    10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0,
];

pub(super) fn describe() {
    describe_histogram!(
        NAME,
        Unit::Seconds,
        "From VirusTotal's date of a notification to the confirmation of its objects."
    );
}

pub(super) fn record(latency: SignedDuration) {
    histogram!(NAME).record(latency.as_secs_f64());
}
