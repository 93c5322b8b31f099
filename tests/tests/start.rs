//! What is settled before a run begins: registration, markings, the author, files in drafts, a reset.

use anyhow::{Context as _, Result, ensure};
use connector_tests::fault::{Fault, field};
use connector_tests::host::{CONNECTOR_ID, Finished};
use connector_tests::opencti::{self, Options, Tlp, error_body};
use connector_tests::trial::Trial;
use serde_json::json;

const AMBER: &str = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82";
const RED: &str = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed";
const AUTHOR: &str = "identity--757126d5-623a-5e79-8055-c3e22376dda1";

const NIL: &str = "Validation against schema failed on attribute [enrichment_resolution]: this mandatory field cannot be nil";

fn refuse_registration(platform: &opencti::Server) {
    let refusal = Fault::Status(200, error_body("FUNCTIONAL_ERROR", NIL));
    platform.fault(field("registerConnector"), refusal);
}

#[tokio::test]
async fn a_registration_that_is_refused_is_an_error_with_what_to_do_and_is_tried_again()
-> Result<()> {
    let trial = Trial::new(3).await?;
    refuse_registration(&trial.platform);
    refuse_registration(&trial.platform);
    let host = trial.host.clone();
    // The default.
    let host = host.variable("CONNECTOR_LOG_LEVEL", "");
    let run = host.run_once().await?;
    ensure!(run.success, "{}", run.log);
    let errors = run.messages("ERROR");
    let [error] = errors.as_slice() else {
        anyhow::bail!("told once: {errors:?}");
    };
    let words = format!("registerConnector failed: FUNCTIONAL_ERROR: {NIL}; check CONNECTOR_ID");
    ensure!(
        error.starts_with("cannot use OpenCTI, trying again: ") && error.contains(&words),
        "{error}"
    );
    trial.check_drained().await
}

fn line<'a>(check: &'a Finished, name: &str) -> Result<&'a str> {
    let mut lines = check.output.lines();
    let line = lines.find(|line| line.split_whitespace().nth(1) == Some(name));
    line.with_context(|| format!("no line {name} in\n{}", check.output))
}

#[tokio::test]
async fn check_makes_the_registration_that_run_makes() -> Result<()> {
    let trial = Trial::new(1).await?;
    refuse_registration(&trial.platform);
    let check = trial.host.start(&["check"])?.finish().await?;
    ensure!(!check.success, "{}", check.output);
    let line = line(&check, "opencti-registration")?;
    ensure!(
        line.starts_with("failed")
            && line.contains("CONNECTOR_ID: registerConnector failed: ")
            && line.contains(NIL),
        "{line}"
    );
    let of_check = trial.platform.requests_of("registerConnector");
    trial.host.run_once().await?;
    let all = trial.platform.requests_of("registerConnector");
    ensure!(all.len() == 2 && of_check[0].variables == all[1].variables);
    Ok(())
}

#[tokio::test]
async fn an_account_that_may_not_see_the_marking_brings_nothing_and_is_told() -> Result<()> {
    let trial = Trial::deleting(3).await?;
    let allow = |level| {
        trial
            .platform
            .edit(|platform| platform.allow_markings(level))
    };
    allow(Tlp::Green);
    let host = trial.host.clone().setting("TLP_LEVEL", "amber");
    let words = format!(
        "cannot bring what is marked TLP:AMBER ({AMBER}): the account \"Connector\" of OPENCTI_TOKEN may not see this marking; allow it in a group of the account (Connectors), or set VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_TLP_LEVEL to a marking that the account may see"
    );
    let run = host.run_once().await?;
    ensure!(!run.success, "{}", run.log);
    let errors = run.messages("ERROR").concat();
    ensure!(errors.contains(&words), "{errors}");
    ensure!(trial.platform.deliveries().is_empty());
    let check = host.start(&["check"])?.finish().await?;
    ensure!(!check.success);
    let line = line(&check, "opencti-markings")?;
    ensure!(
        line.starts_with("failed") && line.contains(&words),
        "{line}"
    );

    allow(Tlp::Amber);
    let run = host.run_once().await?;
    ensure!(run.success, "{}", run.log);
    trial.check_deleted()?;
    trial.check_drained().await
}

#[tokio::test]
async fn the_marking_that_an_earlier_version_left_on_the_author_is_taken_off() -> Result<()> {
    let trial = Trial::new(3).await?;
    let host = trial.host.clone().setting("TLP_LEVEL", "amber");
    // That of an earlier version, and one of somebody else's.
    for (marking, stays) in [(AMBER, false), (RED, true)] {
        let run = host.run_once().await?;
        ensure!(run.success, "{}", run.log);
        let markings = json!([marking]);
        trial
            .platform
            .analyst()
            .set(AUTHOR, "object_marking_refs", markings)?;
        let run = host.run_once().await?;
        ensure!(run.success, "{}", run.log);
        let markings = trial.platform.objects_of("identity")[0]["object_marking_refs"].clone();
        let left = markings
            .as_array()
            .is_some_and(|left| *left == [json!(marking)]);
        ensure!(left == stays, "{markings}");
        let told = run.log.contains("the author is marked");
        ensure!(told == stays, "{}", run.log);
    }
    Ok(())
}

