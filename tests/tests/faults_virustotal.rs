//! What goes wrong between the connector and VirusTotal: single answers, and the network.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use connector_tests::fault::{Call, Fault, method, path};
use connector_tests::host::Finished;
use connector_tests::proxy::{Link, Proxy};
use connector_tests::trial::{Trial, each};
use connector_tests::virustotal::{Kind, error_body};
use serde_json::json;

/// A page of 40 and one of 2.
const TWO_PAGES: usize = 42;

fn refusal(status: u16, code: &str) -> Fault {
    Fault::Status(status, error_body(code, "words"))
}

fn slow_down(seconds: u64) -> Fault {
    Fault::RetryAfter(429, seconds, error_body("TooManyRequestsError", "slow"))
}

/// The call for the URL of a file.
fn download_url(call: &Call<'_>) -> bool {
    call.path.ends_with("/download_url")
}

/// Faults that pass when the same thing is asked for again, and what the log says of them.
fn passing() -> Vec<(Fault, &'static str)> {
    vec![
        (
            Fault::Html(500),
            "answered 500 with something that is not JSON",
        ),
        (
            Fault::Html(502),
            "answered 502 with something that is not JSON",
        ),
        (refusal(503, "TransientError"), "503 TransientError"),
        (
            refusal(504, "DeadlineExceededError"),
            "504 DeadlineExceededError",
        ),
        (
            refusal(424, "FailedDependencyError"),
            "424 FailedDependencyError",
        ),
        (
            refusal(429, "TooManyRequestsError"),
            "asks to slow down (words)",
        ),
        (slow_down(1), "ask again in 1 s"),
        (Fault::CutBody, "the answer is cut off"),
        (Fault::CutGzip, "the answer is cut off"),
    ]
}

fn retries(run: &Finished, words: &str) -> usize {
    let mut lines = run.messages("WARNING");
    lines.retain(|line| line.contains("is asked again") && line.contains(words));
    lines.len()
}

#[tokio::test]
async fn what_passes_is_asked_again_in_the_same_run() -> Result<()> {
    each(passing(), async |(fault, words)| {
        let trial = Trial::deleting(TWO_PAGES).await?;
        trial.virustotal.edit(|world| {
            world
                .faults
                .push(method("GET", "/ioc_stream"), fault.clone());
            // The first page is asked for twice.
            let second = method("GET", "/ioc_stream");
            world.faults.after(1, second, fault.clone());
            world.faults.push(path("/intelligence"), fault.clone());
            world.faults.push(method("DELETE", "/"), fault);
        });
        let run = trial.run_well().await?;
        ensure!(retries(&run, words) == 4, "{}", run.log);
        trial.check_deleted()?;
        trial.check_drained().await
    })
    .await
}

/// Faults of the storage host that pass: it explains nothing, and does not compress.
#[tokio::test]
async fn a_file_whose_download_fails_for_a_while_is_copied() -> Result<()> {
    let storage = [
        (Fault::Html(500), "answered 500"),
        (Fault::Html(503), "answered 503"),
        (Fault::CutBody, "the download from 127.0.0.1 broke off"),
        (Fault::Corrupt, "instead of"),
    ];
    let api = passing().into_iter().chain([
        (Fault::Garbage, "expected a URL"),
        (Fault::NotUtf8, "not UTF-8"),
    ]);
    let rows = storage.map(|(fault, words)| (true, fault, words));
    let rows = rows
        .into_iter()
        .chain(api.map(|(fault, words)| (false, fault, words)));
    each(rows, async |(is_storage, fault, words)| {
        let trial = Trial::copying().await?;
        trial.virustotal.edit(|world| {
            if is_storage {
                world.storage_faults.push(path("/"), fault);
            } else {
                world.faults.push(download_url, fault);
            }
        });
        let run = trial.run_well().await?;
        ensure!(run.log.contains(words), "{words:?} in {}", run.log);
        trial.check_drained().await
    })
    .await
}

#[tokio::test]
async fn a_file_that_never_arrives_whole_is_given_up_and_told() -> Result<()> {
    let rows = [
        (Fault::Corrupt, "instead of"),
        (Fault::CutBody, "the download from 127.0.0.1 broke off"),
    ];
    each(rows, async |(fault, words)| {
        let mut trial = Trial::copying().await?;
        for _ in 0..3 {
            trial.virustotal.edit(|world| {
                world.storage_faults.push(path("/"), fault.clone());
            });
        }
        trial.files -= 1;
        let run = trial.host.run_once().await?;
        ensure!(!run.success, "the exit code says so");
        ensure!(run.summary().contains("1 files not copied"), "{}", run.log);
        let told = trial.platform.work_errors().concat();
        ensure!(told.contains(words), "{told}");
        trial.check_drained().await
    })
    .await
}

/// Faults that asking again at once does not mend: the run ends, and the next one goes on.
#[tokio::test]
async fn what_does_not_pass_at_once_ends_the_run_and_the_next_goes_on() -> Result<()> {
    let rows = [
        (
            Fault::Html(200),
            "answered 200 with something that is not JSON",
        ),
        (Fault::Garbage, "not what VirusTotal documents"),
        (Fault::Status(302, json!({})), "redirects (302)"),
        (refusal(401, "WrongCredentialsError"), "check API_KEY"),
        (slow_down(86_400), "ask again in 86400 s"),
    ];
    each(rows, async |(fault, words)| {
        let trial = Trial::deleting(TWO_PAGES).await?;
        trial.virustotal.edit(|world| {
            world
                .faults
                .push(method("GET", "/ioc_stream"), fault.clone());
            world.faults.push(path("/intelligence"), fault.clone());
            // The first page is asked for by three runs.
            let second = method("GET", "/ioc_stream");
            world.faults.after(2, second, fault.clone());
        });
        for _ in ["first page", "ruleset", "second page"] {
            trial.run_badly(words).await?;
            let deleted = trial.virustotal.deletions().len();
            ensure!(deleted == trial.delivered(), "{deleted} deleted");
        }
        trial.run_well().await?;
        trial.check_deleted()?;
        trial.check_drained().await
    })
    .await
}

