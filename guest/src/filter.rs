//! The filters: one function each, which says why it said no.
//!
//! A missing attribute fails only the filter that needs it.
//! Size and extension are a file's; domains and IP addresses have no date of submission.

use crate::contract::{Skip, Timestamp};
use crate::mapping::labels::normalised;
use crate::mapping::text::cut;
use crate::notification::{EntityType, Notification};
use crate::settings::Settings;

type Verdict = Result<(), String>;
type Filter = fn(&Settings, &Notification<'_>, Timestamp) -> Verdict;

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

/// # Errors
/// The filter that said no, with its reason.
pub(crate) fn check(
    settings: &Settings,
    notification: &Notification<'_>,
    now: Timestamp,
) -> Result<(), Skip> {
    for (name, filter) in FILTERS {
        filter(settings, notification, now).map_err(|reason| Skip {
            filter: name.to_owned(),
            reason: cut(&reason, LONGEST_REASON).into_owned(),
        })?;
    }
    Ok(())
}

fn entity_type(settings: &Settings, notification: &Notification<'_>, _: Timestamp) -> Verdict {
    if settings.entity_types.contains(&notification.entity_type) {
        return Ok(());
    }
    let allowed: Vec<&str> = settings.entity_types.iter().map(|it| it.name()).collect();
    Err(format!(
        "{} {}; ENTITY_TYPES allows {}",
        notification.entity_type.name(),
        &*notification.id,
        allowed.join(", ")
    ))
}

/// The IoC stream holds what subscriptions report too.
fn source(_: &Settings, notification: &Notification<'_>, _: Timestamp) -> Verdict {
    let context = &notification.context;
    if context.hunting_info.is_some() || context.rulesets().next().is_some() {
        return Ok(());
    }
    let sources: Vec<&str> = context
        .sources
        .iter()
        .map(|source| source.source_type.as_deref().unwrap_or("unknown"))
        .collect();
    Err(format!(
        "reported by [{}]; only hunting_ruleset is Livehunt",
        sources.join(", ")
    ))
}

fn tag(settings: &Settings, notification: &Notification<'_>, _: Timestamp) -> Verdict {
    let Some(wanted) = &settings.filter_with_tag else {
        return Ok(());
    };
    let wanted_normalised = normalised(wanted);
    let tags = &notification.context.tags;
    if tags.iter().any(|tag| normalised(tag) == wanted_normalised) {
        return Ok(());
    }
    let tags: Vec<&str> = tags.iter().map(|tag| &**tag).collect();
    Err(format!(
        "tags [{}]; FILTER_WITH_TAG wants {wanted}",
        tags.join(", ")
    ))
}

fn extension(settings: &Settings, notification: &Notification<'_>, _: Timestamp) -> Verdict {
    if settings.extensions.is_empty() || notification.entity_type != EntityType::File {
        return Ok(());
    }
    let allowed = || settings.extensions.join(", ");
    let Some(found) = &notification.attributes.type_extension else {
        return Err(format!(
            "type_extension is missing; EXTENSIONS allows {}",
            allowed()
        ));
    };
    let found = found.to_lowercase();
    if settings.extensions.contains(&found) {
        return Ok(());
    }
    Err(format!("{found}; EXTENSIONS allows {}", allowed()))
}

fn size(settings: &Settings, notification: &Notification<'_>, _: Timestamp) -> Verdict {
    let (min, max) = (settings.min_file_size, settings.max_file_size);
    if (min.is_none() && max.is_none()) || notification.entity_type != EntityType::File {
        return Ok(());
    }
    let Some(found) = notification.attributes.size else {
        return Err("size is missing; MIN_FILE_SIZE or MAX_FILE_SIZE is set".to_owned());
    };
    match (min, max) {
        (Some(min), _) if found < min.get() => Err(format!(
            "{found} bytes; MIN_FILE_SIZE allows {min} and more"
        )),
        (_, Some(max)) if found > max.get() => Err(format!(
            "{found} bytes; MAX_FILE_SIZE allows {max} and less"
        )),
        _ => Ok(()),
    }
}

fn age(settings: &Settings, notification: &Notification<'_>, now: Timestamp) -> Verdict {
    let Some(max) = settings.max_age_days else {
        return Ok(());
    };
    if matches!(
        notification.entity_type,
        EntityType::Domain | EntityType::IpAddress
    ) {
        return Ok(());
    }
    let Some(submitted) = notification.attributes.first_submission_date else {
        return Err("first_submission_date is missing; MAX_AGE_DAYS is set".to_owned());
    };
    let days = now.saturating_sub(submitted) / SECONDS_PER_DAY;
    if days < max.get() {
        return Ok(());
    }
    Err(format!(
        "submitted first {days} days ago; MAX_AGE_DAYS allows less than {max}"
    ))
}

fn positives(settings: &Settings, notification: &Notification<'_>, _: Timestamp) -> Verdict {
    let Some(min) = settings.min_positives else {
        return Ok(());
    };
    let stats = notification.attributes.last_analysis_stats;
    match stats.and_then(|stats| stats.malicious) {
        None => Err("last_analysis_stats is missing; MIN_POSITIVES is set".to_owned()),
        Some(found) if found < min.get() => Err(format!(
            "{found} engines say malicious; MIN_POSITIVES allows {min} and more"
        )),
        Some(_) => Ok(()),
    }
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
            (&[], days(3), Some(("age", "submitted first 3 days ago; MAX_AGE_DAYS allows less than 3"))),
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
    }
}
