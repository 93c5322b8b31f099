//! What the `meta` section of a rule says, in the words of a STIX indicator.

use std::collections::HashSet;

use yara_x_parser::ast::{Meta, MetaValue};

use super::date;
use crate::stix::Tlp;

/// The parts of a rule's metadata that an indicator has room for. Keys are compared without case, since
/// authors write `Date` as well as `date`. A value that cannot be understood is left out: it is still in
/// the rule's text.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Metadata {
    pub description: Option<String>,
    /// Unix seconds.
    pub created: Option<u64>,
    /// Unix seconds.
    pub modified: Option<u64>,
    pub score: Option<u8>,
    /// The strongest of those that it names.
    pub tlp: Option<Tlp>,
    pub references: Vec<String>,
    pub remarks: Vec<(String, String)>,
}

/// In order of preference.
const DESCRIPTION: &[&str] = &["description", "desc", "info"];
const CREATED: &[&str] = &["date", "creation_date", "created", "first_imported"];
const MODIFIED: &[&str] = &["modified", "last_modified"];
/// Weights and severities are on scales of their own.
const SCORE: &[&str] = &["score"];
const TLP: &[&str] = &["tlp", "classification", "sharing"];

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
            created: first(&entries, CREATED, date::parse),
            modified: first(&entries, MODIFIED, date::parse),
            score: first(&entries, SCORE, parse_score),
            tlp: tlp(&entries),
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

/// What a reader of the indicator wants to know. Dates and weights as they are written: not all can be read.
fn is_remark(key: &str) -> bool {
    let key = without_number(key);
    let others = ["author", "hash", "license", "weight", "severity"];
    let lists = [&others as &[&str], CREATED, MODIFIED, TLP];
    lists.iter().any(|list| list.contains(&key))
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

fn tlp(entries: &[(String, String)]) -> Option<Tlp> {
    let of_key = |key: &str| TLP.contains(&without_number(key));
    let named = entries.iter().filter(|(key, _)| of_key(key));
    named.filter_map(|(key, text)| parse_tlp(key, text)).max()
}

/// `TLP:AMBER`, `tlp_white`, `Amber+Strict`. Under a key other than `tlp` the level stands alone or behind `TLP`, since
/// a classification may say anything.
fn parse_tlp(key: &str, text: &str) -> Option<Tlp> {
    let text = text.to_lowercase();
    let words: Vec<&str> = text
        .split(|it: char| !it.is_alphanumeric())
        .filter(|it| !it.is_empty())
        .collect();
    let level = |words: &[&str]| match *words {
        ["amber", "strict", ..] => Some(Tlp::AmberStrict),
        ["red", ..] => Some(Tlp::Red),
        ["amber", ..] => Some(Tlp::Amber),
        ["green", ..] => Some(Tlp::Green),
        ["white" | "clear", ..] => Some(Tlp::Clear),
        _ => None,
    };
    let behind = words.iter().position(|it| *it == "tlp");
    match behind {
        Some(position) => level(&words[position + 1..]),
        None if key == "tlp" || words.len() == 1 || words == ["amber", "strict"] => level(&words),
        None => None,
    }
}

/// A whole number from 0 to 100.
fn parse_score(text: &str) -> Option<u8> {
    text.parse().ok().filter(|score| *score <= 100)
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
    fn a_date_may_be_an_integer() {
        assert_eq!(
            metadata("date = 20260314").created,
            unix("2026-03-14T00:00:00Z")
        );
        assert_eq!(metadata("date = -20260314").created, None);
    }

    #[test]
    fn the_preferred_key_wins_and_a_bad_value_does_not() {
        let it = metadata(
            r#"info = "i" desc = "d" description = "" created = "2020-01-02" date = "soon""#,
        );
        assert_eq!(it.description.as_deref(), Some("d"));
        assert_eq!(it.created, unix("2020-01-02T00:00:00Z"));
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
            ("severity = 100", None),
            ("severity = \"high\" weight = 5", None),
        ];
        for (section, expected) in cases {
            assert_eq!(metadata(section).score, expected, "{section}");
        }
    }

    #[test]
    fn the_strongest_level_of_the_traffic_light_protocol_counts() {
        let cases = [
            ("tlp = \"TLP:AMBER\"", Some(Tlp::Amber)),
            ("tlp = \"amber\"", Some(Tlp::Amber)),
            ("TLP = \"red, do not share\"", Some(Tlp::Red)),
            ("sharing = \"TLP:GREEN\"", Some(Tlp::Green)),
            (
                "classification = \"TLP: AMBER+STRICT\"",
                Some(Tlp::AmberStrict),
            ),
            ("classification = \"Amber+Strict\"", Some(Tlp::AmberStrict)),
            ("classification = \"tlp_white\"", Some(Tlp::Clear)),
            ("sharing = \"CLEAR\"", Some(Tlp::Clear)),
            (
                "tlp = \"white\" classification = \"TLP:RED\"",
                Some(Tlp::Red),
            ),
            ("classification = \"red team tool\"", None),
            ("classification = \"malware\"", None),
            ("tlp = \"unknown\"", None),
            ("other = \"TLP:RED\"", None),
        ];
        for (section, expected) in cases {
            assert_eq!(metadata(section).tlp, expected, "{section}");
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
