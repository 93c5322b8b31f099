//! `connector-host check` between the simulators: one case a fault, with its line and the exit code.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

mod broker;
mod cases;
mod settings;

use std::fmt;

use anyhow::{Result, ensure};
use connector_host::runtime::CONTRACT;
use connector_tests::fixtures::Scenario;
use connector_tests::host::{Finished, Host, workspace};
use connector_tests::opencti::{self, Options};
use connector_tests::trial::each;
use connector_tests::virustotal;
use serde_json::{Value, json};

const ALL: [&str; 15] = [
    "settings",
    "guest",
    "network",
    "virustotal",
    "virustotal-key",
    "virustotal-quota",
    "virustotal-feed",
    "opencti",
    "opencti-token",
    "opencti-version",
    "opencti-capabilities",
    "opencti-registration",
    "opencti-markings",
    "queue",
    "directory",
];

const PREFIX: &str = "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS";

/// Both peers, and a connector that nothing is wrong with.
struct Stage {
    virustotal: virustotal::Server,
    platform: opencti::Server,
    host: Host,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new(options: Options) -> Result<Self> {
        let scenario = Scenario {
            mixed: false,
            bodies: false,
            ..Scenario::of_today(3)
        };
        let virustotal = virustotal::Server::start(scenario.world()).await?;
        let platform = opencti::Server::start(options).await?;
        let folder = tempfile::tempdir()?;
        let bundles = folder.path().join("bundles");
        let cache = workspace().join("target/tmp/guest-cache");
        let host = Host::new(&virustotal, &platform)?
            .variable("CONNECTOR_GUEST_CACHE", cache.display().to_string())
            .variable("CONNECTOR_SEND_TO_DIRECTORY", "true")
            .variable(
                "CONNECTOR_SEND_TO_DIRECTORY_PATH",
                bundles.display().to_string(),
            );
        Ok(Self {
            virustotal,
            platform,
            host,
            folder,
        })
    }

    async fn check(&self) -> Result<Finished> {
        self.host.start(&["check"])?.finish().await
    }
}

/// State, name, and the rest of a line.
type Line = (String, String, String);

fn lines(finished: &Finished) -> Vec<Line> {
    let parse = |line: &str| {
        let mut parts = line.splitn(2, char::is_whitespace);
        let state = parts.next()?.to_owned();
        let mut parts = parts.next()?.trim_start().splitn(2, char::is_whitespace);
        let name = parts.next()?.to_owned();
        Some((state, name, parts.next()?.trim_start().to_owned()))
    };
    let lines = finished.output.lines();
    lines.map(|line| parse(line).unwrap()).collect()
}

/// What is wrong, and what is to be said about it.
struct Case {
    fault: &'static str,
    options: fn() -> Options,
    arrange: fn(&Stage, Host) -> Host,
    /// All lines that are not `ok`, in their order: state, name, and how the rest begins.
    expected: &'static [(&'static str, &'static str, &'static str)],
}

impl fmt::Debug for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.fault)
    }
}

impl Case {
    async fn run(&self) -> Result<()> {
        let mut stage = Stage::new((self.options)()).await?;
        stage.host = (self.arrange)(&stage, stage.host.clone());
        let finished = stage.check().await?;
        self.judge(&finished)?;
        // It is registered as `run` does it, and that is all.
        let nothing = stage.platform.read(|platform| {
            let registered = platform.connectors.values();
            registered.clone().all(|it| it.pings == 0) && platform.works.is_empty()
        });
        ensure!(nothing, "the platform was changed");
        ensure!(stage.virustotal.deletions().is_empty());
        let written = std::fs::read_dir(stage.folder.path())?.count();
        ensure!(written == 0, "{written} things are left in the folder");
        Ok(())
    }

    fn judge(&self, finished: &Finished) -> Result<()> {
        let mut lines = lines(finished);
        lines.retain(|(state, ..)| state != "ok");
        let shown = &finished.output;
        ensure!(lines.len() == self.expected.len(), "{shown}");
        for (found, expected) in lines.iter().zip(self.expected) {
            let (state, name, beginning) = *expected;
            ensure!(
                found.0 == state && found.1 == name && found.2.starts_with(beginning),
                "{expected:?} is not {found:?} of\n{shown}"
            );
        }
        let fails = self.expected.iter().any(|(state, ..)| *state == "failed");
        ensure!(finished.success != fails, "wrong exit code with\n{shown}");
        ensure!(finished.log.is_empty(), "logged: {}", finished.log);
        Ok(())
    }
}

