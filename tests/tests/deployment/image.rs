//! The Dockerfile.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::Result;
use connector_host::config::{self, HOST_SETTINGS, Raw};
use connector_tests::fixtures::Scenario;
use connector_tests::host::{Host, component, program, workspace};
use connector_tests::{opencti, virustotal};

use super::{image, text};

/// Instructions of the Dockerfile, in order.
fn instructions() -> Vec<(String, String)> {
    let text: String = text("Dockerfile")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    text.replace("\\\n", " ")
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
        .collect()
}

/// The instructions of the stage that builds, and of the one that remains.
fn stages() -> [Vec<(String, String)>; 2] {
    let all = instructions();
    let starts: Vec<usize> = (0..all.len()).filter(|it| all[*it].0 == "FROM").collect();
    let [0, second] = starts[..] else {
        panic!("two stages, not {starts:?}");
    };
    [all[..second].to_vec(), all[second..].to_vec()]
}

fn only<'a>(stage: &'a [(String, String)], name: &str) -> &'a str {
    let found: Vec<&str> = stage
        .iter()
        .filter(|(it, _)| it == name)
        .map(|(_, rest)| rest.as_str())
        .collect();
    let [rest] = found[..] else {
        panic!("one {name}, not {found:?}");
    };
    rest
}

fn words(json: &str) -> Vec<String> {
    serde_json::from_str(json).expect("the form that needs no shell")
}

/// `name=value` of LABEL and ENV, one a line.
fn pairs(rest: &str) -> BTreeMap<String, String> {
    rest.split("  ")
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect()
}

#[test]
fn it_is_built_by_the_compiler_that_the_workspace_asks_for_and_from_the_lock_file() {
    let [build, rest] = stages();
    let manifest = text("Cargo.toml");
    let (_, version) = manifest.split_once("rust-version = \"").unwrap();
    let (version, _) = version.split_once('"').unwrap();
    assert_eq!(
        only(&build, "FROM"),
        format!("rust:{version}-bookworm AS build")
    );
    // Bookworm is Debian 12: the program must find the C library that it was linked to.
    assert_eq!(only(&rest, "FROM"), "gcr.io/distroless/cc-debian12:nonroot");
    let run = only(&build, "RUN");
    for command in run.split("&&").map(str::trim) {
        let known = match command.split(' ').next() {
            Some("cargo") => command.contains(" --locked "),
            Some("rustup") => command.contains("wasm32-unknown-unknown"),
            Some(script) => workspace().join(script).is_file(),
            None => false,
        };
        assert!(known, "{command}");
    }
    assert!(text("guest/build.sh").contains("cargo build --locked "));
}

#[test]
fn it_holds_the_program_and_the_guest_where_the_settings_look_for_it() {
    let [build, rest] = stages();
    let built_in = only(&build, "WORKDIR");
    let program = program().unwrap();
    let program = program.file_name().unwrap().to_str().unwrap();
    let component = component().unwrap();
    let component = component.strip_prefix(workspace()).unwrap();
    let guest = HOST_SETTINGS
        .iter()
        .find(|it| it.name == "CONNECTOR_GUEST")
        .and_then(|it| it.default_value())
        .unwrap();
    let copies: Vec<&str> = rest
        .iter()
        .filter(|(name, _)| name == "COPY")
        .map(|(_, rest)| rest.as_str())
        .collect();
    let entry = words(only(&rest, "ENTRYPOINT")).remove(0);
    assert_eq!(
        copies,
        [
            format!("--from=build {built_in}/target/release/{program} {entry}"),
            format!("--from=build {built_in}/{} {guest}", component.display()),
        ]
    );
}

#[test]
fn it_runs_as_nobody_and_is_watched_by_the_program_itself() {
    let [_, rest] = stages();
    let user = only(&rest, "USER");
    let (user, group) = user.split_once(':').unwrap();
    for id in [user, group] {
        assert!(id.parse::<u32>().is_ok_and(|id| id > 0), "{id}");
    }
    let entry = words(only(&rest, "ENTRYPOINT"));
    let health = only(&rest, "HEALTHCHECK");
    let (_, health) = health.split_once("CMD ").unwrap();
    let health = words(health);
    assert_eq!(health[..1], entry[..]);
    for arguments in [&health[1..], &words(only(&rest, "CMD"))] {
        let help = Command::new(program().unwrap())
            .args(arguments)
            .arg("--help")
            .output()
            .unwrap();
        assert!(help.status.success(), "{arguments:?}");
    }
    // The health check asks the status, which is off by default.
    let environment = pairs(only(&rest, "ENV"));
    let raw = Raw::new(environment.clone());
    let address = config::load_status(&raw).unwrap().unwrap().address;
    assert!(address.ip().is_loopback());
    let known = |name: &String| HOST_SETTINGS.iter().any(|it| it.name == name);
    assert!(environment.keys().all(known), "{environment:?}");
}

#[test]
fn its_labels_are_those_of_the_catalog() {
    let [_, rest] = stages();
    let labels = pairs(only(&rest, "LABEL"));
    let of = |name: &str| labels[&format!("org.opencontainers.image.{name}")].as_str();
    assert_eq!(format!("{}:{}", of("title"), of("version")), image());
    assert_eq!(of("licenses"), "Apache-2.0");
    assert!(!of("description").is_empty());
}

#[test]
fn no_secret_of_the_working_folder_reaches_the_build() {
    let kept_out = text(".dockerignore");
    let not_committed = text(".gitignore");
    for name in [".env", "config.yml"] {
        assert!(kept_out.lines().any(|line| line == name), "{name}");
        let line = format!("/{name}");
        assert!(not_committed.lines().any(|it| it == line), "{name}");
    }
}

/// As a container's runtime starts it: a user without rights, and no file system that can be written.
const CONFINED: &[&str] = &[
    "unshare",
    "--mount",
    "sh",
    "-c",
    "mount -o remount,bind,ro / && exec setpriv --reuid 65532 --regid 65532 --clear-groups \
     --no-new-privs --bounding-set=-all \"$@\"",
    "sh",
];

#[tokio::test]
async fn the_program_runs_without_rights_and_where_nothing_can_be_written() -> Result<()> {
    let confined = |words: &[&str]| {
        let mut command = Command::new(CONFINED[0]);
        command.args(&CONFINED[1..]).args(words).output()
    };
    if !confined(&["true"]).is_ok_and(|output| output.status.success()) {
        println!("skipped: this user cannot make a mount namespace");
        return Ok(());
    }
    let written = confined(&["touch", "target/written"])?;
    assert!(!written.status.success(), "the file system can be written");
    let virustotal = virustotal::Server::start(Scenario::of_today(10).world()).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let [_, rest] = stages();
    let mut host = Host::new(&virustotal, &platform)?
        .variable("PATH", std::env::var("PATH")?)
        .variable("CONNECTOR_METRICS_PORT", "0");
    for (name, value) in pairs(only(&rest, "ENV")) {
        host = host.variable(&name, value);
    }
    let run = host.within(CONFINED).run_once().await?;
    assert!(run.success, "{}", run.log);
    assert!(
        run.summary().contains("10 notifications read"),
        "{}",
        run.log
    );
    assert!(!platform.objects().is_empty());
    Ok(())
}
