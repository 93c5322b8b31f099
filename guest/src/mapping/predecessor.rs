//! The indicator of what a rule was before its author changed it.
//!
//! An indicator is its pattern: a changed rule is another indicator, and the platform would hold two of one name, of which
//! nothing says why. So the new one is related to those before it, and these are revoked if the user says so.

use super::RuleMatch;
use super::draft::Draft;
use super::platform::WORN_OUT;
use crate::contract::{Answer, Question};
use crate::json::Members;
use crate::stix::{ExternalReference, Indicator, Object, id};

/// Names a ruleset in an external reference.
const RULESET_SOURCE: &str = "VirusTotal Livehunt ruleset";

/// Earlier texts of one rule that are looked at.
const MAX_PREDECESSORS: usize = 20;

/// The rule, as far as it stays the same when its text changes.
pub(super) struct Lineage<'a> {
    pub rule_name: &'a str,
    /// VirusTotal's id of the ruleset.
    pub ruleset: &'a str,
    /// The label that says so on indicators of version 1.0.0, which have no external reference to it.
    pub ruleset_label: Option<&'a str>,
}

impl Lineage<'_> {
    /// By what a later indicator of this rule finds this one.
    pub(super) fn reference(&self) -> ExternalReference<'_> {
        ExternalReference {
            source_name: RULESET_SOURCE,
            description: "",
            url: "",
            external_id: self.ruleset,
        }
    }

    /// Relates `successor`, which the platform does not hold yet, to earlier indicators of the rule, once it is known
    /// which there are.
    pub(super) fn relate(
        &self,
        rule_match: &RuleMatch<'_>,
        draft: &mut Draft<'_>,
        successor: &str,
    ) {
        let question = Question {
            kind: "named".to_owned(),
            subject: self.rule_name.to_owned(),
            part: "Indicator".to_owned(),
        };
        let Some(Answer::Found(json)) = draft.ask(question) else {
            return;
        };
        let Ok(answer) = Members::parse(json) else {
            return;
        };
        for held in answer.objects("objects").iter().take(MAX_PREDECESSORS) {
            let Some(pattern) = held.text("pattern") else {
                continue;
            };
            let predecessor = id::indicator(&pattern);
            if predecessor == successor || !self.is_of_same_rule(held, draft.author()) {
                continue;
            }
            if rule_match.settings.revoke_changed_rules && held.boolean("revoked") != Some(true) {
                self.revoke(rule_match, draft, &predecessor, &pattern);
            }
            draft.relate_with(
                "related-to",
                successor,
                &predecessor,
                rule_match.date,
                "The rule was changed: this is its text from before.",
            );
        }
    }

    fn is_of_same_rule(&self, held: &Members<'_>, author: &str) -> bool {
        let is = |name: &str, value: &str| held.text(name).is_some_and(|it| *it == *value);
        let references = held.objects("external_references");
        let mut rulesets = references
            .iter()
            .filter(|it| {
                it.text("source_name")
                    .is_some_and(|it| *it == *RULESET_SOURCE)
            })
            .peekable();
        let is_of_ruleset = if rulesets.peek().is_some() {
            rulesets.any(|it| {
                it.text("external_id")
                    .is_some_and(|it| *it == *self.ruleset)
            })
        } else {
            let labels = held.texts("labels");
            let label = self.ruleset_label;
            label.is_some_and(|label| labels.iter().any(|it| **it == *label))
        };
        is("created_by", author)
            && is("pattern_type", "yara")
            && is("name", self.rule_name)
            && is_of_ruleset
    }

    /// The platform hears `revoked` only together with a score that the indicator never had.
    fn revoke(&self, rule_match: &RuleMatch<'_>, draft: &mut Draft<'_>, id: &str, pattern: &str) {
        let head = draft.head(id, rule_match.date, &[], Vec::new());
        draft.add(&Object::Indicator(Indicator {
            head,
            name: self.rule_name,
            description: "",
            pattern,
            pattern_type: "yara",
            valid_from: rule_match.date,
            x_opencti_score: Some(WORN_OUT),
            x_opencti_main_observable_type: "",
            revoked: true,
        }));
    }
}
