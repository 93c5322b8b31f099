//! `connector-host explain`: why a notification is skipped, and what it becomes.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::Result;
use connector_tests::fixtures::Scenario;
use connector_tests::host::{Finished, Host, component, program, test_guest, workspace};
use connector_tests::virustotal::Kind;
use connector_tests::{opencti, virustotal};
use serde_json::{Value, json};

/// Both sides, and the id of a notification that can be delivered.
struct Stage {
    virustotal: virustotal::Server,
    platform: opencti::Server,
    host: Host,
    id: String,
}

impl Stage {
    async fn new() -> Result<Self> {
        let scenario = Scenario {
            mixed: false,
            ..Scenario::of_today(4)
        };
        let world = scenario.world();
        let id = world.notifications[0].id.clone();
        let virustotal = virustotal::Server::start(world).await?;
        let platform = opencti::Server::start(opencti::Options::default()).await?;
        let host = Host::new(&virustotal, &platform)?;
        Ok(Self {
            virustotal,
            platform,
            host,
            id,
        })
    }

    /// Explains as a user would, who knows the id only.
    async fn explain(&self, host: &Host, arguments: &[&str]) -> Result<Finished> {
        let arguments = [&["explain"], arguments].concat();
        host.start(&arguments)?.finish().await
    }
}

fn assert_told(finished: &Finished, lines: &[&str]) {
    assert!(finished.success, "{}", finished.log);
    for line in lines {
        let told = finished.output.lines().any(|it| it.contains(line));
        assert!(told, "{line} in\n{}", finished.output);
    }
}

#[tokio::test]
async fn one_command_says_why_a_notification_was_skipped() -> Result<()> {
    let stage = Stage::new().await?;
    let host = stage.host.clone().setting("EXTENSIONS", "nothing-has-this");
    let run = host.run_once().await?;
    assert!(
        run.summary().contains("4 skipped (extension 4)"),
        "{}",
        run.log
    );
    let (state, platform_requests) = (stage.platform.state(), stage.platform.requests().len());
    let pages = stage.virustotal.count(Kind::Page);

    let explained = stage.explain(&host, &[&stage.id]).await?;
    assert_told(
        &explained,
        &[
            &format!("notification {}, reported 20", stage.id),
            "├─ ✓ entity type: file ",
            "├─ ✗ extension: ",
            "└─ ✓ positives: ",
            "└─ skipped by the filter extension: ",
        ],
    );
    assert!(
        explained
            .output
            .contains("; EXTENSIONS allows nothing-has-this\n")
    );
    let log = run.messages("DEBUG");
    let skipped = log
        .iter()
        .find(|it| it.starts_with("skipped ") && it.contains(&stage.id));
    let reason = explained
        .output
        .trim_end()
        .rsplit_once("extension: ")
        .unwrap()
        .1;
    assert!(
        skipped.unwrap().contains(reason),
        "the words of the run: {skipped:?}"
    );

    assert_eq!(stage.platform.state(), state);
    assert_eq!(
        stage.platform.requests().len(),
        platform_requests,
        "not asked"
    );
    assert_eq!(stage.virustotal.count(Kind::Page), pages);
    Ok(())
}

