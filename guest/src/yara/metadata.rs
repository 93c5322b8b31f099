//! What the `meta` section of a rule says, in the words of a STIX indicator.

use std::collections::HashSet;

use time::{Date, Month, Time};
use yara_x_parser::ast::{Meta, MetaValue};

/// The parts of a rule's metadata that an indicator has room for. Keys are compared without case, since
/// authors write `Date` as well as `date`. A value that cannot be understood is left out: it is still in
/// the rule's text.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Metadata {
    pub description: Option<String>,
    /// Unix seconds.
    pub valid_from: Option<u64>,
    /// Unix seconds.
    pub modified: Option<u64>,
    pub score: Option<u8>,
    pub references: Vec<String>,
    pub remarks: Vec<(String, String)>,
}

/// In order of preference.
const DESCRIPTION: &[&str] = &["description", "desc", "info"];
const VALID_FROM: &[&str] = &["date", "creation_date", "created", "first_imported"];
const MODIFIED: &[&str] = &["modified", "last_modified"];
const SCORE: &[&str] = &["score", "weight", "severity"];

/// References of one rule: the platform keeps each as an object of its own.
const MAX_REFERENCES: usize = 100;

impl Metadata {
    /// Reads the section; a key may stand in it several times.
    pub fn of(section: &[Meta<'_>]) -> Self {
        let entries: Vec<(String, String)> = section
            .iter()
            .map(|it| (it.identifier.name.to_lowercase(), text_of(&it.value)))
            .filter(|(_, text)| !text.is_empty())
            .collect();
        let mut metadata = Self {
            description: first(&entries, DESCRIPTION, |text| Some(text.to_owned())),
            valid_from: first(&entries, VALID_FROM, parse_date),
            modified: first(&entries, MODIFIED, parse_date),
            score: first(&entries, SCORE, parse_score),
            ..Self::default()
        };
        let mut known = HashSet::new();
        for (key, text) in entries {
            if is_reference(&key) {
                if let Some(links) = links(&text) {
                    let new = links
                        .map(percent_encoded)
                        .filter(|link| known.insert(link.clone()));
                    metadata.references.extend(new);
                    metadata.references.truncate(MAX_REFERENCES);
                } else {
                    metadata.remarks.push((key, text));
                }
            } else if is_remark(&key) {
                metadata.remarks.push((key, text));
            }
        }
        metadata
    }
}

/// The value of the first of `keys` that has a usable one.
fn first<T>(
    entries: &[(String, String)],
    keys: &[&str],
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    keys.iter().find_map(|wanted| {
        entries
            .iter()
            .filter(|(key, _)| key == wanted)
            .find_map(|(_, text)| parse(text))
    })
}

/// The value without escapes, without control characters (line ends and tabs stay) and outer blanks.
fn text_of(value: &MetaValue<'_>) -> String {
    let text = match value {
        MetaValue::Bool((value, _)) => value.to_string(),
        MetaValue::Integer((value, _)) => value.to_string(),
        MetaValue::Float((value, _)) => value.to_string(),
        MetaValue::String((text, _)) => (*text).to_owned(),
        MetaValue::Bytes((bytes, _)) => String::from_utf8_lossy(bytes).into_owned(),
    };
    let is_kept = |it: &char| !it.is_control() || matches!(it, '\n' | '\r' | '\t');
    text.chars()
        .filter(is_kept)
        .collect::<String>()
        .trim()
        .to_owned()
}

fn is_reference(key: &str) -> bool {
    let key = without_number(key);
    key.starts_with("reference") || matches!(key, "ref" | "report" | "url" | "link")
}

fn is_remark(key: &str) -> bool {
    matches!(without_number(key), "author" | "hash" | "license" | "tlp")
}

/// `hash12` is one of many `hash`es.
fn without_number(key: &str) -> &str {
    key.trim_end_matches(|it: char| it.is_ascii_digit())
        .trim_end_matches('_')
}

/// The web addresses in `text`, if there is nothing else in it.
fn links(text: &str) -> Option<impl Iterator<Item = &str>> {
    let words = || {
        text.split_whitespace()
            .map(|word| word.trim_end_matches(','))
    };
    words().all(is_link).then(words)
}

fn is_link(word: &str) -> bool {
    word.split_once("://").is_some_and(|(scheme, rest)| {
        (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
            && !rest.is_empty()
    })
}

/// The same address in the characters of RFC 3986, as STIX wants it: authors write braces, blanks' kin and letters of
/// all scripts.
fn percent_encoded(link: &str) -> String {
    let mut encoded = String::with_capacity(link.len());
    for byte in link.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// A whole number from 0 to 100.
fn parse_score(text: &str) -> Option<u8> {
    text.parse().ok().filter(|score| *score <= 100)
}

/// Unix seconds, midnight UTC where no time is given.
///
/// ISO 8601 first. With dots the day comes first, as in the public rule collections. With slashes or
/// dashes and the year last, only what reads the same both ways, or one way, is taken.
fn parse_date(text: &str) -> Option<u64> {
    let (date, time) = text.split_once(['T', 't', ' ']).unwrap_or((text, ""));
    let midnight = date_of_parts(date)?.midnight().as_utc().unix_timestamp();
    u64::try_from(midnight + seconds_of_time(time.trim())?).ok()
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
    use yara_x_parser::ast::AST;

    use super::*;

    fn metadata(section: &str) -> Metadata {
        let text = format!("rule it {{ meta: {section} condition: true }}");
        let ast = AST::from(text.as_str());
        assert_eq!(ast.errors(), [], "{section}");
        Metadata::of(
            ast.rules()
                .next()
                .unwrap()
                .meta
                .as_deref()
                .unwrap_or_default(),
        )
    }

    fn unix(timestamp: &str) -> Option<u64> {
        Some(u64::try_from(timestamp.parse::<jiff::Timestamp>().unwrap().as_second()).unwrap())
    }

    #[test]
    fn dates_are_read_as_their_authors_meant_them() {
        let march_14 = unix("2026-03-14T00:00:00Z");
        let cases = [
            ("2026-03-14", march_14),
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
            ("March 2026", None),
            ("2026-03", None),
            ("..", None),
            ("//", None),
            ("-5", None),
            ("+1.+2.2020", None),
            ("1.2.202", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_date(text), expected, "{text}");
        }
    }

    #[test]
    fn a_date_may_be_an_integer() {
        assert_eq!(
            metadata("date = 20260314").valid_from,
            unix("2026-03-14T00:00:00Z")
        );
        assert_eq!(metadata("date = -20260314").valid_from, None);
    }

    #[test]
    fn the_preferred_key_wins_and_a_bad_value_does_not() {
        let it = metadata(
            r#"info = "i" desc = "d" description = "" created = "2020-01-02" date = "soon""#,
        );
        assert_eq!(it.description.as_deref(), Some("d"));
        assert_eq!(it.valid_from, unix("2020-01-02T00:00:00Z"));
    }

    #[test]
    fn only_whole_numbers_up_to_100_are_scores() {
        let cases = [
            ("score = 80", Some(80)),
            ("score = \"80\"", Some(80)),
            ("score = 0", Some(0)),
            ("score = 101", None),
            ("score = -1", None),
            ("score = 7.5", None),
            ("severity = 100", Some(100)),
            ("severity = \"high\" weight = 5", Some(5)),
        ];
        for (section, expected) in cases {
            assert_eq!(metadata(section).score, expected, "{section}");
        }
    }

    #[test]
    fn web_addresses_are_references_and_other_references_are_remarks() {
        let it = metadata(
            r#"reference = "https://a.example/1" ref = "internal ticket #4711" Reference2 = "http://b.example, https://a.example/1"
               url = "ftp://c.example" hash = "aa" hash = "bb" hash_2 = "cc" author = "Jane" version = 3 license = "MIT" TLP = "AMBER""#,
        );
        assert_eq!(it.references, ["https://a.example/1", "http://b.example"]);
        let remarks: Vec<(&str, &str)> = it
            .remarks
            .iter()
            .map(|(key, text)| (&**key, &**text))
            .collect();
        assert_eq!(
            remarks,
            [
                ("ref", "internal ticket #4711"),
                ("url", "ftp://c.example"),
                ("hash", "aa"),
                ("hash", "bb"),
                ("hash_2", "cc"),
                ("author", "Jane"),
                ("license", "MIT"),
                ("tlp", "AMBER"),
            ]
        );
    }

    #[test]
    fn escapes_are_decoded() {
        let it = metadata(r#"description = " \"C:\\q\" \x41\x00\t\xff ""#);
        assert_eq!(it.description.as_deref(), Some("\"C:\\q\" A\t\u{fffd}"));
    }
}
