//! What a work shows of the objects that the platform refused (protocol section 6, platform.md P25, P26).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::{Client, Retry};
use super::error::Error;
use super::operations::WORK_ERRORS;

/// The platform keeps so many errors of a work.
pub const MAX_ERRORS: usize = 100;

/// How the source of an error begins that this connector reported itself.
pub(super) const OWN_SOURCE: &str = "connector: ";

/// The errors of a work, as they stand now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkErrors {
    /// Whether the workers have taken all that was announced so far. What comes by the API is announced by the worker
    /// that splits it, so that this may be too early.
    pub complete: bool,
    /// Oldest first.
    pub errors: Vec<WorkError>,
}

/// An error of a work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkError {
    /// The platform's code, such as `FUNCTIONAL_ERROR`; empty where it told none.
    pub code: String,
    /// The platform's words.
    pub message: String,
    /// The object that was refused; `None` of an object that was too large to be shown.
    pub object: Option<RefusedObject>,
    /// Whether this connector reported it itself.
    pub is_own: bool,
}

/// An object that the platform refused, as its worker shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedObject {
    /// STIX id.
    pub id: String,
    /// What people call it; empty where it has no name.
    pub name: String,
    /// The objects that it refers to: ids in members whose names end in `_ref` or `_refs`.
    pub refers_to: Vec<String>,
}

#[derive(Serialize)]
struct IdVariables<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
struct WorkAnswer {
    work: Option<AnsweredWork>,
}

#[derive(Deserialize)]
struct AnsweredWork {
    status: String,
    tracking: Option<Tracking>,
    errors: Option<Vec<Option<AnsweredError>>>,
}

#[derive(Deserialize)]
struct Tracking {
    import_expected_number: Option<u64>,
}

#[derive(Deserialize)]
struct AnsweredError {
    message: Option<String>,
    source: Option<String>,
}

impl Client {
    /// The errors of a work; `None` where it was deleted.
    ///
    /// # Errors
    /// When the platform does not answer after retries, or refuses (the role lacks MODULES).
    pub async fn work_errors(&self, id: &str) -> Result<Option<WorkErrors>, Error> {
        let answer: WorkAnswer = self
            .call(&WORK_ERRORS, Retry::Transient, |_| IdVariables { id })
            .await?;
        Ok(answer.work.map(|work| {
            let errors = work.errors.into_iter().flatten().flatten();
            let expected = work.tracking.and_then(|it| it.import_expected_number);
            WorkErrors {
                complete: work.status == "complete" && expected > Some(0),
                errors: errors.map(WorkError::from).collect(),
            }
        }))
    }
}

impl From<AnsweredError> for WorkError {
    fn from(error: AnsweredError) -> Self {
        let text = error.message.unwrap_or_default();
        let (code, message) = said_by_python(&text).unwrap_or(("", &text));
        let source = error.source.unwrap_or_default();
        let object = RefusedObject::parse(&source);
        Self {
            code: code.to_owned(),
            message: message.to_owned(),
            // The words with which a work is closed in error stand among its errors, without a source.
            is_own: source.is_empty() && code.is_empty() || source.starts_with(OWN_SOURCE),
            object,
        }
    }
}

/// Code and words of a platform's error, which its worker shows as the text of a Python dictionary:
/// `{'name': 'FUNCTIONAL_ERROR', 'error_message': '…'}`.
fn said_by_python(text: &str) -> Option<(&str, &str)> {
    let (code, rest) = text.strip_prefix("{'name': '")?.split_once('\'')?;
    let words = rest.strip_prefix(", 'error_message': ")?;
    let words = words.trim_end_matches('}');
    let quote = words.chars().next().filter(|it| matches!(it, '\'' | '"'))?;
    Some((code, words.trim_matches(quote)))
}

impl RefusedObject {
    fn parse(source: &str) -> Option<Self> {
        let object: Value = serde_json::from_str(source).ok()?;
        let id = object["id"].as_str()?.to_owned();
        let names = ["name", "value", "relationship_type"];
        let name = names.iter().find_map(|name| object[*name].as_str());
        let members = object.as_object().into_iter().flatten();
        let refers_to = members
            .filter(|(name, _)| name.ends_with("_ref") || name.ends_with("_refs"))
            .flat_map(|(_, value)| match value {
                Value::Array(ids) => ids.as_slice(),
                id => std::slice::from_ref(id),
            })
            .filter_map(|id| id.as_str().map(str::to_owned))
            .collect();
        Some(Self {
            id,
            name: name.unwrap_or_default().to_owned(),
            refers_to,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_are_read_as_the_worker_shows_them() {
        let relationship = json!({
            "id": "relationship--1", "relationship_type": "related-to", "source_ref": "incident--1",
            "target_ref": "indicator--1", "object_marking_refs": ["m--1"], "nb_deps": 3,
        });
        for (message, source, code, words, id, is_own) in [
            (
                "{'name': 'FUNCTIONAL_ERROR', 'error_message': 'Indicator of type yara is not correctly formatted.'}",
                r#"{"id": "indicator--1", "name": "rule"}"#.to_owned(),
                "FUNCTIONAL_ERROR",
                "Indicator of type yara is not correctly formatted.",
                Some("indicator--1"),
                false,
            ),
            (
                r#"{'name': 'MISSING_REFERENCE_ERROR', 'error_message': "it isn't there"}"#,
                relationship.to_string(),
                "MISSING_REFERENCE_ERROR",
                "it isn't there",
                Some("relationship--1"),
                false,
            ),
            (
                "'NoneType' object is not iterable",
                "Bundle too large".to_owned(),
                "",
                "'NoneType' object is not iterable",
                None,
                false,
            ),
            (
                "no hash",
                format!("{OWN_SOURCE}7"),
                "",
                "no hash",
                None,
                true,
            ),
            (
                "stopped by an error",
                String::new(),
                "",
                "stopped by an error",
                None,
                true,
            ),
        ] {
            let error = WorkError::from(AnsweredError {
                message: Some(message.to_owned()),
                source: Some(source),
            });
            assert_eq!((error.code.as_str(), error.message.as_str()), (code, words));
            let object = error.object.as_ref();
            assert_eq!(object.map(|it| it.id.as_str()), id);
            assert_eq!(error.is_own, is_own, "{message}");
        }
        let object = RefusedObject::parse(&relationship.to_string()).unwrap();
        assert_eq!(object.name, "related-to");
        assert_eq!(object.refers_to, ["m--1", "incident--1", "indicator--1"]);
    }
}
