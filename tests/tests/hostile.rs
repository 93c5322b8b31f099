//! A guest that does all that a guest must not do: each time the exact words, and the run goes on.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use connector_host::runtime::{CallError, Engine, Guest, Item, Limits, OpenError, Pool, Setting};
use connector_tests::fixtures::Scenario;
use connector_tests::host::{Finished, Host, test_guest};
use connector_tests::{opencti, virustotal};
use serde_json::Value;

/// Digests are of the first ruleset of a scenario, whose notifications have an even and an odd id in turn.
const SCENARIO: Scenario = Scenario {
    seed: 1,
    now: 0,
    hours: 1,
    notifications: 2,
    rulesets: 1,
    bodies: false,
    mixed: false,
};

struct Run {
    finished: Finished,
    platform: opencti::Server,
    virustotal: virustotal::Server,
}

/// One run of the connector over one good item and one that the guest does harm with.
async fn run(behaviour: &str) -> Result<Run> {
    let scenario = Scenario {
        now: connector_tests::fixtures::now(),
        ..SCENARIO
    };
    let virustotal = virustotal::Server::start(scenario.world()).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let component = test_guest("hostile-guest")?;
    let finished = Host::of(&component, "HOSTILE", &virustotal, &platform)
        .setting("BEHAVIOUR", behaviour)
        .run_once()
        .await?;
    Ok(Run {
        finished,
        platform,
        virustotal,
    })
}

