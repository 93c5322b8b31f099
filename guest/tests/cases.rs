//! Inputs from the field that once became wrong or dead objects, with what is right.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use livehunt::Mapper;
use livehunt::contract::{Answer, Question};
use serde_json::{Value, json};
use support::{emitted, item, map_with, mapper};

/// A page of notifications, and the ruleset of their rules.
struct Case {
    page: &'static str,
    ruleset: Option<&'static str>,
}

/// The files of a case by its name.
macro_rules! case {
    ($name:literal) => {
        Case {
            page: include_str!(concat!("fixtures/cases/", $name, ".json")),
            ruleset: Some(include_str!(concat!(
                "fixtures/cases/",
                $name,
                ".ruleset.json"
            ))),
        }
    };
    ($name:literal without ruleset) => {
        Case {
            page: include_str!(concat!("fixtures/cases/", $name, ".json")),
            ruleset: None,
        }
    };
}

impl Case {
    /// The objects of each notification, on a platform that holds nothing.
    fn objects(&self, settings: &[(&str, &str)]) -> Vec<Vec<Value>> {
        let mapper = mapper(settings);
        let page: Value = serde_json::from_str(self.page).unwrap();
        let answer = |question: &Question| self.answer(&mapper, question);
        let items = page["data"].as_array().unwrap().iter();
        items
            .map(|document| emitted(map_with(&mapper, &item(document), answer).unwrap()))
            .map(|emission| {
                let objects = emission.objects.iter();
                objects
                    .map(|it| serde_json::from_str(&it.document).unwrap())
                    .collect()
            })
            .collect()
    }

    fn answer(&self, mapper: &Mapper, question: &Question) -> Answer {
        match (question.kind.as_str(), self.ruleset) {
            ("lookup", Some(ruleset)) => Answer::Found(mapper.digest(question, ruleset).unwrap()),
            _ => Answer::Absent,
        }
    }
}

fn of_type<'a>(objects: &'a [Value], object_type: &str) -> Vec<&'a Value> {
    objects
        .iter()
        .filter(|it| it["type"] == object_type)
        .collect()
}

/// When all notifications of the cases were reported.
const NOTIFIED: &str = "2026-11-30T09:50:00.000Z";

#[test]
fn indicators_are_valid_from_the_notification() {
    let everything = [
        ("MAX_AGE_DAYS", "0"),
        ("GET_MALWARE_CONFIG", "true"),
        ("CREATE_FILE_INDICATORS", "true"),
        ("CREATE_IP_INDICATORS", "true"),
        ("CREATE_URL_INDICATORS", "true"),
        ("CREATE_DOMAIN_NAME_INDICATORS", "true"),
    ];
    // Of the case, the number of its indicators, and the scores that they have.
    let cases = [
        (case!("01-old-rule-date-arrives-revoked"), 2, vec![75]),
        (case!("02-old-ruleset-arrives-revoked"), 2, vec![]),
        (case!("03-weight-1-becomes-score-1"), 6, vec![]),
        (
            case!("04-file-indicator-of-a-new-sample-is-revoked"),
            2,
            vec![],
        ),
        (case!("05-config-ip-indicators-of-an-old-file"), 5, vec![]),
    ];
    for (case, count, scores) in cases {
        let objects = case.objects(&everything).concat();
        let indicators = of_type(&objects, "indicator");
        assert_eq!(indicators.len(), count);
        for indicator in &indicators {
            assert_eq!(indicator["valid_from"], NOTIFIED, "{indicator}");
        }
        let found: Vec<i64> = indicators
            .iter()
            .filter_map(|it| it["x_opencti_score"].as_i64())
            .collect();
        assert_eq!(found, scores);
    }
}

#[test]
fn the_rules_own_date_stays_readable() {
    let objects = case!("01-old-rule-date-arrives-revoked")
        .objects(&[])
        .concat();
    let [indicator] = of_type(&objects, "indicator")[..] else {
        panic!("{objects:?}");
    };
    assert_eq!(indicator["created"], "2019-05-17T00:00:00.000Z");
    let description = indicator["description"].as_str().unwrap();
    assert!(description.contains("2019-05-17"), "{description}");
}

