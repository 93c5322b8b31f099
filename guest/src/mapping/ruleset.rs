//! The YARA rule that matched: looked up in its ruleset, sent as an indicator or as a note.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::platform::WORN_OUT;
use super::predecessor::Lineage;
use super::{Observable, RuleMatch, answer_to, draft::Draft, labels, text};
use crate::contract::{Answer, Failure, Question, Severity};
use crate::json::Members;
use crate::notification::Source;
use crate::settings::Unportable;
use crate::stix::{Date, ExternalReference, Indicator, Note, Object, Tlp, id};
use crate::yara::{self, Rule};

/// Characters of a ruleset's id that is looked up; VirusTotal's are numbers.
const LONGEST_ID: usize = 100;

/// Bytes of a ruleset's name.
const LONGEST_NAME: usize = 1_000;

/// Reasons why a rule is no indicator that are kept; more say nothing new.
const MAX_REASONS: usize = 50;

const PATH: &str = "intelligence/hunting_rulesets/";

/// What is kept of a ruleset: the wanted rule, self-contained, or why there is none; and the ruleset's dates.
#[derive(Debug, Deserialize, Serialize)]
struct Digest {
    rule: Option<Rule>,
    problem: Option<String>,
    name: Option<String>,
    creation_date: Option<u64>,
    modification_date: Option<u64>,
}

/// One lookup for each ruleset of the notification; Livehunt names exactly one.
pub(super) fn questions(rule_match: &RuleMatch<'_>) -> Vec<Question> {
    let mut questions = Vec::new();
    for ruleset in rule_match.notification.context.rulesets() {
        let new = question(rule_match, ruleset).filter(|it| !questions.contains(it));
        questions.extend(new);
    }
    questions
}

