//! Indicators.

use super::{RuleMatch, draft::Draft};
use crate::stix::{Indicator, Object, id};

/// An indicator that is one observable's value. It has no score: how many engines know an object says nothing of the
/// rule that found it, and the platform takes a low score for worn out.
pub(super) struct OfValue<'a> {
    pub name: &'a str,
    pub pattern: &'a str,
    /// OpenCTI's name of the observable's type.
    pub main_type: &'static str,
    pub description: &'a str,
    pub labels: &'a [String],
    /// VirusTotal's page about the matched object is about this value.
    pub has_report: bool,
}

impl OfValue<'_> {
    /// Adds the indicator, based on its observable and related to the incident.
    pub(super) fn add(
        &self,
        rule_match: &RuleMatch<'_>,
        draft: &mut Draft<'_>,
        observable: &str,
        incident: Option<&str>,
    ) {
        let id = id::indicator(self.pattern);
        let since = rule_match.known_since();
        let references = if self.has_report {
            vec![rule_match.report()]
        } else {
            Vec::new()
        };
        if let Some(x_opencti_score) = draft.on_platform(&id).life(None) {
            let head = draft.head(&id, since, self.labels, references);
            draft.add(&Object::Indicator(Indicator {
                head,
                name: self.name,
                description: self.description,
                pattern: self.pattern,
                pattern_type: "stix",
                valid_from: rule_match.date,
                x_opencti_score,
                x_opencti_main_observable_type: self.main_type,
                revoked: false,
            }));
        }
        draft.relate("based-on", &id, observable, since);
        if let Some(incident) = incident {
            draft.relate("related-to", incident, &id, rule_match.date);
        }
    }
}
