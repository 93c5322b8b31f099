//! Checks of one object.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::pattern::pattern_problem;
use super::references;
use super::required::{self, Category};

/// Everything that is wrong with one object, each line beginning with its id.
#[must_use]
pub fn object_problems(object: &Value) -> Vec<String> {
    let Some(members) = object.as_object() else {
        return vec![format!("not an object: {object}")];
    };
    let kind = object["type"].as_str().unwrap_or_default();
    let Some((category, properties)) = required::of(kind) else {
        return vec![format!(
            "{}: type \"{kind}\" is not in STIX 2.1",
            object["id"]
        )];
    };
    let mut problems = Vec::new();
    problems.extend(id_problem(&object["id"], kind));
    problems.extend(common(object, category));
    for property in properties {
        match &object[*property] {
            Value::Null => problems.push(format!("{property} is missing")),
            Value::String(text) if text.is_empty() => problems.push(format!("{property} is empty")),
            _ => {}
        }
    }
    problems.extend(values(members));
    problems.extend(times(object));
    problems.extend(references(object).filter_map(|(name, id)| reference_problem(name, id)));
    problems.extend(hashes(&object["hashes"]));
    problems.extend(external_references(&object["external_references"]));
    problems.extend(special(object, kind));
    let id = object["id"].as_str().unwrap_or(kind);
    problems
        .into_iter()
        .map(|problem| format!("{id}: {problem}"))
        .collect()
}

