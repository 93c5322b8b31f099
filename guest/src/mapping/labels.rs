//! Labels: lower case and trimmed, as the platform keeps them; sorted, each once.

use std::collections::BTreeSet;

use super::{RuleMatch, text};

/// Labels of one object: the platform keeps each as an object of its own. VirusTotal's come by the dozen.
const MAX_LABELS: usize = 200;

/// Bytes of a label. Longer ones are left out: a part of one would be another label.
const LONGEST_LABEL: usize = 1_000;

/// VirusTotal's own form of names in tags: lower case, and `_` for all but a-z and 0-9.
pub(crate) fn normalised(name: &str) -> String {
    name.to_lowercase()
        .chars()
        .map(|c| match c {
            'a'..='z' | '0'..='9' => c,
            _ => '_',
        })
        .collect()
}

/// Of the incident: the notification's tags, without the object's id and the tag that is filtered by.
/// The names of rule and rulesets are prefixed where the user wants them to be.
pub(super) fn of_incident(rule_match: &RuleMatch<'_>) -> Vec<String> {
    let settings = rule_match.settings;
    let context = &rule_match.notification.context;
    let filter_tag = settings.filter_with_tag.as_deref().map(normalised);
    let mut labels: BTreeSet<String> = context
        .tags
        .iter()
        .filter(|tag| !tag.eq_ignore_ascii_case(&rule_match.notification.id))
        .filter(|tag| filter_tag.as_ref().is_none_or(|it| *it != normalised(tag)))
        .map(|tag| label(tag))
        .collect();
    if settings.enable_label_enrichment {
        let rulesets = context.rulesets().filter_map(|it| it.label.as_deref());
        for name in rulesets.clone().chain([rule_match.rule_name]) {
            labels.remove(&normalised(name));
        }
        labels.extend(names(rule_match, rule_match.rule_name, rulesets));
    }
    finished(labels)
}

/// Of the observable and its indicator.
pub(super) fn of_observable(rule_match: &RuleMatch<'_>) -> Vec<String> {
    let attributes = &rule_match.notification.attributes;
    let tags = attributes.type_tags.iter().chain(&attributes.tags);
    let prefix = &rule_match.settings.livehunt_tag_prefix;
    finished(
        tags.filter(|tag| !tag.trim().is_empty())
            .map(|tag| label(&format!("{prefix}{}", normalised(tag))))
            .collect(),
    )
}

/// Of the YARA indicator: the rule's own tags, and the prefixed names.
pub(super) fn of_rule(
    rule_match: &RuleMatch<'_>,
    rule_name: &str,
    tags: &[String],
    ruleset: Option<&str>,
) -> Vec<String> {
    let mut labels: BTreeSet<String> = tags.iter().map(|tag| label(tag)).collect();
    if rule_match.settings.enable_label_enrichment {
        labels.extend(names(rule_match, rule_name, ruleset.into_iter()));
    }
    finished(labels)
}

/// Of observables of a malware configuration.
pub(super) fn of_malware_config(names: &[String]) -> Vec<String> {
    finished(names.iter().map(|name| label(name)).collect())
}

fn names<'a>(
    rule_match: &'a RuleMatch<'_>,
    rule_name: &'a str,
    rulesets: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = String> {
    let settings = rule_match.settings;
    let rule = label(&format!(
        "{}{}",
        settings.livehunt_label_prefix,
        normalised(rule_name)
    ));
    let rulesets = rulesets.map(|name| of_ruleset(rule_match, name));
    rulesets.chain([rule])
}

/// The label with a ruleset's name.
pub(super) fn of_ruleset(rule_match: &RuleMatch<'_>, name: &str) -> String {
    let prefix = &rule_match.settings.yara_label_prefix;
    label(&format!("{prefix}{}", normalised(name)))
}

fn label(text: &str) -> String {
    text::line(&text.to_lowercase())
}

fn finished(labels: BTreeSet<String>) -> Vec<String> {
    let fits = |it: &String| !it.is_empty() && it.len() <= LONGEST_LABEL;
    labels.into_iter().filter(fits).take(MAX_LABELS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_like_virustotal_tags() {
        let cases = [
            ("APT loader watch", "apt_loader_watch"),
            ("LOADER_Quartz", "loader_quartz"),
            ("a-b.c/é", "a_b_c__"),
            ("İ", "i_"),
            ("", ""),
        ];
        for (name, expected) in cases {
            assert_eq!(normalised(name), expected);
        }
    }
}
