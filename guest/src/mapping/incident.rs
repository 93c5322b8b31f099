//! The alert.

use std::fmt::Write as _;

use super::network::LONGEST_URL;
use super::{RuleMatch, draft::Draft, file, labels, text};
use crate::notification::EntityType;
use crate::stix::{Head, Incident, Object, Tlp, id};

/// Bytes of the match that are shown; VirusTotal sends some hundred.
const LONGEST_SNIPPET: usize = 100_000;

/// Bytes of one entry of the description.
const LONGEST_ENTRY: usize = 1_000;

/// Adds the incident, unless the platform holds it, and returns its id. It names the rules and shows what they matched, so it is marked like them.
pub(super) fn add(
    rule_match: &RuleMatch<'_>,
    file: Option<&file::Facts>,
    rules_tlp: Tlp,
    draft: &mut Draft<'_>,
) -> String {
    let name = name(rule_match, file);
    let id = id::incident(&name, rule_match.notified);
    let labels = labels::of_incident(rule_match);
    let description = description(rule_match);
    draft.mark(&id, rules_tlp);
    if draft.on_platform(&id).exists() {
        return id;
    }
    let head: Head<'_> = draft.head(&id, rule_match.date, &labels, vec![rule_match.report()]);
    let incident = Object::Incident(Incident {
        head,
        name: &name,
        description: &description,
        incident_type: "alert",
        first_seen: rule_match.date,
        source: "hunting_notification",
    });
    draft.add(&incident);
    id
}

/// The Python connector's form, which the id is computed from: the prefix as it is, then a blank.
/// That connector knows only files; the other types follow its pattern.
fn name(rule_match: &RuleMatch<'_>, file: Option<&file::Facts>) -> String {
    let notification = rule_match.notification;
    let (kind, value): (&str, &str) = match (notification.entity_type, file) {
        (EntityType::File, Some(file)) => ("file", file.sha256()),
        (EntityType::File, None) => ("file", &notification.id),
        (EntityType::Url, _) => {
            let url = notification.attributes.url.as_deref();
            let url = url.filter(|it| it.len() <= LONGEST_URL);
            ("url", url.unwrap_or(&notification.id))
        }
        (EntityType::Domain, _) => ("domain", &notification.id),
        (EntityType::IpAddress, _) => ("ip", &notification.id),
    };
    let prefix = &rule_match.settings.alert_prefix;
    let name = format!("{prefix} {} {kind}={value}", rule_match.rule_name);
    text::printable(&name).into_owned()
}

fn description(rule_match: &RuleMatch<'_>) -> String {
    let context = &rule_match.notification.context;
    let mut description = format!(
        "- **Date**: {}\n- **Rule**: {}\n",
        rule_match.date.in_words(),
        text::code(rule_match.rule_name)
    );
    let mut entry = |name: &str, value: &str| {
        if !value.trim().is_empty() {
            let value = text::code(&text::cut(value, LONGEST_ENTRY));
            let _ = writeln!(description, "- **{name}**: {value}");
        }
    };
    for ruleset in context.rulesets() {
        entry("Ruleset", ruleset.label.as_deref().unwrap_or_default());
    }
    let Some(hunting_info) = &context.hunting_info else {
        return description;
    };
    let text_of =
        |it: &Option<crate::json::Text<'_>>| it.as_deref().map(str::to_owned).unwrap_or_default();
    entry("Submitted from", &text_of(&hunting_info.source_country));
    entry("Match in", &text_of(&hunting_info.match_source));
    if hunting_info.match_in_subfile == Some(true) {
        description.push_str("- **Match in a file inside the file**: yes\n");
    }
    if let Some(snippet) = &hunting_info.snippet
        && !snippet.trim().is_empty()
    {
        let snippet = text::cut(snippet, LONGEST_SNIPPET)
            .replace("*begin_highlight*", "»")
            .replace("*end_highlight*", "«");
        let _ = writeln!(description, "\n{}", text::code_block("", &snippet));
    }
    description
}
