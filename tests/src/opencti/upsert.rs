//! What a further delivery changes of an object that the platform has (protocol section 13).
//!
//! A field that is not sent stays, one that is sent is overwritten, of several values those sent are added. An account
//! (or an object) of lower confidence than the stored one's fills empty fields, and adds labels and external
//! references, in silence.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::decay::{Generation, Life};
use super::error::PlatformError;
use super::marking::united;
use super::store::{Origin, Stored};

/// The confidence of an account whose groups do not say less.
pub(crate) const MAX_CONFIDENCE: i64 = 100;

/// The types of observables, which have no confidence.
const OBSERVABLES: &[&str] = &[
    "artifact",
    "autonomous-system",
    "directory",
    "domain-name",
    "email-addr",
    "email-message",
    "file",
    "hostname",
    "ipv4-addr",
    "ipv6-addr",
    "mac-addr",
    "marking-definition",
    "mutex",
    "network-traffic",
    "process",
    "software",
    "text",
    "url",
    "user-account",
    "user-agent",
    "windows-registry-key",
    "x509-certificate",
];

/// The confidence with which an object arrives; none of an observable.
pub(super) fn confidence(object: &Value, origin: &Origin) -> Option<i64> {
    let kind = object["type"].as_str().unwrap_or_default();
    let sent = object["confidence"].as_i64().unwrap_or(MAX_CONFIDENCE);
    (!OBSERVABLES.contains(&kind)).then_some(sent.min(origin.max_confidence))
}

/// The field of an object's labels.
pub(super) fn labels_field(object: &Value) -> &'static str {
    let kind = object["type"].as_str().unwrap_or_default();
    if OBSERVABLES.contains(&kind) {
        "x_opencti_labels"
    } else {
        "labels"
    }
}

/// The labels of an object, in the platform's form.
pub(super) fn labels(object: &Value) -> impl Iterator<Item = String> {
    let values = ["labels", "x_opencti_labels"].map(|name| texts(&object[name]));
    values
        .into_iter()
        .flatten()
        .map(|it| it.trim().to_lowercase())
}

/// The life that an indicator has when it arrives.
pub(super) fn life(object: &Value, origin: &Origin) -> Result<Option<Life>, PlatformError> {
    if object["type"] != "indicator" {
        return Ok(None);
    }
    let generation = Generation::of(&origin.version);
    Life::new(object, generation, &origin.applicant_id, origin.now()).map(Some)
}

/// The object without fields that hold nothing.
pub(super) fn cleaned(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, value| !is_empty(value));
    }
    object
}

/// How far a delivery may change what is stored.
#[derive(Clone, Copy)]
struct Right {
    /// Not less confident.
    equal: bool,
    /// More confident.
    upper: bool,
    /// Labels and external references are added whatever the confidence is.
    adds: bool,
}

/// Merges a delivery into what is stored.
pub(super) fn merge(
    stored: &mut Stored,
    object: &Value,
    origin: &Origin,
) -> Result<(), PlatformError> {
    let level = confidence(object, origin);
    let has = stored.confidence.unwrap_or_default();
    let sent = level.unwrap_or(MAX_CONFIDENCE);
    let generation = Generation::of(&origin.version);
    let right = Right {
        equal: sent >= has,
        upper: sent > has,
        adds: sent >= has || generation == Generation::Newest,
    };
    if let Some(sent) = life(object, origin)?
        && right.equal
        && let Some(life) = &mut stored.life
    {
        let detection = object["x_opencti_detection"].as_bool();
        life.deliver(sent, detection, generation, &origin.applicant_id);
    }
    keep_name(stored, object);
    for (name, value) in object.as_object().into_iter().flatten() {
        if !is_empty(value) {
            merge_field(&mut stored.object, name, value, right);
        }
    }
    if right.equal && level.is_some() {
        stored.confidence = level;
    }
    show_life(stored);
    Ok(())
}

