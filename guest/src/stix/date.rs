//! Dates: VirusTotal's whole seconds, STIX timestamps (chapter 3.4) in the platform's millisecond form.

use std::fmt::Write as _;

use arrayvec::ArrayString;
use serde::Serialize;
use time::UtcDateTime;

/// A point in time that can be written down: year 1970 to 9999, whole seconds, UTC.
///
/// It is its own text, `2026-01-01T10:00:00.000Z`, since it is written a dozen times for each notification. With
/// the milliseconds, so that ids computed from it equal the platform's; of fixed width, so that texts compare like
/// times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct Date(ArrayString<24>);

impl Date {
    /// None after the year 9999.
    pub(crate) fn from_seconds(seconds: u64) -> Option<Self> {
        let seconds = i64::try_from(seconds).ok()?;
        let date = UtcDateTime::from_unix_timestamp(seconds).ok()?;
        let (year, month, day) = date.to_calendar_date();
        let (month, (hour, minute, second)) = (u8::from(month), date.as_hms());
        let mut text = ArrayString::new();
        // Longer years do not fit.
        write!(
            text,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z"
        )
        .ok()?;
        Some(Self(text))
    }

    /// For readers: `2026-01-01 10:00:00 UTC`.
    pub(crate) fn in_words(self) -> String {
        format!("{} {} UTC", &self.0[..10], &self.0[11..19])
    }
}

/// `2026-01-01T10:00:00`, the form of VirusTotal's filters; the epoch for what cannot be written down.
pub(crate) fn without_zone(seconds: u64) -> String {
    let date = Date::from_seconds(seconds);
    let text = date
        .as_ref()
        .map_or("1970-01-01T00:00:00", |it| &it.0[..19]);
    text.to_owned()
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
            let found = Date::from_seconds(seconds).map(|date| date.0);
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
