//! The filters: one function each, which says what it saw and what is allowed.
//!
//! A missing attribute fails only the filter that needs it.
//! Size and extension are a file's; domains and IP addresses have no date of submission.

use std::num::NonZeroU64;

use crate::contract::{Skip, Timestamp};
use crate::mapping::labels::normalised;
use crate::mapping::text::cut;
use crate::notification::{EntityType, Notification};
use crate::settings::Settings;
use crate::stix::Date;

type Filter = fn(&Asked<'_>) -> Answer;

/// In the order in which they are asked: `skip` names the first that says no.
const FILTERS: [(&str, Filter); 7] = [
    ("entity type", entity_type),
    ("source", source),
    ("tag", tag),
    ("extension", extension),
    ("size", size),
    ("age", age),
    ("positives", positives),
];

/// Bytes of a reason: some name all tags or sources of a notification, and a host takes no more than 4096.
const LONGEST_REASON: usize = 2_000;

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// What is asked of a filter.
struct Asked<'a> {
    settings: &'a Settings,
    notification: &'a Notification<'a>,
    now: Timestamp,
    /// Whether a yes needs words too.
    explains: bool,
}

struct Answer {
    passed: bool,
    /// What was found and what is allowed; empty for a yes that needs no words.
    saw: String,
}

impl Asked<'_> {
    /// Most notifications are asked about once and pass: no words are made for those.
    fn answer(&self, passed: bool, words: &dyn Fn() -> String) -> Answer {
        let saw = if passed && !self.explains {
            String::new()
        } else {
            cut(&words(), LONGEST_REASON).into_owned()
        };
        Answer { passed, saw }
    }

    fn is_file(&self) -> bool {
        self.notification.entity_type == EntityType::File
    }
}

/// # Errors
/// The filter that said no, with its reason.
pub(crate) fn check(
    settings: &Settings,
    notification: &Notification<'_>,
    now: Timestamp,
) -> Result<(), Skip> {
    let asked = Asked {
        settings,
        notification,
        now,
        explains: false,
    };
    for (name, filter) in FILTERS {
        let Answer { passed, saw } = filter(&asked);
        if !passed {
            return Err(Skip {
                filter: name.to_owned(),
                reason: saw,
            });
        }
    }
    Ok(())
}

/// What every filter says: the JSON of `explain` in the contract.
pub(crate) fn explain(
    settings: &Settings,
    notification: &Notification<'_>,
    now: Timestamp,
) -> String {
    let asked = Asked {
        settings,
        notification,
        now,
        explains: true,
    };
    let mut json = String::from("[");
    for (name, filter) in FILTERS {
        let Answer { passed, saw } = filter(&asked);
        #[expect(clippy::expect_used, reason = "texts always serialise")]
        let saw = serde_json::to_string(&saw).expect("a text is JSON");
        for part in [
            if json.len() > 1 { "," } else { "" },
            r#"{"filter":""#,
            name,
            r#"","passed":"#,
            if passed { "true" } else { "false" },
            r#","saw":"#,
            &saw,
            "}",
        ] {
            json.push_str(part);
        }
    }
    json.push(']');
    json
}

fn entity_type(asked: &Asked<'_>) -> Answer {
    let Asked {
        settings,
        notification,
        ..
    } = asked;
    let allowed = &settings.entity_types;
    asked.answer(allowed.contains(&notification.entity_type), &|| {
        let allowed: Vec<&str> = allowed.iter().map(|it| it.name()).collect();
        format!(
            "{} {}; ENTITY_TYPES allows {}",
            notification.entity_type.name(),
            &*notification.id,
            allowed.join(", ")
        )
    })
}

/// The IoC stream holds what subscriptions report too.
fn source(asked: &Asked<'_>) -> Answer {
    let context = &asked.notification.context;
    let passed = context.hunting_info.is_some() || context.rulesets().next().is_some();
    asked.answer(passed, &|| {
        let sources: Vec<&str> = context
            .sources
            .iter()
            .map(|source| source.source_type.as_deref().unwrap_or("unknown"))
            .collect();
        format!(
            "reported by [{}]; only hunting_ruleset is Livehunt",
            sources.join(", ")
        )
    })
}

