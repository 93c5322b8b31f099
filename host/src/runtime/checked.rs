//! What a guest returned, after the checks: a guest is not trusted.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::contract::{self, Question, Remark, Skip};
use super::engine::Limits;
use super::error::CallError;

/// The answer to `map`.
#[derive(Debug)]
pub struct Verdict {
    /// What becomes of the item.
    pub outcome: Outcome,
    /// For the log.
    pub remarks: Vec<Remark>,
}

/// What becomes of an item.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: this filter said no.
    Skip {
        /// Name of the filter.
        filter: String,
        /// Words for the user.
        reason: String,
    },
    /// Undecided.
    Ask(Vec<Question>),
    /// To be delivered.
    Emit(Emission),
}

/// What the platform shall be told.
#[derive(Debug, PartialEq, Eq)]
pub struct Emission {
    /// STIX objects in dependency order.
    pub objects: Vec<Object>,
    /// Files to copy.
    pub artifacts: Vec<Artifact>,
    /// Whether to remove the notification at the source.
    pub acknowledge: bool,
}

/// A STIX object: its id, and the document that carries the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// `<type>--<UUID>`.
    pub id: String,
    /// The document as the guest wrote it: a JSON object.
    pub document: String,
}

/// A file to copy from the source to the platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Artifact {
    /// Path of the source's API that answers the URL of the bytes.
    pub source: String,
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
    /// Size in bytes, where known.
    pub size: Option<u64>,
    /// File name.
    pub name: String,
    /// Description for the platform.
    pub description: String,
    /// STIX id of the author.
    pub author: String,
    /// STIX ids of the markings.
    pub markings: Vec<String>,
    /// Labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Objects that hold only once the file is on the platform.
    #[serde(default, deserialize_with = "objects")]
    pub objects: Vec<Object>,
}

/// What one filter says to an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Name of the filter.
    pub filter: String,
    /// Whether the filter lets the item pass.
    pub passed: bool,
    /// Words for the user: what was found and what is allowed.
    pub saw: String,
}

fn objects<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Object>, D::Error> {
    Vec::<Box<RawValue>>::deserialize(deserializer)?
        .into_iter()
        .map(|document| {
            let document = String::from(Box::<str>::from(document));
            let id = document_id(&document).map_err(serde::de::Error::custom)?;
            Ok(Object { id, document })
        })
        .collect()
}

/// Bytes of one text for the log, of a skip or of a question.
pub(super) const WORDS: usize = 4096;

/// Words for the log, cut off where they are too long for it.
pub(super) fn words(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(WORDS));
    text
}

/// As many as the limits allow, each short enough for the log.
pub(super) fn remarks(remarks: Vec<Remark>, limits: &Limits) -> Vec<Remark> {
    let remarks = remarks.into_iter().take(limits.remarks);
    remarks
        .map(|Remark { severity, message }| Remark {
            severity,
            message: words(message),
        })
        .collect()
}

pub(super) fn verdict(verdict: contract::Verdict, limits: &Limits) -> Result<Verdict, CallError> {
    let remarks = remarks(verdict.remarks, limits);
    let outcome = match verdict.outcome {
        contract::Outcome::Skip(Skip { filter, reason }) => {
            within("map", "bytes in a skip", filter.len() + reason.len(), WORDS)?;
            Outcome::Skip { filter, reason }
        }
        contract::Outcome::Ask(questions) => {
            within("map", "questions", questions.len(), limits.questions)?;
            for Question {
                kind,
                subject,
                part,
            } in &questions
            {
                let bytes = kind.len() + subject.len() + part.len();
                within("map", "bytes in a question", bytes, WORDS)?;
            }
            Outcome::Ask(questions)
        }
        contract::Outcome::Emit(emission) => Outcome::Emit(checked_emission(emission, limits)?),
    };
    Ok(Verdict { outcome, remarks })
}

/// What the filters say, of the JSON of `explain`.
pub(super) fn said(json: &str, limits: &Limits) -> Result<Vec<Said>, CallError> {
    within("explain", "bytes", json.len(), limits.output)?;
    let said: Vec<Said> = serde_json::from_str(json).map_err(|error| CallError::Output {
        call: "explain",
        found: format!("filters that cannot be read ({error})"),
        allowed: "the JSON array that the contract documents".to_owned(),
    })?;
    within("explain", "filters", said.len(), limits.filters)?;
    for Said { filter, saw, .. } in &said {
        within(
            "explain",
            "bytes in a filter",
            filter.len() + saw.len(),
            WORDS,
        )?;
    }
    Ok(said)
}

