//! Dates: VirusTotal's whole seconds, STIX timestamps (chapter 3.4) in the platform's millisecond form.

use std::fmt;

use serde::{Serialize, Serializer};
use time::UtcDateTime;

/// A point in time that can be written down: year 1970 to 9999, whole seconds, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date(UtcDateTime);

impl Date {
    /// None after the year 9999.
    pub(crate) fn from_seconds(seconds: u64) -> Option<Self> {
        let seconds = i64::try_from(seconds).ok()?;
        let date = UtcDateTime::from_unix_timestamp(seconds).ok()?;
        (date.year() <= 9999).then_some(Self(date))
    }

    /// For readers: `2026-01-01 10:00:00 UTC`.
    pub(crate) fn in_words(self) -> String {
        format!("{} {} UTC", self.day(), self.clock())
    }

    fn day(self) -> String {
        let (year, month, day) = self.0.to_calendar_date();
        format!("{year:04}-{:02}-{day:02}", u8::from(month))
    }

    fn clock(self) -> String {
        let (hour, minute, second) = self.0.as_hms();
        format!("{hour:02}:{minute:02}:{second:02}")
    }
}

/// `2026-01-01T10:00:00.000Z`: with the milliseconds, so that ids computed from it equal the platform's.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}.000Z", self.day(), self.clock())
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `2026-01-01T10:00:00`, the form of VirusTotal's filters; the epoch for what cannot be written down.
pub(crate) fn without_zone(seconds: u64) -> String {
    let date = Date::from_seconds(seconds).unwrap_or(Date(UtcDateTime::UNIX_EPOCH));
    format!("{}T{}", date.day(), date.clock())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_milliseconds_and_end_with_the_year_9999() {
        let cases = [
            (0, Some("1970-01-01T00:00:00.000Z")),
            (1_700_000_000, Some("2023-11-14T22:13:20.000Z")),
            (253_402_207_200, Some("9999-12-30T22:00:00.000Z")),
            (253_402_300_800, None),
            (u64::MAX, None),
        ];
        for (seconds, expected) in cases {
            let found = Date::from_seconds(seconds).map(|date| date.to_string());
            assert_eq!(found.as_deref(), expected, "{seconds}");
        }
    }

    #[test]
    fn other_forms() {
        let date = Date::from_seconds(1_700_000_000).unwrap();
        assert_eq!(date.in_words(), "2023-11-14 22:13:20 UTC");
        assert_eq!(without_zone(1_700_000_000), "2023-11-14T22:13:20");
    }
}