#[tokio::test]
async fn what_would_be_delivered_is_what_a_run_delivers() -> Result<()> {
    let stage = Stage::new().await?;
    let host = stage
        .host
        .clone()
        .setting("UPLOAD_ARTIFACT", "true")
        .setting("DELETE_NOTIFICATION", "true");
    let explained = stage.explain(&host, &["--json", &stage.id]).await?;
    assert!(explained.success, "{}", explained.log);
    let told: Value = serde_json::from_str(&explained.output)?;
    assert_eq!(told["notification"], stage.id);
    let filters = told["filters"].as_array().unwrap();
    assert!(filters.iter().all(|it| it["passed"] == true) && filters.len() == 7);
    let questions = told["questions"].as_array().unwrap();
    let kinds: Vec<&str> = questions
        .iter()
        .filter_map(|it| it["kind"].as_str())
        .collect();
    assert_eq!(kinds[..2], ["lookup", "artifact-known"]);
    // What the platform holds of the objects, and whether it has the rule under another text.
    let others: BTreeSet<&str> = kinds[2..].iter().copied().collect();
    assert_eq!(others, BTreeSet::from(["known", "named"]));
    assert!(
        questions[0]["answer"]["found"].as_u64() > Some(100),
        "{told}"
    );
    assert_eq!(questions[1]["answer"], "absent");
    let emitted = &told["outcome"]["emit"];
    assert_eq!(emitted["removed_at_source"], true);
    assert_eq!(emitted["files"].as_array().unwrap().len(), 1);

    // Nothing came of it.
    let fields = stage
        .platform
        .requests()
        .into_iter()
        .flat_map(|it| it.fields);
    let fields: BTreeSet<String> = fields.collect();
    let asked = ["stixCoreObjects", "stixCyberObservables"].map(str::to_owned);
    assert_eq!(fields, BTreeSet::from(asked));
    assert!(stage.platform.read(|it| it.connectors.is_empty()));
    let spent = [Kind::Page, Kind::Download, Kind::Deletion].map(|it| stage.virustotal.count(it));
    assert_eq!(spent, [0, 0, 0]);

    let keep = stage.id.clone();
    stage
        .virustotal
        .edit(|world| world.notifications.retain(|it| it.id == keep));
    let run = host.run_once().await?;
    assert!(run.summary().contains("1 delivered"), "{}", run.log);
    let ids = |objects: &Value| -> BTreeSet<String> {
        let objects = objects.as_array().unwrap().iter();
        objects
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let delivered = stage.platform.objects();
    let is_relationship = |it: &&Value| it["type"] == "relationship";
    let relationships = delivered.iter().filter(is_relationship).count();
    assert_eq!(
        emitted["relationships"].as_array().unwrap().len(),
        relationships
    );
    let mut others = delivered;
    others.retain(|it| it["type"] != "relationship");
    assert_eq!(ids(&emitted["objects"]), ids(&Value::from(others)));
    let tree = stage.explain(&stage.host, &[&stage.id]).await?;
    assert!(!tree.success, "it is removed");
    assert!(
        tree.log
            .contains("VirusTotal does not have ioc_stream_notifications/"),
        "{}",
        tree.log
    );
    Ok(())
}

/// Filters, objects and relationships as people see them; the other notifications stand beside.
#[tokio::test]
async fn several_are_explained_one_after_the_other() -> Result<()> {
    let stage = Stage::new().await?;
    let other = stage
        .virustotal
        .read(|world| world.notifications[1].id.clone());
    let explained = stage.explain(&stage.host, &[&stage.id, &other]).await?;
    assert_told(
        &explained,
        &[
            &format!("notification {}", stage.id),
            &format!("notification {other}"),
            "lookup intelligence/hunting_rulesets/",
            "└─ would be delivered: ",
            "incident VT ",
            " → related-to → file ",
            "└─ stays at VirusTotal",
        ],
    );
    Ok(())
}

#[tokio::test]
async fn what_is_missing_is_named_and_nothing_else_is_wanted() -> Result<()> {
    let stage = Stage::new().await?;
    let host = stage.host.clone().variable("CONNECTOR_ID", "");
    assert!(
        stage.explain(&host, &[&stage.id]).await?.success,
        "needs no CONNECTOR_ID"
    );
    let host = host.variable("OPENCTI_TOKEN", "").setting("API_KEY", "");
    let refused = stage.explain(&host, &[&stage.id]).await?;
    assert!(!refused.success);
    for name in ["OPENCTI_TOKEN", "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY"] {
        assert!(refused.log.contains(name), "{}", refused.log);
    }
    assert!(!refused.log.contains("CONNECTOR_ID"), "{}", refused.log);
    let lookups = stage
        .explain(&stage.host, &["--lookups", ".", &stage.id])
        .await?;
    assert!(!lookups.success && lookups.log.contains("--lookups is for files"));
    let nowhere = stage.explain(&stage.host, &["nowhere.json"]).await?;
    assert!(
        !nowhere.success && nowhere.log.contains("cannot read nowhere.json"),
        "{}",
        nowhere.log
    );
    Ok(())
}

/// A file needs neither a network nor settings of either side.
#[test]
fn a_file_is_explained_without_any_setting() -> Result<()> {
    let page = workspace().join("guest/tests/fixtures/ioc_stream_page2.json");
    let explain = |guest: &std::path::Path, file: &std::path::Path| -> Result<String> {
        let output = Command::new(program()?)
            .env_clear()
            .args([
                "explain",
                "--now",
                "2026-01-01T10:05:00Z",
                "--config",
                "/dev/null",
                "--guest",
            ])
            .arg(guest)
            .arg(file)
            .output()?;
        assert!(output.status.success(), "{output:?}");
        Ok(String::from_utf8(output.stdout)?)
    };
    let told = explain(&component()?, &page)?;
    let document: Value = serde_json::from_str(&std::fs::read_to_string(&page)?)?;
    let items = document["data"].as_array().unwrap().len();
    let roots = told.lines().filter(|it| it.starts_with("notification "));
    assert_eq!(roots.count(), items, "{told}");
    assert!(told.contains("✗ entity type: url "), "{told}");
    assert!(
        told.contains("no answer: no --lookups folder is given"),
        "{told}"
    );
    assert!(
        told.contains("failed: malformed: VirusTotal sent an error in place"),
        "{told}"
    );

    // A guest from before there were explanations.
    let item = tempfile::NamedTempFile::new()?;
    std::fs::write(
        item.path(),
        json!({"id": "1", "date": 1_767_261_900}).to_string(),
    )?;
    let told = explain(&test_guest("contract-1-0-guest")?, item.path())?;
    let words = "├─ filters: contract-1-0-guest 1.0.0 does not tell what its filters say";
    assert!(told.lines().any(|it| it == words), "{told}");
    assert!(told.contains("would be delivered: 1 objects"), "{told}");
    Ok(())
}

#[tokio::test]
async fn what_a_guest_explains_is_checked() -> Result<()> {
    let stage = Stage::new().await?;
    let output = |found: &str| format!("filters: the guest's explain returned {found}");
    let unreadable = "allowed: the JSON array that the contract documents";
    for (behaviour, expected) in [
        (
            "explain panics",
            "filters: the guest's explain trapped: wasm trap: wasm `unreachable`".to_owned(),
        ),
        (
            "explain loops",
            "filters: the guest's explain took longer than 2s".to_owned(),
        ),
        (
            "explanation that is no JSON",
            output(&format!(
                "filters that cannot be read (expected ident at line 1 column 2); {unreadable}"
            )),
        ),
        (
            "explanation without words",
            output("filters that cannot be read (missing field `saw`"),
        ),
        (
            "large explanation",
            output("9437184 bytes; allowed: at most 8388608"),
        ),
        (
            "long filter",
            output("4097 bytes in a filter; allowed: at most 4096"),
        ),
        ("many filters", output("65 filters; allowed: at most 64")),
        (
            "words that steer a terminal",
            "✓ f: \\u{1b}[2J clean\\u{202e}".to_owned(),
        ),
    ] {
        let guest = test_guest("hostile-guest")?;
        let host = Host::of(&guest, "HOSTILE", &stage.virustotal, &stage.platform)
            .setting("BEHAVIOUR", behaviour);
        let explained = stage.explain(&host, &[&stage.id]).await?;
        assert_told(&explained, &[&expected, "would be delivered: 1 objects"]);
    }
    Ok(())
}
