//! The program as a user meets it first: without settings, or with wrong ones.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::path::Path;
use std::process::{Command, Output};

fn connector_host(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_connector-host"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The component, where it has been built.
fn component() -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/livehunt.wasm");
    let found = path.exists();
    if !found {
        println!(
            "skipped: {} is missing; ./justw guest builds it",
            path.display()
        );
    }
    found.then(|| path.display().to_string())
}

#[test]
fn the_help_names_the_commands() {
    let output = connector_host(&["--help"], &[]);
    assert!(output.status.success());
    for command in ["run", "map"] {
        assert!(
            text(&output.stdout).contains(&format!("  {command} ")),
            "{}",
            text(&output.stdout)
        );
    }
}

#[test]
fn a_guest_that_is_not_there_is_named() {
    let output = connector_host(&["run", "--guest", "nowhere.wasm"], &[]);
    assert!(!output.status.success());
    assert!(
        text(&output.stderr).contains("cannot read the guest nowhere.wasm"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn all_problems_with_the_settings_come_at_once_and_no_secret_with_them() {
    let Some(component) = component() else { return };
    let output = connector_host(
        &["run", "--guest", &component],
        &[
            ("OPENCTI_URL", "ftp://user:hunter2@platform"),
            ("OPENCTI_TOKEN", "ChangeMe"),
            ("CONNECTOR_DURATION_PERIOD", "soon"),
            ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY", "hunter2"),
            ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_LIMIT", "0"),
        ],
    );
    let log = text(&output.stderr);
    assert!(!output.status.success());
    for setting in [
        "OPENCTI_URL",
        "OPENCTI_TOKEN",
        "CONNECTOR_ID",
        "CONNECTOR_DURATION_PERIOD",
        "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_LIMIT",
    ] {
        assert!(log.contains(setting), "{setting} in {log}");
    }
    assert!(!log.contains("hunter2"), "{log}");
}

#[test]
fn the_guests_problems_come_with_the_names_of_the_environment() {
    let Some(component) = component() else { return };
    let output = connector_host(
        &["map", "--guest", &component, "-"],
        &[
            ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_TLP_LEVEL", "purple"),
            ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_MIN_POSITIVES", "many"),
        ],
    );
    let errors = text(&output.stderr);
    assert!(!output.status.success());
    for setting in [
        "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_TLP_LEVEL",
        "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_MIN_POSITIVES",
    ] {
        assert!(errors.contains(setting), "{setting} in {errors}");
    }
}
