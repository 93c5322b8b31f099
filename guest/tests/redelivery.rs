//! What is said of objects that the platform holds already.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use livehunt::contract::{Answer, Emission, Question};
use serde_json::{Value, json};
use support::{answer, emitted, item, items, map_with, mapper};

/// The file notification of the rule `Dropper_B`.
fn notification() -> Value {
    let is_wanted = |it: &Value| it["context_attributes"]["notification_id"] == "23089986150";
    items().into_iter().find(is_wanted).unwrap()
}

fn objects(emission: &Emission) -> Vec<Value> {
    let documents = emission
        .objects
        .iter()
        .map(|it| serde_json::from_str(&it.document).unwrap());
    let of_artifacts = emission.artifacts.iter().flat_map(|it| {
        let artifact: Value = serde_json::from_str(it).unwrap();
        artifact["objects"].as_array().unwrap().clone()
    });
    documents.chain(of_artifacts).collect()
}

fn object<'a>(objects: &'a [Value], object_type: &str) -> Option<&'a Value> {
    objects.iter().find(|it| it["type"] == object_type)
}

/// What the notification becomes where the platform answers `held` for objects of a type.
fn delivered(settings: &[(&str, &str)], held: &[(&str, Value)]) -> Vec<Value> {
    let mapper = mapper(settings);
    let answer = |question: &Question| match question.kind.as_str() {
        "known" => {
            let object_type = question.subject.split("--").next().unwrap();
            let found = held.iter().find(|(it, _)| *it == object_type);
            found.map_or(Answer::Absent, |(_, held)| Answer::Found(held.to_string()))
        }
        "named" => {
            let found = held.iter().find(|(it, _)| *it == "named");
            found.map_or(Answer::Absent, |(_, held)| Answer::Found(held.to_string()))
        }
        _ => answer(&mapper, question),
    };
    objects(&emitted(
        map_with(&mapper, &item(&notification()), answer).unwrap(),
    ))
}

const AUTHOR: &str = "identity--757126d5-623a-5e79-8055-c3e22376dda1";

#[test]
fn what_this_connector_made_is_not_said_again() {
    let settings = [
        ("CREATE_FILE_INDICATORS", "true"),
        ("UPLOAD_ARTIFACT", "true"),
    ];
    let first = delivered(&settings, &[]);
    let ours = json!({"created_by": AUTHOR, "score": 90, "labels": ["kept"], "revoked": true,
        "created_at": "2026-01-01T09:00:00.000Z", "valid_until": "2026-01-02T09:00:00.000Z"});
    let types = ["incident", "file", "indicator", "artifact"];
    let again = delivered(&settings, &types.map(|it| (it, ours.clone())));
    for object_type in types {
        assert!(object(&first, object_type).is_some());
        assert_eq!(object(&again, object_type), None);
    }
    let relationships = |objects: &[Value]| -> Vec<Value> {
        objects
            .iter()
            .filter(|it| it["type"] == "relationship")
            .cloned()
            .collect()
    };
    assert_eq!(relationships(&again), relationships(&first));
}

#[test]
fn a_deleted_incident_is_made_anew() {
    let ours = json!({"created_by": AUTHOR});
    let again = delivered(&[], &[("file", ours.clone()), ("indicator", ours)]);
    assert!(object(&again, "incident").is_some());
}

#[test]
fn a_score_is_raised_and_nothing_else_is_said() {
    let low = json!({"created_by": AUTHOR, "score": 10, "name": "renamed", "description": "by an analyst"});
    let again = delivered(&[], &[("file", low)]);
    let file = object(&again, "file").unwrap();
    assert_eq!(file["x_opencti_score"], 40);
    for member in [
        "name",
        "x_opencti_description",
        "x_opencti_labels",
        "x_opencti_additional_names",
    ] {
        assert_eq!(file.get(member), None, "{file}");
    }
}

#[test]
fn what_another_source_left_empty_is_filled() {
    let bare = json!({"created_by": "identity--1", "score": 90, "name": "theirs"});
    let again = delivered(&[], &[("file", bare)]);
    let file = object(&again, "file").unwrap();
    let members = ["name", "x_opencti_score"];
    assert!(members.iter().all(|it| file.get(*it).is_none()), "{file}");
    let members = [
        "x_opencti_description",
        "x_opencti_labels",
        "x_opencti_external_references",
    ];
    assert!(members.iter().all(|it| file.get(*it).is_some()), "{file}");
}