#[test]
fn fuzzy_hashes_are_told_in_the_description_alone() {
    let cases = [
        (
            case!("45-tlsh-with-the-t1-prefix" without ruleset),
            "- **TLSH**: `T1D3842336AB1D05F8D8FB80FC51F40A26E7D1721C46308B9A575E94A8EF6B1E4B63C700`",
        ),
        (
            case!("46-two-variants-share-ssdeep" without ruleset),
            "- **SSDEEP**: `192:same:same`",
        ),
    ];
    for (case, line) in cases {
        let by_notification = case.objects(&[("CREATE_YARA_RULE", "false")]);
        let mut ids = Vec::new();
        for objects in &by_notification {
            let [file] = of_type(objects, "file")[..] else {
                panic!("{objects:?}");
            };
            let hashes = file["hashes"].as_object().unwrap();
            assert!(
                hashes
                    .keys()
                    .all(|it| matches!(it.as_str(), "MD5" | "SHA-1" | "SHA-256"))
            );
            let description = file["x_opencti_description"].as_str().unwrap();
            assert!(description.lines().any(|it| it == line), "{description}");
            ids.push(file["id"].clone());
        }
        ids.dedup();
        assert_eq!(ids.len(), by_notification.len());
    }
}

#[test]
fn rules_that_the_platform_refuses_become_notes() {
    let cases = [
        (case!("06-regex-with-150-alternatives"), 1),
        (case!("08-regex-repeat-over-32767"), 1),
        (case!("10-jump-over-200-in-alternation"), 2),
        (case!("12-five-nested-loops"), 2),
        (case!("13-len-method"), 1),
        (case!("40-module-fields-newer-than-yara"), 5),
    ];
    for (case, count) in cases {
        let by_notification = case.objects(&[]);
        assert_eq!(by_notification.len(), count);
        for objects in by_notification {
            assert_eq!(of_type(&objects, "indicator"), [&Value::Null; 0]);
            assert_eq!(of_type(&objects, "note").len(), 1, "{objects:?}");
        }
    }
}

const AMBER: &str = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82";
const CLEAR: &str = "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9";
const RED: &str = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed";

#[test]
fn a_rules_date_and_its_classification_are_read() {
    let by_notification = case!("19-date-with-month-name-and-classification").objects(&[]);
    let [amber, red] = &by_notification[..] else {
        panic!("{by_notification:?}");
    };
    // The first rule uses the module `vt`, and so becomes a note.
    for (object_type, marking) in [("note", AMBER), ("incident", AMBER), ("file", CLEAR)] {
        assert_eq!(
            of_type(amber, object_type)[0]["object_marking_refs"],
            json!([marking])
        );
    }
    let note = of_type(amber, "note")[0]["content"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(note.contains("16-Sep-2026"), "{note}");
    let incident = of_type(amber, "incident")[0]["id"].clone();
    for relationship in of_type(amber, "relationship") {
        let is_told =
            [&relationship["source_ref"], &relationship["target_ref"]].contains(&&incident);
        let expected = if is_told { AMBER } else { CLEAR };
        assert_eq!(
            relationship["object_marking_refs"],
            json!([expected]),
            "{relationship}"
        );
    }
    assert_eq!(of_type(amber, "marking-definition").len(), 2);

    let [indicator] = of_type(red, "indicator")[..] else {
        panic!("{red:?}");
    };
    assert_eq!(indicator["created"], "2026-09-16T00:00:00.000Z");
    assert_eq!(indicator["object_marking_refs"], json!([RED]));
    assert_eq!(
        of_type(red, "incident")[0]["object_marking_refs"],
        json!([RED])
    );
    assert_eq!(
        of_type(red, "file")[0]["object_marking_refs"],
        json!([CLEAR])
    );
}

#[test]
fn the_stronger_of_both_markings_counts() {
    let case = case!("19-date-with-month-name-and-classification");
    let by_notification = case.objects(&[("TLP_LEVEL", "amber+strict")]);
    let markings = by_notification.iter().map(|objects| {
        let incident = of_type(objects, "incident")[0];
        incident["object_marking_refs"].clone()
    });
    let strict = "marking-definition--826578e1-40ad-459f-bc73-ede076f81f37";
    assert_eq!(
        markings.collect::<Vec<_>>(),
        [json!([strict]), json!([RED])]
    );
}
