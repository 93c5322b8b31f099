//! The page of promises against the code: each names tests that exist.

#![allow(clippy::unwrap_used, reason = "tests")]

use connector_tests::host::workspace;

/// Everything of the form `file.rs::name` between backticks; a file without a folder lies in `tests/tests`.
fn named_tests(text: &str) -> Vec<(String, String)> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|quoted| quoted.split_once(".rs::"))
        .map(|(file, name)| {
            let folder = if file.contains('/') {
                ""
            } else {
                "tests/tests/"
            };
            (format!("{folder}{file}.rs"), name.to_owned())
        })
        .collect()
}

#[test]
fn every_test_that_the_page_of_promises_names_exists() {
    let page = std::fs::read_to_string(workspace().join("docs/reliability.md")).unwrap();
    let named = named_tests(&page);
    let missing: Vec<_> = named
        .iter()
        .filter(|(file, name)| {
            let code = std::fs::read_to_string(workspace().join(file)).unwrap_or_default();
            !code.contains(&format!("fn {name}("))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(named.len() > 40, "{} tests named", named.len());
}

/// A promise without a test is a hope.
#[test]
fn every_promise_and_every_fault_has_a_test() {
    let page = std::fs::read_to_string(workspace().join("docs/reliability.md")).unwrap();
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("|---"));
    let headings = ["| promise |", "| fault |", "| fact |", "| measure |"];
    let without: Vec<_> = rows
        .filter(|line| !headings.iter().any(|heading| line.starts_with(heading)))
        .filter(|line| named_tests(line).is_empty())
        .collect();
    assert!(without.is_empty(), "{without:#?}");
}