#[test]
fn an_indicator_of_version_1_0_0_that_never_lived_comes_alive() {
    let dead = json!({"created_by": AUTHOR, "score": 20, "revoked": true,
        "created_at": "2025-11-01T09:00:00.000Z", "valid_until": "2020-01-02T09:00:00.000Z"});
    let again = delivered(&[], &[("indicator", dead)]);
    let indicator = object(&again, "indicator").unwrap();
    assert_eq!(indicator["valid_from"], "2026-01-01T09:59:50.000Z");
    // Not the 50 that the platform gives an indicator without a score: it has seen that before.
    assert_eq!(indicator["x_opencti_score"], 51);
}

#[test]
fn what_the_platform_does_not_answer_is_said() {
    let mapper = mapper(&[]);
    let refused = |question: &Question| match question.kind.as_str() {
        "known" | "named" => Answer::Refused("this host answers no such question".to_owned()),
        _ => answer(&mapper, question),
    };
    let refused = emitted(map_with(&mapper, &item(&notification()), refused).unwrap());
    assert_eq!(objects(&refused), delivered(&[], &[]));
}

#[test]
fn a_changed_rule_is_related_to_its_earlier_texts() {
    let first = delivered(&[], &[]);
    let present = object(&first, "indicator").unwrap();
    let reference = present["external_references"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(
        reference,
        &json!({"source_name": "VirusTotal Livehunt ruleset", "external_id": "6011223344556677"})
    );

    // The id is UUID 5 of `{"pattern":"rule Dropper_B { condition: true }"}` in OpenCTI's namespace.
    let old = "indicator--91d4a0cc-a9b2-5dcd-ada3-86d74148abd3";
    let named = |members: Value| {
        let mut held = json!({
            "standard_id": old, "name": "Dropper_B", "pattern_type": "yara", "created_by": AUTHOR,
            "pattern": "rule Dropper_B { condition: true }", "labels": ["vt:yara:dropper_a"],
        });
        for (name, value) in members.as_object().unwrap() {
            held[name] = value.clone();
        }
        ("named", json!({"objects": [held]}))
    };
    let of_ruleset = |id: &str| {
        json!({"external_references": [
            {"source_name": "YARA rule metadata", "url": "https://a.example"},
            {"source_name": "VirusTotal Livehunt ruleset", "external_id": id},
        ]})
    };
    let same_text = json!({"pattern": present["pattern"]});
    let cases = [
        ("of the same ruleset", of_ruleset("6011223344556677"), true),
        ("of another ruleset", of_ruleset("1"), false),
        ("of version 1.0.0, told by its label", json!({}), true),
        (
            "of version 1.0.0 and another ruleset",
            json!({"labels": ["vt:yara:other"]}),
            false,
        ),
        (
            "another source's",
            json!({"created_by": "identity--1"}),
            false,
        ),
        (
            "of another language",
            json!({"pattern_type": "sigma"}),
            false,
        ),
        ("of another name", json!({"name": "dropper_b"}), false),
        ("the same text", same_text, false),
    ];
    for (name, members, is_related) in cases {
        let again = delivered(&[], &[named(members)]);
        let of_rules = |it: &&Value| it["target_ref"] == old;
        let related = again.iter().find(of_rules);
        assert_eq!(related.is_some(), is_related, "{name}");
        if let Some(related) = related {
            assert_eq!(related["source_ref"], present["id"]);
            assert_eq!(related["relationship_type"], "related-to");
            assert_eq!(
                related["description"],
                "The rule was changed: this is its text from before."
            );
        }
        // It lives on, unless the settings say otherwise.
        assert!(again.iter().all(|it| it["id"] != old));
    }

    let revoked = delivered(&[("REVOKE_CHANGED_RULES", "true")], &[named(json!({}))]);
    let old = revoked.iter().find(|it| it["id"] == old).unwrap();
    assert_eq!(
        (&old["revoked"], &old["x_opencti_score"]),
        (&json!(true), &json!(20))
    );
    assert_eq!(old["pattern"], "rule Dropper_B { condition: true }");
    let already = delivered(
        &[("REVOKE_CHANGED_RULES", "true")],
        &[named(json!({"revoked": true}))],
    );
    assert!(already.iter().all(|it| it["id"] != old["id"]));
}

#[test]
fn confidence_is_on_everything_that_has_it() {
    let settings = [
        ("CONFIDENCE", "60"),
        ("CREATE_FILE_INDICATORS", "true"),
        ("UPLOAD_ARTIFACT", "true"),
    ];
    for object in delivered(&settings, &[]) {
        let object_type = object["type"].as_str().unwrap();
        let has_it = !matches!(object_type, "file" | "artifact" | "marking-definition");
        let expected = has_it.then(|| json!(60));
        assert_eq!(object.get("confidence"), expected.as_ref(), "{object}");
    }
    assert!(
        delivered(&[], &[])
            .iter()
            .all(|it| it.get("confidence").is_none())
    );
}
