//! The guest's two settings and the filters that they switch.

use serde_json::json;

use crate::Attributes;
use crate::contract::{Problem, Setting, Skip};

/// Checked settings.
#[derive(Debug)]
pub struct Settings {
    enabled_only: bool,
    tag: String,
}

/// The JSON of `describe`.
pub(crate) fn describe() -> String {
    json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "connector": {
            "name": "VirusTotal Rulesets",
            "scope": ["Indicator"],
            "environment_prefix": "VIRUSTOTAL_RULESETS",
            "config_sections": ["virustotal_rulesets"],
        },
        "settings": [
            {
                "name": "ENABLED_ONLY", "kind": "boolean", "default": "true",
                "help": "Only rulesets that are switched on.",
            },
            {
                "name": "FILTER_WITH_TAG", "kind": "text", "default": "",
                "help": "Only rulesets with this tag. Empty: all rulesets.",
            },
        ],
    })
    .to_string()
}

impl Settings {
    /// All problems at once.
    pub(crate) fn parse(given: &[Setting]) -> Result<Self, Vec<Problem>> {
        let mut settings = Self {
            enabled_only: true,
            tag: String::new(),
        };
        let mut problems = Vec::new();
        for Setting { name, value } in given {
            let reason = match (name.as_str(), value.trim()) {
                ("ENABLED_ONLY", "true" | "false") => {
                    settings.enabled_only = value.trim() == "true";
                    continue;
                }
                ("ENABLED_ONLY", found) => format!("found {found:?}; allowed are true and false"),
                ("FILTER_WITH_TAG", tag) => {
                    tag.clone_into(&mut settings.tag);
                    continue;
                }
                _ => "is not a setting of this connector".to_owned(),
            };
            problems.push(Problem {
                setting: name.clone(),
                reason,
            });
        }
        if problems.is_empty() {
            Ok(settings)
        } else {
            Err(problems)
        }
    }

    /// The first filter that says no.
    pub(crate) fn wants(&self, ruleset: &Attributes) -> Result<(), Skip> {
        let skip = |filter: &str, reason| {
            Err(Skip {
                filter: filter.to_owned(),
                reason,
            })
        };
        if self.enabled_only && !ruleset.enabled {
            return skip(
                "enabled",
                format!("the ruleset {:?} is switched off", ruleset.name),
            );
        }
        if !self.tag.is_empty() && !ruleset.tags.contains(&self.tag) {
            return skip(
                "tag",
                format!(
                    "the tags are {:?}; {:?} must be among them",
                    ruleset.tags, self.tag
                ),
            );
        }
        Ok(())
    }
}