#[tokio::test]
async fn no_file_is_lost_to_what_is_wrong_with_more_than_the_file() -> Result<()> {
    let rows = [
        (
            Fault::Html(200),
            "answered 200 with something that is not JSON",
        ),
        (Fault::Status(302, json!({})), "redirects (302)"),
        (refusal(401, "WrongCredentialsError"), "check API_KEY"),
    ];
    each(rows, async |(fault, words)| {
        let trial = Trial::copying().await?;
        trial.virustotal.fault(download_url, fault);
        trial.run_badly(words).await?;
        trial.run_well().await?;
        trial.check_drained().await
    })
    .await
}

/// A ruleset that cannot be had costs the notification its rule, and nothing else.
#[tokio::test]
async fn a_ruleset_that_is_refused_stops_nothing() -> Result<()> {
    let rows = [
        refusal(404, "NotFoundError"),
        refusal(403, "ForbiddenError"),
        refusal(400, "BadRequestError"),
    ];
    each(rows, async |fault| {
        let trial = Trial::new(5).await?;
        trial.virustotal.fault(path("/intelligence"), fault);
        trial.run_well().await?;
        trial.check_drained().await
    })
    .await
}

#[tokio::test]
async fn a_used_up_quota_ends_the_run_in_good_order_wherever_it_is_met() -> Result<()> {
    type Place = fn(&Call<'_>) -> bool;
    let rows: [(&str, Place); 2] = [
        ("ruleset", |call| call.path.starts_with("/intelligence")),
        ("download", download_url),
    ];
    each(rows, async |(_, place)| {
        let trial = Trial::copying().await?;
        trial
            .virustotal
            .fault(place, refusal(429, "QuotaExceededError"));
        let run = trial.run_well().await?;
        ensure!(run.summary().contains("quota is used up"), "{}", run.log);
        ensure!(trial.delivered() < trial.wanted());
        trial.run_well().await?;
        trial.check_drained().await
    })
    .await
}

#[tokio::test]
async fn a_source_that_stays_out_of_order_ends_the_run() -> Result<()> {
    let trial = Trial::new(5).await?;
    for _ in 0..5 {
        trial
            .virustotal
            .fault(path("/ioc_stream"), refusal(503, "TransientError"));
    }
    trial.run_badly("503 TransientError").await?;
    ensure!(trial.virustotal.count(Kind::Page) == 5);
    trial.run_well().await?;
    trial.check_drained().await
}

/// Deletion comes last and only tidies up: it must neither fail the run nor hold it up.
#[tokio::test]
async fn deletions_that_fail_are_given_up_after_the_tries_of_one() -> Result<()> {
    let rows = [
        (5, refusal(503, "TransientError")),
        (1, refusal(401, "WrongCredentialsError")),
        (1, refusal(429, "QuotaExceededError")),
    ];
    each(rows, async |(tries, fault)| {
        let trial = Trial::deleting(10).await?;
        for _ in 0..tries {
            trial.virustotal.fault(method("DELETE", "/"), fault.clone());
        }
        let run = trial.run_well().await?;
        let warnings = run.messages("WARNING").concat();
        ensure!(warnings.contains("cannot remove"), "{}", run.log);
        ensure!(trial.virustotal.count(Kind::Deletion) == tries);
        trial.check_drained().await
    })
    .await
}

/// What the network does to the API's connections.
#[derive(Debug)]
struct Network {
    link: Link,
    /// What the log says before the link is open again; empty where it need not be.
    words: &'static str,
}

#[tokio::test]
async fn a_network_that_fails_and_comes_back_costs_nothing() -> Result<()> {
    let row = |link, words| Network { link, words };
    let rows = [
        // Longest first: nothing comes for a minute.
        row(Link::Stalled, "no answer in time"),
        row(Link::Refused, "the connection is refused"),
        row(Link::CutAfter(0), "the connection broke"),
        row(Link::CutAfter(1_000), "the answer is cut off"),
        row(
            Link::Answering(Bytes::from_static(b"SSH-2.0-nonsense\r\n\r\n")),
            "the connection broke",
        ),
        row(Link::Dripping(1_000, Duration::from_millis(1)), ""),
        row(Link::Delayed(Duration::from_millis(20)), ""),
    ];
    each(rows, async |Network { link, words }| {
        let mut trial = Trial::new(TWO_PAGES).await?;
        let (proxy, api_url) = Proxy::before(&trial.virustotal.api_url()).await?;
        trial.host = trial.host.setting("API_URL", api_url);
        proxy.set(link);
        let mut running = trial.host.start(&["run", "--once"])?;
        if !words.is_empty() {
            running.until_logged(words).await?;
            proxy.set(Link::Open);
        }
        let run = running.finish().await?;
        ensure!(run.success, "{}", run.log);
        ensure!(!words.is_empty() || retries(&run, "") == 0, "{}", run.log);
        proxy.set(Link::Open);
        trial.check_drained().await
    })
    .await
}
