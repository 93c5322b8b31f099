//! What the tests of the mapping share: fixtures, a host in a few lines, a check of validity.

use std::collections::BTreeSet;

use livehunt::Mapper;
use livehunt::contract::{
    Answer, Emission, Failure, Item, Outcome, Question, Setting, Skip, Verdict,
};
use serde_json::Value;

/// Some minutes after the newest notification of the fixtures.
pub const NOW: u64 = 1_767_261_900;

pub fn mapper(settings: &[(&str, &str)]) -> Mapper {
    let settings: Vec<Setting> = settings
        .iter()
        .map(|(name, value)| Setting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        })
        .collect();
    Mapper::open(&settings).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// All items of the fixtures, in the order of the pages.
pub fn items() -> Vec<Value> {
    [
        include_str!("../fixtures/ioc_stream_page1.json"),
        include_str!("../fixtures/ioc_stream_page2.json"),
        include_str!("../fixtures/ioc_stream_subscription.json"),
    ]
    .into_iter()
    .flat_map(|page| {
        let mut page: Value = serde_json::from_str(page).unwrap();
        match page["data"].take() {
            Value::Array(items) => items,
            other => panic!("data is {other}"),
        }
    })
    .collect()
}

pub fn item(document: &Value) -> Item {
    let context = &document["context_attributes"];
    Item {
        id: context["notification_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        observed: context["notification_date"].as_u64().unwrap_or(NOW),
        document: document.to_string(),
    }
}

/// What VirusTotal and the platform know in these tests.
pub fn answer(mapper: &Mapper, question: &Question) -> Answer {
    match question.kind.as_str() {
        "lookup" => {
            let document = match question.subject.as_str() {
                "intelligence/hunting_rulesets/5706526672224256" => {
                    include_str!("../fixtures/hunting_ruleset_1.json")
                }
                "intelligence/hunting_rulesets/6011223344556677" => {
                    include_str!("../fixtures/hunting_ruleset_2_crlf.json")
                }
                "intelligence/hunting_rulesets/6099887766554433" => {
                    include_str!("../fixtures/hunting_ruleset_3_url.json")
                }
                _ => return Answer::Absent,
            };
            match mapper.digest(question, document) {
                Ok(digest) => Answer::Found(digest),
                Err(failure) => Answer::Refused(format!("{failure:?}")),
            }
        }
        "artifact-known" => Answer::Absent,
        _ => Answer::Refused("unknown kind".to_owned()),
    }
}

/// Maps as a host does: asks what is asked, at most 4 rounds.
pub fn map_with(
    mapper: &Mapper,
    item: &Item,
    answer: impl Fn(&Question) -> Answer,
) -> Result<Verdict, Failure> {
    let mut answers: Vec<(Question, Answer)> = Vec::new();
    for _ in 0..4 {
        let verdict = mapper.map(item, &answers, NOW)?;
        let Outcome::Ask(questions) = verdict.outcome else {
            return Ok(verdict);
        };
        assert!(!questions.is_empty(), "asks nothing");
        for question in questions {
            let answer = answer(&question);
            assert!(
                answers.iter().all(|(asked, _)| *asked != question),
                "asks twice"
            );
            answers.push((question, answer));
        }
    }
    panic!("asks without end");
}

pub fn map(mapper: &Mapper, item: &Item) -> Result<Verdict, Failure> {
    map_with(mapper, item, |question| answer(mapper, question))
}

#[allow(dead_code, reason = "not all tests look into emissions")]
pub fn emitted(verdict: Verdict) -> Emission {
    match verdict.outcome {
        Outcome::Emit(emission) => emission,
        Outcome::Skip(Skip { filter, reason }) => panic!("skipped by {filter}: {reason}"),
        Outcome::Ask(questions) => panic!("asks {questions:?}"),
    }
}

/// What is wrong with an emission: ids, references, dates, markings.
pub fn faults(emission: &Emission) -> Vec<String> {
    let mut faults = Vec::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for object in &emission.objects {
        let document: Value = serde_json::from_str(&object.document).unwrap();
        if document["id"] != object.id.as_str() {
            faults.push(format!("{} is not the id of {document}", object.id));
        }
        check_object(&document, &known, &mut faults);
        if !known.insert(object.id.clone()) {
            faults.push(format!("{} is there twice", object.id));
        }
    }
    for artifact in &emission.artifacts {
        let artifact: Value = serde_json::from_str(artifact).unwrap();
        check_artifact(&artifact, &known, &mut faults);
    }
    faults
}

fn check_object(document: &Value, known: &BTreeSet<String>, faults: &mut Vec<String>) {
    let id = document["id"].as_str().unwrap_or_default();
    let kind = document["type"].as_str().unwrap_or_default();
    let uuid = id.strip_prefix(kind).and_then(|it| it.strip_prefix("--"));
    if uuid.is_none_or(|uuid| uuid::Uuid::parse_str(uuid).is_err()) {
        faults.push(format!("{id} is not an id of {kind}"));
    }
    if document["spec_version"] != "2.1" {
        faults.push(format!("{id} is not of STIX 2.1"));
    }
    for (name, value) in document.as_object().unwrap() {
        let single = name.ends_with("_ref").then_some(value);
        let several = name.ends_with("_refs").then(|| value.as_array()).flatten();
        for reference in single.into_iter().chain(several.into_iter().flatten()) {
            if !reference.as_str().is_some_and(|it| known.contains(it)) {
                faults.push(format!(
                    "{name} of {id} is {reference}, which is not before it"
                ));
            }
        }
    }
    for name in ["created", "modified", "valid_from", "first_seen"] {
        if let Some(date) = document.get(name)
            && date
                .as_str()
                .is_none_or(|it| it.len() != 24 || !it.ends_with(".000Z"))
        {
            faults.push(format!("{name} of {id} is {date}"));
        }
    }
    if document["created"].as_str() > document["modified"].as_str() && kind != "marking-definition"
    {
        faults.push(format!("{id} is modified before it is created"));
    }
    for name in ["labels", "x_opencti_labels"] {
        let labels = document[name]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let texts: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
        let good = |it: &&str| !it.is_empty() && it.trim() == *it && it.to_lowercase() == **it;
        if !texts.iter().all(good) || !texts.is_sorted_by(|a, b| a < b) {
            faults.push(format!("{name} of {id} are {texts:?}"));
        }
    }
    if document["x_opencti_score"]
        .as_u64()
        .is_some_and(|score| score > 100)
    {
        faults.push(format!("score of {id} is over 100"));
    }
}

fn check_artifact(artifact: &Value, known: &BTreeSet<String>, faults: &mut Vec<String>) {
    let markings = artifact["markings"].as_array().unwrap().iter();
    for reference in markings.chain([&artifact["author"]]) {
        if !known.contains(reference.as_str().unwrap()) {
            faults.push(format!("the artifact names {reference}"));
        }
    }
    for object in artifact["objects"].as_array().unwrap() {
        let mut with_artifact = known.clone();
        with_artifact.insert(object["target_ref"].as_str().unwrap().to_owned());
        check_object(object, &with_artifact, faults);
    }
}
