//! The built component in its sandbox against the same guest compiled natively: equal output on the same cases.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::sync::LazyLock;

use connector_host::runtime::{
    self, Artifact, CallError, Engine, Guest, Limits, OpenError, Outcome, Severity,
};
use connector_tests::{host, stix};
use livehunt::Mapper;
use livehunt::contract::{self, Answer, Failure, Item, Question};
use serde_json::Value;

/// Some minutes after the newest notification of the fixtures.
const NOW: u64 = 1_767_261_900;

/// Bar of the project, in bytes.
const LARGEST: u64 = 800_000;

static GUEST: LazyLock<Guest> = LazyLock::new(|| {
    let component = host::component().unwrap_or_else(|error| panic!("{error:#}"));
    let engine = Engine::new(2, Limits::default(), None).unwrap();
    Guest::load(&engine, &component).unwrap_or_else(|error| panic!("{error}"))
});

/// Defaults; everything on, all filters off; filters that most items fail; what is accepted with remarks.
const SETTINGS: [&[(&str, &str)]; 5] = [
    &[],
    &[
        ("ENTITY_TYPES", "file,url,domain,ip_address"),
        ("MAX_AGE_DAYS", "0"),
        ("MAX_FILE_SIZE", "0"),
        ("UPLOAD_ARTIFACT", "true"),
        ("DELETE_NOTIFICATION", "true"),
        ("GET_MALWARE_CONFIG", "true"),
        ("CREATE_FILE_INDICATORS", "true"),
        ("CREATE_DOMAIN_NAME_INDICATORS", "true"),
        ("CREATE_IP_INDICATORS", "true"),
        ("CREATE_URL_INDICATORS", "true"),
        ("AV_LIST", "Microsoft,Kaspersky"),
        ("TLP_LEVEL", "amber+strict"),
    ],
    &[
        ("ENTITY_TYPES", "file,url"),
        ("MAX_AGE_DAYS", "0"),
        ("YARA_UNPORTABLE", "indicator"),
        ("ENABLE_LABEL_ENRICHMENT", "false"),
        ("ALERT_PREFIX", " Ünïcode ☣ "),
        ("CREATE_FILE", "false"),
    ],
    &[
        ("EXTENSIONS", "exe"),
        ("MIN_POSITIVES", "30"),
        ("MIN_FILE_SIZE", "100000"),
        ("FILTER_WITH_TAG", "loader"),
    ],
    &[
        ("EXTENSIONS", "'exe,dll'"),
        ("MAX_AGE_DAYS", "\"0\""),
        ("YARA_UNPORTABLE", "skip"),
        ("CREATE_ALERT", "false"),
    ],
];

/// What VirusTotal and the platform know.
#[derive(Clone, Copy, Debug)]
enum World {
    /// The rulesets; no artifact.
    Rulesets,
    /// The rulesets and every artifact.
    RulesetsAndArtifacts,
    /// Nothing.
    Nothing,
    /// No question is answered.
    Refusing,
}

const WORLDS: [World; 4] = [
    World::Rulesets,
    World::RulesetsAndArtifacts,
    World::Nothing,
    World::Refusing,
];

impl World {
    fn ruleset(self, subject: &str) -> Option<&'static str> {
        if !matches!(self, Self::Rulesets | Self::RulesetsAndArtifacts) {
            return None;
        }
        match subject {
            "intelligence/hunting_rulesets/5706526672224256" => Some(include_str!(
                "../../guest/tests/fixtures/hunting_ruleset_1.json"
            )),
            "intelligence/hunting_rulesets/6011223344556677" => Some(include_str!(
                "../../guest/tests/fixtures/hunting_ruleset_2_crlf.json"
            )),
            "intelligence/hunting_rulesets/6099887766554433" => Some(include_str!(
                "../../guest/tests/fixtures/hunting_ruleset_3_url.json"
            )),
            _ => None,
        }
    }
}

