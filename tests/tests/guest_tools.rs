//! `connector-host guest …`, as a process: what a guest's author works with.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use connector_tests::host;
use serde_json::Value;

/// Some minutes after the newest notification of the fixtures.
const NOW: &str = "2026-01-01T10:05:00Z";

fn guest(arguments: &[&str]) -> Output {
    Command::new(host::program().unwrap())
        .arg("guest")
        .args(arguments)
        .args(["--config", "/dev/null"])
        .env_clear()
        .output()
        .unwrap()
}

fn component() -> String {
    host::component().unwrap().display().to_string()
}

fn printed(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn cases() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(host::workspace().join("guest/cases")).unwrap();
    folder.map(|entry| entry.unwrap().path()).collect()
}

fn page() -> String {
    let page = host::workspace().join("guest/tests/fixtures/ioc_stream_page1.json");
    page.display().to_string()
}

#[test]
fn inspect_shows_what_the_guest_says_of_itself() {
    let component = component();
    let shown = printed(&guest(&["inspect", &component]));
    let json = printed(&guest(&["inspect", "--json", &component]));
    let json: Value = serde_json::from_str(&json).unwrap();
    let size = std::fs::metadata(&component).unwrap().len();
    assert_eq!(json["size"], size);
    assert_eq!(json["imports"], serde_json::json!([]));
    let settings = json["description"]["settings"].as_array().unwrap();
    assert!(!settings.is_empty());
    let texts = settings.iter().flat_map(|it| [&it["name"], &it["help"]]);
    for text in texts.chain([&json["digest"], &json["exports"][0], &json["contract"]]) {
        let text = text.as_str().unwrap();
        assert!(shown.contains(text), "{text}: {shown}");
    }
}

#[test]
fn the_cases_of_the_guest_pass() {
    let component = component();
    let mut arguments = vec!["test".to_owned(), component];
    arguments.extend(cases().iter().map(|it| it.display().to_string()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = guest(&arguments);
    assert!(output.status.success(), "{}", printed(&output));
    let count = cases().len();
    assert!(printed(&output).contains(&format!("{count} of {count} cases passed")));
}

#[test]
fn a_case_that_fails_shows_the_difference_until_it_is_blessed() {
    let folder = tempfile::tempdir().unwrap();
    let case = folder.path().join("case.json");
    let original = host::workspace().join("guest/cases/skipped-by-size.json");
    let text = std::fs::read_to_string(&original).unwrap();
    let mut changed: Value = serde_json::from_str(&text).unwrap();
    changed["expected"]["skip"]["filter"] = "age".into();
    std::fs::write(&case, changed.to_string()).unwrap();
    let (component, path) = (component(), case.display().to_string());

    let failed = guest(&["test", &component, &path]);
    assert_eq!(failed.status.code(), Some(1));
    let shown = printed(&failed);
    for line in [
        "-    \"filter\": \"age\"",
        "+    \"filter\": \"size\"",
        "0 of 1",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(
        guest(&["test", "--bless", &component, &path])
            .status
            .success()
    );
    assert!(guest(&["test", &component, &path]).status.success());
    let blessed: Value = serde_json::from_str(&std::fs::read_to_string(&case).unwrap()).unwrap();
    assert_eq!(blessed, serde_json::from_str::<Value>(&text).unwrap());
}

#[test]
fn what_is_no_case_is_told_by_name_and_the_others_run() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.json");
    std::fs::write(&broken, r#"{"now": 1, "items": {}}"#).unwrap();
    let good = host::workspace().join("guest/cases/skipped-by-size.json");
    let paths = [broken, good].map(|it| it.display().to_string());
    let output = guest(&["test", &component(), &paths[0], &paths[1]]);
    assert_eq!(output.status.code(), Some(1));
    let shown = printed(&output);
    assert!(
        shown.contains("broken.json is no case: unknown field `items`"),
        "{shown}"
    );
    assert!(shown.contains("1 of 2 cases passed"), "{shown}");
}

#[test]
fn bench_measures_calls() {
    let output = guest(&[
        "bench",
        &component(),
        &page(),
        "--rounds",
        "2",
        "--now",
        NOW,
    ]);
    let shown = printed(&output);
    assert!(output.status.success(), "{shown}");
    for row in [
        "calls per second",
        "median",
        "99 %",
        "memory of an instance",
    ] {
        assert!(shown.contains(row), "{row}: {shown}");
    }
}

#[test]
fn a_guest_differs_from_itself_in_nothing() {
    let (component, page) = (component(), page());
    let output = guest(&["diff", &component, &component, &page, "--now", NOW]);
    let shown = printed(&output);
    assert!(output.status.success(), "{shown}");
    let items = items(Path::new(&page));
    let same = shown.lines().find(|line| line.contains("same")).unwrap();
    assert!(same.trim_end().ends_with(&items.to_string()), "{shown}");
}

fn items(page: &Path) -> usize {
    let page: Value = serde_json::from_str(&std::fs::read_to_string(page).unwrap()).unwrap();
    page["data"].as_array().unwrap().len()
}
