//! What goes wrong between the connector and OpenCTI's API: single answers, every error code, the network at the
//! start.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use connector_tests::fault::{Fault, field, path};
use connector_tests::opencti::{Work, error_body};
use connector_tests::proxy::Link;
use connector_tests::trial::{Trial, each};
use connector_tests::virustotal::Kind;
use serde_json::json;

fn graphql(code: &str, message: &str) -> Fault {
    Fault::Status(200, error_body(code, message))
}

/// All that a run asks for which copies files. The ping and the push are there twice: the first ping is that of
/// the background, which the next one repeats; the first push is that of the author, ahead of the files.
const OPERATIONS: [&str; 13] = [
    "about",
    "registerConnector",
    "connector",
    "stixCyberObservables",
    "stixCoreObject",
    "workAdd",
    "isWorkAlive",
    "stixBundlePush",
    "stixBundlePush",
    "artifactImport",
    "pingConnector",
    "pingConnector",
    "workEdit",
];

#[tokio::test]
async fn what_passes_is_asked_again_whatever_was_asked() -> Result<()> {
    let rows = [
        (Fault::Html(500), "HTTP 500"),
        (Fault::Html(502), "HTTP 502"),
        (Fault::Html(504), "HTTP 504"),
        (Fault::Status(503, json!({})), "HTTP 503"),
        (
            Fault::Status(429, json!({"message": "slow down"})),
            "HTTP 429",
        ),
        (
            Fault::RetryAfter(429, 1, json!({"message": "slow down"})),
            "HTTP 429",
        ),
        (Fault::CutBody, "the connection broke"),
        (Fault::CutGzip, "the connection broke"),
        (graphql("LOCK_ERROR", "busy"), "LOCK_ERROR: busy"),
    ];
    each(rows, async |(fault, words)| {
        let trial = Trial::copying().await?;
        for name in OPERATIONS {
            trial.platform.fault(field(name), fault.clone());
        }
        let run = trial.run_well().await?;
        ensure!(run.log.contains(words), "{words:?} in {}", run.log);
        trial.check_drained().await
    })
    .await
}

/// Answers that are none of the platform's. Once they come to the start, where they are waited out, and once to
/// the push: then the run ends, and the next one goes on.
#[tokio::test]
async fn an_answer_of_something_else_is_not_taken_for_the_platforms() -> Result<()> {
    let rows = [
        (
            Fault::Html(200),
            "the answer is not GraphQL (it starts: <html>",
        ),
        (Fault::Garbage, "the answer is not GraphQL"),
        (Fault::NotUtf8, "the answer is not GraphQL"),
        (
            Fault::Status(302, json!({})),
            "OPENCTI_URL must be the address",
        ),
        (Fault::Html(401), "a proxy wants a login"),
        (Fault::Html(404), "OPENCTI_URL must be the base address"),
        (Fault::RetryAfter(503, 86_400, json!({})), "HTTP 503"),
    ];
    each(rows, async |(fault, words)| {
        let trial = Trial::deleting(3).await?;
        trial
            .platform
            .fault(field("registerConnector"), fault.clone());
        trial.platform.fault(field("stixBundlePush"), fault);
        let run = trial.run_badly(words).await?;
        let [warned, told] = ["WARNING", "ERROR"].map(|level| run.messages(level).concat());
        ensure!(
            warned.contains("waiting for OpenCTI: ") && warned.contains(words)
                || told.contains("cannot use OpenCTI, trying again: ") && told.contains(words),
            "{}",
            run.log
        );
        ensure!(trial.virustotal.count(Kind::Deletion) == 0);
        trial.run_well().await?;
        trial.check_deleted()?;
        trial.check_drained().await
    })
    .await
}

/// An answer of the right words under a wrong type is an answer.
#[tokio::test]
async fn the_type_of_an_answer_is_not_looked_at() -> Result<()> {
    each([Fault::WrongType], async |fault| {
        let trial = Trial::copying().await?;
        for name in OPERATIONS {
            trial.platform.fault(field(name), fault.clone());
        }
        let of_source = ["/ioc_stream", "/intelligence", "/files"];
        for place in of_source {
            trial.virustotal.fault(path(place), fault.clone());
        }
        trial.run_well().await?;
        trial.check_drained().await
    })
    .await
}

/// What a GraphQL error means for a bundle.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    /// It passes: asked again in the same run.
    Passes,
    /// The platform does not know the operation in this form: an older form is used in the same run.
    OlderForm,
    /// The run ends, and says this.
    Ends(&'static str),
}

use Meaning::{Ends, OlderForm, Passes};

const ACCOUNT: &str = "log in as the account of OPENCTI_TOKEN";

