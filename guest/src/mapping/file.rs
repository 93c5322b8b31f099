//! The file: its observable and its indicator.

use std::fmt::Write as _;

use super::{Observable, RuleMatch, draft::Draft, indicator, labels, text};
use crate::contract::{Failure, Severity};
use crate::json::Text;
use crate::stix::{File, Hashes, Object, id, pattern};

/// A file can have hundreds of names; each is kept by the platform on one object.
const MAX_ADDITIONAL_NAMES: usize = 100;

/// Bytes of a name that is kept. Longer ones are left out: no system has files with such names.
const LONGEST_FILE_NAME: usize = 4_096;

/// Bytes of a fuzzy hash: SSDEEP has 148 at most, TLSH 72.
const LONGEST_FUZZY_HASH: usize = 200;

/// Bytes of what one engine says.
const LONGEST_RESULT: usize = 1_000;

/// The largest number that a STIX integer may be (2.8), 2^53 - 1.
const LARGEST_INTEGER: u64 = (1 << 53) - 1;

/// What the file observable and the artifact share.
pub(super) struct Facts {
    pub hashes: Hashes,
    pub name: Option<String>,
    pub labels: Vec<String>,
}

impl Facts {
    /// # Errors
    /// [`Failure::Malformed`] without a SHA-256 in hexadecimal.
    pub(super) fn new(rule_match: &RuleMatch<'_>) -> Result<Self, Failure> {
        let notification = rule_match.notification;
        let attributes = &notification.attributes;
        let sha256 = attributes
            .sha256
            .as_deref()
            .and_then(|it| hexadecimal(it, 64))
            .or_else(|| hexadecimal(&notification.id, 64))
            .ok_or_else(|| {
                Failure::Malformed(format!(
                    "neither attributes.sha256 nor id ({:?}) of the file is a SHA-256 in hexadecimal",
                    &*notification.id
                ))
            })?;
        let name = attributes
            .meaningful_name
            .iter()
            .chain(&attributes.names)
            .find_map(|name| file_name(name));
        Ok(Self {
            hashes: Hashes {
                md5: attributes.md5.as_deref().and_then(|it| hexadecimal(it, 32)),
                sha1: attributes
                    .sha1
                    .as_deref()
                    .and_then(|it| hexadecimal(it, 40)),
                sha256,
            },
            name,
            labels: labels::of_observable(rule_match),
        })
    }

    pub(super) fn sha256(&self) -> &str {
        &self.hashes.sha256
    }

    pub(super) fn add(&self, rule_match: &RuleMatch<'_>, draft: &mut Draft<'_>) -> Observable {
        let attributes = &rule_match.notification.attributes;
        let id = id::file(&self.hashes);
        let mut names = additional_names(&attributes.names, self.name.as_deref());
        if names.len() > MAX_ADDITIONAL_NAMES {
            draft.remark(
                Severity::Info,
                format!(
                    "the file has {} further names; the first {MAX_ADDITIONAL_NAMES} are kept",
                    names.len()
                ),
            );
            names.truncate(MAX_ADDITIONAL_NAMES);
        }
        let held = draft.on_platform(&id);
        let description = description(rule_match);
        let mut head = draft.observable_head(
            &id,
            held.labels(&self.labels),
            held.description(&description),
        );
        head.x_opencti_score = held.raised_score(score(rule_match));
        head.x_opencti_external_references = vec![rule_match.report()];
        if held.lacks(head.x_opencti_score, head.x_opencti_labels) {
            draft.add(&Object::File(File {
                head,
                hashes: &self.hashes,
                size: attributes.size.filter(|size| *size <= LARGEST_INTEGER),
                name: held.name(self.name.as_deref()),
                x_opencti_additional_names: &held.if_new(names).unwrap_or_default(),
            }));
        }
        Observable {
            id,
            main_type: "StixFile",
        }
    }

    pub(super) fn add_indicator(
        &self,
        rule_match: &RuleMatch<'_>,
        draft: &mut Draft<'_>,
        observable: &str,
        incident: Option<&str>,
    ) {
        let indicator = indicator::OfValue {
            name: self.sha256(),
            pattern: &pattern::file_sha256(self.sha256()),
            main_type: "StixFile",
            description: &description(rule_match),
            labels: &self.labels,
            has_report: true,
        };
        indicator.add(rule_match, draft, observable, incident);
    }
}

/// Lower case; none where the text is not a hash of that length, since the platform refuses the whole file then.
fn hexadecimal(text: &str, length: usize) -> Option<String> {
    let is_hash = text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then(|| text.to_ascii_lowercase())
}

/// The fuzzy hashes by name. Analysts look for variants by them, and find them in texts: as hashes of the observable
/// they would make one file of all that share one.
pub(super) fn fuzzy_hashes(rule_match: &RuleMatch<'_>) -> Vec<(&'static str, String)> {
    let attributes = &rule_match.notification.attributes;
    [("SSDEEP", &attributes.ssdeep), ("TLSH", &attributes.tlsh)]
        .into_iter()
        .filter_map(|(name, hash)| Some((name, hash.as_deref()?)))
        .filter(|(_, hash)| hash.len() <= LONGEST_FUZZY_HASH)
        .map(|(name, hash)| (name, text::line(hash)))
        .filter(|(_, hash)| !hash.is_empty())
        .collect()
}

fn file_name(name: &str) -> Option<String> {
    let fits = name.len() <= LONGEST_FILE_NAME;
    fits.then(|| text::line(name)).filter(|it| !it.is_empty())
}

fn additional_names(names: &[Text<'_>], name: Option<&str>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    names
        .iter()
        .filter_map(|it| file_name(it))
        .filter(|it| Some(it.as_str()) != name)
        .filter(|it| seen.insert(it.clone()))
        .collect()
}

pub(super) fn score(rule_match: &RuleMatch<'_>) -> Option<u8> {
    let stats = rule_match.notification.attributes.last_analysis_stats;
    stats.and_then(|stats| stats.score())
}

/// What the wanted engines say, the fuzzy hashes, and the score in words.
pub(super) fn description(rule_match: &RuleMatch<'_>) -> String {
    let mut description = String::new();
    let wanted = &rule_match.settings.av_list;
    if !wanted.is_empty() {
        let results = rule_match.notification.attributes.analysis_results();
        for wanted in wanted {
            let found = results
                .iter()
                .find(|it| it.engine.eq_ignore_ascii_case(wanted));
            if let Some(found) = found
                && let Some(said) = found.result.as_ref().or(found.category.as_ref())
            {
                let engine = text::line(&found.engine);
                let said = text::code(&text::cut(said, LONGEST_RESULT));
                let _ = writeln!(description, "- **{engine}**: {said}");
            }
        }
    }
    for (name, hash) in fuzzy_hashes(rule_match) {
        let _ = writeln!(description, "- **{name}**: {}", text::code(&hash));
    }
    if let Some(score) = score(rule_match) {
        if !description.is_empty() {
            description.push('\n');
        }
        let _ = write!(description, "VirusTotal's score: {score}%.");
    }
    description
}
