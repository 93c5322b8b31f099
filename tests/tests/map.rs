//! `connector-host map`, as a process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use connector_tests::{host, written};
use serde_json::Value;

/// Some minutes after the newest notification of the fixtures.
const NOW: &str = "2026-01-01T10:05:00Z";

const PREFIX: &str = "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS";

fn fixture(name: &str) -> PathBuf {
    host::workspace().join("guest/tests/fixtures").join(name)
}

fn pages() -> [PathBuf; 3] {
    [
        fixture("ioc_stream_page1.json"),
        fixture("ioc_stream_page2.json"),
        fixture("ioc_stream_subscription.json"),
    ]
}

fn items(page: &Path) -> Vec<Value> {
    let mut page: Value = serde_json::from_str(&std::fs::read_to_string(page).unwrap()).unwrap();
    match page["data"].take() {
        Value::Array(items) => items,
        other => panic!("data is {other}"),
    }
}

/// A folder of answers: each ruleset of the fixtures under the path of its GET.
fn lookups() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rulesets = folder.path().join("intelligence/hunting_rulesets");
    std::fs::create_dir_all(&rulesets).unwrap();
    for name in [
        "hunting_ruleset_1.json",
        "hunting_ruleset_2_crlf.json",
        "hunting_ruleset_3_url.json",
    ] {
        let ruleset: Value =
            serde_json::from_str(&std::fs::read_to_string(fixture(name)).unwrap()).unwrap();
        let id = ruleset["data"]["id"].as_str().unwrap();
        std::fs::copy(fixture(name), rulesets.join(format!("{id}.json"))).unwrap();
    }
    folder
}

struct Map {
    command: Command,
    /// Neither settings nor files of whoever runs the tests reach the process.
    folder: tempfile::TempDir,
}

impl Map {
    fn new(settings: &[(&str, &str)]) -> Self {
        let component = host::component().unwrap_or_else(|error| panic!("{error:#}"));
        Self::with_guest(&component.canonicalize().unwrap(), settings)
    }

    fn with_guest(guest: &Path, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(host::program().unwrap());
        command
            .env_clear()
            .current_dir(folder.path())
            .args(["map", "--now", NOW, "--guest"])
            .arg(guest)
            .envs(
                settings
                    .iter()
                    .map(|(name, value)| (format!("{PREFIX}_{name}"), value)),
            );
        Self { command, folder }
    }

    fn lookups(mut self, folder: &tempfile::TempDir) -> Self {
        self.command.arg("--lookups").arg(folder.path());
        self
    }

    fn run(mut self, files: &[PathBuf]) -> Output {
        let output = self.command.args(files).output().unwrap();
        drop(self.folder);
        output
    }

    fn run_with_input(mut self, input: &str) -> Output {
        let mut process = self
            .command
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        process
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        process.wait_with_output().unwrap()
    }
}

