//! Whatever VirusTotal sends, the guest neither panics nor makes invalid STIX, and answers the same bytes twice.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use livehunt::Mapper;
use livehunt::contract::{Answer, Item, Outcome, Question};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{
    NOW, answer, assert_explained, item, items, map, map_with, mapper, rulesets, yara_fault,
};

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
        Just(json!(1_u64 << 53)),
        Just(json!("http://a.example/\u{202e}?'\"\\")),
        "[a-z]{1,3}(\\.[a-z]{1,3}){0,2}".prop_map(Value::from),
        (1..5_000_usize).prop_map(|times| Value::from("`x\u{0}'".repeat(times))),
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

/// An item as text, of any type, with pieces of text put in or taken out.
fn mutated_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(r#""\ud800""#.to_owned()),
        Just(r"\udfff\ud800".to_owned()),
        Just(r"\u0000".to_owned()),
        Just("\u{202e}\u{2066}\u{feff}".to_owned()),
        Just(r#""type":"url","id":7,"attributes":[],"context_attributes":{},"#.to_owned()),
        Just(r#""id":"a.example","sources":[{"type":"hunting_ruleset"}],"#.to_owned()),
        Just("9".repeat(400)),
        Just("-1e999999".to_owned()),
        (0..3_000_usize).prop_map(|depth| "[".repeat(depth)),
        (0..300_usize).prop_map(|depth| "{\"a\":".repeat(depth) + "0" + &"}".repeat(depth)),
        "[{}\\[\\]\",:\\\\ 0a]{1,6}",
        ".{0,4}",
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..40_usize, piece), 0..4);
    let object_types = ["file", "url", "domain", "ip_address", "collection"];
    (
        prop::sample::select(items()),
        prop::sample::select(object_types.to_vec()),
        edits,
    )
        .prop_map(|(mut document, object_type, edits)| {
            document["type"] = json!(object_type);
            if let Some(attributes) = document["attributes"].as_object_mut() {
                // Nearly all edits would hit what is only stepped over.
                attributes.retain(|name, _| name != "last_analysis_results");
            }
            edits.into_iter().fold(document.to_string(), edited)
        })
}

/// The text with some of its characters replaced by others.
fn edited(text: String, (at, length, piece): (prop::sample::Index, usize, String)) -> String {
    let start = text.floor_char_boundary(at.index(text.len() + 1));
    let end = text.ceil_char_boundary((start + length).min(text.len()));
    format!("{}{piece}{}", &text[..start], &text[end..])
}

