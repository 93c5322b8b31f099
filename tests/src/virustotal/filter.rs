//! The filter grammar of the IoC stream (virustotal-api section 1): blank-separated terms, all of
//! which must hold.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::answer::Problem;
use super::notification::Notification;

const ORIGINS: &[&str] = &["hunting", "subscriptions"];
const ENTITY_TYPES: &[&str] = &["file", "domain", "url", "ip_address"];
const SOURCE_TYPES: &[&str] = &[
    "hunting_ruleset",
    "retrohunt_job",
    "collection",
    "threat_actor",
    "threat_profile",
];

#[derive(Debug, PartialEq)]
enum Term {
    /// Exclusive: the documentation leaves open which, and a client must survive either.
    After(u64),
    /// Exclusive, see `After`.
    Before(u64),
    Origin(String),
    EntityType(String),
    EntityId(String),
    SourceType(String),
    SourceId(String),
    Tag(String),
}

/// A parsed filter.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Filter(Vec<Term>);

impl Filter {
    /// Reads the decoded value of the query parameter `filter`.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        text.split_whitespace()
            .map(term)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, notification: &Notification) -> bool {
        self.0.iter().all(|term| match term {
            Term::After(date) => notification.date > *date,
            Term::Before(date) => notification.date < *date,
            Term::Origin(origin) => notification.origin == *origin,
            Term::EntityType(kind) => notification.entity_type == *kind,
            Term::EntityId(id) => notification.entity_id == *id,
            Term::SourceType(kind) => notification.sources.iter().any(|(it, _)| it == kind),
            Term::SourceId(id) => notification.sources.iter().any(|(_, it)| it == id),
            Term::Tag(tag) => notification.tags.contains(tag),
        })
    }
}

fn term(text: &str) -> Result<Term, Problem> {
    let (key, value) = text
        .split_once(':')
        .ok_or_else(|| Problem::bad_request(format!("\"{text}\" is not a valid filter")))?;
    match key {
        "date" => date(value),
        "origin" => one_of(key, "origins", value, ORIGINS).map(Term::Origin),
        "entity_type" => one_of(key, "entity types", value, ENTITY_TYPES).map(Term::EntityType),
        "source_type" => one_of(key, "source types", value, SOURCE_TYPES).map(Term::SourceType),
        "entity_id" => Ok(Term::EntityId(value.to_owned())),
        "source_id" => Ok(Term::SourceId(value.to_owned())),
        "notification_tag" => Ok(Term::Tag(value.to_owned())),
        _ => Err(Problem::bad_request(format!(
            "\"{key}\" is not a valid filter"
        ))),
    }
}

fn one_of(key: &str, plural: &str, value: &str, allowed: &[&str]) -> Result<String, Problem> {
    if allowed.contains(&value) {
        return Ok(value.to_owned());
    }
    let allowed = allowed.join(",");
    Err(Problem::bad_request(format!(
        "{key} \"{value}\" is not valid. Valid {plural} are: {allowed}"
    )))
}

/// `2023-02-07T10:00:00+`, `2023-02-07-`, or Unix seconds with either sign.
fn date(value: &str) -> Result<Term, Problem> {
    let invalid = || Problem::bad_request(format!("date \"{value}\" is not valid"));
    let (value, make): (&str, fn(u64) -> Term) = if let Some(value) = value.strip_suffix('+') {
        (value, Term::After)
    } else if let Some(value) = value.strip_suffix('-') {
        (value, Term::Before)
    } else {
        return Err(invalid());
    };
    seconds(value).map(make).ok_or_else(invalid)
}

fn seconds(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let utc = |date_time: DateTime| TimeZone::UTC.to_timestamp(date_time).ok();
    let timestamp: Timestamp = if text.contains('T') {
        utc(text.strip_suffix('Z').unwrap_or(text).parse().ok()?)?
    } else {
        utc(text
            .parse::<Date>()
            .ok()?
            .to_datetime(jiff::civil::Time::midnight()))?
    };
    u64::try_from(timestamp.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn notification() -> Notification {
        Notification::new(&json!({
            "type": "file", "id": "ab",
            "context_attributes": {
                "notification_id": "1", "notification_date": 1_000_000_000, "origin": "hunting",
                "sources": [{"type": "hunting_ruleset", "id": "77", "label": "X"}],
                "tags": ["my_rule"],
            },
        }))
    }

    #[test]
    fn terms_are_anded() {
        let cases = [
            ("", true),
            ("date:999999999+", true),
            ("date:1000000000+", false),
            ("date:1000000001-", true),
            ("date:1000000000-", false),
            // 2001-09-09T01:46:40Z is 1,000,000,000 seconds.
            ("date:2001-09-09T01:46:39+", true),
            ("date:2001-09-09T01:46:39Z+", true),
            ("date:2001-09-09T01:46:40+", false),
            ("date:2001-09-09+ date:2001-09-10-", true),
            ("date:2001-09-10+", false),
            ("entity_type:file source_type:hunting_ruleset", true),
            ("entity_type:file entity_type:url", false),
            ("entity_id:ab origin:hunting", true),
            ("source_id:77", true),
            ("source_id:78", false),
            ("notification_tag:my_rule", true),
            ("notification_tag:My_Rule", false),
        ];
        for (filter, expected) in cases {
            let parsed = Filter::parse(filter).unwrap_or_else(|it| panic!("{filter}: {it:?}"));
            assert_eq!(parsed.matches(&notification()), expected, "{filter}");
        }
    }

    #[test]
    fn what_the_grammar_does_not_know_is_refused() {
        let cases = [
            "origin:notHunting",
            "entity_type:files",
            "source_type:ruleset",
            "date:1000000000",
            "date:yesterday+",
            // What is left of `date:…+` when the sender forgot to encode the plus sign.
            "date:2001-09-09 source_type:hunting_ruleset",
            "color:red",
            "word",
        ];
        for filter in cases {
            let problem = Filter::parse(filter).unwrap_err();
            assert_eq!(
                (problem.status, problem.code),
                (400, "BadRequestError"),
                "{filter}"
            );
        }
    }
}
