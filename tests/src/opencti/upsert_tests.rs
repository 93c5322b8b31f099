use super::*;
use crate::opencti::marking::Tlp;
use crate::opencti::store::Store;

const OURS: &str = "identity--173c879a-bfb3-5dee-9f1f-3fffd76a8756";
const OTHERS: &str = "identity--273c879a-bfb3-5dee-9f1f-3fffd76a8756";

fn twice(first: &Value, second: &Value, origin: &Origin) -> Stored {
    let mut store = Store::default();
    let first_origin = Origin {
        version: origin.version.clone(),
        ..Origin::default()
    };
    store.upsert(first, &first_origin).unwrap();
    store.upsert(second, origin).unwrap();
    assert_eq!(store.len(), 1);
    store.iter().next().unwrap().clone()
}

fn file(fields: &Value) -> Value {
    with(
        json!({"type": "file", "id": "file--1", "hashes": {"MD5": "a1"}}),
        fields,
    )
}

fn incident(fields: &Value) -> Value {
    let id = "incident--f6425bc2-08d6-57ae-8f4b-c35e55f97380";
    with(
        json!({"type": "incident", "id": id, "name": "VT MyRule", "created": "2023-11-14T22:13:20.000Z"}),
        fields,
    )
}

fn with(mut object: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        object[name] = value.clone();
    }
    object
}

#[test]
fn what_is_sent_is_overwritten_or_added_and_what_is_not_stays() {
    let [clear, green, amber, _, red] = Tlp::ALL.map(Tlp::id);
    // Field, stored, delivered, then.
    for (name, stored, sent, then) in [
        ("x_opencti_score", json!(90), json!(10), json!(10)),
        ("x_opencti_score", json!(10), json!(90), json!(90)),
        ("x_opencti_score", json!(10), Value::Null, json!(10)),
        ("x_opencti_score", json!(10), json!(0), json!(0)),
        (
            "x_opencti_description",
            json!("theirs"),
            json!("ours"),
            json!("ours"),
        ),
        (
            "x_opencti_description",
            json!("theirs"),
            json!(""),
            json!("theirs"),
        ),
        ("name", json!("a.exe"), json!("b.exe"), json!("b.exe")),
        (
            "x_opencti_labels",
            json!(["theirs"]),
            json!(["ours"]),
            json!(["theirs", "ours"]),
        ),
        (
            "x_opencti_labels",
            json!(["Ours"]),
            json!(["ours"]),
            json!(["Ours"]),
        ),
        (
            "x_opencti_labels",
            json!(["theirs"]),
            json!([]),
            json!(["theirs"]),
        ),
        (
            "object_marking_refs",
            json!([amber]),
            json!([red]),
            json!([red]),
        ),
        (
            "object_marking_refs",
            json!([amber]),
            json!([clear]),
            json!([amber]),
        ),
        (
            "object_marking_refs",
            Value::Null,
            json!([green]),
            json!([green]),
        ),
        (
            "object_marking_refs",
            json!([red]),
            Value::Null,
            json!([red]),
        ),
        (
            "x_opencti_external_references",
            json!([{"source_name": "a", "url": "https://a.example"}]),
            json!([{"source_name": "b", "url": "https://b.example"},
                {"source_name": "a", "url": "https://a.example", "description": "again"}]),
            json!([{"source_name": "a", "url": "https://a.example"},
                {"source_name": "b", "url": "https://b.example"}]),
        ),
        (
            "hashes",
            json!({"MD5": "a1", "SHA-1": "b1"}),
            json!({"MD5": "a1", "SHA-256": "c1"}),
            json!({"MD5": "a1", "SHA-1": "b1", "SHA-256": "c1"}),
        ),
    ] {
        let case = format!("{name} {stored} {sent}");
        let first = file(&json!({name: stored}));
        let stored = twice(&first, &file(&json!({name: sent})), &Origin::default());
        assert_eq!(stored.object[name], then, "{case}");
    }
}

#[test]
fn an_incident_keeps_what_is_not_sent_and_takes_what_is() {
    let first = incident(
        &json!({"severity": "high", "description": "theirs", "first_seen": "2023-11-15T00:00:00Z"}),
    );
    let second = incident(
        &json!({"description": "ours", "created": "2023-11-14T22:13:20.000Z",
        "first_seen": "2023-11-16T00:00:00Z", "modified": "2023-11-17T00:00:00Z"}),
    );
    let stored = twice(&first, &second, &Origin::default());
    for (name, then) in [
        ("severity", "high"),
        ("description", "ours"),
        ("first_seen", "2023-11-16T00:00:00Z"),
        ("modified", "2023-11-17T00:00:00Z"),
    ] {
        assert_eq!(stored.object[name], then, "{name}");
    }
    assert_eq!(stored.confidence, Some(100));
}

