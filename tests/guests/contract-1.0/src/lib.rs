//! A guest built against contract 1.0 as it was released. It runs for good.
//!
//! `wit/` beside it is never changed: that this guest still loads and works says that no later host of contract
//! 1.x breaks a guest that was built before it. It uses every function, and every outcome of `map`.

pub mod contract;

use contract::{
    Answer, Emission, Failure, Feed, Guest, GuestMapper, Item, Mapper, Outcome, Problem, Question,
    Remark, Setting, Severity, Skip, StixObject, Verdict,
};

/// What the component exports.
#[derive(Debug)]
pub struct Frozen;

/// The one setting.
#[derive(Debug)]
pub struct Greeting(String);

const DESCRIPTION: &str = r#"{
    "name": "contract-1-0-guest", "version": "1.0.0",
    "connector": {
        "name": "Frozen", "scope": ["Identity"],
        "environment_prefix": "FROZEN", "config_sections": ["frozen"]
    },
    "settings": [{"name": "GREETING", "kind": "text", "default": "hello", "choices": [], "help": "A word."}]
}"#;

impl Guest for Frozen {
    type Mapper = Greeting;

    fn describe() -> String {
        DESCRIPTION.to_owned()
    }
}

impl GuestMapper for Greeting {
    fn open(settings: Vec<Setting>) -> Result<Mapper, Vec<Problem>> {
        let problems: Vec<_> = settings
            .iter()
            .filter(|setting| setting.name != "GREETING")
            .map(|setting| Problem {
                setting: setting.name.clone(),
                reason: "is not a setting of this guest".to_owned(),
            })
            .collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        let greeting = settings.into_iter().next_back();
        Ok(Mapper::new(Self(greeting.map_or_else(
            || "hello".to_owned(),
            |setting| setting.value,
        ))))
    }

    fn remarks(&self) -> Vec<Remark> {
        vec![remark(Severity::Debug, &self.0)]
    }

    fn feed(&self, since: u64, now: u64) -> Feed {
        Feed {
            path: "ioc_stream".to_owned(),
            query: vec![("filter".to_owned(), format!("{since} to {now}"))],
            item_id: "/id".to_owned(),
            item_date: "/date".to_owned(),
        }
    }

    /// What becomes of the item stands in its document.
    fn map(
        &self,
        item: Item,
        answers: Vec<(Question, Answer)>,
        now: u64,
    ) -> Result<Verdict, Failure> {
        let outcome = match (item.document.as_str(), answers.as_slice()) {
            ("malformed", _) => return Err(Failure::Malformed(item.document)),
            ("unsupported", _) => return Err(Failure::Unsupported(item.document)),
            ("skip", _) => Outcome::Skip(Skip {
                filter: "word".to_owned(),
                reason: format!("{} at {}", self.0, item.observed),
            }),
            (_, []) => Outcome::Ask(["lookup", "artifact-known"].map(question).into()),
            (_, answers) => Outcome::Emit(emission(&self.0, answers)),
        };
        Ok(Verdict {
            outcome,
            remarks: [
                Severity::Debug,
                Severity::Info,
                Severity::Warn,
                Severity::Error,
            ]
            .map(|severity| remark(severity, &now.to_string()))
            .into(),
        })
    }

    fn digest(&self, question: Question, document: String) -> Result<String, Failure> {
        if question.kind == "lookup" {
            Ok(format!("\"{} of {document}\"", question.part))
        } else {
            Err(Failure::Unsupported(question.kind))
        }
    }
}

fn remark(severity: Severity, message: &str) -> Remark {
    Remark {
        severity,
        message: message.to_owned(),
    }
}

fn question(kind: &str) -> Question {
    Question {
        kind: kind.to_owned(),
        subject: "files/a".to_owned(),
        part: "part".to_owned(),
    }
}

/// One object, which says what was answered.
fn emission(greeting: &str, answers: &[(Question, Answer)]) -> Emission {
    let id = "identity--00000000-0000-5000-8000-000000000000".to_owned();
    let answers: Vec<_> = answers
        .iter()
        .map(|(question, answer)| {
            let answer = match answer {
                Answer::Found(json) => json,
                Answer::Absent => "\"absent\"",
                Answer::Refused(_) => "\"refused\"",
            };
            format!("\"{}\":{answer}", question.kind)
        })
        .collect();
    let document = format!(
        r#"{{"type":"identity","id":"{id}","name":"{greeting}",{}}}"#,
        answers.join(",")
    );
    let sha256 = "a".repeat(64);
    let artifact = format!(
        r#"{{"source":"files/{sha256}/download_url","sha256":"{sha256}","size":null,"name":"a","description":"","author":"{id}","markings":[],"labels":[],"objects":[]}}"#
    );
    Emission {
        objects: vec![StixObject { id, document }],
        artifacts: vec![artifact],
        acknowledge: true,
    }
}