fn checked_emission(emission: contract::Emission, limits: &Limits) -> Result<Emission, CallError> {
    within("map", "objects", emission.objects.len(), limits.objects)?;
    within(
        "map",
        "artifacts",
        emission.artifacts.len(),
        limits.artifacts,
    )?;
    let bytes = emission
        .objects
        .iter()
        .map(|object| object.document.len())
        .sum::<usize>()
        + emission.artifacts.iter().map(String::len).sum::<usize>();
    within("map", "bytes", bytes, limits.output)?;
    Ok(Emission {
        objects: emission
            .objects
            .into_iter()
            .map(object)
            .collect::<Result<_, _>>()?,
        artifacts: emission
            .artifacts
            .iter()
            .map(|json| artifact(json))
            .collect::<Result<_, _>>()?,
        acknowledge: emission.acknowledge,
    })
}

fn object(object: contract::StixObject) -> Result<Object, CallError> {
    let id = document_id(&object.document)
        .map_err(|found| output(found, "a JSON object with a STIX id"))?;
    if id != object.id {
        return Err(output(
            format!(
                "an object called {:?} whose document is called {id:?}",
                object.id
            ),
            "the same id twice",
        ));
    }
    Ok(Object {
        id,
        document: object.document,
    })
}

fn artifact(json: &str) -> Result<Artifact, CallError> {
    serde_json::from_str(json).map_err(|error| {
        output(
            format!("an artifact that cannot be read ({error})"),
            "the JSON object that the contract documents",
        )
    })
}

/// The id of a STIX object, or what was found instead. Reads the document to its end, so that what has an id
/// is JSON.
fn document_id(document: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Identified<'a> {
        #[serde(borrow)]
        id: std::borrow::Cow<'a, str>,
    }
    // Serde would read an array as the fields of the struct in their order.
    if !document.starts_with('{') {
        return Err("a document that is no JSON object".to_owned());
    }
    let Identified { id } = serde_json::from_str(document)
        .map_err(|error| format!("a document without a readable id ({error})"))?;
    if is_stix_id(&id) {
        Ok(id.into_owned())
    } else {
        Err(format!("the id {id:?}"))
    }
}

/// STIX 2.1, section 2.9: `<object type>--<UUID>`; the type of section 3.1: lower-case, digits, hyphens.
pub(super) fn is_stix_id(id: &str) -> bool {
    id.split_once("--").is_some_and(|(kind, uuid)| {
        (3..=250).contains(&kind.len())
            && kind
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && uuid.len() == 36
            && uuid::Uuid::try_parse(uuid).is_ok()
    })
}

pub(super) fn within(
    call: &'static str,
    what: &str,
    found: usize,
    limit: usize,
) -> Result<(), CallError> {
    if found <= limit {
        return Ok(());
    }
    Err(CallError::Output {
        call,
        found: format!("{found} {what}"),
        allowed: format!("at most {limit}"),
    })
}

fn output(found: String, allowed: &str) -> CallError {
    CallError::Output {
        call: "map",
        found,
        allowed: allowed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emission(id: &str, document: &str) -> contract::Verdict {
        contract::Verdict {
            outcome: contract::Outcome::Emit(contract::Emission {
                objects: vec![contract::StixObject {
                    id: id.into(),
                    document: document.into(),
                }],
                artifacts: vec![],
                acknowledge: false,
            }),
            remarks: vec![],
        }
    }

    const ID: &str = "file--00000000-0000-5000-8000-000000000000";

    #[test]
    fn a_sound_object_passes_unchanged() {
        let document = format!(r#"{{"type": "file",  "id":"{ID}"}}"#);
        let checked = verdict(emission(ID, &document), &Limits::default()).unwrap();
        let Outcome::Emit(emission) = checked.outcome else {
            panic!("not an emission")
        };
        assert_eq!(emission.objects[0].document, document);
    }

    #[test]
    fn what_the_contract_does_not_allow_is_refused_with_words() {
        let other = ID.replace("file", "url");
        for (id, document, expected) in [
            (
                ID,
                "not JSON".to_owned(),
                "a document that is no JSON object",
            ),
            (ID, "{}".to_owned(), "a document without a readable id"),
            (
                ID,
                format!(r#"["{ID}"]"#),
                "a document that is no JSON object",
            ),
            (
                ID,
                format!(r#"{{"id":"{other}"}}"#),
                "whose document is called",
            ),
            (
                "file--1",
                r#"{"id":"file--1"}"#.to_owned(),
                r#"the id "file--1""#,
            ),
            (
                ID,
                format!(r#"{{"id":"{ID}"}} trailing"#),
                "a document without a readable id",
            ),
            ("../--x", r#"{"id":"../--x"}"#.to_owned(), "the id"),
        ] {
            let error = verdict(emission(id, &document), &Limits::default()).unwrap_err();
            assert!(error.to_string().contains(expected), "{document}: {error}");
        }
    }

    #[test]
    fn the_caps_hold() {
        let document = format!(r#"{{"id":"{ID}"}}"#);
        let limits = Limits {
            output: 10,
            ..Limits::default()
        };
        let error = verdict(emission(ID, &document), &limits).unwrap_err();
        assert!(
            error.to_string().ends_with("allowed: at most 10"),
            "{error}"
        );
    }
}
