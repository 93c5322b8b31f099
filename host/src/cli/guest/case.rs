//! A case: what a guest is given, and what shall come out.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cli::items::identify;
use crate::runtime::{
    Answer, CallError, Guest, Mapper, OpenError, Outcome, Question, Remark, Setting, Severity,
    Verdict,
};

/// Files of a case that is a folder, each named like the member of a case that is one file.
const PARTS: [&str; 5] = ["settings", "item", "answers", "now", "expected"];

/// What a guest is given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// Names without the prefix.
    #[serde(default)]
    settings: BTreeMap<String, String>,
    /// The object as the source sends it.
    item: Value,
    #[serde(default)]
    answers: Vec<Answered>,
    /// Seconds since the epoch.
    now: u64,
    /// What shall come out; nothing in a case that has not been blessed yet.
    #[serde(default)]
    pub(super) expected: Option<Value>,
}

/// An answer to a question.
#[derive(Debug, Deserialize)]
struct Answered {
    kind: String,
    subject: String,
    #[serde(default)]
    part: String,
    #[serde(flatten)]
    answer: Given,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Given {
    /// The document that was looked up: the guest digests it.
    Document(Value),
    /// The digest, or the answer to a question of another kind.
    Found(Value),
    /// `true`: it does not exist.
    Absent(bool),
    /// Why there is no answer.
    Refused(String),
}

impl Case {
    /// Reads a folder of the parts, or a file of all.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let case = if path.is_dir() {
            let mut parts = Map::new();
            for part in PARTS {
                let file = path.join(format!("{part}.json"));
                if file.exists() {
                    parts.insert(part.to_owned(), read_json(&file)?);
                }
            }
            Value::Object(parts)
        } else {
            read_json(path)?
        };
        serde_json::from_value(case).with_context(|| format!("{} is no case", path.display()))
    }

    /// Writes down what shall come out.
    pub(super) fn bless(path: &Path, outcome: &Value) -> anyhow::Result<()> {
        let (file, json) = if path.is_dir() {
            (path.join("expected.json"), outcome.clone())
        } else {
            let mut case = read_json(path)?;
            case["expected"] = outcome.clone();
            (path.to_owned(), case)
        };
        let text = format!("{json:#}\n");
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    /// What comes out.
    pub(super) fn run(&self, guest: &Guest) -> anyhow::Result<Value> {
        let settings: Vec<Setting> = self
            .settings
            .iter()
            .map(|(name, value)| Setting {
                name: name.clone(),
                value: value.clone(),
            })
            .collect();
        let mut mapper = match guest.open(&settings) {
            Ok(mapper) => mapper,
            Err(OpenError::Settings(problems)) => {
                let problems = problems
                    .into_iter()
                    .map(|it| (it.setting, it.reason.into()));
                return Ok(json!({ "problems": problems.collect::<Map<_, _>>() }));
            }
            Err(OpenError::Call(error)) => bail!(error),
        };
        let feed = mapper.feed(self.now, self.now)?;
        let item = identify(&feed, &self.item.to_string())?;
        let answers = self.answers(&mut mapper)?;
        match mapper.map(&item, &answers, self.now) {
            Ok(verdict) => outcome(verdict),
            Err(CallError::Failure(reason)) => Ok(json!({ "failure": reason })),
            Err(error) => bail!(error),
        }
    }

    fn answers(&self, mapper: &mut Mapper) -> anyhow::Result<Vec<(Question, Answer)>> {
        let mut answers = Vec::new();
        for answered in &self.answers {
            let question = Question {
                kind: answered.kind.clone(),
                subject: answered.subject.clone(),
                part: answered.part.clone(),
            };
            let answer = match &answered.answer {
                Given::Document(document) => {
                    Answer::Found(mapper.digest(&question, document.to_string())?)
                }
                Given::Found(document) => Answer::Found(document.to_string()),
                Given::Absent(true) => Answer::Absent,
                Given::Absent(false) => bail!("an answer says \"absent\": false; leave it out"),
                Given::Refused(reason) => Answer::Refused(reason.clone()),
            };
            answers.push((question, answer));
        }
        Ok(answers)
    }
}

fn read_json(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

fn outcome(verdict: Verdict) -> anyhow::Result<Value> {
    let mut json = match verdict.outcome {
        Outcome::Skip { filter, reason } => json!({"skip": {"filter": filter, "reason": reason}}),
        Outcome::Ask(questions) => {
            let questions = questions.into_iter().map(
                |Question {
                     kind,
                     subject,
                     part,
                 }| { json!({"kind": kind, "subject": subject, "part": part}) },
            );
            json!({ "ask": questions.collect::<Vec<_>>() })
        }
        Outcome::Emit(emission) => json!({"emit": {
            "objects": documents(&emission.objects)?,
            "artifacts": emission.artifacts.iter().map(artifact).collect::<Result<Vec<_>, _>>()?,
            "acknowledge": emission.acknowledge,
        }}),
    };
    if !verdict.remarks.is_empty() {
        let remarks = verdict.remarks.into_iter().map(
            |Remark { severity, message }| json!({"severity": name(severity), "message": message}),
        );
        json["remarks"] = remarks.collect();
    }
    Ok(json)
}

fn documents(objects: &[crate::runtime::Object]) -> Result<Vec<Value>, serde_json::Error> {
    let documents = objects.iter().map(|it| serde_json::from_str(&it.document));
    documents.collect()
}

fn artifact(artifact: &crate::runtime::Artifact) -> Result<Value, serde_json::Error> {
    Ok(json!({
        "source": artifact.source,
        "sha256": artifact.sha256,
        "size": artifact.size,
        "name": artifact.name,
        "description": artifact.description,
        "author": artifact.author,
        "markings": artifact.markings,
        "labels": artifact.labels,
        "objects": documents(&artifact.objects)?,
    }))
}

fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Debug => "debug",
        Severity::Info => "info",
        Severity::Warn => "warn",
        Severity::Error => "error",
    }
}