/// Every code that the platform documents, with a message where that makes a difference.
const CODES: [(&str, &str, Meaning); 28] = [
    // Of a token that has worked: also the answer of a platform that is overloaded.
    ("AUTH_REQUIRED", "You must be logged in", Passes),
    ("AUTH_FAILURE", "Wrong name or password", Passes),
    (
        "FORBIDDEN_ACCESS",
        "Not allowed",
        Ends("lacks a capability: give its role CONNECTORAPI"),
    ),
    ("OTP_REQUIRED", "words", Ends(ACCOUNT)),
    ("OTP_REQUIRED_ACTIVATION", "words", Ends(ACCOUNT)),
    ("PASSWORD_CHANGE_REQUIRED", "words", Ends(ACCOUNT)),
    ("LTS_REQUIRED_ACTIVATION", "words", Ends(ACCOUNT)),
    ("GRAPHQL_VALIDATION_FAILED", "Unknown argument", OlderForm),
    ("BAD_USER_INPUT", "Unknown argument", OlderForm),
    ("FUNCTIONAL_ERROR", "Too many requests", Passes),
    (
        "FUNCTIONAL_ERROR",
        "a rule",
        Ends("FUNCTIONAL_ERROR: a rule"),
    ),
    ("VALIDATION_ERROR", "words", Ends("VALIDATION_ERROR: words")),
    // Of a bundle: every failure inside the platform has this code, also that its broker is away.
    ("UNSUPPORTED_ERROR", "Invalid bundle", Passes),
    // Of a bundle: the workers look for references, not the platform.
    (
        "MISSING_REFERENCE_ERROR",
        "words",
        Ends("MISSING_REFERENCE_ERROR: words"),
    ),
    ("ALREADY_DELETED_ERROR", "words", Ends("words")),
    (
        "RESOURCE_NOT_FOUND",
        "words",
        Ends("RESOURCE_NOT_FOUND: words"),
    ),
    ("LOCK_ERROR", "words", Passes),
    ("DATABASE_ERROR", "words", Passes),
    ("UNKNOWN_ERROR", "words", Passes),
    ("INTERNAL_SERVER_ERROR", "words", Passes),
    ("FILESYSTEM_ERROR", "words", Passes),
    ("COMPLEX_SEARCH_ERROR", "words", Passes),
    ("CLIENT_ABORT_ERROR", "words", Passes),
    (
        "CONFIGURATION_ERROR",
        "words",
        Ends("CONFIGURATION_ERROR: words"),
    ),
    ("ACCESS_REQUIRED", "words", Ends("ACCESS_REQUIRED: words")),
    ("DRAFT_LOCKED", "words", Ends("DRAFT_LOCKED: words")),
    ("WORK_NOT_ALIVE", "words", Ends("WORK_NOT_ALIVE: words")),
    ("A_NEW_CODE", "words", Ends("A_NEW_CODE: words")),
];

/// At the start every error is waited out, since roles and tokens are mended on the platform. About a work none
/// stops the data. What it means for a bundle depends on the code.
#[tokio::test]
async fn every_error_code_has_its_meaning() -> Result<()> {
    each(CODES, async |(code, message, meaning)| {
        let trial = Trial::deleting(3).await?;
        let error = graphql(code, message);
        for name in [
            "registerConnector",
            "isWorkAlive",
            "stixBundlePush",
            "workEdit",
        ] {
            trial.platform.fault(field(name), error.clone());
        }
        let run = match meaning {
            Passes => trial.run_well().await?,
            OlderForm => {
                let run = trial.run_well().await?;
                ensure!(run.log.contains("an older form is used"), "{}", run.log);
                run
            }
            Ends(words) => {
                let run = trial.run_badly(words).await?;
                ensure!(trial.virustotal.count(Kind::Deletion) == 0);
                trial.run_well().await?;
                run
            }
        };
        ensure!(run.log.contains(message), "{}", run.log);
        // The last fault was for closing the work: where that is not tried again, it stays open.
        trial
            .platform
            .edit(|platform| platform.works.retain(Work::is_closed));
        trial.check_deleted()?;
        trial.check_drained().await
    })
    .await
}

/// What each error means for a file: none may be lost that could have been copied later.
#[tokio::test]
async fn no_file_is_lost_to_an_error_that_passes_or_that_is_about_more_than_the_file() -> Result<()>
{
    let rows = [
        (
            graphql("GRAPHQL_VALIDATION_FAILED", "Unknown argument"),
            OlderForm,
        ),
        (graphql("DATABASE_ERROR", "words"), Passes),
        (graphql("AUTH_REQUIRED", "words"), Passes),
        (graphql("OTP_REQUIRED", "words"), Ends(ACCOUNT)),
        (Fault::Html(200), Ends("the answer is not GraphQL")),
        (Fault::Html(403), Ends("HTTP 403")),
    ];
    let places = ["stixCyberObservables", "artifactImport"];
    let rows = places
        .into_iter()
        .flat_map(|place| rows.clone().map(|row| (place, row)));
    // A question has one form only.
    let rows = rows.filter(|(place, (fault, _))| {
        let text = format!("{fault:?}");
        *place == "artifactImport" || !text.contains("VALIDATION")
    });
    each(rows, async |(place, (fault, meaning))| {
        let trial = Trial::copying().await?;
        trial.platform.fault(field(place), fault);
        if let Ends(words) = meaning {
            trial.run_badly(words).await?;
        }
        trial.run_well().await?;
        trial.check_drained().await
    })
    .await
}

#[tokio::test]
async fn the_network_may_fail_at_the_start_and_come_back() -> Result<()> {
    let rows = [
        (
            Link::Refused,
            "waiting for OpenCTI: cannot reach OpenCTI: connection refused",
        ),
        (
            Link::CutAfter(0),
            "waiting for OpenCTI: cannot reach OpenCTI: the connection broke",
        ),
        (
            Link::CutAfter(200),
            "waiting for OpenCTI: cannot reach OpenCTI: the connection broke",
        ),
        (
            Link::Answering(Bytes::from_static(b"220 mail\r\n")),
            "the connection broke",
        ),
        (Link::Dripping(100, Duration::from_millis(1)), ""),
        (Link::Delayed(Duration::from_millis(20)), ""),
    ];
    each(rows, async |(link, words)| {
        let mut trial = Trial::copying().await?;
        let proxy = trial.put_proxy_before_platform().await?;
        proxy.set(link);
        let mut running = trial.host.start(&["run", "--once"])?;
        if !words.is_empty() {
            running.until_logged(words).await?;
            proxy.set(Link::Open);
        }
        let run = running.finish().await?;
        ensure!(run.success, "{}", run.log);
        proxy.set(Link::Open);
        trial.check_drained().await
    })
    .await
}