fn tag(asked: &Asked<'_>) -> Answer {
    let wanted = asked.settings.filter_with_tag.as_deref();
    let tags = &asked.notification.context.tags;
    let passed = wanted
        .map(normalised)
        .is_none_or(|wanted| tags.iter().any(|tag| normalised(tag) == wanted));
    asked.answer(passed, &|| {
        let tags: Vec<&str> = tags.iter().map(|tag| &**tag).collect();
        let (verb, wanted) = wanted.map_or(("is not set", ""), |wanted| ("wants ", wanted));
        format!("tags [{}]; FILTER_WITH_TAG {verb}{wanted}", tags.join(", "))
    })
}

fn extension(asked: &Asked<'_>) -> Answer {
    let allowed = &asked.settings.extensions;
    let found = asked.notification.attributes.type_extension.as_deref();
    let passed = allowed.is_empty()
        || !asked.is_file()
        || found.is_some_and(|found| allowed.contains(&found.to_lowercase()));
    asked.answer(passed, &|| {
        if !asked.is_file() {
            return NO_FILE.to_owned();
        }
        let found = found.unwrap_or("type_extension is missing").to_lowercase();
        let allowed = if allowed.is_empty() {
            "all".to_owned()
        } else {
            allowed.join(", ")
        };
        format!("{found}; EXTENSIONS allows {allowed}")
    })
}

fn size(asked: &Asked<'_>) -> Answer {
    let (min, max) = (asked.settings.min_file_size, asked.settings.max_file_size);
    let found = asked.notification.attributes.size;
    let too_small = |found: u64| min.is_some_and(|min| found < min.get());
    let too_large = |found: u64| max.is_some_and(|max| found > max.get());
    let passed = !asked.is_file()
        || (min.is_none() && max.is_none())
        || found.is_some_and(|found| !too_small(found) && !too_large(found));
    asked.answer(passed, &|| {
        if !asked.is_file() {
            return NO_FILE.to_owned();
        }
        let (setting, limit, rest) = if found.is_none() {
            ("MIN_FILE_SIZE or MAX_FILE_SIZE", min.or(max), "")
        } else if found.is_some_and(too_small) || max.is_none() {
            ("MIN_FILE_SIZE", min, " and more")
        } else {
            ("MAX_FILE_SIZE", max, " and less")
        };
        limited("size", found, ["", " bytes"], setting, limit, ["", rest])
    })
}

fn age(asked: &Asked<'_>) -> Answer {
    let max = asked.settings.max_age_days;
    let dated = !matches!(
        asked.notification.entity_type,
        EntityType::Domain | EntityType::IpAddress
    );
    let submitted = asked.notification.attributes.first_submission_date;
    let days = submitted.map(|date| asked.now.saturating_sub(date) / SECONDS_PER_DAY);
    let passed = !dated || max.is_none_or(|max| days.is_some_and(|days| days < max.get()));
    asked.answer(passed, &|| {
        if !dated {
            let object_type = asked.notification.entity_type.name();
            return format!("no date is used: a {object_type} is not submitted");
        }
        let date = submitted.and_then(Date::from_seconds);
        let date = date.map_or_else(String::new, |it| format!(" of {}", it.in_words()));
        limited(
            "first_submission_date",
            days,
            [&format!("first_submission_date{date}, "), " days ago"],
            "MAX_AGE_DAYS",
            max,
            ["less than ", ""],
        )
    })
}

fn positives(asked: &Asked<'_>) -> Answer {
    let min = asked.settings.min_positives;
    let stats = asked.notification.attributes.last_analysis_stats;
    let found = stats.and_then(|stats| stats.malicious);
    let passed = min.is_none_or(|min| found.is_some_and(|found| found >= min.get()));
    asked.answer(passed, &|| {
        limited(
            "last_analysis_stats",
            found,
            ["", " engines say malicious"],
            "MIN_POSITIVES",
            min,
            ["", " and more"],
        )
    })
}

/// What extension and size say to a URL, a domain or an IP address.
const NO_FILE: &str = "no file";

