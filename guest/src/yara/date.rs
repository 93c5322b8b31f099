//! Dates as authors of rules write them.

use time::{Date, Month, Time};

/// Unix seconds, midnight UTC where no time is given, the first of the month where no day is.
///
/// ISO 8601 first. With dots the day comes first, as in the public rule collections. With slashes or
/// dashes and the year last, only what reads the same both ways, or one way, is taken.
pub(super) fn parse(text: &str) -> Option<u64> {
    let seconds = |date: Date| date.midnight().as_utc().unix_timestamp();
    if let Some(date) = with_name_of_month(text).or_else(|| without_day(text)) {
        return u64::try_from(seconds(date)).ok();
    }
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
    let midnight = seconds(date_of_parts(date)?);
    u64::try_from(midnight + seconds_of_time(time.trim())?).ok()
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// `16-Sep-2026`, `Sep 16th, 2026`, `September 2026`: three letters of an English name are enough.
fn with_name_of_month(text: &str) -> Option<Date> {
    let text = text.to_lowercase();
    let words = || {
        text.split(|it: char| !it.is_alphanumeric())
            .filter(|it| !it.is_empty())
    };
    let number_of = |word: &str| {
        let position = MONTHS
            .iter()
            .position(|it| word.len() >= 3 && it.starts_with(word));
        position.map(|it| it + 1)
    };
    let mut months = words().filter_map(number_of);
    let month = months
        .next()
        .filter(|_| months.next().is_none())?
        .to_string();
    let numbers: Vec<&str> = words().filter(|word| number_of(word).is_none()).collect();
    let is_year = |it: &str| it.len() == 4 && it.bytes().all(|it| it.is_ascii_digit());
    match *numbers.as_slice() {
        [year] if is_year(year) => date(year, &month, "1"),
        [year, day] | [day, year] if is_year(year) => date(year, &month, without_ordinal(day)),
        _ => None,
    }
}

/// The number of `16th`.
fn without_ordinal(day: &str) -> &str {
    let endings = ["st", "nd", "rd", "th"];
    endings
        .iter()
        .find_map(|it| day.strip_suffix(it))
        .unwrap_or(day)
}

/// `2015-06`, `2014/09`, `09/2014`.
fn without_day(text: &str) -> Option<Date> {
    let (first, second) = text.split_once(['-', '/', '.'])?;
    let is_month = |part: &str| (1..=2).contains(&part.len());
    match (first.len(), second.len()) {
        (4, _) if is_month(second) => date(first, second, "1"),
        (_, 4) if is_month(first) => date(second, first, "1"),
        _ => None,
    }
}

/// Seconds from midnight UTC: `10:30`, `10:30:59`, with a fraction, `Z` or `+02:00` behind; empty is midnight.
fn seconds_of_time(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let (clock, offset) = match text.find(['Z', 'z', '+', '-']) {
        Some(position) => text.split_at(position),
        None => (text, ""),
    };
    let clock = clock.split('.').next().unwrap_or_default();
    let offset = match offset.split_at_checked(1) {
        Some(("+", offset)) => seconds(offset)?,
        Some(("-", offset)) => -seconds(offset)?,
        _ => 0,
    };
    Some(seconds(clock)? - offset)
}

/// Of hours, minutes and perhaps seconds between colons.
fn seconds(text: &str) -> Option<i64> {
    let parts: Option<Vec<u8>> = text.split(':').map(|part| part.parse().ok()).collect();
    let time = match *parts?.as_slice() {
        [hour, minute] => Time::from_hms(hour, minute, 0),
        [hour, minute, second] => Time::from_hms(hour, minute, second),
        _ => return None,
    };
    let (hour, minute, second) = time.ok()?.as_hms();
    Some(i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second))
}