#[test]
fn a_lower_confidence_changes_no_field_and_raises_no_error() {
    // Stored confidence, that of the delivery, the account's maximum, release: description, author, labels then.
    let both = json!(["theirs", "ours"]);
    let theirs = json!(["theirs"]);
    for (stored, sent, maximum, version, description, author, labels) in [
        (
            Some(80),
            Some(60),
            100,
            "7.260817.0",
            "theirs",
            OTHERS,
            &both,
        ),
        (Some(80), Some(80), 100, "7.260817.0", "ours", OTHERS, &both),
        (Some(80), None, 100, "7.260817.0", "ours", OURS, &both),
        (Some(80), None, 50, "7.260817.0", "theirs", OTHERS, &both),
        (
            Some(80),
            Some(100),
            50,
            "7.260817.0",
            "theirs",
            OTHERS,
            &both,
        ),
        (None, None, 100, "7.260817.0", "ours", OTHERS, &both),
        (Some(80), Some(60), 100, "6.7.5", "theirs", OTHERS, &theirs),
        (Some(80), Some(60), 100, "6.2.18", "theirs", OTHERS, &theirs),
    ] {
        let case = format!("{stored:?} {sent:?} {maximum} {version}");
        let origin = Origin {
            version: version.parse().unwrap(),
            max_confidence: maximum,
            ..Origin::default()
        };
        let first = incident(&json!({"confidence": stored, "description": "theirs",
            "created_by_ref": OTHERS, "labels": ["theirs"]}));
        let second = incident(
            &json!({"confidence": sent, "description": "ours", "created_by_ref": OURS,
            "labels": ["ours"], "severity": "low"}),
        );
        let stored = twice(&first, &second, &origin);
        assert_eq!(stored.object["description"], description, "{case}");
        assert_eq!(stored.object["created_by_ref"], author, "{case}");
        assert_eq!(&stored.object["labels"], labels, "{case}");
        // What was empty is filled.
        assert_eq!(stored.object["severity"], "low", "{case}");
    }
    // A file has no confidence: it is always overwritten, its author too.
    let origin = Origin {
        max_confidence: 1,
        ..Origin::default()
    };
    let stored = twice(
        &file(&json!({"x_opencti_created_by_ref": OTHERS, "x_opencti_score": 1})),
        &file(&json!({"x_opencti_created_by_ref": OURS, "x_opencti_score": 2})),
        &origin,
    );
    assert_eq!(stored.object["x_opencti_created_by_ref"], OURS);
    assert_eq!(stored.object["x_opencti_score"], 2);
}

#[test]
fn an_author_that_is_sent_without_a_marking_keeps_the_one_it_has() {
    let author = json!({"type": "identity", "id": OURS, "name": "VirusTotal", "identity_class": "organization"});
    let marked = with(
        author.clone(),
        &json!({"object_marking_refs": [Tlp::Amber.id()]}),
    );
    let stored = twice(&marked, &author, &Origin::default());
    assert_eq!(
        stored.object["object_marking_refs"],
        json!([Tlp::Amber.id()])
    );
}

#[test]
fn an_indicators_fields_say_what_its_life_is() {
    let sent = |fields: &Value| {
        with(
            json!({"type": "indicator", "id": "indicator--1", "pattern": "rule a { condition: true }",
            "pattern_type": "yara"}),
            fields,
        )
    };
    let old = sent(&json!({"valid_from": "2020-01-01T00:00:00Z", "x_opencti_score": 1}));
    let fresh = sent(&json!({"valid_from": "2030-01-01T00:00:00Z"}));
    let stored = twice(&old, &fresh, &Origin::default());
    assert_eq!(stored.object["x_opencti_score"], 50);
    assert_eq!(stored.object["valid_from"], "2030-01-01T00:00:00.000Z");
    assert!(stored.object.get("revoked").is_none() && !stored.life.unwrap().revoked);
    // With lower confidence, nothing of it.
    let origin = Origin {
        max_confidence: 50,
        ..Origin::default()
    };
    let stored = twice(&old, &fresh, &origin);
    assert_eq!(stored.object["x_opencti_score"], 1);
    assert!(stored.life.unwrap().revoked);
}
