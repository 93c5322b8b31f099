//! Periods as the Python connector's framework reads them.

use std::time::Duration;

use jiff::Span;

/// Reads ISO 8601 (`PT5M`, `P1DT2H`, `PT0.5S`), a clock text (`00:05:00`, `1 day, 02:00:00`), or a number
/// of seconds. As there, a month is 30 days and a year 365.
///
/// `None` when the text is none of these, or negative.
pub(super) fn parse(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let span: Span = text.parse().ok()?;
    if span.is_negative() {
        return None;
    }
    let days = i64::from(span.get_years()) * 365
        + i64::from(span.get_months()) * 30
        + i64::from(span.get_weeks()) * 7
        + i64::from(span.get_days());
    let seconds = days
        .checked_mul(86_400)?
        .checked_add(i64::from(span.get_hours()).checked_mul(3_600)?)?
        .checked_add(span.get_minutes().checked_mul(60)?)?
        .checked_add(span.get_seconds())?;
    let duration = Duration::from_secs(u64::try_from(seconds).ok()?)
        + Duration::from_millis(u64::try_from(span.get_milliseconds()).ok()?)
        + Duration::from_micros(u64::try_from(span.get_microseconds()).ok()?);
    Some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_python_framework_reads() {
        const DAY: u64 = 86_400;
        for (text, expected) in [
            ("PT5M", Some(300)),
            ("P1D", Some(DAY)),
            ("P1DT2H", Some(DAY + 7_200)),
            ("P1W", Some(7 * DAY)),
            ("P1M", Some(30 * DAY)),
            ("P1Y", Some(365 * DAY)),
            ("PT0S", Some(0)),
            ("0", Some(0)),
            ("300", Some(300)),
            ("00:05:00", Some(300)),
            ("1 day, 02:00:00", Some(DAY + 7_200)),
            ("-PT5M", None),
            ("-1", None),
            ("NaN", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse(text), expected.map(Duration::from_secs), "{text}");
        }
        assert_eq!(parse("PT0.5S"), Some(Duration::from_millis(500)));
    }
}