/// A file keeps the names that it had.
fn keep_name(stored: &mut Stored, object: &Value) {
    let (had, sent) = (stored.object["name"].clone(), &object["name"]);
    let is_file = object["type"] == "file";
    if is_file && had.is_string() && sent.is_string() && had != *sent {
        let names = json!([had]);
        add(&mut stored.object["x_opencti_additional_names"], &names);
    }
}

fn merge_field(object: &mut Value, name: &str, value: &Value, right: Right) {
    let lives = object["type"] == "indicator";
    let mut held = object.get(name).cloned().unwrap_or_default();
    let current = &mut held;
    let fills = is_empty(current);
    match name {
        // An indicator's life is shown afterwards.
        "valid_from" | "valid_until" | "revoked" | "x_opencti_score" | "x_opencti_detection"
            if lives =>
        {
            if fills {
                *current = value.clone();
            }
        }
        "created_by_ref" | "x_opencti_created_by_ref" => {
            if fills || right.upper {
                *current = value.clone();
            }
        }
        "object_marking_refs" => {
            if fills || right.equal {
                add(current, value);
                *current = json!(united(&texts(current)));
            }
        }
        "labels" | "x_opencti_labels" | "external_references" | "x_opencti_external_references" => {
            if fills || right.adds {
                add(current, value);
            }
        }
        "created" => keep_time(current, value, |sent, has| sent < has),
        "modified" => keep_time(current, value, |sent, has| sent > has),
        _ if !(fills || right.equal) => {}
        _ => match value {
            Value::Array(_) => add(current, value),
            Value::Object(members) if current.is_object() => {
                for (name, value) in members {
                    current[name] = value.clone();
                }
            }
            _ => *current = value.clone(),
        },
    }
    if !held.is_null() {
        object[name] = held;
    }
}

/// Adds the values that are not there.
pub(super) fn add(current: &mut Value, values: &Value) {
    if !current.is_array() {
        *current = json!([]);
    }
    let (Some(current), Some(values)) = (current.as_array_mut(), values.as_array()) else {
        return;
    };
    for value in values {
        if !current.iter().any(|it| is_same(it, value)) {
            current.push(value.clone());
        }
    }
}

/// Labels whatever their case, external references by what they name.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.eq_ignore_ascii_case(other),
        (Value::Object(_), Value::Object(_)) if one["source_name"].is_string() => {
            ["source_name", "url", "external_id"]
                .iter()
                .all(|name| one[*name] == other[*name])
        }
        _ => one == other,
    }
}

fn keep_time(current: &mut Value, sent: &Value, wins: impl Fn(Timestamp, Timestamp) -> bool) {
    let time = |value: &Value| -> Option<Timestamp> { value.as_str()?.parse().ok() };
    let replaces = match (time(sent), time(current)) {
        (Some(sent), Some(has)) => wins(sent, has),
        _ => true,
    };
    if replaces {
        *current = sent.clone();
    }
}

/// Writes an indicator's life into those of its fields that were ever sent.
pub(super) fn show_life(stored: &mut Stored) {
    let Some(life) = &stored.life else {
        return;
    };
    let object = &mut stored.object;
    let has = |object: &Value, name: &str| object.get(name).is_some();
    for (name, time) in [
        ("valid_from", life.valid_from),
        ("valid_until", life.valid_until),
    ] {
        let shown = object.get(name).and_then(Value::as_str);
        let shown: Option<Timestamp> = shown.and_then(|it| it.parse().ok());
        if shown.is_some_and(|it| it != time) {
            object[name] = json!(format!("{time:.3}"));
        }
    }
    for (name, value) in [
        ("revoked", json!(life.revoked)),
        ("x_opencti_score", json!(life.score)),
        ("x_opencti_detection", json!(life.detection)),
    ] {
        if has(object, name) {
            object[name] = value;
        }
    }
}

fn texts(values: &Value) -> Vec<String> {
    let values = values.as_array().into_iter().flatten();
    values
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect()
}

/// Holds nothing: such a field is not sent.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
#[path = "upsert_tests.rs"]
mod tests;
