//! A second guest: one STIX indicator for each rule of one's own VirusTotal rulesets.
//!
//! It reads another collection than Livehunt's, has its own settings, and asks no questions: the proof that the
//! host carries any guest of the contract.

pub mod contract;
mod rules;
mod settings;
mod stix;

use contract::{
    Answer, Emission, Failure, Feed, Guest, GuestMapper, Item, Mapper, Outcome, Problem, Question,
    Remark, Setting, Severity, Skip, Verdict,
};
use serde::Deserialize;
use settings::Settings;

/// What the component exports.
#[derive(Debug)]
pub struct Rulesets;

impl Guest for Rulesets {
    type Mapper = Settings;

    fn describe() -> String {
        settings::describe()
    }
}

impl GuestMapper for Settings {
    fn open(settings: Vec<Setting>) -> Result<Mapper, Vec<Problem>> {
        Settings::parse(&settings).map(Mapper::new)
    }

    fn remarks(&self) -> Vec<Remark> {
        Vec::new()
    }

    /// All rulesets, since the API has no filter for dates. It lists them newest first unless told otherwise.
    fn feed(&self, _since: u64, _now: u64) -> Feed {
        let query = [("order", "modification_date+"), ("limit", "40")];
        Feed {
            path: "intelligence/hunting_rulesets".to_owned(),
            query: query
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            item_id: "/id".to_owned(),
            item_date: "/attributes/modification_date".to_owned(),
        }
    }

    fn map(
        &self,
        item: Item,
        _answers: Vec<(Question, Answer)>,
        now: u64,
    ) -> Result<Verdict, Failure> {
        let ruleset: Ruleset = serde_json::from_str(&item.document)
            .map_err(|error| Failure::Malformed(error.to_string()))?;
        map(self, &ruleset.attributes, now)
    }

    fn digest(&self, question: Question, _document: String) -> Result<String, Failure> {
        Err(Failure::Unsupported(format!(
            "this guest asks no questions: {}",
            question.subject
        )))
    }
}

/// An object of the type `hunting_ruleset`.
#[derive(Deserialize)]
struct Ruleset {
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    name: String,
    enabled: bool,
    /// The text of the rules.
    rules: String,
    /// Unix seconds.
    creation_date: u64,
    /// Unix seconds.
    modification_date: u64,
    #[serde(default)]
    tags: Vec<String>,
    /// What the rules match: `file`, `url`, `domain` or `ip`.
    match_object_type: Option<String>,
}

fn map(settings: &Settings, ruleset: &Attributes, now: u64) -> Result<Verdict, Failure> {
    if let Err(skip) = settings.wants(ruleset) {
        return Ok(verdict(Outcome::Skip(skip), Vec::new()));
    }
    let split = rules::split(&ruleset.rules);
    let mut remarks = Vec::new();
    if let Some(error) = split.error {
        remarks.push(Remark {
            severity: Severity::Warn,
            message: format!("the ruleset {:?} is not valid YARA: {error}", ruleset.name),
        });
    }
    if split.rules.is_empty() {
        let skip = Skip {
            filter: "rules".to_owned(),
            reason: format!("no rule of the ruleset {:?} reports", ruleset.name),
        };
        return Ok(verdict(Outcome::Skip(skip), remarks));
    }
    let mut objects = vec![stix::author()];
    for rule in &split.rules {
        objects.push(
            stix::indicator(rule, ruleset, now)
                .ok_or_else(|| Failure::Malformed("a date after the year 9999".to_owned()))?,
        );
    }
    let emission = Emission {
        objects,
        artifacts: Vec::new(),
        acknowledge: false,
    };
    Ok(verdict(Outcome::Emit(emission), remarks))
}

fn verdict(outcome: Outcome, remarks: Vec<Remark>) -> Verdict {
    Verdict { outcome, remarks }
}