/// `type--UUID` in lower-case RFC 4122 form (2.9).
pub(super) fn id_problem(id: &Value, kind: &str) -> Option<String> {
    let Some(id) = id.as_str() else {
        return Some(format!("id is {id}, not a text"));
    };
    match id.split_once("--") {
        Some((prefix, _)) if prefix != kind => {
            Some(format!("id {id} does not begin with {kind}--"))
        }
        Some((_, uuid)) if is_uuid(uuid) => None,
        _ => Some(format!("id {id} does not end in a UUID")),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::parse_str(text).is_ok() && text == text.to_lowercase()
}

/// 3.2: which of the common properties each kind of object must have.
fn common(object: &Value, category: Category) -> Vec<String> {
    let mut problems = Vec::new();
    let version = &object["spec_version"];
    let optional = category == Category::Observable && version.is_null();
    if version != "2.1" && !optional {
        problems.push(format!("spec_version is {version}, not \"2.1\""));
    }
    let dates: &[&str] = match category {
        Category::Domain => &["created", "modified"],
        Category::Marking => &["created"],
        Category::Observable => &[],
    };
    for date in dates.iter().filter(|date| object[**date].is_null()) {
        problems.push(format!("{date} is missing"));
    }
    if let Some(confidence) = object["confidence"]
        .as_i64()
        .filter(|it| !(0..=100).contains(it))
    {
        problems.push(format!("confidence {confidence} is not between 0 and 100"));
    }
    let labels = object["labels"].as_array().into_iter().flatten();
    for label in labels.filter(|label| label.as_str().is_none_or(str::is_empty)) {
        problems.push(format!("label {label} is not a text"));
    }
    problems
}

/// JSON null is no STIX value, and a list must not be empty (2.13).
fn values(members: &Map<String, Value>) -> Vec<String> {
    members
        .iter()
        .filter_map(|(name, value)| match value {
            Value::Null => Some(format!("{name} is null")),
            Value::Array(items) if items.is_empty() => Some(format!("{name} is an empty list")),
            Value::Array(items) if items.iter().any(Value::is_null) => {
                Some(format!("{name} holds null"))
            }
            _ => None,
        })
        .collect()
}

fn times(object: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for name in required::TIMESTAMPS {
        let value = &object[*name];
        if !value.is_null() && timestamp(value).is_none() {
            problems.push(format!(
                "{name} {value} is not a timestamp (RFC 3339, UTC, ending in Z)"
            ));
        }
    }
    for (first, second, equal) in required::ORDERED {
        let pair = timestamp(&object[*first]).zip(timestamp(&object[*second]));
        if pair.is_some_and(|(first, second)| second < first || (second == first && !equal)) {
            problems.push(format!(
                "{second} {} is before {first} {}",
                object[*second], object[*first]
            ));
        }
    }
    problems
}

/// 2.10: `YYYY-MM-DDTHH:MM:SS[.s+]Z`.
fn timestamp(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?;
    let bytes = text.as_bytes();
    let form = bytes.len() >= 20 && bytes[10] == b'T' && bytes.ends_with(b"Z");
    form.then(|| text.parse().ok()).flatten()
}

fn reference_problem(property: &str, id: &str) -> Option<String> {
    let (kind, uuid) = id.split_once("--").unwrap_or((id, ""));
    if !is_uuid(uuid) {
        return Some(format!("{property} {id} is not an identifier"));
    }
    if required::target_types(property).is_some_and(|allowed| !allowed.contains(&kind)) {
        return Some(format!("{property} must not name a {kind}"));
    }
    let endpoint = matches!(property, "source_ref" | "target_ref");
    let refused = matches!(
        kind,
        "relationship" | "sighting" | "bundle" | "marking-definition"
    );
    (endpoint && refused).then(|| format!("{property} must not name a {kind}"))
}

fn hashes(hashes: &Value) -> Vec<String> {
    let Some(hashes) = hashes.as_object() else {
        return Vec::new();
    };
    hashes
        .iter()
        .filter_map(|(algorithm, value)| {
            let Some(length) = required::hash_length(algorithm) else {
                return Some(format!(
                    "hash algorithm {algorithm} is not in the vocabulary"
                ));
            };
            let text = value.as_str().unwrap_or_default();
            let hexadecimal = text.bytes().all(|it| it.is_ascii_hexdigit());
            let wrong = length.map_or(text.is_empty(), |length| {
                text.len() != length || !hexadecimal
            });
            wrong.then(|| format!("{algorithm} {value} is not such a hash"))
        })
        .collect()
}

/// 2.5: a source name, and at least one thing to find it by.
fn external_references(list: &Value) -> Vec<String> {
    let present = |value: &Value| value.as_str().is_some_and(|it| !it.is_empty());
    list.as_array()
        .into_iter()
        .flatten()
        .filter(|it| {
            let found_by = ["description", "url", "external_id"];
            !present(&it["source_name"]) || !found_by.iter().any(|name| present(&it[*name]))
        })
        .map(|it| format!("external reference {it} lacks a source_name or what it refers to"))
        .collect()
}

/// Rules that only one type has.
fn special(object: &Value, kind: &str) -> Vec<String> {
    let mut problems = Vec::new();
    match kind {
        "file" if object["hashes"].is_null() && object["name"].is_null() => {
            problems.push("a file needs hashes or a name".to_owned());
        }
        "artifact" if object["payload_bin"].is_null() == object["url"].is_null() => {
            problems.push("an artifact needs either payload_bin or url".to_owned());
        }
        "indicator" if object["pattern_type"] == "stix" => {
            problems.extend(object["pattern"].as_str().and_then(pattern_problem));
        }
        "relationship" => {
            let name = object["relationship_type"].as_str().unwrap_or_default();
            let allowed = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
            if !name.bytes().all(allowed) {
                problems.push(format!(
                    "relationship_type \"{name}\" is not lower-case with hyphens"
                ));
            }
        }
        "marking-definition" => {
            let tlp = object["definition_type"].is_string() && object["definition"].is_object();
            if !tlp && object["extensions"].is_null() {
                problems.push("a marking needs definition_type and definition".to_owned());
            }
        }
        "domain-name"
            if object["value"]
                .as_str()
                .is_some_and(|it| it.contains(['/', ' ', ':'])) =>
        {
            problems.push(format!("value {} is not a domain name", object["value"]));
        }
        "ipv4-addr" => problems.extend(address::<std::net::Ipv4Addr>(&object["value"])),
        "ipv6-addr" => problems.extend(address::<std::net::Ipv6Addr>(&object["value"])),
        _ => {}
    }
    problems
}

/// An address, or a network in CIDR notation.
fn address<T: std::str::FromStr>(value: &Value) -> Option<String> {
    let text = value.as_str().unwrap_or_default();
    let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
    let right = address.parse::<T>().is_ok() && bits.parse::<u8>().is_ok();
    (!right).then(|| format!("value {value} is not an address"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn incident(changes: Value) -> Value {
        let mut object = json!({
            "type": "incident", "spec_version": "2.1",
            "id": "incident--f6425bc2-08d6-57ae-8f4b-c35e55f97380",
            "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00Z",
            "name": "VT  rule", "labels": ["vt:yara:rule"], "confidence": 50,
            "created_by_ref": "identity--173c879a-bfb3-5dee-9f1f-3fffd76a8756",
            "object_marking_refs": ["marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"],
            "external_references": [{"source_name": "VirusTotal", "url": "https://vt.example"}],
            "x_opencti_anything": {"is": "allowed"},
        });
        for (name, value) in changes.as_object().into_iter().flatten() {
            object[name] = value.clone();
        }
        object
    }

    #[test]
    fn a_valid_object_has_no_problem() {
        assert_eq!(object_problems(&incident(json!({}))), Vec::<String>::new());
    }

    #[test]
    fn each_rule_of_the_common_properties_is_checked() {
        let cases = [
            (json!({"id": "incident--1"}), "does not end in a UUID"),
            (
                json!({"id": "report--f6425bc2-08d6-57ae-8f4b-c35e55f97380"}),
                "does not begin",
            ),
            (json!({"id": 5}), "not a text"),
            (json!({"spec_version": "2.0"}), "spec_version"),
            (json!({"name": ""}), "name is empty"),
            (json!({"created": "2026-01-01T00:00:00+01:00"}), "created"),
            (json!({"created": "2026-13-01T00:00:00Z"}), "created"),
            (
                json!({"modified": "2025-12-31T23:59:59Z"}),
                "is before created",
            ),
            (json!({"confidence": 101}), "confidence"),
            (json!({"labels": []}), "labels is an empty list"),
            (json!({"labels": [""]}), "is not a text"),
            (json!({"description": null}), "description is null"),
            (
                json!({"created_by_ref": "user--173c879a-bfb3-5dee-9f1f-3fffd76a8756"}),
                "created_by_ref",
            ),
            (
                json!({"created_by_ref": "identity--x"}),
                "is not an identifier",
            ),
            (
                json!({"external_references": [{"source_name": "VirusTotal"}]}),
                "external reference",
            ),
            (json!({"type": "incidents"}), "not in STIX 2.1"),
        ];
        for (changes, expected) in cases {
            let problems = object_problems(&incident(changes.clone()));
            let found = problems.len() == 1 && problems[0].contains(expected);
            assert!(found, "{changes}: expected {expected}, found {problems:?}");
        }
    }

    #[test]
    fn each_rule_of_one_type_is_checked() {
        let sco = |kind: &str, changes: Value| {
            let mut object = json!({"type": kind, "id": format!("{kind}--88a92d93-6f12-54ff-af82-9cb63f8effee")});
            for (name, value) in changes.as_object().into_iter().flatten() {
                object[name] = value.clone();
            }
            object
        };
        let cases = [
            (sco("file", json!({"name": "a"})), ""),
            (sco("file", json!({})), "needs hashes or a name"),
            (
                sco(
                    "file",
                    json!({"hashes": {"MD5": "d41d8cd98f00b204e9800998ecf8427e"}}),
                ),
                "",
            ),
            (
                sco("file", json!({"hashes": {"MD5": "d41d"}})),
                "is not such a hash",
            ),
            (
                sco("file", json!({"hashes": {"md5": "d41d"}})),
                "not in the vocabulary",
            ),
            (sco("ipv4-addr", json!({"value": "198.51.100.7"})), ""),
            (
                sco("ipv4-addr", json!({"value": "2001:db8::1"})),
                "is not an address",
            ),
            (sco("ipv6-addr", json!({"value": "2001:db8::1"})), ""),
            (sco("domain-name", json!({"value": "a.example"})), ""),
            (
                sco("domain-name", json!({"value": "http://a.example"})),
                "not a domain name",
            ),
            (sco("url", json!({})), "value is missing"),
            (sco("artifact", json!({"url": "http://a.example"})), ""),
            (sco("artifact", json!({})), "payload_bin"),
        ];
        for (object, expected) in cases {
            let problems = object_problems(&object).join("; ");
            let right = if expected.is_empty() {
                problems.is_empty()
            } else {
                problems.contains(expected)
            };
            assert!(
                right,
                "{object}: expected \"{expected}\", found \"{problems}\""
            );
        }
    }
}
