//! What the runtime refuses to load, and the limits in which a guest works.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use connector_host::runtime::{
    CONTRACT, CallError, Engine, Guest, Item, Limits, LoadError, Pool, Question,
};
use connector_tests::host;

/// Some minutes after the newest notification of the fixtures.
const NOW: u64 = 1_767_261_900;

fn component() -> PathBuf {
    host::component().unwrap_or_else(|error| panic!("{error:#}"))
}

fn load(path: &Path) -> Result<Guest, LoadError> {
    Guest::load(&Engine::new(1, Limits::default(), None).unwrap(), path)
}

fn refusal(bytes: &[u8]) -> LoadError {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    match load(file.path()) {
        Err(error) => {
            let path = file.path().display().to_string();
            assert!(error.to_string().contains(&path), "{error}");
            error
        }
        Ok(_) => panic!("loaded"),
    }
}

fn text_format(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// A pool of one worker within the limits.
fn pool(limits: Limits) -> Pool {
    let engine = Engine::new(1, limits, None).unwrap();
    let guest = Guest::load(&engine, &component()).unwrap_or_else(|error| panic!("{error}"));
    let first = guest.open(&[]).unwrap_or_else(|error| panic!("{error}"));
    Pool::new(guest, Vec::new(), first)
}

fn lookup() -> Question {
    Question {
        kind: "lookup".to_owned(),
        subject: "intelligence/hunting_rulesets/1".to_owned(),
        part: "rule_1".to_owned(),
    }
}

/// A ruleset of at least so many bytes.
fn ruleset(bytes: usize) -> String {
    let mut rules = String::new();
    for number in 0.. {
        if rules.len() >= bytes {
            break;
        }
        rules.push_str(&format!(
            "rule rule_{number} {{ strings: $a = \"text {number}\" condition: $a }}\n"
        ));
    }
    let attributes = serde_json::json!({"name": "large", "rules": rules});
    serde_json::json!({"data": {"type": "hunting_ruleset", "id": "1", "attributes": attributes}})
        .to_string()
}

#[test]
fn the_component_that_was_built_imports_nothing() {
    // A component with imports would be refused, as the test below shows.
    let guest = load(&component()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(guest.exports().len(), 3, "{:?}", guest.exports());
    assert!(guest.explains() && guest.announces());
}

#[test]
fn what_is_no_component_is_refused() {
    let built = std::fs::read(component()).unwrap();
    let cases = [
        ("text", b"this is no component".to_vec()),
        ("nothing", Vec::new()),
        ("a core module", text_format("(module)")),
        ("half a component", built[..built.len() / 2].to_vec()),
    ];
    for (what, bytes) in cases {
        let error = refusal(&bytes);
        assert!(
            matches!(error, LoadError::NotAComponent { .. }),
            "{what}: {error}"
        );
    }
    let missing = load(Path::new("/nowhere.wasm"));
    assert!(matches!(missing, Err(LoadError::Read { .. })));
}

#[test]
fn a_component_that_imports_anything_is_refused_by_the_names_of_its_imports() {
    let error = refusal(&text_format(
        r#"(component
            (import "wasi:clocks/wall-clock@0.2.0" (instance))
            (import "log" (func (param "line" string))))"#,
    ));
    let LoadError::Imports { imports, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(imports, &["wasi:clocks/wall-clock@0.2.0", "log"]);
    assert!(
        error.to_string().ends_with("a guest imports nothing"),
        "{error}"
    );
}

#[test]
fn a_component_of_another_contract_is_refused_by_what_it_speaks_and_what_is_served() {
    let exporting = |name: &str| {
        format!(r#"(component (instance $empty) (export "{name}" (instance $empty)))"#)
    };
    let served = CONTRACT.to_string();
    let newer = format!("{}.{}.0", CONTRACT.major, CONTRACT.minor + 1);
    let other = format!("{}.0.0", CONTRACT.major + 1);
    let cases = [
        (
            "(component)".to_owned(),
            format!(
                "does not speak cti:connector@{served}, which is what this host serves: it exports nothing"
            ),
        ),
        (
            exporting("wasi:cli/run@0.2.0"),
            format!(
                "does not speak cti:connector@{served}, which is what this host serves: it exports wasi:cli/run@0.2.0"
            ),
        ),
        (
            exporting(&format!("cti:connector/mapping@{other}")),
            format!(
                "speaks cti:connector@{other}; this host serves cti:connector@{served}, and versions that differ"
            ),
        ),
        (
            exporting(&format!("cti:connector/mapping@{newer}")),
            format!(
                "speaks cti:connector@{newer} and needs what cti:connector@{served}, which this host serves, does not have"
            ),
        ),
        (
            exporting(&format!("cti:connector/mapping@{served}")),
            format!("says that it speaks cti:connector@{served}, but does not"),
        ),
    ];
    for (text, expected) in cases {
        let error = refusal(&text_format(&text)).to_string();
        assert!(error.contains(&expected), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_ended_and_costs_the_instance_only() {
    // Long enough for an instance to be made on a busy machine; four megabytes of YARA take much longer.
    let pool = pool(Limits {
        deadline: Duration::from_millis(100),
        ..Limits::default()
    });
    let large = ruleset(4 << 20);
    // More often than there are slots for instances: each is given back.
    for _ in 0..5 {
        let error = pool.digest(lookup(), large.clone()).await.unwrap_err();
        assert!(
            matches!(error, CallError::Deadline { call: "digest", .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_guest_that_wants_too_much_memory_is_ended_and_costs_the_instance_only() {
    let limit = 8 << 20;
    let pool = pool(Limits {
        memory: limit,
        ..Limits::default()
    });
    let large = ruleset(2 * limit);
    for _ in 0..5 {
        let error = pool.digest(lookup(), large.clone()).await.unwrap_err();
        assert!(
            matches!(error, CallError::Memory { call: "digest", .. }),
            "{error}"
        );
    }
    pool.digest(lookup(), ruleset(1_000))
        .await
        .expect("a small ruleset to be read as before");
}

#[tokio::test]
async fn a_digest_larger_than_the_limit_is_refused() {
    let pool = pool(Limits {
        output: 10,
        ..Limits::default()
    });
    let error = pool.digest(lookup(), ruleset(1_000)).await.unwrap_err();
    assert!(
        matches!(error, CallError::Output { call: "digest", .. }),
        "{error}"
    );
    assert!(
        error.to_string().ends_with("allowed: at most 10"),
        "{error}"
    );
}

#[tokio::test]
async fn failures_of_items_and_worn_instances_leave_the_pool_at_work() {
    let item = |document: &str| {
        Arc::new(Item {
            id: "1".to_owned(),
            observed: NOW,
            document: document.to_owned(),
        })
    };
    for calls_per_instance in [1, 2, 1_000] {
        let pool = pool(Limits {
            calls_per_instance,
            ..Limits::default()
        });
        for _ in 0..10 {
            let (_, verdict) = pool.map(item("no JSON"), Vec::new(), NOW).await;
            assert!(matches!(verdict, Err(CallError::Failure(_))), "{verdict:?}");
            let (_, verdict) = pool
                .map(item(r#"{"type":"url","id":"x"}"#), Vec::new(), NOW)
                .await;
            verdict.expect("a verdict");
        }
    }
}

#[tokio::test]
async fn answers_come_back_to_be_used_again() {
    let pool = pool(Limits::default());
    let answers = vec![(lookup(), connector_host::runtime::Answer::Absent)];
    let item = Item {
        id: "1".to_owned(),
        observed: NOW,
        document: "no JSON".to_owned(),
    };
    let (returned, _) = pool.map(Arc::new(item), answers, NOW).await;
    assert_eq!(returned.len(), 1);
    assert_eq!(returned[0].0.subject, lookup().subject);
}

#[tokio::test]
async fn an_instance_whose_memory_has_grown_past_the_mark_is_replaced() {
    for (memory_mark, instances) in [(64 << 20, 2), (4 << 20, 4)] {
        let pool = pool(Limits {
            memory_mark,
            ..Limits::default()
        });
        for _ in 0..3 {
            pool.digest(lookup(), ruleset(1 << 20)).await.unwrap();
        }
        // One was the trial of the load.
        assert_eq!(pool.guest().usage().instances(), instances, "{memory_mark}");
        assert!(pool.guest().usage().memory() > 4 << 20);
    }
}

#[test]
fn compiled_code_is_kept_in_the_folder_that_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("guests");
    let load = || {
        let engine = Engine::new(1, Limits::default(), Some(&cache)).unwrap();
        Guest::load(&engine, &component()).unwrap_or_else(|error| panic!("{error}"))
    };
    let files = || {
        let mut files = Vec::new();
        let mut folders = vec![cache.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push((path.clone(), std::fs::metadata(&path).unwrap().len()));
                }
            }
        }
        files.sort();
        files
    };
    load();
    let code = |files: &[(PathBuf, u64)]| files.iter().map(|it| it.1).max().unwrap();
    let kept = code(&files());
    assert!(kept > 100_000, "{:?}", files());
    load();
    assert_eq!(code(&files()), kept);

    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = Engine::new(1, Limits::default(), Some(file.path()));
    let Err(error) = refused else {
        panic!("a file is no folder")
    };
    assert!(
        error
            .to_string()
            .starts_with("cannot keep compiled guests in"),
        "{error}"
    );
}
