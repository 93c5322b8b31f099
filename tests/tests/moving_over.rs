//! Moving over from the Python connector: its environment is taken as it stands, and what it brought is met again
//! under the same ids. (That its state is continued is proved in `run.rs`.)

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::Result;
use connector_tests::fixtures::now;
use connector_tests::host::{Finished, Host, component, program, workspace};
use connector_tests::virustotal::World;
use connector_tests::{opencti, virustotal};
use serde_json::{Value, json};

/// Every setting that the Python connector documents, with its default or a value of its samples.
const PYTHON: &[(&str, &str)] = &[
    ("CONNECTOR_NAME", "VirusTotal Livehunt Notifications"),
    ("CONNECTOR_SCOPE", "StixFile,Indicator,Incident"),
    ("CONNECTOR_LOG_LEVEL", "error"),
    ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_INTERVAL_SEC", "300"),
    ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_CREATE_ALERT", "True"),
    ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_EXTENSIONS", "exe,dll"),
    ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_MIN_FILE_SIZE", "1000"),
    (
        "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_MAX_FILE_SIZE",
        "52428800",
    ),
    ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_MAX_AGE_DAYS", "3"),
    ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_MIN_POSITIVES", "5"),
    ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_CREATE_FILE", "True"),
    ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_UPLOAD_ARTIFACT", "False"),
    ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_CREATE_YARA_RULE", "True"),
    (
        "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_DELETE_NOTIFICATION",
        "False",
    ),
    ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_FILTER_WITH_TAG", "mytag"),
];

/// When the notification of the vectors came: 2023-11-14T22:13:20Z.
const NOTIFIED: u64 = 1_700_000_000;

/// The vector that was computed with pycti from this.
fn vector(kind: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    let path = workspace().join("guest/tests/fixtures/stix-ids-vectors.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let found = vectors["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|vector| vector["kind"] == kind && is_it(&vector["input"]));
    found.unwrap().clone()
}

fn identity() -> Value {
    vector("identity", |input| {
        input["name"] == "Virustotal Livehunt Notifications"
    })
}

/// Its name has the default prefix, the rule and the hash.
fn incident() -> Value {
    vector("incident", |input| {
        input["name"].as_str().unwrap().starts_with("VT  MyRule") && input["created"] == NOTIFIED
    })
}

/// Its pattern is the whole of a ruleset, as the Python connector would write it anew.
fn rule() -> Value {
    vector("indicator", |input| {
        input["pattern"]
            .as_str()
            .unwrap()
            .starts_with("rule MyRule")
    })
}

fn id(vector: &Value) -> String {
    vector["pycti_id"].as_str().unwrap().to_owned()
}

/// The notification of the vectors, as it would come at a date.
fn notification(date: u64) -> Value {
    let incident = incident();
    let name = incident["input"]["name"].as_str().unwrap();
    let (_, sha256) = name.split_once("file=").unwrap();
    json!({
        "id": sha256,
        "type": "file",
        "attributes": {
            "sha256": sha256,
            "size": 4096,
            "type_extension": "exe",
            "first_submission_date": date - 3600,
            "last_analysis_stats": {"malicious": 7, "undetected": 60},
        },
        "context_attributes": {
            "notification_id": "1", "notification_date": date, "origin": "hunting",
            "tags": ["mytag"], "hunting_info": {"rule_name": "MyRule"},
            "sources": [{"id": "1", "type": "hunting_ruleset", "label": "MyRule"}],
        },
    })
}

fn ruleset() -> Value {
    json!({
        "id": "1",
        "type": "hunting_ruleset",
        "attributes": {"name": "MyRule", "rules": rule()["input"]["pattern"]},
    })
}

fn ids<'a>(objects: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    objects
        .into_iter()
        .map(|object| object["id"].as_str().unwrap().to_owned())
        .collect()
}

/// A run in the Python connector's environment, after which one notification has come.
async fn run(more: &[(&str, &str)]) -> Result<(Finished, opencti::Server)> {
    let mut world = World::new();
    world.add(&notification(now() - 600));
    world.add_ruleset(ruleset());
    let virustotal = virustotal::Server::start(world).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let mut host = Host::new(&virustotal, &platform)?;
    for (name, value) in PYTHON.iter().chain(more) {
        host = host.variable(name, *value);
    }
    let run = host.run_once().await?;
    assert!(run.success, "{}", run.log);
    Ok((run, platform))
}

#[tokio::test]
async fn its_environment_is_taken_without_a_word() -> Result<()> {
    let (run, platform) = run(&[("CONNECTOR_LOG_LEVEL", "info")]).await?;
    assert_eq!(run.messages("WARNING"), Vec::<String>::new());
    let ids = ids(&platform.objects());
    for expected in [id(&identity()), id(&rule())] {
        assert!(ids.contains(&expected), "{expected} in {ids:?}");
    }
    let incidents = platform.objects_of("incident");
    assert_eq!(incidents.len(), 1, "{}", run.summary());
    assert_eq!(incidents[0]["name"], incident()["input"]["name"]);
    Ok(())
}

#[tokio::test]
async fn what_it_brought_is_met_again_under_the_same_ids() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let page = folder.path().join("page.json");
    std::fs::write(&page, json!({"data": [notification(NOTIFIED)]}).to_string())?;
    let rulesets = folder.path().join("intelligence/hunting_rulesets");
    std::fs::create_dir_all(&rulesets)?;
    std::fs::write(
        rulesets.join("1.json"),
        json!({"data": ruleset()}).to_string(),
    )?;
    let output = Command::new(program()?)
        .env_clear()
        .envs(PYTHON.iter().copied())
        .env("CONNECTOR_GUEST", component()?)
        .args(["map", "--now", "2023-11-14T22:15:00Z", "--lookups"])
        .args([folder.path(), &page])
        .output()?;
    let error = String::from_utf8(output.stderr)?;
    assert!(output.status.success(), "{error}");
    let bundle: Value = serde_json::from_slice(&output.stdout)?;
    let ids = ids(bundle["objects"].as_array().unwrap());
    let (incident, rule) = (id(&incident()), id(&rule()));
    let between = vector("relationship", |input| {
        input["source_ref"] == incident && input["target_ref"] == rule
    });
    for expected in [id(&identity()), incident, rule, id(&between)] {
        assert!(ids.contains(&expected), "{expected} in {ids:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_oddities_of_its_samples_are_taken_with_a_warning() -> Result<()> {
    let prefix = "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS";
    let (run, platform) = run(&[
        ("CONNECTOR_LOG_LEVEL", "info"),
        // No UUID, and quotes that a list in a compose file keeps.
        ("CONNECTOR_ID", "Virustotal_Livehunt_Notifications"),
        (&format!("{prefix}_EXTENSIONS"), "'exe,dll'"),
        (&format!("{prefix}_FILTER_WITH_TAG"), "\"mytag\""),
        // Settings of its framework that mean nothing here.
        ("CONNECTOR_TYPE", "EXTERNAL_IMPORT"),
        ("CONNECTOR_CONFIDENCE_LEVEL", "100"),
        ("CONNECTOR_UPDATE_EXISTING_DATA", "true"),
    ])
    .await?;
    let warnings = run.messages("WARNING");
    for about in ["CONNECTOR_ID", "EXTENSIONS", "FILTER_WITH_TAG"] {
        let of_it = warnings.iter().filter(|warning| warning.contains(about));
        assert_eq!(of_it.count(), 1, "{about}: {warnings:?}");
    }
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert_eq!(
        platform.objects_of("incident").len(),
        1,
        "{}",
        run.summary()
    );
    Ok(())
}
