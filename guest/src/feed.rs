//! What to read from VirusTotal: the IoC stream (`GET /ioc_stream`).

use crate::contract::{Feed, Timestamp};
use crate::settings::Settings;
use crate::stix::date;

/// VirusTotal deletes notifications after 7 days.
const RETENTION_SECONDS: u64 = 7 * 24 * 60 * 60;

/// The most that VirusTotal gives at once; its default is 10.
const PAGE_SIZE: &str = "40";

pub(crate) fn feed(settings: &Settings, since: Timestamp, now: Timestamp) -> Feed {
    let since = since.max(now.saturating_sub(RETENTION_SECONDS));
    let query = [
        ("filter", filter(settings, since)),
        ("order", "date+".to_owned()),
        ("limit", PAGE_SIZE.to_owned()),
        ("descriptors_only", "false".to_owned()),
    ];
    Feed {
        path: "ioc_stream".to_owned(),
        query: query
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        item_id: "/context_attributes/notification_id".to_owned(),
        item_date: "/context_attributes/notification_date".to_owned(),
    }
}

/// Terms that VirusTotal ANDs.
/// The mapper filters again, so a term is left out where VirusTotal may understand it otherwise.
fn filter(settings: &Settings, since: Timestamp) -> String {
    let mut filter = format!(
        "date:{}+ source_type:hunting_ruleset",
        date::without_zone(since)
    );
    if let [only] = settings.entity_types.as_slice() {
        filter.push_str(" entity_type:");
        filter.push_str(only.name());
    }
    if let Some(tag) = &settings.filter_with_tag {
        let tag = tag.to_lowercase();
        if tag
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        {
            filter.push_str(" notification_tag:");
            filter.push_str(&tag);
        }
    }
    filter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Setting;

    #[test]
    fn filter_narrows_only_where_virustotal_means_the_same() {
        type Case = (&'static [(&'static str, &'static str)], u64, &'static str);

        let day = 86_400;
        let now = 1_767_261_600;
        let cases: [Case; 5] = [
            (
                &[],
                now - day,
                "date:2025-12-31T10:00:00+ source_type:hunting_ruleset entity_type:file",
            ),
            (
                &[],
                0,
                "date:2025-12-25T10:00:00+ source_type:hunting_ruleset entity_type:file",
            ),
            (
                &[("ENTITY_TYPES", "file,url")],
                now,
                "date:2026-01-01T10:00:00+ source_type:hunting_ruleset",
            ),
            (
                &[("FILTER_WITH_TAG", "My_Tag1")],
                now,
                "date:2026-01-01T10:00:00+ source_type:hunting_ruleset entity_type:file notification_tag:my_tag1",
            ),
            (
                &[("FILTER_WITH_TAG", "my tag")],
                now,
                "date:2026-01-01T10:00:00+ source_type:hunting_ruleset entity_type:file",
            ),
        ];
        for (given, since, expected) in cases {
            let given: Vec<_> = given
                .iter()
                .map(|(name, value)| Setting {
                    name: (*name).to_owned(),
                    value: (*value).to_owned(),
                })
                .collect();
            let (settings, _) = Settings::parse(&given).unwrap();
            let feed = feed(&settings, since, now);
            assert_eq!(feed.query[0], ("filter".to_owned(), expected.to_owned()));
        }
    }
}
