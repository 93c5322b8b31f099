//! Dates as people read them.

use jiff::Timestamp;

/// Seconds since the epoch in RFC 3339; 0 is a date that nobody told.
#[must_use]
pub fn date(seconds: u64) -> String {
    let timestamp = i64::try_from(seconds).ok();
    let timestamp = timestamp.and_then(|seconds| Timestamp::from_second(seconds).ok());
    timestamp.filter(|_| seconds > 0).map_or_else(
        || "unknown".to_owned(),
        |timestamp| timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}
