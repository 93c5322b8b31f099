//! The program as a user meets it first: without settings, or with wrong ones.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

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
    for command in [
        "run",
        "check",
        "map",
        "health",
        "metadata",
        "completions",
        "man",
    ] {
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
fn a_check_of_nothing_names_all_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yml");
    std::fs::write(&file, "opencti: [").unwrap();
    let config = file.display().to_string();
    let output = connector_host(
        &["check", "--guest", "nowhere.wasm", "--config", &config],
        &[],
    );
    assert_eq!(output.status.code(), Some(1));
    let lines = text(&output.stdout);
    for line in [
        "failed  settings",
        "config.yml is not YAML",
        "OPENCTI_URL: not set",
        "OPENCTI_TOKEN: not set",
        "CONNECTOR_ID: not set",
        "CONNECTOR_GUEST: cannot read the guest nowhere.wasm",
        "skipped virustotal ",
        "skipped opencti ",
        "skipped queue ",
    ] {
        assert!(lines.contains(line), "{line} in {lines}");
    }
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
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

#[test]
fn a_missing_command_is_a_wrong_call() {
    let output = connector_host(&["--config", "none.yml"], &[]);
    assert_eq!(output.status.code(), Some(2));
    let error = text(&output.stderr);
    assert!(error.contains("a command is missing"), "{error}");
}

#[test]
fn the_short_version_is_a_line_and_the_long_one_tells_of_the_guest() {
    let short = text(&connector_host(&["-V"], &[]).stdout);
    assert_eq!(
        short,
        concat!("connector-host ", env!("CARGO_PKG_VERSION"), "\n")
    );

    let nowhere = connector_host(&["--version", "--guest", "nowhere.wasm"], &[]);
    assert!(nowhere.status.success());
    let nowhere = text(&nowhere.stdout);
    assert!(nowhere.starts_with(&short), "{nowhere}");
    for begin in [
        "wasmtime ",
        "contract ",
        "guest not known: cannot read the guest",
    ] {
        assert!(
            nowhere.lines().any(|line| line.starts_with(begin)),
            "{nowhere}"
        );
    }

    // There is no such registry, and nobody asks it.
    let guest = [("CONNECTOR_GUEST", "oci://registry.example/guest:1")];
    let remote = text(&connector_host(&["--version"], &guest).stdout);
    assert!(
        remote.ends_with("oci://registry.example/guest:1, which is not asked\n"),
        "{remote}"
    );

    let Some(component) = component() else { return };
    let output = connector_host(&["--version"], &[("CONNECTOR_GUEST", &component)]);
    let inspect = connector_host(&["guest", "inspect", "--json", &component], &[]);
    let inspect: serde_json::Value = serde_json::from_slice(&inspect.stdout).unwrap();
    let of = |pointer: &str| inspect.pointer(pointer).unwrap().as_str().unwrap();
    let guest = format!(
        "guest {} {}, {}",
        of("/description/name"),
        of("/description/version"),
        of("/digest")
    );
    assert_eq!(text(&output.stdout).lines().last(), Some(guest.as_str()));
}

#[test]
fn completions_and_manual_pages_tell_of_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let output = connector_host(&["completions", shell], &[]);
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("metadata"), "{shell}");
    }
    let page = |command: &[&str]| {
        let output = connector_host(&[&["man"], command].concat(), &[]);
        text(&output.stdout)
    };
    assert!(
        page(&[]).contains("connector\\-host\\-run(1)"),
        "{}",
        page(&[])
    );
    assert!(page(&["run"]).contains("\\-\\-once"));
    assert!(page(&["guest", "test"]).contains("connector\\-host guest test"));
    let unknown = connector_host(&["man", "guest", "tame"], &[]);
    assert!(!unknown.status.success());
    assert!(text(&unknown.stderr).contains("has no command tame"));
}

/// Answers one request, and returns its first line.
fn answering(status: &'static str, body: &'static str) -> (u16, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        text(&request).lines().next().unwrap().to_owned()
    });
    (port, asked)
}

#[test]
fn health_is_what_the_connector_says_of_itself() {
    for (arguments, path, status, is_healthy) in [
        (&["health"][..], "/healthz", "200 OK", true),
        (&["health"], "/healthz", "503 Service Unavailable", false),
        (&["health", "--ready"], "/readyz", "200 OK", true),
        (
            &["health", "--ready"],
            "/readyz",
            "503 Service Unavailable",
            false,
        ),
    ] {
        let (port, asked) = answering(status, "{\"reason\": \"as it says\"}");
        let output = connector_host(
            arguments,
            &[
                ("CONNECTOR_EXPOSE_METRICS", "true"),
                ("CONNECTOR_METRICS_PORT", &port.to_string()),
                // Listens at all addresses; a proxy is not asked.
                ("CONNECTOR_METRICS_ADDRESS", "0.0.0.0"),
                ("HTTP_PROXY", "http://127.0.0.1:9"),
            ],
        );
        assert_eq!(asked.join().unwrap(), format!("GET {path} HTTP/1.1"));
        assert_eq!(output.status.success(), is_healthy, "{status}");
        let said = [text(&output.stdout), text(&output.stderr)].concat();
        assert!(said.contains("as it says"), "{said}");
    }
}

#[test]
fn health_is_bad_where_nobody_answers_and_not_known_where_nobody_should() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let port = free.port().to_string();
    let served = ("CONNECTOR_EXPOSE_METRICS", "true");
    let nobody = connector_host(&["health"], &[served, ("CONNECTOR_METRICS_PORT", &port)]);
    assert!(!nobody.status.success());
    let error = text(&nobody.stderr);
    assert!(
        error.contains(&format!("no answer from http://{free}/healthz")),
        "{error}"
    );

    let off = connector_host(&["health"], &[("CONNECTOR_EXPOSE_METRICS", "false")]);
    assert!(off.status.success());
    assert!(text(&off.stdout).starts_with("not known: CONNECTOR_EXPOSE_METRICS"));

    let wrong = connector_host(&["health"], &[served, ("CONNECTOR_METRICS_PORT", "http")]);
    assert!(!wrong.status.success());
    assert!(text(&wrong.stderr).contains("CONNECTOR_METRICS_PORT: found \"http\""));
}
