//! Why the platform does not take an object, as far as a connector can bring that about (protocol section 13).

use serde_json::{Value, json};

use super::error::PlatformError;
use super::marking::Sight;
use super::platform::Platform;
use super::yara;
use crate::stix::{pattern_problem, references};

/// The ends of a relationship, without which there is none.
const ENDS: &[&str] = &["source_ref", "target_ref"];

/// An object as the platform takes it, and which of its references are lost.
pub(super) struct Judged {
    pub(super) object: Value,
    pub(super) lost: Vec<String>,
}

impl Platform {
    /// Refuses an object, or gives what is left of it: a reference that the platform cannot resolve is dropped once
    /// the worker has tried three times, except those without which there is no relationship.
    pub(super) fn judge(
        &self,
        object: &Value,
        draft: Option<&str>,
        sight: Sight,
    ) -> Result<Judged, PlatformError> {
        let planned = self.refusals.iter().find_map(|refusal| refusal(object));
        planned.map_or(Ok(()), |words| Err(PlatformError::from_words(&words)))?;
        bad_value(object)?;
        bad_pattern(object)?;
        let tlsh = &object["hashes"]["TLSH"];
        if object["type"] == "file" && !tlsh.is_null() && self.version.refuses_tlsh() {
            return Err(PlatformError::functional(
                "Missing required elements for StixFile creation (hashes)",
            ));
        }
        let resolves = |id: &str| {
            self.knows(draft, id)
                && self
                    .find(draft, id)
                    .is_none_or(|stored| sight.sees_object(&stored.object))
        };
        let missing: Vec<&str> = references(object)
            .filter(|(name, id)| ENDS.contains(name) && !resolves(id))
            .map(|(_, id)| id)
            .collect();
        if !missing.is_empty() {
            return Err(PlatformError::missing(&missing));
        }
        // A marking that is there, and that the account may not see, is none of those that are dropped.
        let hidden: Vec<&str> = references(object)
            .filter(|(name, id)| *name == "object_marking_refs" && !sight.sees(id))
            .map(|(_, id)| id)
            .collect();
        if !hidden.is_empty() {
            return Err(PlatformError::missing(&hidden));
        }
        let lost: Vec<(String, String)> = references(object)
            .filter(|(_, id)| !resolves(id))
            .map(|(name, id)| (name.to_owned(), id.to_owned()))
            .collect();
        let mut object = object.clone();
        for (name, id) in &lost {
            drop_reference(&mut object, name, id);
        }
        let lost = lost.iter().map(|(name, id)| format!("{name} {id}"));
        Ok(Judged {
            object,
            lost: lost.collect(),
        })
    }
}

fn drop_reference(object: &mut Value, name: &str, id: &str) {
    match &mut object[name] {
        Value::Array(ids) => ids.retain(|it| it != id),
        value => *value = json!(null),
    }
}

fn bad_value(object: &Value) -> Result<(), PlatformError> {
    let invalid = |message: String| Err(PlatformError::new("VALIDATION_ERROR", message));
    let name = object["name"].as_str();
    if name.is_some_and(|name| name.trim().chars().count() < 2) && object["type"] != "file" {
        return invalid("name is too short".to_owned());
    }
    let score = object["x_opencti_score"].as_i64();
    match score.filter(|it| !(0..=100).contains(it)) {
        Some(score) => invalid(format!("score {score} is not between 0 and 100")),
        None => Ok(()),
    }
}

/// A pattern is judged at each delivery, by the tool of its language.
fn bad_pattern(object: &Value) -> Result<(), PlatformError> {
    let Some(pattern) = object["pattern"].as_str() else {
        return Ok(());
    };
    let language = object["pattern_type"].as_str().unwrap_or_default();
    let is_good = match language {
        "stix" => pattern_problem(pattern).is_none(),
        "yara" => yara::compiles(pattern),
        _ => true,
    };
    if is_good {
        return Ok(());
    }
    Err(PlatformError::functional(format!(
        "Indicator of type {language} is not correctly formatted."
    )))
}