/// The items of the fixtures, byte for byte, and some that are none.
fn items() -> Vec<Item> {
    let pages = [
        include_str!("../../guest/tests/fixtures/ioc_stream_page1.json"),
        include_str!("../../guest/tests/fixtures/ioc_stream_page2.json"),
        include_str!("../../guest/tests/fixtures/ioc_stream_subscription.json"),
    ];
    let mut documents: Vec<String> = Vec::new();
    for page in pages {
        #[derive(serde::Deserialize)]
        struct Page<'a> {
            #[serde(borrow)]
            data: Vec<&'a serde_json::value::RawValue>,
        }
        let page: Page<'_> = serde_json::from_str(page).unwrap();
        documents.extend(page.data.iter().map(|document| document.get().to_owned()));
    }
    assert!(documents.len() > 8, "{} items", documents.len());
    documents
        .extend(["", "no JSON", "{}", "[]", r#"{"type":"graph","id":"x"}"#].map(str::to_owned));
    documents.into_iter().map(item).collect()
}

fn item(document: String) -> Item {
    let parsed: Value = serde_json::from_str(&document).unwrap_or_default();
    let context = &parsed["context_attributes"];
    Item {
        id: context["notification_id"]
            .as_str()
            .unwrap_or("1")
            .to_owned(),
        observed: context["notification_date"].as_u64().unwrap_or(NOW),
        document,
    }
}

/// The guest, natively and as a component, with the same settings.
struct Both {
    native: Mapper,
    component: runtime::Mapper,
}

/// A verdict or a failure, without regard to which side's types it came in.
#[derive(Debug, PartialEq)]
enum Seen {
    Skip {
        filter: String,
        reason: String,
        remarks: Vec<(String, String)>,
    },
    Ask {
        questions: Vec<Question>,
        remarks: Vec<(String, String)>,
    },
    Emit {
        emission: Emission,
        remarks: Vec<(String, String)>,
    },
    Failure(String),
}

#[derive(Debug, PartialEq)]
struct Emission {
    /// Id and document, as texts.
    objects: Vec<(String, String)>,
    artifacts: Vec<String>,
    acknowledge: bool,
}

impl Seen {
    /// What is no valid STIX in it.
    fn problems(&self) -> Vec<String> {
        let Self::Emit { emission, .. } = self else {
            return Vec::new();
        };
        let objects = emission.objects.iter();
        let objects: Vec<Value> = objects
            .map(|(_, document)| serde_json::from_str(document).unwrap())
            .collect();
        stix::problems_of(&objects)
    }
}

impl Both {
    fn open(settings: &[(&str, &str)]) -> Self {
        let given = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let ours: Vec<_> = given
            .clone()
            .map(|(name, value)| contract::Setting { name, value })
            .collect();
        let theirs: Vec<_> = given
            .map(|(name, value)| runtime::Setting { name, value })
            .collect();
        Self {
            native: Mapper::open(&ours).unwrap_or_else(|problems| panic!("{problems:?}")),
            component: GUEST
                .open(&theirs)
                .unwrap_or_else(|error| panic!("{error}")),
        }
    }

    /// One call of `map` on both sides.
    fn map(&mut self, item: &Item, answers: &[(Question, Answer)]) -> Seen {
        let native = match self.native.map(item, answers, NOW) {
            Ok(verdict) => seen_natively(verdict),
            Err(failure) => Seen::Failure(words(failure)),
        };
        let theirs = item_for_host(item);
        let answers: Vec<_> = answers
            .iter()
            .map(|(question, answer)| (question_for_host(question), answer_for_host(answer)))
            .collect();
        let component = match self.component.map(&theirs, &answers, NOW) {
            Ok(verdict) => seen_by_host(verdict),
            Err(CallError::Failure(words)) => Seen::Failure(words),
            Err(error) => panic!("{}: {error}", item.id),
        };
        assert_eq!(component, native, "{}", item.id);
        native
    }

    /// What the filters say on both sides.
    fn explain(&mut self, item: &Item) {
        let native = self.native.explain(item, NOW).map_err(words);
        let native = native.map(|json| {
            let said: Vec<runtime::Said> = serde_json::from_str(&json).unwrap();
            Some(said)
        });
        let component = self.component.explain(&item_for_host(item), NOW);
        let component = component.map_err(|error| error.to_string());
        assert_eq!(component, native, "{}", item.id);
    }

    /// The digest of a document on both sides.
    fn digest(&mut self, question: &Question, document: &str) -> Result<String, String> {
        let native = self.native.digest(question, document).map_err(words);
        let component = self
            .component
            .digest(&question_for_host(question), document.to_owned());
        let component = component.map_err(|error| error.to_string());
        assert_eq!(component, native, "{question:?}");
        native
    }

    fn answer(&mut self, world: World, question: &Question) -> Answer {
        match (question.kind.as_str(), world) {
            (_, World::Refusing) => Answer::Refused("403 Forbidden".to_owned()),
            ("lookup", _) => match world.ruleset(&question.subject) {
                None => Answer::Absent,
                Some(document) => match self.digest(question, document) {
                    Ok(digest) => Answer::Found(digest),
                    Err(reason) => Answer::Refused(reason),
                },
            },
            ("artifact-known", World::RulesetsAndArtifacts) => Answer::Found(
                r#"{"id":"artifact--00000000-0000-5000-8000-000000000000"}"#.to_owned(),
            ),
            _ => Answer::Absent,
        }
    }

    /// The conversation about one item, to its end.
    fn decide(&mut self, world: World, item: &Item) -> Seen {
        let mut answers = Vec::new();
        for _ in 0..4 {
            let seen = self.map(item, &answers);
            let Seen::Ask { questions, .. } = seen else {
                assert_eq!(seen.problems(), Vec::<String>::new(), "{}", item.id);
                return seen;
            };
            for question in questions {
                let answer = self.answer(world, &question);
                answers.push((question, answer));
            }
        }
        panic!("{} asks without end", item.id);
    }
}

fn words(failure: Failure) -> String {
    match failure {
        Failure::Malformed(reason) => format!("malformed: {reason}"),
        Failure::Unsupported(reason) => format!("unsupported: {reason}"),
    }
}

fn seen_natively(verdict: contract::Verdict) -> Seen {
    let remarks = verdict
        .remarks
        .into_iter()
        .map(|remark| (format!("{:?}", remark.severity), remark.message))
        .collect();
    match verdict.outcome {
        contract::Outcome::Skip(skip) => Seen::Skip {
            filter: skip.filter,
            reason: skip.reason,
            remarks,
        },
        contract::Outcome::Ask(questions) => Seen::Ask { questions, remarks },
        contract::Outcome::Emit(emission) => {
            let read = |json: &String| {
                let artifact: Artifact = serde_json::from_str(json).unwrap();
                format!("{artifact:?}")
            };
            let emission = Emission {
                artifacts: emission.artifacts.iter().map(read).collect(),
                objects: emission
                    .objects
                    .into_iter()
                    .map(|object| (object.id, object.document))
                    .collect(),
                acknowledge: emission.acknowledge,
            };
            Seen::Emit { emission, remarks }
        }
    }
}

fn seen_by_host(verdict: runtime::Verdict) -> Seen {
    let remarks = remarks(verdict.remarks);
    match verdict.outcome {
        Outcome::Skip { filter, reason } => Seen::Skip {
            filter,
            reason,
            remarks,
        },
        Outcome::Ask(questions) => {
            let questions = questions
                .into_iter()
                .map(
                    |runtime::Question {
                         kind,
                         subject,
                         part,
                     }| Question {
                        kind,
                        subject,
                        part,
                    },
                )
                .collect();
            Seen::Ask { questions, remarks }
        }
        Outcome::Emit(emission) => {
            let objects = emission.objects.into_iter();
            let emission = Emission {
                objects: objects.map(|object| (object.id, object.document)).collect(),
                artifacts: emission
                    .artifacts
                    .iter()
                    .map(|artifact| format!("{artifact:?}"))
                    .collect(),
                acknowledge: emission.acknowledge,
            };
            Seen::Emit { emission, remarks }
        }
    }
}

fn remarks(remarks: Vec<runtime::Remark>) -> Vec<(String, String)> {
    remarks
        .into_iter()
        .map(|remark| {
            let severity = match remark.severity {
                Severity::Debug => "Severity::Debug",
                Severity::Info => "Severity::Info",
                Severity::Warn => "Severity::Warn",
                Severity::Error => "Severity::Error",
            };
            (severity.to_owned(), remark.message)
        })
        .collect()
}

fn item_for_host(item: &Item) -> runtime::Item {
    let Item {
        id,
        observed,
        document,
    } = item.clone();
    runtime::Item {
        id,
        observed,
        document,
    }
}

fn question_for_host(question: &Question) -> runtime::Question {
    let Question {
        kind,
        subject,
        part,
    } = question.clone();
    runtime::Question {
        kind,
        subject,
        part,
    }
}

fn answer_for_host(answer: &Answer) -> runtime::Answer {
    match answer.clone() {
        Answer::Found(digest) => runtime::Answer::Found(digest),
        Answer::Absent => runtime::Answer::Absent,
        Answer::Refused(reason) => runtime::Answer::Refused(reason),
    }
}

#[test]
fn every_verdict_is_the_same() {
    let items = items();
    let (mut skips, mut emissions, mut artifacts, mut failures) = (0, 0, 0, 0);
    for settings in SETTINGS {
        let mut both = Both::open(settings);
        items.iter().for_each(|item| both.explain(item));
        for world in WORLDS {
            for item in &items {
                match both.decide(world, item) {
                    Seen::Skip { .. } => skips += 1,
                    Seen::Emit { emission, .. } => {
                        emissions += 1;
                        artifacts += emission.artifacts.len();
                    }
                    Seen::Failure(_) => failures += 1,
                    Seen::Ask { questions, .. } => panic!("undecided: {questions:?}"),
                }
            }
        }
    }
    let reached = [skips, emissions, artifacts, failures];
    assert!(reached.iter().all(|count| *count > 0), "{reached:?}");
}

#[test]
fn every_digest_is_the_same() {
    let mut both = Both::open(&[]);
    let subject = "intelligence/hunting_rulesets/5706526672224256";
    let document = World::Rulesets.ruleset(subject).unwrap();
    let question = |kind: &str, part: &str| Question {
        kind: kind.to_owned(),
        subject: subject.to_owned(),
        part: part.to_owned(),
    };
    for part in ["", "LOADER_Quartz", "no such rule", "☣"] {
        for document in [
            document,
            "",
            "{}",
            "no JSON",
            r#"{"data":{"attributes":{"rules":"rule"}}}"#,
        ] {
            for kind in ["lookup", "artifact-known", "else"] {
                let _ = both.digest(&question(kind, part), document);
            }
        }
    }
}

#[test]
fn both_describe_themselves_alike() {
    let native: Value = serde_json::from_str(&livehunt::describe()).unwrap();
    assert_eq!(serde_json::to_value(GUEST.description()).unwrap(), native);
}

#[test]
fn both_read_the_same_feed() {
    for settings in SETTINGS {
        let mut both = Both::open(settings);
        for (since, now) in [
            (0, 0),
            (NOW - 259_200, NOW),
            (NOW, NOW - 1),
            (u64::MAX, u64::MAX),
        ] {
            let ours = both.native.feed(since, now);
            let theirs = both.component.feed(since, now).unwrap();
            assert_eq!(
                (theirs.path, theirs.query, theirs.item_id, theirs.item_date),
                (ours.path, ours.query, ours.item_id, ours.item_date)
            );
        }
    }
}

#[test]
fn both_have_the_same_to_say_about_settings() {
    for settings in SETTINGS {
        let mut both = Both::open(settings);
        let ours: Vec<_> = both
            .native
            .remarks()
            .iter()
            .map(|remark| (format!("{:?}", remark.severity), remark.message.clone()))
            .collect();
        assert_eq!(remarks(both.component.remarks().unwrap()), ours);
    }
    let quoted = Mapper::open(&[contract::Setting {
        name: "EXTENSIONS".into(),
        value: "'exe'".into(),
    }]);
    assert!(!quoted.unwrap().remarks().is_empty());
}

#[test]
fn both_refuse_the_same_settings() {
    let given = [
        ("MAX_AGE_DAYS", "soon"),
        ("TLP_LEVEL", "pink"),
        ("NOTHING", ""),
        ("TLP_LEVEL", "red"),
    ];
    let ours = given.map(|(name, value)| contract::Setting {
        name: name.into(),
        value: value.into(),
    });
    let theirs = given.map(|(name, value)| runtime::Setting {
        name: name.into(),
        value: value.into(),
    });
    let Err(ours) = Mapper::open(&ours) else {
        panic!("accepted natively")
    };
    let theirs = match GUEST.open(&theirs) {
        Err(OpenError::Settings(problems)) => problems,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("accepted by the component"),
    };
    let theirs: Vec<_> = theirs
        .into_iter()
        .map(|it| (it.setting, it.reason))
        .collect();
    let ours: Vec<_> = ours.into_iter().map(|it| (it.setting, it.reason)).collect();
    assert!(ours.len() >= 3, "{ours:?}");
    assert_eq!(theirs, ours);
}

#[test]
fn the_component_is_small() {
    let component = host::component().unwrap_or_else(|error| panic!("{error:#}"));
    let size = std::fs::metadata(component).unwrap().len();
    assert!(size < LARGEST, "{size} bytes");
}
