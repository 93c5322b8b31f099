//! `connector-host check` between the simulators: one case a fault, with its line and the exit code.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::fmt;

use anyhow::{Context as _, Result, ensure};
use connector_tests::fault::{Fault, path};
use connector_tests::fixtures::Scenario;
use connector_tests::host::{CONNECTOR_ID, Finished, Host, rabbitmq, workspace};
use connector_tests::opencti::{self, Options};
use connector_tests::rabbitmq::Node;
use connector_tests::trial::each;
use connector_tests::virustotal::{self, error_body};
use serde_json::{Value, json};

const ALL: [&str; 13] = [
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

    fn with_broker(self) -> Self {
        let host = self.host.variable("CONNECTOR_QUEUE_PROTOCOL", "amqp");
        Self { host, ..self }
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
        let nothing = stage
            .platform
            .read(|platform| platform.connectors.is_empty() && platform.works.is_empty());
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

fn release(version: &str) -> Options {
    Options::version(version).unwrap()
}

const NO_QUOTA_KNOWN: &str = "VirusTotal does not answer";
const NO_PLATFORM: &str = "OpenCTI does not answer";

#[tokio::test]
async fn each_fault_has_its_line_and_all_others_are_well() -> Result<()> {
    each(cases(), async |case: Case| case.run().await).await
}

fn cases() -> Vec<Case> {
    let mut cases = cases_of_virustotal();
    cases.extend(cases_of_opencti());
    cases.extend(cases_of_this_machine());
    cases
}

fn cases_of_virustotal() -> Vec<Case> {
    vec![
        Case {
            fault: "none",
            options: Options::default,
            arrange: |_, host| host,
            expected: &[],
        },
        Case {
            fault: "wrong key",
            options: Options::default,
            arrange: |_, host| host.setting("API_KEY", "another-key/of+somebody"),
            expected: &[
                (
                    "failed",
                    "virustotal-key",
                    "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY: VirusTotal does not accept the key (WrongCredentialsError",
                ),
                ("skipped", "virustotal-quota", "the key is not accepted"),
                ("skipped", "virustotal-feed", "the key is not accepted"),
            ],
        },
        Case {
            fault: "nobody at the address of VirusTotal",
            options: Options::default,
            arrange: |_, host| host.setting("API_URL", "http://127.0.0.1:1/api/v3"),
            expected: &[
                (
                    "failed",
                    "virustotal",
                    "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_URL: cannot reach 127.0.0.1: the connection is refused",
                ),
                ("skipped", "virustotal-key", NO_QUOTA_KNOWN),
                ("skipped", "virustotal-quota", NO_QUOTA_KNOWN),
                ("skipped", "virustotal-feed", NO_QUOTA_KNOWN),
            ],
        },
        Case {
            fault: "something else in the place of VirusTotal",
            options: Options::default,
            arrange: |stage, host| {
                stage.virustotal.fault(path("/users/"), Fault::Html(502));
                host
            },
            expected: &[
                (
                    "failed",
                    "virustotal",
                    "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_URL: 127.0.0.1 answered 502 with something that is not JSON",
                ),
                ("skipped", "virustotal-key", NO_QUOTA_KNOWN),
                ("skipped", "virustotal-quota", NO_QUOTA_KNOWN),
                ("skipped", "virustotal-feed", NO_QUOTA_KNOWN),
            ],
        },
        Case {
            fault: "no quota left",
            options: Options::default,
            arrange: |stage, host| {
                stage.virustotal.edit(|world| world.quota = Some(0));
                host
            },
            expected: &[
                (
                    "failed",
                    "virustotal-quota",
                    "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY: requests left: 0 of 1 this hour, 0 of 1 today",
                ),
                ("skipped", "virustotal-feed", "the quota is used up"),
            ],
        },
        Case {
            fault: "little quota left",
            options: Options::default,
            arrange: |stage, host| {
                let quota = json!({"api_requests_daily": {
                    "user": {"allowed": 500, "used": 499},
                    "group": {"allowed": 5000, "used": 1497, "inherited_from": "acme"},
                }});
                let answer = Fault::Status(200, json!({"data": quota}));
                stage.virustotal.fault(path("/users/"), answer);
                host
            },
            expected: &[(
                "warning",
                "virustotal-quota",
                "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY: requests left: 1 of 500 today (UTC)",
            )],
        },
        Case {
            fault: "a quota that is not told",
            options: Options::default,
            arrange: |stage, host| {
                let refusal = Fault::Status(403, error_body("ForbiddenError", "not yours"));
                stage.virustotal.fault(path("/users/"), refusal);
                host
            },
            expected: &[(
                "warning",
                "virustotal-quota",
                "VirusTotal does not tell what is left: VirusTotal forbids this",
            )],
        },
        Case {
            fault: "a licence without what the guest reads",
            options: Options::default,
            arrange: |stage, host| {
                stage
                    .virustotal
                    .edit(|world| world.quirks.stream_forbidden = true);
                host
            },
            expected: &[(
                "failed",
                "virustotal-feed",
                "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY: ioc_stream cannot be read: VirusTotal forbids this",
            )],
        },
    ]
}

fn cases_of_opencti() -> Vec<Case> {
    const REST: [(&str, &str, &str); 4] = [
        ("skipped", "opencti-token", NO_PLATFORM),
        ("skipped", "opencti-version", NO_PLATFORM),
        ("skipped", "opencti-capabilities", NO_PLATFORM),
        ("skipped", "queue", NO_PLATFORM),
    ];
    vec![
        Case {
            fault: "nobody at the address of OpenCTI",
            options: Options::default,
            arrange: |_, host| host.variable("OPENCTI_URL", "http://127.0.0.1:1"),
            expected: &[
                (
                    "failed",
                    "opencti",
                    "OPENCTI_URL: cannot reach OpenCTI: connection refused",
                ),
                REST[0],
                REST[1],
                REST[2],
                REST[3],
            ],
        },
        Case {
            fault: "another path of OpenCTI",
            options: Options::default,
            arrange: |stage, host| {
                host.variable("OPENCTI_URL", format!("{}/elsewhere", stage.platform.url()))
            },
            expected: &[
                ("failed", "opencti", "OPENCTI_URL: OpenCTI answers HTTP 404"),
                REST[0],
                REST[1],
                REST[2],
                REST[3],
            ],
        },
        Case {
            fault: "wrong token",
            options: Options::default,
            arrange: |_, host| host.variable("OPENCTI_TOKEN", "token-of-somebody-else"),
            expected: &[
                (
                    "failed",
                    "opencti-token",
                    "OPENCTI_TOKEN: about failed: AUTH_REQUIRED",
                ),
                ("skipped", "opencti-version", "the token is not accepted"),
                (
                    "skipped",
                    "opencti-capabilities",
                    "the token is not accepted",
                ),
                ("skipped", "queue", "the token is not accepted"),
            ],
        },
        Case {
            fault: "an account that is no connector's",
            options: || Options::default().without(&["CONNECTORAPI", "MODULES_MODMANAGE"]),
            arrange: |_, host| host,
            expected: &[
                (
                    "failed",
                    "opencti-capabilities",
                    "OPENCTI_TOKEN: missing: CONNECTORAPI; put the account into the group Connectors",
                ),
                ("skipped", "queue", "the account lacks a capability"),
            ],
        },
        Case {
            fault: "an account that sees no connectors",
            options: || Options::default().without(&["MODULES_MODMANAGE"]),
            arrange: |_, host| host,
            expected: &[(
                "warning",
                "opencti-capabilities",
                "OPENCTI_TOKEN: without MODULES runs are not held back",
            )],
        },
        Case {
            fault: "an account that may not write",
            options: || {
                Options::default().without(&["KNOWLEDGE_KNUPDATE", "KNOWLEDGE_KNASKIMPORT"])
            },
            arrange: |_, host| host,
            expected: &[(
                "warning",
                "opencti-capabilities",
                "OPENCTI_TOKEN: without KNOWLEDGE_KNUPDATE no files are copied",
            )],
        },
        Case {
            fault: "an old platform",
            options: || release("5.12.33"),
            arrange: |_, host| host,
            expected: &[
                ("skipped", "opencti-token", "OpenCTI is too old"),
                (
                    "failed",
                    "opencti-version",
                    "5.12.33 is too old: this connector needs OpenCTI 6.0.0 or newer",
                ),
                ("skipped", "opencti-capabilities", "OpenCTI is too old"),
                ("skipped", "queue", "OpenCTI is too old"),
            ],
        },
        Case {
            fault: "a platform that takes no bundles by its API",
            options: || release("6.2.5"),
            arrange: |_, host| host,
            expected: &[(
                "failed",
                "queue",
                "CONNECTOR_QUEUE_PROTOCOL: OpenCTI 6.2.5 has no stixBundlePush",
            )],
        },
    ]
}

fn cases_of_this_machine() -> Vec<Case> {
    const NO_NAMES: &str = "the names of its settings are not known without the guest";
    const REFUSED: &str = "settings that it needs are refused";
    const NO_NETWORK: &str = "its certificates or its proxy cannot be used";
    vec![
        Case {
            fault: "settings of host and guest",
            options: Options::default,
            arrange: |_, host| {
                host.variable("OPENCTI_TOKEN", "")
                    .variable("CONNECTOR_DURATION_PERIOD", "soon")
                    .variable("OPENCTI_TOKN", "a")
                    .setting("LIMIT", "0")
                    .setting("TLP_LEVEL", "purple")
            },
            expected: &[
                ("failed", "settings", "OPENCTI_TOKEN: not set; expected"),
                (
                    "failed",
                    "settings",
                    "CONNECTOR_DURATION_PERIOD: found \"soon\"",
                ),
                (
                    "failed",
                    "settings",
                    "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_LIMIT: found \"0\"",
                ),
                ("warning", "settings", "OPENCTI_TOKN is not"),
                (
                    "failed",
                    "settings",
                    "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_TLP_LEVEL: ",
                ),
                (
                    "skipped",
                    "virustotal-feed",
                    "the guest, which names it, is not ready",
                ),
                ("skipped", "opencti", REFUSED),
                ("skipped", "opencti-token", REFUSED),
                ("skipped", "opencti-version", REFUSED),
                ("skipped", "opencti-capabilities", REFUSED),
                ("skipped", "queue", REFUSED),
            ],
        },
        Case {
            fault: "no guest",
            options: Options::default,
            arrange: |_, host| {
                host.variable("CONNECTOR_GUEST", "/nowhere.wasm")
                    .variable("CONNECTOR_QUEUE_THRESHOLD", "none")
            },
            expected: &[
                ("failed", "settings", "CONNECTOR_QUEUE_THRESHOLD: found"),
                (
                    "failed",
                    "guest",
                    "CONNECTOR_GUEST: cannot read the guest /nowhere.wasm",
                ),
                ("skipped", "virustotal", NO_NAMES),
                ("skipped", "virustotal-key", NO_NAMES),
                ("skipped", "virustotal-quota", NO_NAMES),
                ("skipped", "virustotal-feed", NO_NAMES),
            ],
        },
        Case {
            fault: "settings about the guest",
            options: Options::default,
            arrange: |_, host| host.variable("CONNECTOR_GUEST_MEMORY", "much"),
            expected: &[
                (
                    "failed",
                    "settings",
                    "CONNECTOR_GUEST_MEMORY: found \"much\"",
                ),
                ("skipped", "guest", "the settings about it are refused"),
                ("skipped", "virustotal", NO_NAMES),
                ("skipped", "virustotal-key", NO_NAMES),
                ("skipped", "virustotal-quota", NO_NAMES),
                ("skipped", "virustotal-feed", NO_NAMES),
            ],
        },
        Case {
            fault: "a proxy of no use",
            options: Options::default,
            arrange: |_, host| host.variable("HTTPS_PROXY", "ftp://proxy"),
            expected: &[
                ("failed", "network", "HTTPS_PROXY: the text is not"),
                ("skipped", "virustotal", NO_NETWORK),
                ("skipped", "virustotal-key", NO_NETWORK),
                ("skipped", "virustotal-quota", NO_NETWORK),
                ("skipped", "virustotal-feed", NO_NETWORK),
                ("skipped", "opencti", NO_NETWORK),
                ("skipped", "opencti-token", NO_NETWORK),
                ("skipped", "opencti-version", NO_NETWORK),
                ("skipped", "opencti-capabilities", NO_NETWORK),
                ("skipped", "queue", NO_NETWORK),
            ],
        },
        Case {
            fault: "a directory that cannot be made",
            options: Options::default,
            arrange: |_, host| {
                host.variable("CONNECTOR_SEND_TO_DIRECTORY_PATH", "/dev/null/bundles")
            },
            expected: &[(
                "failed",
                "directory",
                "CONNECTOR_SEND_TO_DIRECTORY_PATH: cannot write /dev/null",
            )],
        },
    ]
}

#[tokio::test]
async fn all_that_is_well_has_a_line_too() -> Result<()> {
    let stage = Stage::new(Options::default()).await?;
    let found = lines(&stage.check().await?);
    let names: Vec<&str> = found.iter().map(|(_, name, _)| name.as_str()).collect();
    assert_eq!(names, ALL);
    let guest = &found[1].2;
    assert!(
        guest.starts_with("livehunt ") && guest.contains(", contract 1.0.0, from /"),
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
        (11, "OpenCTI takes bundles through its API"),
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

async fn queue_line(stage: &Stage) -> Result<Line> {
    let found = lines(&stage.check().await?);
    let line = found.into_iter().find(|(_, name, _)| name == "queue");
    line.context("no line about the queue")
}

#[tokio::test]
async fn the_broker_is_tried_and_nothing_is_left_there() -> Result<()> {
    let Some(amqp_url) = rabbitmq().await else {
        return Ok(());
    };
    let options = Options {
        amqp_url: Some(amqp_url),
        ..Options::default()
    };
    let stage = Stage::new(options).await?.with_broker();
    let registered = "; to learn of it, the connector was registered on OpenCTI";
    for (time, words) in [(1, registered), (2, "")] {
        let (state, _, message) = queue_line(&stage).await?;
        assert_eq!(state, "ok", "{message}");
        let (_, rest) = message.split_once("lets us publish").unwrap();
        assert_eq!(rest, words, "time {time}");
    }
    // As after a loss of RabbitMQ's data.
    stage.platform.delete_exchange().await?;
    let (state, _, message) = queue_line(&stage).await?;
    assert_eq!(state, "ok", "{message}");
    assert!(message.ends_with(registered), "{message}");
    let registrations = stage
        .platform
        .read(|platform| platform.connectors[CONNECTOR_ID].registrations);
    assert_eq!(registrations, 2);
    assert_eq!(stage.platform.state(), None);
    stage.platform.until_worker_caught_up().await?;
    assert!(stage.platform.deliveries().is_empty());

    for (variable, value, setting, words) in [
        (
            "MQ_PASS",
            "password-of-somebody",
            "MQ_USER",
            "ACCESS_REFUSED",
        ),
        ("MQ_PORT", "1", "MQ_HOST", "refused"),
        (
            "MQ_USE_SSL_CA",
            "/nowhere.pem",
            "MQ_USE_SSL_CA",
            "cannot read",
        ),
    ] {
        let host = stage.host.clone().variable(variable, value);
        let finished = host.start(&["check"])?.finish().await?;
        assert!(!finished.success);
        let line = lines(&finished).into_iter().find(|it| it.1 == "queue");
        let (state, _, message) = line.unwrap();
        assert_eq!(state, "failed", "{message}");
        assert!(
            message.starts_with(&format!("{setting}: ")) && message.contains(words),
            "{message}"
        );
    }
    stage.platform.stop().await
}

#[tokio::test]
async fn an_account_that_may_not_publish_is_found_out() -> Result<()> {
    let Some(node) = Node::start().await? else {
        return Ok(());
    };
    const USER: &str = "reader";
    const PASSWORD: &str = "password-of-the-reader";
    node.control(&["add_user", USER, PASSWORD]).await?;
    let options = Options {
        amqp_url: Some(node.url()),
        ..Options::default()
    };
    let mut stage = Stage::new(options).await?.with_broker();
    stage.host = stage
        .host
        .clone()
        .variable("MQ_USER", USER)
        .variable("MQ_PASS", PASSWORD);
    for (write, expected) in [("^$", "failed"), (".*", "ok")] {
        let permissions = ["set_permissions", USER, ".*", write, ".*"];
        node.control(&permissions).await?;
        let (state, _, message) = queue_line(&stage).await?;
        assert_eq!(state, expected, "{message}");
        let is_refused = message.starts_with("MQ_USER: ") && message.contains("ACCESS_REFUSED");
        assert_eq!(is_refused, expected == "failed", "{message}");
    }
    stage.platform.stop().await
}
