//! Checks of STIX 2.1 that every object a connector sends must pass, written from the specification
//! (OASIS, June 2021): common properties (3.2), identifiers (2.9), timestamps (2.10), integers (2.8), hashes
//! (10.7), required properties of each type (4 to 7), vocabularies (10), custom properties (11.1), patterns (9).
//!
//! Of the properties that only OpenCTI knows (`x_opencti_…`), those that guests write are checked too. A crate of
//! its own, so that the tests of a guest, the simulators and the fuzz targets have the same rules.

mod object;
mod pattern;
mod required;
mod values;
mod vocabulary;

use std::collections::BTreeSet;

use serde_json::Value;

pub use object::object_problems;
pub use pattern::pattern_problem;

/// Everything that is wrong with a bundle, each line with the id of the object at fault.
#[must_use]
pub fn problems(bundle: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if bundle["type"] != "bundle" {
        problems.push(format!(
            "bundle: type is {}, not \"bundle\"",
            bundle["type"]
        ));
    }
    if let Some(problem) = object::id_problem(&bundle["id"], "bundle") {
        problems.push(format!("bundle: {problem}"));
    }
    let Some(objects) = bundle["objects"].as_array().filter(|it| !it.is_empty()) else {
        problems.push("bundle: objects must be a list with at least one object".to_owned());
        return problems;
    };
    problems.extend(problems_of(objects));
    problems
}

/// Everything that is wrong with objects that are to stand in one bundle.
#[must_use]
pub fn problems_of(objects: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ids = BTreeSet::new();
    for object in objects {
        problems.extend(object_problems(object));
        if let Some(id) = object["id"].as_str().filter(|id| !ids.insert(*id)) {
            problems.push(format!("{id}: stands twice in the bundle"));
        }
    }
    problems
}

/// Objects of a bundle that stand before something they refer to in the same bundle. STIX does not
/// care; a platform that imports one object after the other does.
#[must_use]
pub fn order_problems(bundle: &Value) -> Vec<String> {
    let objects = bundle["objects"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut later: BTreeSet<&str> = objects.iter().filter_map(|it| it["id"].as_str()).collect();
    let mut problems = Vec::new();
    for object in objects {
        let id = object["id"].as_str().unwrap_or_default();
        later.remove(id);
        for (property, reference) in references(object) {
            if later.contains(reference) {
                problems.push(format!(
                    "{id}: {property} names {reference}, which stands after it"
                ));
            }
        }
    }
    problems
}

/// Every reference of an object: the property that ends in `_ref` or `_refs`, and the id it names.
pub fn references(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    object
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(name, value)| {
            let ids: Vec<&str> = if name.ends_with("_ref") {
                value.as_str().into_iter().collect()
            } else if name.ends_with("_refs") {
                value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect()
            } else {
                Vec::new()
            };
            ids.into_iter().map(move |id| (name.as_str(), id))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(id: &str) -> Value {
        json!({
            "type": "identity", "spec_version": "2.1", "id": id, "name": "VirusTotal",
            "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
        })
    }

    const AUTHOR: &str = "identity--173c879a-bfb3-5dee-9f1f-3fffd76a8756";
    const URL: &str = "url--88a92d93-6f12-54ff-af82-9cb63f8effee";

    #[test]
    fn a_bundle_needs_its_form_and_distinct_objects() {
        let id = "bundle--00000000-0000-4000-8000-000000000000";
        let good = json!({"type": "bundle", "id": id, "objects": [identity(AUTHOR)]});
        assert_eq!(problems(&good), Vec::<String>::new());
        let cases = [
            (
                json!({"type": "bundle", "id": id, "objects": []}),
                "at least one object",
            ),
            (
                json!({"type": "bundle", "objects": [identity(AUTHOR)]}),
                "id",
            ),
            (
                json!({"type": "report", "id": id, "objects": [identity(AUTHOR)]}),
                "not \"bundle\"",
            ),
            (
                json!({"type": "bundle", "id": id, "objects": [identity(AUTHOR), identity(AUTHOR)]}),
                "stands twice",
            ),
        ];
        for (bundle, expected) in cases {
            let problems = problems(&bundle);
            assert!(
                problems.len() == 1 && problems[0].contains(expected),
                "{expected}: {problems:?}"
            );
        }
    }

    #[test]
    fn an_object_stands_after_what_it_refers_to() {
        let url = json!({"type": "url", "id": URL, "value": "http://a.example",
            "x_opencti_created_by_ref": AUTHOR});
        let bundle = |objects: Vec<Value>| json!({"objects": objects});
        assert!(order_problems(&bundle(vec![identity(AUTHOR), url.clone()])).is_empty());
        assert_eq!(
            order_problems(&bundle(vec![url, identity(AUTHOR)])).len(),
            1
        );
    }
}