fn date_of_parts(text: &str) -> Option<Date> {
    let Some(separator) = text.chars().find(|it| !it.is_ascii_digit()) else {
        return (text.len() == 8).then(|| date(&text[..4], &text[4..6], &text[6..]))?;
    };
    let parts: Vec<&str> = text.split(separator).collect();
    let &[first, second, third] = parts.as_slice() else {
        return None;
    };
    let year_first = first.len() == 4;
    let (year, month, day) = match separator {
        '/' | '-' | '.' if year_first => (first, second, third),
        '.' => (third, second, first),
        '/' | '-' if third.len() == 4 => {
            let is_month = |part: &str| part.parse::<u8>().is_ok_and(|it| it <= 12);
            match (is_month(first), is_month(second)) {
                (true, true) if first.parse::<u8>() == second.parse::<u8>() => {
                    (third, second, first)
                }
                (false, true) => (third, second, first),
                (true, false) => (third, first, second),
                _ => return None,
            }
        }
        _ => return None,
    };
    let is_number = |part: &str| (1..=2).contains(&part.len());
    if !is_number(month) || !is_number(day) {
        return None;
    }
    let year = match year.len() {
        // No rule is older than this century.
        2 => format!("20{year}"),
        4 => year.to_owned(),
        _ => return None,
    };
    date(&year, month, day)
}

/// The day of digits only, where there is such a day.
fn date(year: &str, month: &str, day: &str) -> Option<Date> {
    let is_digits = |part: &str| part.bytes().all(|it| it.is_ascii_digit());
    if ![year, month, day].into_iter().all(is_digits) {
        return None;
    }
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(timestamp: &str) -> Option<u64> {
        Some(u64::try_from(timestamp.parse::<jiff::Timestamp>().unwrap().as_second()).unwrap())
    }

    #[test]
    fn dates_are_read_as_their_authors_meant_them() {
        let march_14 = unix("2026-03-14T00:00:00Z");
        let cases = [
            ("2026-03-14", march_14),
            ("14-Mar-2026", march_14),
            ("14 March 2026", march_14),
            ("14. märz 2026", None),
            ("Mar 14, 2026", march_14),
            ("March 14th, 2026", march_14),
            ("2026-Mar-14", march_14),
            ("3rd Sept 2026", unix("2026-09-03T00:00:00Z")),
            ("march 2026", unix("2026-03-01T00:00:00Z")),
            ("2015-06", unix("2015-06-01T00:00:00Z")),
            ("2014/09", unix("2014-09-01T00:00:00Z")),
            ("09/2014", unix("2014-09-01T00:00:00Z")),
            ("2026-3-14", march_14),
            ("20260314", march_14),
            ("2026/03/14", march_14),
            ("2026.03.14", march_14),
            ("14.03.2026", march_14),
            ("14.3.26", march_14),
            ("14/03/2026", march_14),
            ("03/14/2026", march_14),
            ("14-03-2026", march_14),
            ("2026-03-14T10:20:30Z", unix("2026-03-14T10:20:30Z")),
            ("2026-03-14T10:20:30+02:00", unix("2026-03-14T08:20:30Z")),
            ("2026-03-14 10:20:30", unix("2026-03-14T10:20:30Z")),
            ("03.04.2017", unix("2017-04-03T00:00:00Z")),
            ("04/04/2017", unix("2017-04-04T00:00:00Z")),
            // Both ways make sense.
            ("03/04/2017", None),
            ("03042017", None),
            // No such day.
            ("2015/02/29", None),
            ("2022-14-04", None),
            ("13/13/2022", None),
            ("1969-12-31", None),
            ("1700000000", None),
            ("14 Mar 26", None),
            ("Mar Apr 2026", None),
            ("31 Feb 2026", None),
            ("Mar 14 2026 extra", None),
            ("2026-13", None),
            ("2026-003", None),
            ("marches 2026", None),
            ("ma 2026", None),
            ("..", None),
            ("//", None),
            ("-5", None),
            ("+1.+2.2020", None),
            ("1.2.202", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