/// Anything that a host may answer.
fn any_answer() -> impl Strategy<Value = Option<Answer>> {
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(Answer::Absent)),
        1 => any::<String>().prop_map(|reason| Some(Answer::Refused(reason))),
        1 => any_json().prop_map(|json| Some(Answer::Found(json.to_string()))),
        1 => any::<String>().prop_map(|text| Some(Answer::Found(text))),
        1 => "[0-9a-f-]{36}".prop_map(|id| Some(Answer::Found(format!(r#"{{"id":"artifact--{id}"}}"#)))),
        1 => any::<u128>().prop_map(|it| {
            let id = uuid::Uuid::from_u128(it);
            Some(Answer::Found(format!(r#"{{"id":"artifact--{id}"}}"#)))
        }),
    ]
}

/// All that can be made is made, but for what the switches say.
fn everything(alert: bool, file: bool, unportable: &str) -> Mapper {
    let switch = |on: bool| if on { "true" } else { "false" };
    mapper(&[
        ("ENTITY_TYPES", "file,url,domain,ip_address"),
        ("MAX_AGE_DAYS", "0"),
        ("MAX_FILE_SIZE", "0"),
        ("UPLOAD_ARTIFACT", "true"),
        ("GET_MALWARE_CONFIG", "true"),
        ("AV_LIST", "Microsoft"),
        ("CREATE_FILE_INDICATORS", "true"),
        ("CREATE_IP_INDICATORS", "true"),
        ("CREATE_URL_INDICATORS", "true"),
        ("CREATE_DOMAIN_NAME_INDICATORS", "true"),
        ("YARA_UNPORTABLE", unportable),
        ("CREATE_ALERT", switch(alert)),
        ("CREATE_FILE", switch(file)),
    ])
}

/// A ruleset of the fixtures, with the name of one of its rules, and with pieces of YARA put in or taken out.
fn mutated_ruleset() -> impl Strategy<Value = (String, String)> {
    let piece = prop_oneof![
        Just("}".to_owned()),
        Just("{".to_owned()),
        Just("/*".to_owned()),
        Just("*/ //".to_owned()),
        Just("\"".to_owned()),
        Just("/".to_owned()),
        Just("\\".to_owned()),
        Just("\u{0}\u{202e}\u{a0}".to_owned()),
        Just(" import \"pe\" ".to_owned()),
        Just(" include \"other.yar\" ".to_owned()),
        Just(" private ".to_owned()),
        Just(" global ".to_owned()),
        Just(" rule added : tag { condition: pe.size and other } ".to_owned()),
        Just(" global rule first { condition: true } ".to_owned()),
        (0..2_000_usize).prop_map(|times| " private rule r { condition: true }".repeat(times)),
        (0..500_usize).prop_map(|depth| "(".repeat(depth)),
        ".{0,4}",
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..40_usize, piece), 0..5);
    (
        prop::sample::select(rulesets()),
        any::<prop::sample::Index>(),
        edits,
    )
        .prop_map(|(text, which, edits)| {
            let names: Vec<&str> = text
                .split("rule ")
                .skip(1)
                .filter_map(|it| it.split_whitespace().next())
                .collect();
            let name = names[which.index(names.len())].to_owned();
            (edits.into_iter().fold(text.clone(), edited), name)
        })
}

/// The digest of a ruleset of this text: either a rule that stands on its own, or the reason why there is none.
fn digest(rules: &str, rule_name: &str) -> Value {
    let attributes = json!({"name": "r", "rules": rules, "creation_date": 1_700_000_000});
    let question = Question {
        kind: "lookup".to_owned(),
        subject: "intelligence/hunting_rulesets/1".to_owned(),
        part: rule_name.to_owned(),
    };
    let document = json!({"data": {"attributes": attributes}}).to_string();
    let digest = || mapper(&[]).digest(&question, &document).unwrap();
    let first = digest();
    assert_eq!(first, digest(), "digests the same twice");
    let digest: Value = serde_json::from_str(&first).unwrap();
    match digest["rule"]["text"].as_str() {
        Some(text) => assert_eq!(yara_fault(text, rule_name), None),
        None => assert!(digest["problem"].as_str().is_some_and(|it| !it.is_empty())),
    }
    digest
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // What is emitted is checked where the items are mapped: see `map_with`.

    #[test]
    fn mutated_items_give_valid_stix_or_a_reason(document in mutated(), alert: bool, file: bool) {
        let _ = map(&everything(alert, file, "note"), &item(&document));
    }

    #[test]
    fn mutated_texts_give_valid_stix_or_a_reason(document in mutated_text(), observed: u64) {
        let mapper = everything(true, true, "indicator");
        for observed in [NOW, observed] {
            let item = Item { id: "1".to_owned(), observed, document: document.clone() };
            let _ = map(&mapper, &item);
        }
    }

    #[test]
    fn any_answers_give_valid_stix(
        document in mutated(), lookup in any_answer(), known in any_answer(), alert: bool, file: bool,
    ) {
        let mapper = everything(alert, file, "indicator");
        let _ = map_with(&mapper, &item(&document), |question| {
            let given = if question.kind == "lookup" { &lookup } else { &known };
            given.clone().unwrap_or_else(|| answer(&mapper, question))
        });
    }

    /// The host gives back what the guest digested. Should it not, the guest is no less stable; what it emits then is
    /// what the digest says.
    #[test]
    fn mutated_digests_never_panic(
        at in any::<prop::sample::Index>(), value in any_json(), unportable in "note|indicator|skip",
    ) {
        let mapper = everything(true, true, &unportable);
        let item = item(&items()[0]);
        let Outcome::Ask(questions) = mapper.map(&item, &[], NOW).unwrap().outcome else {
            panic!("asks nothing")
        };
        let mutated = |digest: String| {
            let mut digest: Value = serde_json::from_str(&digest).unwrap();
            let mut all = Vec::new();
            pointers(&digest, "", &mut all);
            *digest.pointer_mut(&all[at.index(all.len())]).unwrap() = value.clone();
            Answer::Found(digest.to_string())
        };
        let answers: Vec<(Question, Answer)> = questions
            .into_iter()
            .map(|question| match answer(&mapper, &question) {
                Answer::Found(digest) => (question, mutated(digest)),
                other => (question, other),
            })
            .collect();
        prop_assert_eq!(mapper.map(&item, &answers, NOW), mapper.map(&item, &answers, NOW));
    }

    #[test]
    fn mutated_rulesets_give_a_rule_or_a_reason((rules, name) in mutated_ruleset(), other: String) {
        digest(&rules, &other);
        let digest = digest(&rules, &name).to_string();
        let mut document = items()[0].clone();
        document["context_attributes"]["hunting_info"]["rule_name"] = json!(name);
        let _ = map_with(&everything(true, true, "note"), &item(&document), |question| {
            match question.kind.as_str() {
                "lookup" => Answer::Found(digest.clone()),
                _ => Answer::Absent,
            }
        });
    }

    #[test]
    fn arbitrary_rulesets_give_a_rule_or_a_reason(rules: String, name: String) {
        digest(&rules, &name);
    }

    #[test]
    fn arbitrary_documents_have_no_digest(document: String) {
        let question = Question {
            kind: "lookup".to_owned(),
            subject: "intelligence/hunting_rulesets/1".to_owned(),
            part: String::new(),
        };
        prop_assert!(mapper(&[]).digest(&question, &document).is_err());
    }

    #[test]
    fn what_the_filters_say_is_what_the_mapper_does(
        document in mutated(), text in mutated_text(), tag in prop::option::of("[a-z_]{1,6}"), limit in 0..2_000_000_u64,
    ) {
        let limit = limit.to_string();
        let settings = [
            ("ENTITY_TYPES", "file,url"), ("EXTENSIONS", "exe,doc"), ("MIN_FILE_SIZE", &*limit),
            ("MAX_FILE_SIZE", "0"), ("MIN_POSITIVES", "3"), ("FILTER_WITH_TAG", tag.as_deref().unwrap_or_default()),
        ];
        for mapper in [mapper(&[]), mapper(&settings), everything(true, true, "note")] {
            assert_explained(&mapper, &item(&document));
            let observed = NOW;
            assert_explained(&mapper, &Item { id: String::new(), observed, document: text.clone() });
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
