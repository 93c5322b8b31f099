//! What can be wrong, one case a fault.

use connector_tests::fault::{Fault, path};
use connector_tests::opencti::Options;
use connector_tests::virustotal::error_body;
use serde_json::json;

use super::Case;

const NO_VIRUSTOTAL: &str = "VirusTotal does not answer";
const NO_PLATFORM: &str = "OpenCTI does not answer";

/// Of all peers.
pub(super) fn all() -> Vec<Case> {
    let mut cases = of_virustotal();
    cases.extend(of_opencti());
    cases.extend(of_this_machine());
    cases
}

fn of_virustotal() -> Vec<Case> {
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
                ("skipped", "virustotal-key", NO_VIRUSTOTAL),
                ("skipped", "virustotal-quota", NO_VIRUSTOTAL),
                ("skipped", "virustotal-feed", NO_VIRUSTOTAL),
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
                ("skipped", "virustotal-key", NO_VIRUSTOTAL),
                ("skipped", "virustotal-quota", NO_VIRUSTOTAL),
                ("skipped", "virustotal-feed", NO_VIRUSTOTAL),
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
            fault: "VirusTotal is out of order",
            options: Options::default,
            arrange: |stage, host| {
                let trouble = Fault::Status(503, error_body("TransientError", "try again"));
                stage.virustotal.fault(path("/users/"), trouble);
                host
            },
            expected: &[
                (
                    "skipped",
                    "virustotal-key",
                    "VirusTotal is out of order, and did not look at it",
                ),
                (
                    "warning",
                    "virustotal-quota",
                    "VirusTotal does not tell what is left: ",
                ),
            ],
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

fn of_opencti() -> Vec<Case> {
    const REST: [(&str, &str, &str); 6] = [
        ("skipped", "opencti-token", NO_PLATFORM),
        ("skipped", "opencti-version", NO_PLATFORM),
        ("skipped", "opencti-capabilities", NO_PLATFORM),
        ("skipped", "opencti-registration", NO_PLATFORM),
        ("skipped", "opencti-markings", NO_PLATFORM),
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
                REST[4],
                REST[5],
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
                REST[4],
                REST[5],
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
                (
                    "skipped",
                    "opencti-registration",
                    "the token is not accepted",
                ),
                ("skipped", "opencti-markings", "the token is not accepted"),
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
                (
                    "skipped",
                    "opencti-registration",
                    "the account lacks a capability",
                ),
                (
                    "skipped",
                    "opencti-markings",
                    "the account lacks a capability",
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
                ("skipped", "opencti-registration", "OpenCTI is too old"),
                ("skipped", "opencti-markings", "OpenCTI is too old"),
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

fn of_this_machine() -> Vec<Case> {
    const NO_NAMES: &str = "the names of its settings are not known without the guest";
    const NO_NAME: &str = "the connector has no name without the guest";
    const NO_GUEST: &str = "the guest, which names them, is not ready";
    const REFUSED: &str = "settings that it needs are refused";
    const NO_NETWORK: &str = "its certificates or its proxy cannot be used";
    vec![
        Case {
            fault: "settings of host and guest",
            options: Options::default,
            arrange: |_, host| {
                host.variable("OPENCTI_TOKEN", "")
                    .variable("CONNECTOR_LOG_LEVEL", "loud")
                    .variable("OPENCTI_JSON_LOGGING", "perhaps")
                    .variable("CONNECTOR_DURATION_PERIOD", "soon")
                    .variable("OPENCTI_TOKN", "a")
                    .setting("LIMIT", "0")
                    .setting("TLP_LEVEL", "purple")
            },
            expected: &[
                ("failed", "settings", "CONNECTOR_LOG_LEVEL: found \"loud\""),
                (
                    "failed",
                    "settings",
                    "OPENCTI_JSON_LOGGING: found \"perhaps\"",
                ),
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
                ("skipped", "opencti-registration", REFUSED),
                ("skipped", "opencti-markings", REFUSED),
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
                ("skipped", "opencti-registration", NO_NAME),
                ("skipped", "opencti-markings", NO_GUEST),
            ],
        },
        Case {
            fault: "another guest than the one that is pinned",
            options: Options::default,
            arrange: |_, host| {
                let pin = format!("sha256:{}", "0".repeat(64));
                host.variable("CONNECTOR_GUEST_DIGEST", pin)
            },
            expected: &[
                ("failed", "guest", "CONNECTOR_GUEST_DIGEST: "),
                ("skipped", "virustotal", NO_NAMES),
                ("skipped", "virustotal-key", NO_NAMES),
                ("skipped", "virustotal-quota", NO_NAMES),
                ("skipped", "virustotal-feed", NO_NAMES),
                ("skipped", "opencti-registration", NO_NAME),
                ("skipped", "opencti-markings", NO_GUEST),
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
                ("skipped", "opencti-registration", NO_NAME),
                ("skipped", "opencti-markings", NO_GUEST),
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
                ("skipped", "opencti-registration", NO_NETWORK),
                ("skipped", "opencti-markings", NO_NETWORK),
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

fn release(version: &str) -> Options {
    Options::version(version).unwrap()
}