/// None where the ruleset's id cannot stand in a path.
fn question(rule_match: &RuleMatch<'_>, ruleset: &Source<'_>) -> Option<Question> {
    let id = ruleset.id.as_deref()?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    ((1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(fits)).then(|| Question {
        kind: "lookup".to_owned(),
        subject: format!("{PATH}{id}"),
        part: rule_match.rule_name.to_owned(),
    })
}

/// The digest of a ruleset, for the rule that the question names.
///
/// A rule that cannot be had is no failure: it is digested into the reason, which `map` turns into a remark.
///
/// # Errors
/// [`Failure::Unsupported`] for another question than [`questions`] asks; [`Failure::Malformed`] when the
/// document is not a ruleset with the text of its rules.
pub(crate) fn digest(question: &Question, document: &str) -> Result<String, Failure> {
    if question.kind != "lookup" || !question.subject.starts_with(PATH) {
        return Err(Failure::Unsupported(format!(
            "no digest is known for {} {}",
            question.kind, question.subject
        )));
    }
    let malformed =
        |reason: &str| Failure::Malformed(format!("not a ruleset of VirusTotal: {reason}"));
    let body = Members::parse(document).map_err(|error| malformed(&error.to_string()))?;
    let attributes = body
        .object("data")
        .and_then(|data| data.object("attributes"))
        .ok_or_else(|| malformed("it has no data.attributes"))?;
    let rules = attributes
        .text("rules")
        .ok_or_else(|| malformed("it has no text in data.attributes.rules"))?;
    let (rule, problem) = match yara::cut(&rules, &question.part) {
        Ok(mut rule) => {
            if let Some(more @ 1..) = rule.unportable.len().checked_sub(MAX_REASONS) {
                rule.unportable.truncate(MAX_REASONS);
                rule.unportable.push(format!("and {more} more"));
            }
            (Some(rule), None)
        }
        Err(error) => (None, Some(error.to_string())),
    };
    let digest = Digest {
        rule,
        problem,
        name: attributes
            .text("name")
            .filter(|it| it.len() <= LONGEST_NAME)
            .map(|it| it.to_string()),
        creation_date: attributes.number("creation_date"),
        modification_date: attributes.number("modification_date"),
    };
    #[expect(clippy::expect_used, reason = "texts and numbers under text keys")]
    Ok(serde_json::to_string(&digest).expect("a digest is JSON"))
}

/// The rules that matched, one of each ruleset of the notification, as far as they could be looked up.
pub(super) struct Rules {
    found: Vec<Found>,
    /// Why there is no rule, in words for the log.
    missing: Vec<String>,
}

impl Rules {
    /// None where no rule is wanted.
    pub(super) fn looked_up(
        rule_match: &RuleMatch<'_>,
        answers: &[(Question, Answer)],
    ) -> Option<Self> {
        if !rule_match.settings.create_yara_rule {
            return None;
        }
        let mut rules = Self {
            found: Vec::new(),
            missing: Vec::new(),
        };
        for ruleset in rule_match.notification.context.rulesets() {
            match looked_up(rule_match, ruleset, answers) {
                Ok((rule, digest)) => rules.found.push(Found {
                    rule,
                    ruleset: ruleset.id.as_deref().unwrap_or_default().to_owned(),
                    label: digest.name.clone().or_else(|| label(ruleset)),
                    digest,
                }),
                Err(reason) => {
                    let label = label(ruleset).unwrap_or_default();
                    rules.missing.push(format!(
                        "no YARA rule {:?} of ruleset {label:?}: {reason}",
                        rule_match.rule_name
                    ));
                }
            }
        }
        if rules.found.is_empty() && rules.missing.is_empty() {
            let reason = "no YARA rule: the notification names no ruleset";
            rules.missing.push(reason.to_owned());
        }
        Some(rules)
    }

    /// How far the rules may be shared, as they say themselves.
    pub(super) fn tlp(&self) -> Tlp {
        let of_rules = self.found.iter().map(Found::tlp);
        of_rules.max().unwrap_or(Tlp::Clear)
    }

    /// Adds each rule. What cannot be had leaves the rest untouched.
    pub(super) fn add(
        self,
        rule_match: &RuleMatch<'_>,
        draft: &mut Draft<'_>,
        observable: Option<&Observable>,
        incident: Option<&str>,
    ) {
        for rule in &self.found {
            rule.add(rule_match, draft, observable, incident);
        }
        for reason in self.missing {
            draft.remark(Severity::Warn, reason);
        }
    }
}

fn label(ruleset: &Source<'_>) -> Option<String> {
    let fits = |it: &&str| it.len() <= LONGEST_NAME;
    ruleset.label.as_deref().filter(fits).map(str::to_owned)
}

fn looked_up(
    rule_match: &RuleMatch<'_>,
    ruleset: &Source<'_>,
    answers: &[(Question, Answer)],
) -> Result<(Rule, Digest), String> {
    let Some(question) = question(rule_match, ruleset) else {
        let id = text::cut(ruleset.id.as_deref().unwrap_or_default(), LONGEST_NAME);
        return Err(format!(
            "its id {id:?} is not of at most {LONGEST_ID} letters, digits, '-' and '_'"
        ));
    };
    match answer_to(&question, answers) {
        Some(Answer::Found(digest)) => {
            let mut digest: Digest = serde_json::from_str(digest)
                .map_err(|error| format!("the digest of the ruleset is not readable: {error}"))?;
            match digest.rule.take() {
                Some(rule) => Ok((rule, digest)),
                None => Err(digest.problem.unwrap_or_default()),
            }
        }
        Some(Answer::Absent) => Err("deleted or no longer shared at VirusTotal".to_owned()),
        Some(Answer::Refused(reason)) => Err(reason.clone()),
        None => Err("not looked up".to_owned()),
    }
}

struct Found {
    rule: Rule,
    /// VirusTotal's id of the ruleset.
    ruleset: String,
    /// The ruleset's name.
    label: Option<String>,
    digest: Digest,
}

impl Found {
    fn tlp(&self) -> Tlp {
        self.rule.tlp.unwrap_or(Tlp::Clear)
    }

    /// Above 20 only: what has less is worn out for the platform, which revokes it.
    fn score(&self) -> Option<u8> {
        self.rule.score.filter(|score| *score > WORN_OUT)
    }

    fn add(
        &self,
        rule_match: &RuleMatch<'_>,
        draft: &mut Draft<'_>,
        observable: Option<&Observable>,
        incident: Option<&str>,
    ) {
        if self.rule.unportable.is_empty() {
            return self.add_indicator(rule_match, draft, observable, incident);
        }
        let name = &self.rule.name;
        let reasons = self.rule.unportable.join("; ");
        match rule_match.settings.yara_unportable {
            Unportable::Indicator => {
                draft.remark(
                    Severity::Info,
                    format!(
                        "the platform may refuse the indicator of YARA rule {name:?}: {reasons}"
                    ),
                );
                self.add_indicator(rule_match, draft, observable, incident);
            }
            Unportable::Note => {
                draft.remark(
                    Severity::Debug,
                    format!("YARA rule {name:?} becomes a note: {reasons}"),
                );
                self.add_note(rule_match, draft, observable, incident);
            }
            Unportable::Skip => draft.remark(
                Severity::Info,
                format!("YARA rule {name:?} is left out, as YARA_UNPORTABLE says: {reasons}"),
            ),
        }
    }

    /// The same for all notifications of the same rule of the same version of the ruleset: so it bears the
    /// ruleset's dates.
    fn add_indicator(
        &self,
        rule_match: &RuleMatch<'_>,
        draft: &mut Draft<'_>,
        observable: Option<&Observable>,
        incident: Option<&str>,
    ) {
        let rule = &self.rule;
        let date = |seconds: Option<u64>| seconds.and_then(Date::from_seconds);
        let ruleset_created = date(self.digest.creation_date);
        let ruleset_modified = date(self.digest.modification_date);
        // Not later than the match: the platform takes what is created in the future for an error of the clock.
        let created = date(rule.created)
            .or(ruleset_created)
            .or(ruleset_modified)
            .unwrap_or(rule_match.date)
            .min(rule_match.date);
        let modified = ruleset_modified.unwrap_or(created).max(created);

        let id = id::indicator(&rule.text);
        let labels = labels::of_rule(rule_match, &rule.name, &rule.tags, self.label.as_deref());
        let description = self.description();
        draft.mark(&id, self.tlp());
        let ruleset_label = self
            .label
            .as_deref()
            .map(|it| labels::of_ruleset(rule_match, it));
        let lineage = Lineage {
            rule_name: &rule.name,
            ruleset: &self.ruleset,
            ruleset_label: ruleset_label.as_deref(),
        };
        let held = draft.on_platform(&id);
        if let Some(x_opencti_score) = held.life(self.score()) {
            let mut references = references(rule);
            references.push(lineage.reference());
            let mut head = draft.head(&id, created, &labels, references);
            head.modified = modified;
            draft.add(&Object::Indicator(Indicator {
                head,
                name: &rule.name,
                description: &description,
                pattern: &rule.text,
                pattern_type: "yara",
                valid_from: rule_match.date,
                x_opencti_score,
                x_opencti_main_observable_type: observable.map_or_else(
                    || main_type_without_observable(rule_match),
                    |it| it.main_type,
                ),
                revoked: false,
            }));
        }
        if held.is_absent() {
            lineage.relate(rule_match, draft, &id);
        }
        if let Some(observable) = observable {
            draft.relate("based-on", &id, &observable.id, modified);
        }
        if let Some(incident) = incident {
            draft.relate("related-to", incident, &id, rule_match.date);
        }
    }

    fn description(&self) -> String {
        let mut description = self
            .rule
            .description
            .as_deref()
            .map(text::line)
            .unwrap_or_default();
        for (position, (key, value)) in self.rule.remarks.iter().enumerate() {
            if position == 0 && !description.is_empty() {
                description.push_str("\n\n");
            }
            let _ = writeln!(
                description,
                "- **{}**: {}",
                text::line(key),
                text::line(value)
            );
        }
        description.truncate(description.trim_end().len());
        description
    }

    fn add_note(
        &self,
        rule_match: &RuleMatch<'_>,
        draft: &mut Draft<'_>,
        observable: Option<&Observable>,
        incident: Option<&str>,
    ) {
        let rule = &self.rule;
        let objects: Vec<&str> = incident
            .into_iter()
            .chain(observable.map(|it| it.id.as_str()))
            .collect();
        if objects.is_empty() {
            draft.remark(
                Severity::Warn,
                format!(
                    "no note about YARA rule {:?}: there is neither an incident nor an observable to hang it on",
                    rule.name
                ),
            );
            return;
        }
        let mut content = format!("YARA rule {}", text::code(&rule.name));
        if let Some(label) = &self.label {
            let _ = write!(content, " of ruleset {}", text::code(label));
        }
        content.push_str(
            " matched. It is not an indicator, because the platform cannot compile it:\n\n",
        );
        for reason in &rule.unportable {
            let _ = writeln!(content, "- {}", text::line(reason));
        }
        let description = self.description();
        if !description.is_empty() {
            let _ = write!(content, "\n{description}\n");
        }
        let _ = write!(content, "\n{}", text::code_block("yara", &rule.text));

        let id = id::note(rule_match.date, &content);
        if draft.on_platform(&id).exists() {
            return;
        }
        draft.mark(&id, self.tlp());
        let labels = labels::of_rule(rule_match, &rule.name, &rule.tags, self.label.as_deref());
        let head = draft.head(&id, rule_match.date, &labels, references(rule));
        draft.add(&Object::Note(Note {
            head,
            abstract_: &format!("YARA rule {}", text::line(&rule.name)),
            content: &content,
            object_refs: &objects,
        }));
    }
}

fn references(rule: &Rule) -> Vec<ExternalReference<'_>> {
    let mut references: Vec<ExternalReference<'_>> = Vec::new();
    for url in &rule.references {
        if references.iter().all(|it| it.url != url) {
            references.push(ExternalReference {
                source_name: "YARA rule metadata",
                description: "",
                url,
                external_id: "",
            });
        }
    }
    references
}

/// What the rule is about, where the object that it matched is not sent.
fn main_type_without_observable(rule_match: &RuleMatch<'_>) -> &'static str {
    use crate::notification::EntityType;

    match rule_match.notification.entity_type {
        EntityType::File => "StixFile",
        EntityType::Url => "Url",
        EntityType::Domain => "Domain-Name",
        EntityType::IpAddress if rule_match.notification.id.contains(':') => "IPv6-Addr",
        EntityType::IpAddress => "IPv4-Addr",
    }
}
