//! Each rule, kept and broken.

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

const INCIDENT: &str = "incident--f6425bc2-08d6-57ae-8f4b-c35e55f97380";
const INDICATOR: &str = "indicator--8d30e978-c6dd-5439-9ed0-bd61238915c3";
const MARKING: &str = "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9";

fn domain_object(id: &str, properties: [Value; 2]) -> Value {
    let date = "2026-01-01T00:00:00.000Z";
    let kind = id.split("--").next();
    let mut object =
        json!({"type": kind, "spec_version": "2.1", "id": id, "created": date, "modified": date});
    for (name, value) in properties.iter().filter_map(Value::as_object).flatten() {
        object[name] = value.clone();
    }
    object
}

fn indicator(changes: Value) -> Value {
    let properties = json!({
        "pattern": "[url:value = 'http://a.example']", "pattern_type": "stix",
        "valid_from": "2026-01-01T00:00:00.000Z", "x_opencti_main_observable_type": "Url",
    });
    domain_object(INDICATOR, [properties, changes])
}

fn relationship(kind: &str, source: &str) -> Value {
    let id = "relationship--a1322115-0c52-50e8-9c66-877f2903e4b9";
    let properties = json!({
        "relationship_type": kind, "source_ref": source,
        "target_ref": "url--88a92d93-6f12-54ff-af82-9cb63f8effee",
    });
    domain_object(id, [properties, json!({})])
}

fn marking(definition: &str) -> Value {
    json!({
        "type": "marking-definition", "spec_version": "2.1", "id": MARKING,
        "created": "2022-10-01T00:00:00.000Z", "definition_type": "statement",
        "definition": {"statement": "custom"},
        "x_opencti_definition_type": "TLP", "x_opencti_definition": definition,
    })
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
        let mut object =
            json!({"type": kind, "id": format!("{kind}--88a92d93-6f12-54ff-af82-9cb63f8effee")});
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
        (
            sco(
                "artifact",
                json!({"hashes": {"MD5": "d41d8cd98f00b204e9800998ecf8427e"}}),
            ),
            "",
        ),
        (
            sco(
                "artifact",
                json!({"url": "http://a.example", "payload_bin": "AA==",
                    "hashes": {"MD5": "d41d8cd98f00b204e9800998ecf8427e"}}),
            ),
            "payload_bin",
        ),
        (
            sco("file", json!({"name": "a", "size": -1})),
            "size -1 is negative",
        ),
        (
            sco(
                "file",
                json!({"name": "a", "created": "2026-01-01T00:00:00Z"}),
            ),
            "created is no property of file",
        ),
        (sco("url", json!({"value": "http://a.example/é"})), ""),
        (sco("url", json!({"value": "a.example/b"})), "is not a URL"),
        (
            sco("url", json!({"value": "http://a.example/ b"})),
            "is not a URL",
        ),
        (
            sco("domain-name", json!({"value": "a..example"})),
            "not a domain name",
        ),
        (
            sco("domain-name", json!({"value": "a".repeat(64)})),
            "not a domain name",
        ),
        (indicator(json!({})), ""),
        (
            indicator(json!({"pattern": "[url:value = 'it's']"})),
            "pattern",
        ),
        (
            indicator(json!({"pattern": "[link:value = 'a']"})),
            "pattern",
        ),
        (
            indicator(json!({"pattern_type": "YARA"})),
            "pattern_type \"YARA\" is not in the vocabulary",
        ),
        (
            indicator(json!({"valid_until": "2026-01-01T00:00:00Z"})),
            "valid_until",
        ),
        (
            indicator(json!({"x_opencti_main_observable_type": "File"})),
            "is not in the vocabulary",
        ),
        (relationship("based-on", INDICATOR), ""),
        (relationship("related-to", INCIDENT), ""),
        (relationship("based-on", INCIDENT), "only an indicator"),
        (
            relationship("Related_To", INCIDENT),
            "is not in the vocabulary",
        ),
        (
            relationship("related-to", MARKING),
            "must not name a marking-definition",
        ),
        (marking("TLP:CLEAR"), ""),
        (marking("TLP:WHITE"), ""),
        (marking("TLP:RED"), "is the id of TLP"),
        (marking("PAP:CLEAR"), "is the id of TLP"),
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