impl Run {
    /// The reasons in the state's list of failed notifications.
    fn failed(&self) -> Vec<String> {
        let state: Value = serde_json::from_str(&self.platform.state().unwrap()).unwrap();
        let failed = state["failed"].as_array().into_iter().flatten();
        failed
            .map(|failed| failed["reason"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The harm is told in these words and nothing else is amiss: the good item arrived.
    fn assert_failed(&self, behaviour: &str, expected: &str) {
        let log = &self.finished.log;
        assert!(self.finished.success, "{behaviour}: {log}");
        let summary = self.finished.summary();
        assert!(
            summary.starts_with("2 notifications read: 1 delivered, 1 failed"),
            "{behaviour}: {summary}"
        );
        assert_eq!(self.failed(), [expected], "{behaviour}");
        assert_eq!(self.platform.objects_of("identity").len(), 1, "{behaviour}");
        let paths = self.virustotal.requests();
        assert!(
            paths
                .iter()
                .all(|it| it.path == "/ioc_stream" || it.path.starts_with("/intelligence/")),
            "{behaviour}: {paths:?}"
        );
    }
}

async fn assert_all_fail(cases: &[(&str, &str)]) -> Result<()> {
    for (behaviour, expected) in cases {
        run(behaviour).await?.assert_failed(behaviour, expected);
    }
    Ok(())
}

#[tokio::test]
async fn what_a_guest_uses_up_is_limited() -> Result<()> {
    assert_all_fail(&[
        ("loop", "the guest's map took longer than 2s"),
        (
            "memory",
            "the guest's map wanted more than 67108864 bytes of memory",
        ),
        (
            "recursion",
            "the guest's map wanted more than 524288 bytes of stack",
        ),
        (
            "panic",
            "the guest's map trapped: wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            "large output",
            "the guest's map returned 9437184 bytes; allowed: at most 8388608",
        ),
        (
            "many objects",
            "the guest's map returned 5001 objects; allowed: at most 5000",
        ),
        (
            "many artifacts",
            "the guest's map returned 17 artifacts; allowed: at most 16",
        ),
        (
            "long skip",
            "the guest's map returned 4097 bytes in a skip; allowed: at most 4096",
        ),
        (
            "long question",
            "the guest's map returned 9437191 bytes in a question; allowed: at most 4096",
        ),
        (
            "many questions",
            "the guest's map returned 65 questions; allowed: at most 64",
        ),
    ])
    .await
}

/// The state keeps 200 characters of a reason; the log and the work keep more, but not all.
#[tokio::test]
async fn words_are_cut() -> Result<()> {
    let failure = run("long failure").await?;
    let kept: String = format!("malformed: {}", "x".repeat(200));
    failure.assert_failed("long failure", &kept[..200]);
    let errors = failure.platform.work_errors();
    assert!(
        errors.iter().all(|error| error.len() < 5_000) && errors.len() == 1,
        "{errors:?}"
    );
    let remark = run("long remark").await?;
    let summary = remark.finished.summary();
    assert!(summary.starts_with("2 notifications read: 2 delivered"));
    for finished in [failure.finished, remark.finished] {
        assert!(finished.log.contains(&"x".repeat(4096)), "words are kept");
        assert!(finished.log.len() < 50_000, "{}", finished.log.len());
    }
    Ok(())
}

#[tokio::test]
async fn questions_lead_nowhere_but_to_the_source() -> Result<()> {
    let of_characters = "a segment consists of letters, digits, `_`, `.`, `=` and `-`";
    let cases = [
        (
            "unknown question",
            "this host answers no question of the kind \"password\"".to_owned(),
        ),
        (
            "lookup of a parent folder",
            "\"files/../users/me\" is refused: a path has no segment of dots only".to_owned(),
        ),
        (
            "lookup of an absolute URL",
            format!("\"https://evil.example/files/a\" is refused: {of_characters}"),
        ),
        (
            "lookup at another host",
            "\"//evil.example/files/a\" is refused: a path is relative and has no empty segment"
                .to_owned(),
        ),
        (
            "lookup with a query",
            format!("\"files/a?x=y\" is refused: {of_characters}"),
        ),
        (
            "lookup with a fragment",
            format!("\"files/a#b\" is refused: {of_characters}"),
        ),
        (
            "lookup of a download",
            "\"files/a/download\" is refused: a download is not a lookup".to_owned(),
        ),
        (
            "digest panics",
            "the guest's digest trapped: wasm trap: wasm `unreachable` instruction executed"
                .to_owned(),
        ),
        (
            "large digest",
            "the guest's digest returned 9437184 bytes; allowed: at most 8388608".to_owned(),
        ),
    ];
    for (behaviour, expected) in cases {
        let expected = format!("malformed: {expected}");
        run(behaviour).await?.assert_failed(behaviour, &expected);
    }
    Ok(())
}

#[tokio::test]
async fn questions_end() -> Result<()> {
    let run = run("endless questions").await?;
    assert_eq!(
        run.failed(),
        ["the guest still asked questions after 4 rounds of answers"]
    );
    assert_eq!(run.platform.objects_of("identity").len(), 1);
    let lookups = run.virustotal.requests();
    let lookups = lookups.iter().filter(|it| it.path == "/files/a").count();
    assert_eq!(lookups, 1, "the source is asked once for the same path");
    Ok(())
}

#[tokio::test]
async fn what_a_guest_emits_is_checked() -> Result<()> {
    let id = "identity--00000000-0000-5000-8000-023089986193";
    let other = id.replace("identity--0", "identity--1");
    let allowed = "allowed: a JSON object with a STIX id";
    let cases = [
        (
            "document that is no JSON",
            format!("a document that is no JSON object; {allowed}"),
        ),
        (
            "document that is no object",
            format!("a document that is no JSON object; {allowed}"),
        ),
        (
            "document with another id",
            format!(
                "an object called \"{id}\" whose document is called \"{other}\"; allowed: the same id twice"
            ),
        ),
        (
            "id that is no STIX id",
            format!("the id \"identity--1\"; {allowed}"),
        ),
        (
            "artifact that is no JSON",
            "an artifact that cannot be read (expected ident at line 1 column 2); \
             allowed: the JSON object that the contract documents"
                .to_owned(),
        ),
    ];
    for (behaviour, expected) in cases {
        let expected = format!("the guest's map returned {expected}");
        run(behaviour).await?.assert_failed(behaviour, &expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_file_from_another_source_is_not_copied_and_the_rest_is_delivered() -> Result<()> {
    let run = run("artifact of another source").await?;
    let summary = run.finished.summary();
    assert!(
        summary.starts_with("2 notifications read: 2 delivered, 1 files not copied"),
        "{summary}"
    );
    let refused = format!(
        "\"files/{}/download_url\" is refused: not files/<sha256>/download_url of the file's own SHA-256",
        "b".repeat(64)
    );
    let errors = run.finished.messages("ERROR");
    let escaped = refused.replace('"', "\\\"");
    assert!(
        errors
            .iter()
            .any(|error| error.starts_with("cannot copy a file") && error.contains(&escaped)),
        "{errors:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_guest_that_does_not_open_ends_the_start_with_the_reason() -> Result<()> {
    for (behaviour, expected) in [
        (
            "open panics",
            "cannot open the guest: the guest's open trapped: wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            "remarks panics",
            "cannot open the guest: the guest's remarks trapped: wasm trap: wasm `unreachable` instruction executed",
        ),
        (
            "to be kind",
            "the settings are refused:\n  HOSTILE_BEHAVIOUR: found \"to be kind\", which is not among the choices",
        ),
    ] {
        let run = run(behaviour).await?;
        assert!(!run.finished.success, "{behaviour}");
        assert_eq!(run.finished.messages("ERROR"), [expected], "{behaviour}");
        assert!(run.virustotal.requests().is_empty(), "{behaviour}");
    }
    Ok(())
}

#[tokio::test]
async fn a_feed_leads_nowhere_but_to_the_collections_of_the_source() -> Result<()> {
    let refused = |what: &str| format!("the guest's feed is refused: {what}");
    let cases = [
        (
            "feed panics",
            "the guest's feed trapped: wasm trap: wasm `unreachable` instruction executed"
                .to_owned(),
        ),
        (
            "feed of an absolute URL",
            refused(
                "\"https://evil.example/ioc_stream\" is refused: not a collection that a connector may read",
            ),
        ),
        (
            "feed of a parent folder",
            refused("\"../ioc_stream\" is refused: not a collection that a connector may read"),
        ),
        (
            "feed of what no connector may read",
            refused("\"users\" is refused: not a collection that a connector may read"),
        ),
        (
            "feed with a cursor",
            refused("\"cursor\" is refused: the cursor is the host's"),
        ),
        (
            "feed with a bad pointer",
            refused("\"no pointer\" is refused: a JSON Pointer begins with `/`"),
        ),
    ];
    for (behaviour, expected) in cases {
        let run = run(behaviour).await?;
        assert!(!run.finished.success, "{behaviour}");
        let summary = run.finished.summary();
        let expected =
            format!("0 notifications read: 0 delivered; stopped by an error: {expected}");
        assert!(summary.starts_with(&expected), "{behaviour}: {summary}");
        assert!(run.virustotal.requests().is_empty(), "{behaviour}");
    }
    Ok(())
}

fn load(path: &Path, deadline: Duration) -> Result<Guest, connector_host::runtime::LoadError> {
    let limits = Limits {
        deadline,
        ..Limits::default()
    };
    Guest::load(&Engine::new(1, limits, None).unwrap(), path)
}

fn behaviour(name: &str) -> Vec<Setting> {
    vec![Setting {
        name: "BEHAVIOUR".to_owned(),
        value: name.to_owned(),
    }]
}

#[test]
fn an_endless_open_is_ended() -> Result<()> {
    let guest = load(&test_guest("hostile-guest")?, Duration::from_millis(100))?;
    let Err(OpenError::Call(error)) = guest.open(&behaviour("open loops")) else {
        panic!("opened")
    };
    assert_eq!(error.to_string(), "the guest's open took longer than 100ms");
    Ok(())
}

#[tokio::test]
async fn a_trap_costs_one_item_and_one_instance() -> Result<()> {
    let guest = load(&test_guest("hostile-guest")?, Duration::from_secs(2))?;
    let settings = behaviour("panic at each third call");
    let first = guest.open(&settings)?;
    let pool = Pool::new(guest, settings, first);
    let item = Arc::new(Item {
        id: "1".to_owned(),
        observed: 0,
        document: "{}".to_owned(),
    });
    let mut trapped = Vec::new();
    for _ in 0..9 {
        let (_, verdict) = pool.map(Arc::clone(&item), Vec::new(), 0).await;
        trapped.push(matches!(verdict, Err(CallError::Trap { call: "map", .. })));
    }
    assert_eq!(trapped, [false, false, true].repeat(3));
    Ok(())
}

#[test]
fn a_guest_that_describes_itself_badly_is_refused() -> Result<()> {
    let built = std::fs::read(test_guest("hostile-guest")?)?;
    for (text, spoilt, expected) in [
        (
            r#""version":"1.0.0""#,
            r#""version":"1,0,0""#,
            "unexpected character ',' after major version number",
        ),
        (
            r#""kind":"choice""#,
            r#""kind":"chance""#,
            "unknown variant `chance`, expected one of `boolean`, `integer`, `text`, `list`, `choice`",
        ),
        (
            r#""settings":"#,
            r#""sittings":"#,
            "missing field `settings`",
        ),
        (r#"{"name":"h"#, r#"("name":"h"#, "expected value"),
    ] {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), replaced(&built, text, spoilt))?;
        let Err(error) = load(file.path(), Duration::from_secs(2)) else {
            panic!("loaded {spoilt}")
        };
        let error = error.to_string();
        let begin = format!(
            "the guest {} cannot describe itself: the guest's describe returned a description that cannot be read \
             ({expected} at line 1 column ",
            file.path().display()
        );
        assert!(error.starts_with(&begin), "{error}");
        assert!(
            error.ends_with("; allowed: the JSON object that the contract documents"),
            "{error}"
        );
    }
    Ok(())
}

/// The component with another text of the same length in its data.
fn replaced(component: &[u8], text: &str, by: &str) -> Vec<u8> {
    assert_eq!(text.len(), by.len());
    let found = component
        .windows(text.len())
        .position(|window| window == text.as_bytes());
    let start = found.unwrap_or_else(|| panic!("{text} is not in the component"));
    let mut spoilt = component.to_vec();
    spoilt[start..start + by.len()].copy_from_slice(by.as_bytes());
    spoilt
}