fn words(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Whether VirusTotal sent an error in place of the object; the first page has one of these.
fn is_error(item: &Value) -> bool {
    item.get("error").is_some()
}

/// The one bundle on standard output, after the checks.
fn bundle(output: &Output) -> Value {
    written::bundle(&output.stdout).unwrap_or_else(|error| panic!("{error:#}: {output:?}"))
}

fn types(bundle: &Value, kind: &str) -> usize {
    let objects = bundle["objects"].as_array().unwrap();
    objects
        .iter()
        .filter(|object| object["type"] == kind)
        .count()
}

const EVERYTHING: [(&str, &str); 4] = [
    ("ENTITY_TYPES", "file,url,domain,ip_address"),
    ("MAX_AGE_DAYS", "0"),
    ("MAX_FILE_SIZE", "0"),
    ("GET_MALWARE_CONFIG", "true"),
];

#[test]
fn pages_become_one_valid_bundle_with_an_incident_for_each_notification() {
    let lookups = lookups();
    let output = Map::new(&EVERYTHING).lookups(&lookups).run(&pages());
    let bundle = bundle(&output);
    let [first, second, subscription] = pages();
    let (errors, good): (Vec<Value>, Vec<Value>) = [first, second]
        .iter()
        .flat_map(|page| items(page))
        .partition(is_error);
    let told = words(&output);
    assert_eq!(types(&bundle, "incident"), good.len(), "{told}");
    assert_eq!(told.matches(": failed: ").count(), errors.len(), "{told}");
    assert_eq!(output.status.code(), Some(1), "one notification failed");
    assert!(types(&bundle, "indicator") > 0, "{told}");
    // What a collection reports is no Livehunt notification.
    let skipped = told.matches(": skipped by the filter source: ").count();
    assert_eq!(skipped, items(&subscription).len(), "{told}");
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let lookups = lookups();
    let first = Map::new(&EVERYTHING).lookups(&lookups).run(&pages());
    let second = Map::new(&EVERYTHING).lookups(&lookups).run(&pages());
    assert!(!first.stdout.is_empty());
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(first.stderr, second.stderr);
}

#[test]
fn skips_are_told_by_filter_and_are_no_failure() {
    let [first, _, subscription] = pages();
    let pages = &[first, subscription];
    let settings = [("MAX_AGE_DAYS", "0"), ("EXTENSIONS", "nothing-has-this")];
    let output = Map::new(&settings).run(pages);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert_eq!(output.stdout, b"");
    for item in pages.iter().flat_map(|page| items(page)) {
        let id = item["context_attributes"]["notification_id"]
            .as_str()
            .unwrap();
        let skipped = format!("{id}: skipped by the filter ");
        assert!(
            words(&output).contains(&skipped),
            "{skipped}\n{}",
            words(&output)
        );
    }
}

#[test]
fn without_answers_incidents_come_without_rules() {
    let without_folder = Map::new(&EVERYTHING).run(&pages());
    assert_eq!(types(&bundle(&without_folder), "indicator"), 0);
    assert!(
        words(&without_folder).contains("no --lookups folder is given"),
        "{}",
        words(&without_folder)
    );
    let empty = tempfile::tempdir().unwrap();
    let absent = Map::new(&EVERYTHING).lookups(&empty).run(&pages());
    assert_eq!(types(&bundle(&absent), "indicator"), 0);
}

#[test]
fn objects_may_come_one_a_line_from_standard_input() {
    let lookups = lookups();
    let lines: String = pages()
        .iter()
        .flat_map(|page| items(page))
        .map(|item| format!("{item}\n"))
        .collect();
    let piped = Map::new(&EVERYTHING)
        .lookups(&lookups)
        .run_with_input(&lines);
    let from_files = Map::new(&EVERYTHING).lookups(&lookups).run(&pages());
    assert_eq!(bundle(&piped), bundle(&from_files));
}

#[test]
fn what_is_no_notification_fails_and_the_others_are_mapped() {
    let good = items(&fixture("ioc_stream_page2.json")).remove(0);
    let mut broken = good.clone();
    broken["type"] = "graph".into();
    let input = format!("{{\"id\": \"x\"}}\n{broken}\n{good}\n");
    let output = Map::new(&EVERYTHING).run_with_input(&input);
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    let told = words(&output);
    assert!(
        told.contains("failed: an object that is no item of the feed"),
        "{told}"
    );
    let id = good["context_attributes"]["notification_id"]
        .as_str()
        .unwrap();
    assert!(
        told.contains(&format!("{id}: failed: unsupported: ")),
        "{told}"
    );
    assert_eq!(types(&bundle(&output), "incident"), 1);
}

#[test]
fn what_cannot_be_done_is_a_clear_error() {
    let text = fixture("nothing.json");
    let broken = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(broken.path(), "{\"data\": [").unwrap();
    let broken = broken.path().to_owned();
    for (settings, file, expected) in [
        (
            &[][..],
            broken.clone(),
            vec![broken.to_str().unwrap(), "not JSON", "line 1 column"],
        ),
        (&[], text.clone(), vec!["cannot read", "nothing.json"]),
        (
            &[("MAX_AGE_DAYS", "soon"), ("TLP_LEVEL", "pink")],
            pages()[0].clone(),
            vec![
                "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_MAX_AGE_DAYS: found \"soon\"",
                "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_TLP_LEVEL: found \"pink\"",
            ],
        ),
    ] {
        let output = Map::new(settings).run(&[file]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout, b"");
        for part in expected {
            assert!(words(&output).contains(part), "{part}: {}", words(&output));
        }
    }
    let output = Map::with_guest(Path::new("/nowhere.wasm"), &[]).run(&pages());
    assert_eq!(output.status.code(), Some(1));
    let told = words(&output);
    assert!(
        told.starts_with("error: cannot read the guest /nowhere.wasm"),
        "{told}"
    );
}
