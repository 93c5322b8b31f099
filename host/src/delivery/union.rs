//! Two descriptions of one object, united.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// Members of which the earlier time is kept (STIX 2.1): an object exists, and counts, from when it was told of first.
const EARLIEST: [&str; 3] = ["created", "first_seen", "valid_from"];

/// Both documents in one: members of either; of lists the values of both, each once; of numbers the greater; of times of
/// a beginning the earlier; else the newer value. The newer document where one of them is no JSON object.
pub(super) fn united(older: &str, newer: String) -> String {
    let objects = (serde_json::from_str(older), serde_json::from_str(&newer));
    let (Ok(mut united), Ok(newer_object)) = objects else {
        return newer;
    };
    keep_name(&mut united, &newer_object);
    unite_members(&mut united, newer_object);
    Value::Object(united).to_string()
}

/// What a file was called stays among its names, as the platform does with it (platform.md P18).
fn keep_name(older: &mut Map<String, Value>, newer: &Map<String, Value>) {
    const NAMES: &str = "x_opencti_additional_names";
    let is_file = older.get("type").is_some_and(|it| it == "file");
    let name = older.get("name").cloned();
    if let Some(name) = name
        && is_file
        && newer.get("name").is_some_and(|it| *it != name)
    {
        let names = older.entry(NAMES).or_insert_with(|| Value::Array(vec![]));
        unite(names, Value::Array(vec![name]));
    }
}

fn unite_members(older: &mut Map<String, Value>, newer: Map<String, Value>) {
    for (name, newer) in newer {
        match older.get_mut(&name) {
            Some(older) if EARLIEST.contains(&name.as_str()) && begins_before(older, &newer) => {}
            Some(older) => unite(older, newer),
            None => _ = older.insert(name, newer),
        }
    }
}

fn begins_before(older: &Value, newer: &Value) -> bool {
    let time = |value: &Value| -> Option<Timestamp> { value.as_str()?.parse().ok() };
    time(older).is_some_and(|older| time(newer).is_none_or(|newer| older <= newer))
}

fn unite(older: &mut Value, newer: Value) {
    match (older, newer) {
        (Value::Object(older), Value::Object(newer)) => unite_members(older, newer),
        (Value::Array(older), Value::Array(newer)) => {
            let mut known: BTreeSet<String> = older.iter().map(Value::to_string).collect();
            let new = newer.into_iter().filter(|it| known.insert(it.to_string()));
            older.extend(new);
        }
        (Value::Number(older), Value::Number(newer)) if older.as_f64() >= newer.as_f64() => {}
        (older, newer) => *older = newer,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_united_numbers_grow_and_the_rest_is_newer() {
        let cases = [
            (
                json!({"l": ["a", "b"]}),
                json!({"l": ["b", "c"]}),
                json!({"l": ["a", "b", "c"]}),
            ),
            (
                json!({"l": []}),
                json!({"l": [{"u": 1}, {"u": 1}]}),
                json!({"l": [{"u": 1}]}),
            ),
            (json!({"n": 40}), json!({"n": 20}), json!({"n": 40})),
            (json!({"n": 20}), json!({"n": 40}), json!({"n": 40})),
            (json!({"t": "z"}), json!({"t": "a"}), json!({"t": "a"})),
            (json!({"t": "z"}), json!({"t": null}), json!({"t": null})),
            (
                json!({"valid_from": "2026-01-02T00:00:00Z", "modified": "2026-01-02T00:00:00Z"}),
                json!({"valid_from": "2026-01-03T00:00:00Z", "modified": "2026-01-03T00:00:00Z"}),
                json!({"valid_from": "2026-01-02T00:00:00Z", "modified": "2026-01-03T00:00:00Z"}),
            ),
            (
                json!({"created": "2026-01-02T00:00:00Z"}),
                json!({"created": "2026-01-01T23:59:59.999Z"}),
                json!({"created": "2026-01-01T23:59:59.999Z"}),
            ),
            (
                json!({"type": "file", "name": "a"}),
                json!({"type": "file", "name": "b", "x_opencti_additional_names": ["c"]}),
                json!({"type": "file", "name": "b", "x_opencti_additional_names": ["a", "c"]}),
            ),
            (
                json!({"type": "incident", "name": "a"}),
                json!({"type": "incident", "name": "b"}),
                json!({"type": "incident", "name": "b"}),
            ),
            (
                json!({"created": "x"}),
                json!({"created": 1}),
                json!({"created": 1}),
            ),
            (json!({"a": 1}), json!({"b": 2}), json!({"a": 1, "b": 2})),
            (
                json!({"o": {"a": 1, "l": [1]}}),
                json!({"o": {"l": [2]}}),
                json!({"o": {"a": 1, "l": [1, 2]}}),
            ),
            (
                json!({"x": [1]}),
                json!({"x": "text"}),
                json!({"x": "text"}),
            ),
        ];
        for (older, newer, expected) in cases {
            let found = united(&older.to_string(), newer.to_string());
            let found: Value = serde_json::from_str(&found).unwrap();
            assert_eq!(found, expected, "{older} {newer}");
        }
    }

    #[test]
    fn what_is_no_object_is_replaced() {
        for (older, newer) in [("[1]", "{}"), ("{}", "[1]"), ("{", "{}"), ("{}", "")] {
            assert_eq!(united(older, newer.to_owned()), newer);
        }
    }
}