#[tokio::test]
async fn files_and_drafts_together_are_refused_at_the_start() -> Result<()> {
    let trial = Trial::copying().await?;
    let host = trial
        .host
        .clone()
        .variable("CONNECTOR_QUEUE_PROTOCOL", "amqp")
        .variable("CONNECTOR_VALIDATE_BEFORE_IMPORT", "true");
    let words = "OpenCTI cannot validate a draft that holds a file, and VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_UPLOAD_ARTIFACT wants files copied; set CONNECTOR_FILES_OUTSIDE_DRAFT to true";
    let run = host.run_once().await?;
    ensure!(!run.success && run.log.contains(words), "{}", run.log);
    ensure!(trial.platform.requests_of("registerConnector").is_empty());
    let check = host.start(&["check"])?.finish().await?;
    let line = line(&check, "settings")?;
    ensure!(
        line.starts_with("failed")
            && line.contains("CONNECTOR_VALIDATE_BEFORE_IMPORT: OpenCTI cannot"),
        "{line}"
    );
    Ok(())
}

/// Until now up to three runs went on from the old checkpoint, until the next ping.
#[tokio::test]
async fn a_reset_between_two_runs_is_known_to_the_next_one() -> Result<()> {
    let trial = Trial::new(3).await?;
    let host = trial.host.clone();
    let mut running = host
        .variable("CONNECTOR_DURATION_PERIOD", "PT2S")
        .start(&["run"])?;
    running
        .until_logged("3 notifications read: 3 delivered")
        .await?;
    trial.platform.reset_state().await?;
    trial
        .platform
        .until("everything is delivered again", |platform| {
            platform.count("stixBundlePush") >= 2
        })
        .await?;
    let log = running.end().await?;
    // A run from the old checkpoint would have found nothing new.
    ensure!(!log.contains("0 notifications read"), "{log}");
    let registrations = trial
        .platform
        .read(|platform| platform.connectors[CONNECTOR_ID].registrations);
    ensure!(registrations == 1);
    trial.check_drained().await
}

/// The platform's search is overloaded for a while in mid-run, and answers a valid token as if it were none.
#[tokio::test]
async fn an_overloaded_platform_is_waited_for() -> Result<()> {
    let trial = Trial::deleting(3).await?;
    for name in [
        "workAdd",
        "stixBundlePush",
        "stixBundlePush",
        "pingConnector",
    ] {
        let refusal = error_body("AUTH_REQUIRED", "You must be logged in to do this.");
        trial
            .platform
            .fault(field(name), Fault::Status(200, refusal));
    }
    trial.run_well().await?;
    trial.check_deleted()?;
    trial.check_drained().await
}

/// All supported releases, by those in which something about registering changed.
#[tokio::test]
async fn a_connector_that_pycti_registered_is_taken_over_in_every_release() -> Result<()> {
    for version in [
        "6.0.0",
        "6.2.18",
        "6.7.5",
        "6.8.9",
        "6.9.22",
        "7.260817.0",
        "7.261008.0",
    ] {
        let mut trial = Trial::on(3, Options::version(version)?).await?;
        let name = "VirusTotal Livehunt Notifications";
        trial.platform.seed_pycti(CONNECTOR_ID, name, "{}")?;
        let folder = tempfile::tempdir()?;
        if version == "6.0.0" {
            // It takes no bundles by its API.
            let path = folder.path().display().to_string();
            trial.host = trial
                .host
                .variable("CONNECTOR_SEND_TO_QUEUE", "false")
                .variable("CONNECTOR_SEND_TO_DIRECTORY", "true")
                .variable("CONNECTOR_SEND_TO_DIRECTORY_PATH", path);
        }
        let check = trial.host.start(&["check"])?.finish().await?;
        ensure!(check.success, "{version}: {}", check.output);
        let run = trial.host.run_once().await?;
        ensure!(run.success, "{version}: {}", run.log);
        ensure!(
            run.summary()
                .starts_with("3 notifications read: 3 delivered"),
            "{version}: {}",
            run.log
        );
        let left = trial
            .platform
            .read(|platform| platform.connectors[CONNECTOR_ID].registration.clone());
        let has_resolution =
            version != "6.0.0" && !version.starts_with("6.2") && !version.starts_with("6.7");
        let expected = if has_resolution {
            json!("none")
        } else {
            json!(null)
        };
        ensure!(
            left["enrichment_resolution"] == expected,
            "{version}: {left}"
        );
        let slug = (version == "7.261008.0").then_some("virustotal-livehunt");
        ensure!(left["slug"] == json!(slug), "{version}: {left}");
    }
    Ok(())
}
