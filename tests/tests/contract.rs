//! A guest built for contract 1.0 runs for good.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::convert::Infallible;
use std::sync::Arc;

use connector_host::pipeline::{Answers, Decided, Decision, decide};
use connector_host::runtime::{
    Answer, Engine, Guest, Item, Limits, OpenError, Pool, Question, Setting, Severity,
};
use connector_tests::host::{test_guest, workspace};

const PACKAGE: &str = "contract-1-0-guest";
const NOW: u64 = 1_767_261_900;

fn load() -> Guest {
    let component = test_guest(PACKAGE).unwrap_or_else(|error| panic!("{error:#}"));
    let engine = Engine::new(1, Limits::default(), None).unwrap();
    Guest::load(&engine, &component).unwrap_or_else(|error| panic!("{error}"))
}

fn setting(name: &str, value: &str) -> Setting {
    Setting {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// Answers as the host does: a looked-up document through the guest's own digest.
struct Desk;

impl Answers for Desk {
    type Stop = Infallible;

    async fn answer(&self, pool: &Pool, question: &Question) -> Result<Answer, Infallible> {
        Ok(match question.kind.as_str() {
            "lookup" => {
                let digest = pool.digest(question.clone(), "a document".to_owned());
                Answer::Found(digest.await.unwrap())
            }
            _ => Answer::Absent,
        })
    }
}

#[tokio::test]
async fn a_guest_of_contract_1_0_works_in_every_function() {
    let guest = load();
    let description = guest.description();
    assert_eq!(description.name, PACKAGE);
    assert_eq!(description.connector.environment_prefix, "FROZEN");
    assert_eq!(description.settings[0].name, "GREETING");

    let Err(OpenError::Settings(problems)) = guest.open(&[setting("OTHER", "")]) else {
        panic!("an unknown setting is refused")
    };
    assert_eq!(problems[0].setting, "OTHER");
    assert_eq!(problems[0].reason, "is not a setting of this guest");

    let settings = vec![setting("GREETING", "good morning")];
    let mut mapper = guest
        .open(&settings)
        .unwrap_or_else(|error| panic!("{error}"));
    let remarks = mapper.remarks().unwrap();
    assert_eq!(remarks[0].message, "good morning");
    let feed = mapper.feed(1, NOW).unwrap();
    assert_eq!(feed.path, "ioc_stream");
    assert_eq!(feed.query, [("filter".to_owned(), format!("1 to {NOW}"))]);
    assert_eq!(
        (feed.item_id.as_str(), feed.item_date.as_str()),
        ("/id", "/date")
    );

    let pool = Pool::new(guest, settings, mapper);
    let map = async |document: &str| {
        let item = Item {
            id: "1".to_owned(),
            observed: 2,
            document: document.to_owned(),
        };
        let Ok(decided) = decide(&pool, Arc::new(item), NOW, &Desk).await;
        decided
    };
    for (document, expected) in [
        ("malformed", "malformed: malformed"),
        ("unsupported", "unsupported: unsupported"),
    ] {
        let Decided { decision, .. } = map(document).await;
        assert!(
            matches!(&decision, Decision::Fail(reason) if reason == expected),
            "{decision:?}"
        );
    }
    let Decided {
        decision, remarks, ..
    } = map("skip").await;
    assert!(
        matches!(&decision, Decision::Skip { filter, reason } if filter == "word" && reason == "good morning at 2"),
        "{decision:?}"
    );
    let severities: Vec<_> = remarks.iter().map(|remark| remark.severity).collect();
    assert_eq!(
        severities,
        [
            Severity::Debug,
            Severity::Info,
            Severity::Warn,
            Severity::Error
        ]
    );

    let Decided { decision, .. } = map("{}").await;
    let Decision::Emit(emission) = decision else {
        panic!("{decision:?}")
    };
    assert!(emission.acknowledge);
    assert!(!pool.guest().explains());
    assert!(!pool.guest().announces());
    assert_eq!(
        emission.objects[0].document,
        r#"{"type":"identity","id":"identity--00000000-0000-5000-8000-000000000000","name":"good morning","lookup":"part of a document","artifact-known":"absent"}"#
    );
    assert_eq!(emission.artifacts[0].sha256, "a".repeat(64));
}

/// Inside contract 1.x a type never changes; what the frozen copy says is true of the present text too.
#[test]
fn the_present_contract_still_says_what_1_0_said() {
    let statements = |path: &str| -> Vec<String> {
        let text = std::fs::read_to_string(workspace().join(path)).unwrap();
        text.lines()
            .map(|line| line.split("//").next().unwrap().trim().to_owned())
            .filter(|line| !line.is_empty() && !line.starts_with("package "))
            .collect()
    };
    let present = statements("wit/connector.wit");
    let mut rest = present.iter();
    for statement in statements("tests/guests/contract-1.0/wit/connector.wit") {
        assert!(
            rest.any(|line| *line == statement),
            "wit/connector.wit no longer has, in its place: {statement}"
        );
    }
}

/// The component with other texts of the same length, wherever they stand.
fn patched(texts: &[(&str, &str)]) -> tempfile::NamedTempFile {
    let path = test_guest(PACKAGE).unwrap_or_else(|error| panic!("{error:#}"));
    let mut component = std::fs::read(path).unwrap();
    for (text, by) in texts {
        assert_eq!(text.len(), by.len());
        let mut places = 0;
        for start in 0..component.len() - text.len() {
            let place = &mut component[start..start + text.len()];
            if place == text.as_bytes() {
                place.copy_from_slice(by.as_bytes());
                places += 1;
            }
        }
        assert!(places > 0, "{text} is not in the component");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), component).unwrap();
    file
}

#[test]
fn versions_inside_the_major_one_run_as_long_as_they_mean_the_same() {
    const NEWER: (&str, &str) = ("cti:connector/mapping@1.0.0", "cti:connector/mapping@1.7.3");
    // With another name of a field of `item`.
    const OTHER_RECORD: (&str, &str) = ("observed", "absorbed");
    let engine = Engine::new(1, Limits::default(), None).unwrap();
    let cases = [
        (vec![NEWER], None),
        (
            vec![OTHER_RECORD],
            Some("says that it speaks cti:connector@1.0.0, but does not: "),
        ),
        (
            vec![NEWER, OTHER_RECORD],
            Some(
                "speaks cti:connector@1.7.3 and needs what cti:connector@1.2.0, which this host serves, does not have: ",
            ),
        ),
    ];
    for (texts, expected) in cases {
        let file = patched(&texts);
        let loaded = Guest::load(&engine, file.path());
        match (loaded, expected) {
            (Ok(guest), None) => {
                assert_eq!(guest.contract(), &semver::Version::new(1, 7, 3));
                assert!(guest.open(&[]).is_ok());
            }
            (Err(error), Some(expected)) => {
                let error = error.to_string();
                assert!(error.contains(expected), "{error}");
                assert!(error.contains("absorbed"), "which field: {error}");
            }
            (loaded, _) => panic!("{texts:?}: loaded: {}", loaded.is_ok()),
        }
    }
}
