//! Whatever VirusTotal sends, the guest neither panics nor makes invalid STIX, and answers the same bytes twice.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use livehunt::contract::{Item, Outcome};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{NOW, faults, item, items, map, mapper};

/// Any JSON, of texts and numbers that tend to be trouble.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ \t\r\n\u{0}\u{202e}'\"\\\\`*]{0,12}".prop_map(Value::from),
        Just(json!("hunting_ruleset")),
        Just(json!("url")),
        Just(json!(253_402_300_800_u64)),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,12}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Paths (RFC 6901) of all values of a document.
fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| pointers(value, &format!("{at}/{key}"), into)),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .for_each(|(index, value)| pointers(value, &format!("{at}/{index}"), into)),
        _ => {}
    }
}

/// An item of the fixtures with some values replaced.
fn mutated() -> impl Strategy<Value = Value> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any_json()), 0..5);
    (prop::sample::select(items()), changes).prop_map(|(mut document, changes)| {
        for (index, value) in changes {
            let mut all = Vec::new();
            pointers(&document, "", &mut all);
            // Engines' results are most of the document and of little interest.
            all.retain(|it| !it.starts_with("/attributes/last_analysis_results/"));
            if let Some(place) = document.pointer_mut(&all[index.index(all.len())]) {
                *place = value;
            }
        }
        document
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_items_give_valid_stix_or_a_reason(document in mutated(), alert: bool, file: bool) {
        let mapper = mapper(&[
            ("ENTITY_TYPES", "file,url,domain,ip_address"), ("MAX_AGE_DAYS", "0"), ("MAX_FILE_SIZE", "0"),
            ("UPLOAD_ARTIFACT", "true"), ("GET_MALWARE_CONFIG", "true"), ("AV_LIST", "Microsoft"),
            ("CREATE_FILE_INDICATORS", "true"), ("CREATE_IP_INDICATORS", "true"),
            ("CREATE_URL_INDICATORS", "true"), ("CREATE_DOMAIN_NAME_INDICATORS", "true"),
            ("CREATE_ALERT", if alert { "true" } else { "false" }),
            ("CREATE_FILE", if file { "true" } else { "false" }),
        ]);
        let item = item(&document);
        let first = map(&mapper, &item);
        prop_assert_eq!(&first, &map(&mapper, &item));
        if let Ok(verdict) = first && let Outcome::Emit(emission) = verdict.outcome {
            prop_assert_eq!(faults(&emission), Vec::<String>::new());
        }
    }

    #[test]
    fn arbitrary_text_never_panics(document: String, observed: u64) {
        let item = Item { id: String::new(), observed, document };
        prop_assert!(mapper(&[]).map(&item, &[], NOW).is_err());
    }

    #[test]
    fn arbitrary_settings_never_panic(name in "[A-Z_]{0,12}", value: String) {
        let known: Value = serde_json::from_str(&livehunt::describe()).unwrap();
        for setting in known["settings"].as_array().unwrap() {
            let given = livehunt::contract::Setting {
                name: setting["name"].as_str().unwrap().to_owned(),
                value: value.clone(),
            };
            if let Err(problems) = livehunt::Mapper::open(&[given]) {
                prop_assert_eq!(&problems[0].setting, setting["name"].as_str().unwrap());
            }
        }
        let _ = livehunt::Mapper::open(&[livehunt::contract::Setting { name, value }]);
    }
}