/// The number that was found, and the setting that limits it, in words. The pairs stand before and behind a number.
fn limited(
    attribute: &str,
    found: Option<u64>,
    [before_found, behind_found]: [&str; 2],
    setting: &str,
    limit: Option<NonZeroU64>,
    [before_limit, behind_limit]: [&str; 2],
) -> String {
    let found_words = match found {
        Some(found) => format!("{before_found}{found}{behind_found}"),
        None => format!("{attribute} is missing"),
    };
    let limit_words = match limit {
        None => "allows all".to_owned(),
        Some(_) if found.is_none() => "is set".to_owned(),
        Some(limit) => format!("allows {before_limit}{limit}{behind_limit}"),
    };
    format!("{found_words}; {setting} {limit_words}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::contract::Setting;

    const NOW: u64 = 1_767_300_000;

    fn skipped(settings: &[(&str, &str)], change: &Value) -> Option<(String, String)> {
        let settings: Vec<Setting> = settings
            .iter()
            .map(|(name, value)| Setting {
                name: (*name).to_owned(),
                value: (*value).to_owned(),
            })
            .collect();
        let (settings, _) = Settings::parse(&settings).unwrap();
        let mut document = json!({
            "type": "file", "id": "x",
            "attributes": {
                "size": 1000, "type_extension": "EXE", "first_submission_date": NOW - 2 * SECONDS_PER_DAY,
                "last_analysis_stats": {"malicious": 3},
            },
            "context_attributes": {
                "sources": [{"type": "hunting_ruleset", "id": "1", "label": "r"}],
                "tags": ["my_tag", "x"], "hunting_info": {"rule_name": "r"},
            },
        });
        merge(&mut document, change);
        let document = document.to_string();
        let notification = Notification::parse(&document).unwrap();
        check(&settings, &notification, NOW)
            .err()
            .map(|skip| (skip.filter, skip.reason))
    }

    fn merge(into: &mut Value, change: &Value) {
        match (into, change) {
            (Value::Object(into), Value::Object(change)) => {
                for (key, value) in change {
                    merge(into.entry(key.clone()).or_insert(Value::Null), value);
                }
            }
            (into, change) => *into = change.clone(),
        }
    }

    #[test]
    fn each_filter_names_itself_and_its_reason() {
        type Case = (
            &'static [(&'static str, &'static str)],
            Value,
            Option<(&'static str, &'static str)>,
        );

        let days = |days: u64| json!({"attributes": {"first_submission_date": NOW - days * SECONDS_PER_DAY}});
        let attribute = |name: &str| json!({"attributes": {name: null}});
        #[rustfmt::skip]
        let cases: Vec<Case> = vec![
            (&[], json!({}), None),
            (&[], json!({"type": "url"}), Some(("entity type", "url x; ENTITY_TYPES allows file"))),
            (&[("ENTITY_TYPES", "file,url")], json!({"type": "url"}), None),
            (&[], json!({"context_attributes": {"hunting_info": null, "sources": [{"type": "collection"}]}}),
                Some(("source", "reported by [collection]; only hunting_ruleset is Livehunt"))),
            (&[], json!({"context_attributes": {"hunting_info": null}}), None),
            (&[("FILTER_WITH_TAG", "My tag")], json!({}), None),
            (&[("FILTER_WITH_TAG", "other")], json!({}), Some(("tag", "tags [my_tag, x]; FILTER_WITH_TAG wants other"))),
            (&[("EXTENSIONS", ".exe, dll")], json!({}), None),
            (&[("EXTENSIONS", "dll,sys")], json!({}), Some(("extension", "exe; EXTENSIONS allows dll, sys"))),
            (&[("EXTENSIONS", "dll")], attribute("type_extension"),
                Some(("extension", "type_extension is missing; EXTENSIONS allows dll"))),
            (&[("MIN_FILE_SIZE", "1000"), ("MAX_FILE_SIZE", "1000")], json!({}), None),
            (&[("MIN_FILE_SIZE", "1001")], json!({}), Some(("size", "1000 bytes; MIN_FILE_SIZE allows 1001 and more"))),
            (&[("MAX_FILE_SIZE", "999")], json!({}), Some(("size", "1000 bytes; MAX_FILE_SIZE allows 999 and less"))),
            (&[("MAX_FILE_SIZE", "0")], json!({"attributes": {"size": 1_u64 << 40}}), None),
            (&[("MAX_FILE_SIZE", "0")], attribute("size"), None),
            (&[], attribute("size"), Some(("size", "size is missing; MIN_FILE_SIZE or MAX_FILE_SIZE is set"))),
            (&[], days(3), Some(("age", "first_submission_date of 2025-12-29 20:40:00 UTC, 3 days ago; MAX_AGE_DAYS allows less than 3"))),
            (&[("MAX_AGE_DAYS", "4")], days(3), None),
            (&[("MAX_AGE_DAYS", "0")], days(900), None),
            (&[], json!({"attributes": {"first_submission_date": NOW + 9}}), None),
            (&[], attribute("first_submission_date"), Some(("age", "first_submission_date is missing; MAX_AGE_DAYS is set"))),
            (&[("MIN_POSITIVES", "3")], json!({}), None),
            (&[("MIN_POSITIVES", "4")], json!({}), Some(("positives", "3 engines say malicious; MIN_POSITIVES allows 4 and more"))),
            (&[("MIN_POSITIVES", "1")], attribute("last_analysis_stats"),
                Some(("positives", "last_analysis_stats is missing; MIN_POSITIVES is set"))),
            (&[("MIN_POSITIVES", "0")], attribute("last_analysis_stats"), None),
            (&[("MIN_POSITIVES", "0")], json!({"attributes": {"last_analysis_stats": {"malicious": 0}}}), None),
            // The first filter that says no is the one that is named.
            (&[("FILTER_WITH_TAG", "other"), ("EXTENSIONS", "dll")], days(9), Some(("tag", "tags [my_tag, x]; FILTER_WITH_TAG wants other"))),
            (&[("EXTENSIONS", "dll"), ("MAX_FILE_SIZE", "1")], days(9), Some(("extension", "exe; EXTENSIONS allows dll"))),
        ];
        for (settings, change, expected) in cases {
            let expected = expected.map(|(filter, reason)| (filter.to_owned(), reason.to_owned()));
            assert_eq!(
                skipped(settings, &change),
                expected,
                "{settings:?} {change}"
            );
        }
    }

    #[test]
    fn what_passes_is_explained_too() {
        let document = r#"{"type":"domain","id":"a.example","attributes":{"last_analysis_stats":{"malicious":3}},
            "context_attributes":{"hunting_info":{},"tags":["\"a\""]}}"#;
        let notification = Notification::parse(document).unwrap();
        let setting = |name: &str, value: &str| Setting {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let given = [
            setting("ENTITY_TYPES", "domain"),
            setting("MIN_POSITIVES", "4"),
        ];
        let (settings, _) = Settings::parse(&given).unwrap();
        let explained: Value =
            serde_json::from_str(&explain(&settings, &notification, NOW)).unwrap();
        let said = |filter: &str, passed: bool, saw: &str| json!({"filter": filter, "passed": passed, "saw": saw});
        let expected = json!([
            said(
                "entity type",
                true,
                "domain a.example; ENTITY_TYPES allows domain"
            ),
            said(
                "source",
                true,
                "reported by []; only hunting_ruleset is Livehunt"
            ),
            said("tag", true, "tags [\"a\"]; FILTER_WITH_TAG is not set"),
            said("extension", true, "no file"),
            said("size", true, "no file"),
            said("age", true, "no date is used: a domain is not submitted"),
            said(
                "positives",
                false,
                "3 engines say malicious; MIN_POSITIVES allows 4 and more"
            ),
        ]);
        assert_eq!(explained, expected);
    }

    #[test]
    fn network_objects_meet_only_the_filters_that_they_can() {
        let strict: &[(&str, &str)] = &[
            ("ENTITY_TYPES", "url,domain,ip_address"),
            ("EXTENSIONS", "dll"),
            ("MIN_FILE_SIZE", "5"),
            ("MIN_POSITIVES", "2"),
        ];
        let bare = |object_type: &str| {
            json!({"type": object_type, "attributes": {
                "size": null, "type_extension": null, "first_submission_date": null,
            }})
        };
        assert_eq!(skipped(strict, &bare("domain")), None);
        assert_eq!(skipped(strict, &bare("ip_address")), None);
        let (filter, _) = skipped(strict, &bare("url")).unwrap();
        assert_eq!(filter, "age");
        assert_eq!(skipped(strict, &json!({"type": "url"})), None);
        let old_url = json!({"type": "url", "attributes": {
            "first_submission_date": NOW - 3 * SECONDS_PER_DAY, "last_submission_date": NOW,
        }});
        let (filter, reason) = skipped(strict, &old_url).unwrap();
        assert_eq!(filter, "age");
        assert!(
            reason.starts_with("first_submission_date of 2025-12-29 20:40:00 UTC, 3 days ago"),
            "{reason}"
        );
    }
}
