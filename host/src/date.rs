//! Dates as the source counts them: seconds since the epoch, 0 where nobody told.

use jiff::Timestamp;

/// The time; none where nobody told it.
#[must_use]
pub fn timestamp(seconds: u64) -> Option<Timestamp> {
    let seconds = i64::try_from(seconds).ok().filter(|it| *it > 0)?;
    Timestamp::from_second(seconds).ok()
}

/// A time as the source counts it; 0 for one before the epoch.
#[must_use]
pub fn seconds(timestamp: Timestamp) -> u64 {
    u64::try_from(timestamp.as_second()).unwrap_or_default()
}

/// In RFC 3339, for people.
#[must_use]
pub fn date(seconds: u64) -> String {
    timestamp(seconds).map_or_else(
        || "unknown".to_owned(),
        |timestamp| timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}