#[tokio::test]
async fn each_fault_has_its_line_and_all_others_are_well() -> Result<()> {
    each(cases::all(), async |case: Case| case.run().await).await
}

#[tokio::test]
async fn all_that_is_well_has_a_line_too() -> Result<()> {
    let stage = Stage::new(Options::default()).await?;
    let found = lines(&stage.check().await?);
    let names: Vec<&str> = found.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ALL);
    let guest = &found[1].2;
    assert!(
        guest.starts_with("livehunt ") && guest.contains(&format!(", contract {CONTRACT}, from /")),
        "{guest}"
    );
    let url = stage.platform.url();
    for (line, beginning) in [
        (2, "VirusTotal without a proxy, OpenCTI without a proxy"),
        (3, "127.0.0.1 answers"),
        (6, "ioc_stream can be read"),
        (7, &format!("{url} answers")),
        (8, "account \"Connector\""),
        (9, "7.260817.0"),
        (11, "registered as \"VirusTotal Livehunt Notifications\""),
        (12, "the account sees TLP:CLEAR"),
        (13, "OpenCTI takes bundles through its API"),
    ] {
        assert!(found[line].2.starts_with(beginning), "{:?}", found[line]);
    }
    let feed = stage.virustotal.requests();
    let feed = feed.iter().find(|it| it.path == "/ioc_stream");
    let limit = feed.and_then(|request| request.parameter("limit"));
    assert_eq!(limit, Some("1"));
    Ok(())
}

#[tokio::test]
async fn a_program_reads_the_same_as_json() -> Result<()> {
    let mut stage = Stage::new(Options::default()).await?;
    for (key, ok) in [
        (stage.virustotal.api_key().to_owned(), true),
        ("other".to_owned(), false),
    ] {
        stage.host = stage.host.clone().setting("API_KEY", key);
        let finished = stage.host.start(&["check", "--json"])?.finish().await?;
        assert_eq!(finished.success, ok, "{}", finished.output);
        let report: Value = serde_json::from_str(&finished.output)?;
        assert_eq!(report["ok"], ok);
        let checks = report["checks"].as_array().unwrap();
        let names: Vec<&str> = checks.iter().filter_map(|it| it["name"].as_str()).collect();
        assert_eq!(names, ALL);
        let key = &checks[4];
        let setting = (!ok).then(|| format!("{PREFIX}_API_KEY"));
        assert_eq!(key["state"], if ok { "ok" } else { "failed" });
        assert_eq!(key["setting"], json!(setting));
        assert!(!key["message"].as_str().unwrap().contains(PREFIX));
    }
    Ok(())
}

#[tokio::test]
async fn the_proxy_is_told_without_its_login() -> Result<()> {
    let mut stage = Stage::new(Options::default()).await?;
    let proxy = "http://user-of-the-proxy:password-of-the-proxy@127.0.0.1:1";
    stage.host = stage.host.clone().variable("HTTP_PROXY", proxy);
    let finished = stage.check().await?;
    assert!(!finished.success);
    let found = lines(&finished);
    assert_eq!(
        found[2].2,
        "VirusTotal through the proxy 127.0.0.1:1, OpenCTI through the proxy 127.0.0.1:1"
    );
    for (line, setting) in [
        (3, "API_URL: cannot reach"),
        (7, "OPENCTI_URL: cannot reach"),
    ] {
        assert_eq!(found[line].0, "failed");
        assert!(found[line].2.contains(setting), "{:?}", found[line]);
    }
    Ok(())
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for_long() -> Result<()> {
    let mut stage = Stage::new(Options::default()).await?;
    // Connections are made, and nobody reads from them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", silent.local_addr()?);
    stage.host = stage
        .host
        .clone()
        .setting("API_URL", &address)
        .variable("OPENCTI_URL", &address);
    let found = lines(&stage.check().await?);
    for (line, setting) in [
        (3, "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_URL"),
        (7, "OPENCTI_URL"),
    ] {
        let words = format!("{setting}: no answer within 15 seconds");
        assert_eq!((found[line].0.as_str(), &found[line].2), ("failed", &words));
    }
    Ok(())
}
