//! What the tests of the mapping share: fixtures, a host in a few lines, a check of validity.

#![allow(dead_code, reason = "each test needs a part of it")]

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

/// The texts of the rulesets of the fixtures.
#[allow(dead_code, reason = "not all tests look into rulesets")]
pub fn rulesets() -> Vec<String> {
    [
        include_str!("../fixtures/hunting_ruleset_1.json"),
        include_str!("../fixtures/hunting_ruleset_2_crlf.json"),
        include_str!("../fixtures/hunting_ruleset_3_url.json"),
    ]
    .into_iter()
    .map(|document| {
        let document: Value = serde_json::from_str(document).unwrap();
        document["data"]["attributes"]["rules"]
            .as_str()
            .unwrap()
            .to_owned()
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

/// What the filters say is what the mapper does: the first that says no is the skip, in the same words.
#[allow(dead_code, reason = "not all tests explain")]
pub fn assert_explained(mapper: &Mapper, item: &Item) {
    let verdict = mapper.map(item, &[], NOW);
    let json = match mapper.explain(item, NOW) {
        Ok(json) => json,
        Err(failure) => return assert_eq!(verdict, Err(failure)),
    };
    let filters: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert_eq!(filters.len(), 7, "{json}");
    assert!(
        filters
            .iter()
            .all(|it| it["saw"] != "" && it["filter"].is_string()),
        "{json}"
    );
    let no = filters.iter().find(|it| it["passed"] == false);
    let skip = match verdict.map(|verdict| verdict.outcome) {
        Ok(Outcome::Skip(skip)) => Some((skip.filter, skip.reason)),
        _ => None,
    };
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    assert_eq!(no.map(|it| (text(&it["filter"]), text(&it["saw"]))), skip);
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
        "artifact-known" | "known" | "named" => Answer::Absent,
        _ => Answer::Refused("unknown kind".to_owned()),
    }
}

/// Maps as a host does: asks what is asked, at most 4 rounds. Whoever maps by this proves two things more: the same
/// answers give the same verdict again, and what is emitted is valid.
pub fn map_with(
    mapper: &Mapper,
    item: &Item,
    answer: impl Fn(&Question) -> Answer,
) -> Result<Verdict, Failure> {
    let mut answers: Vec<(Question, Answer)> = Vec::new();
    for _ in 0..4 {
        let verdict = mapper.map(item, &answers, NOW);
        assert_eq!(verdict, mapper.map(item, &answers, NOW), "answers twice");
        let verdict = verdict?;
        let Outcome::Ask(questions) = verdict.outcome else {
            if let Outcome::Emit(emission) = &verdict.outcome {
                assert_eq!(faults(emission, &answers), Vec::<String>::new());
            }
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

/// What is wrong with an emission: the rules of STIX 2.1, and of this guest.
fn faults(emission: &Emission, answers: &[(Question, Answer)]) -> Vec<String> {
    let documents: Vec<Value> = emission
        .objects
        .iter()
        .map(|object| serde_json::from_str(&object.document).unwrap())
        .collect();
    let mut faults = stix_rules::problems_of(&documents);
    let mut known: BTreeSet<String> = answers.iter().flat_map(known_to_platform).collect();
    for (object, document) in emission.objects.iter().zip(&documents) {
        if document["id"] != object.id.as_str() {
            faults.push(format!("{} is not the id of {document}", object.id));
        }
        check_object(document, &known, &mut faults);
        known.insert(object.id.clone());
    }
    for artifact in &emission.artifacts {
        let artifact: Value = serde_json::from_str(artifact).unwrap();
        check_artifact(&artifact, &known, &mut faults);
    }
    faults
}

/// Ids of objects that the platform says it holds.
fn known_to_platform((question, answer): &(Question, Answer)) -> Vec<String> {
    let Answer::Found(found) = answer else {
        return Vec::new();
    };
    let found: Value = serde_json::from_str(found).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match question.kind.as_str() {
        "known" => vec![question.subject.clone()],
        "artifact-known" => text(&found["id"]).into_iter().collect(),
        "named" => {
            let objects = found["objects"].as_array().into_iter().flatten();
            objects.filter_map(|it| text(&it["standard_id"])).collect()
        }
        _ => Vec::new(),
    }
}

/// What this guest keeps to beyond STIX: each object after those that it names, dates and labels in the platform's
/// form, nothing in a name that a terminal would obey, rules that compile as far as a parser can tell.
fn check_object(document: &Value, known: &BTreeSet<String>, faults: &mut Vec<String>) {
    let id = document["id"].as_str().unwrap_or_default();
    for (name, reference) in stix_rules::references(document) {
        if !known.contains(reference) {
            faults.push(format!(
                "{name} of {id} is {reference}, which is not before it"
            ));
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
    for name in ["labels", "x_opencti_labels"] {
        let labels = document[name]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let texts: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
        let good = |it: &&str| it.trim() == *it && it.to_lowercase() == **it;
        if !texts.iter().all(good) || !texts.is_sorted_by(|a, b| a < b) {
            faults.push(format!("{name} of {id} are {texts:?}"));
        }
    }
    if document["name"]
        .as_str()
        .is_some_and(|name| name.contains(char::is_control))
    {
        faults.push(format!("name of {id} is {}", document["name"]));
    }
    if document["pattern_type"] == "yara" {
        let text = document["pattern"].as_str().unwrap();
        faults.extend(yara_fault(text, document["name"].as_str().unwrap()));
    }
}

/// Why a text is no ruleset that holds the rule.
pub fn yara_fault(text: &str, rule_name: &str) -> Option<String> {
    let ast = yara_x_parser::ast::AST::from(text);
    if let [error, ..] = ast.errors() {
        return Some(format!("{error:?} in {text:?}"));
    }
    let mut names = ast.rules().map(|rule| rule.identifier.name);
    (!names.any(|it| it == rule_name)).then(|| format!("{text:?} has no rule {rule_name:?}"))
}

fn check_artifact(artifact: &Value, known: &BTreeSet<String>, faults: &mut Vec<String>) {
    let markings = artifact["markings"].as_array().unwrap().iter();
    for reference in markings.chain([&artifact["author"]]) {
        if !known.contains(reference.as_str().unwrap()) {
            faults.push(format!("the artifact names {reference}"));
        }
    }
    let objects = artifact["objects"].as_array().unwrap();
    faults.extend(stix_rules::problems_of(objects));
    let mut known = known.clone();
    for object in objects {
        check_object(object, &known, faults);
        known.insert(object["id"].as_str().unwrap().to_owned());
    }
}
