//! The connector as it runs for days: the reset in the user interface, SIGTERM, files.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use anyhow::Result;
use connector_tests::fixtures::Scenario;
use connector_tests::host::Host;
use connector_tests::virustotal::Kind;
use connector_tests::{opencti, virustotal};

fn scenario(notifications: usize) -> Scenario {
    Scenario {
        mixed: false,
        ..Scenario::of_today(notifications)
    }
}

#[tokio::test]
async fn a_reset_in_the_user_interface_starts_a_run_at_once() -> Result<()> {
    let virustotal = virustotal::Server::start(scenario(30).world()).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let running = Host::new(&virustotal, &platform)?
        .variable("CONNECTOR_DURATION_PERIOD", "P1D")
        .start(&["run"])?;
    platform
        .until("the first run is over", |platform| {
            platform
                .works
                .iter()
                .any(|work| work.processed_time.is_some())
        })
        .await?;
    let first = platform.deliveries().len();
    platform.reset_state().await?;
    // The next ping learns of it, at most 40 seconds later, and a run begins though the period is a day.
    platform
        .until("the second run is over", |platform| {
            platform
                .works
                .iter()
                .filter(|work| work.processed_time.is_some())
                .count()
                == 2
        })
        .await?;
    assert_eq!(
        platform.deliveries().len(),
        2 * first,
        "everything was delivered again"
    );
    assert_eq!(
        platform.objects_of("incident").len(),
        30,
        "with the same ids"
    );
    running.terminate()?;
    let finished = running.finish().await?;
    assert!(finished.success, "{}", finished.log);
    Ok(())
}

#[tokio::test]
async fn sigterm_ends_a_run_in_good_order() -> Result<()> {
    let options = virustotal::Options {
        latency: std::time::Duration::from_millis(300),
        ..Default::default()
    };
    let virustotal = virustotal::Server::start_with(scenario(400).world(), options).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let host = Host::new(&virustotal, &platform)?.setting("CREATE_YARA_RULE", "false");
    let running = host.start(&["run"])?;
    virustotal
        .until("two pages are read", |world| world.count(Kind::Page) >= 3)
        .await?;
    running.terminate()?;
    let finished = running.finish().await?;
    assert!(finished.success, "{}", finished.log);
    assert!(
        finished.summary().contains("stopped on request"),
        "{}",
        finished.log
    );
    let delivered = platform.objects_of("incident").len();
    assert!(delivered > 0 && delivered < 400, "{delivered}");
    assert!(
        platform
            .works()
            .iter()
            .all(|work| work.processed_time.is_some())
    );
    host.run_once().await?;
    assert_eq!(platform.objects_of("incident").len(), 400);
    Ok(())
}

#[tokio::test]
async fn files_are_copied_with_author_marking_and_relationship_and_only_once() -> Result<()> {
    let virustotal = virustotal::Server::start(scenario(12).world()).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let host = Host::new(&virustotal, &platform)?
        .setting("UPLOAD_ARTIFACT", "true")
        .setting("TLP_LEVEL", "red")
        .setting("MAX_FILE_SIZE", "1000000");
    let run = host.run_once().await?;
    assert!(run.success, "{}", run.log);
    let artifacts = platform.stored_of("artifact");
    assert!(!artifacts.is_empty(), "{}", run.summary());
    for artifact in &artifacts {
        assert!(artifact.size.is_some(), "{:?}", artifact.object);
        assert!(
            !artifact.object["createdBy"].is_null()
                || !artifact.object["x_opencti_created_by_ref"].is_null(),
            "{}",
            artifact.object
        );
    }
    assert_eq!(platform.work_errors(), Vec::<String>::new());
    let key = virustotal.api_key().to_owned();
    for request in virustotal.storage_requests() {
        assert!(
            request.headers.values().all(|value| !value.contains(&key)),
            "the key went to the storage host"
        );
    }
    let downloads = virustotal.count(Kind::Download);
    assert_eq!(downloads, artifacts.len());
    // The state is gone: everything is mapped again, but the platform has the files.
    platform.reset_state().await?;
    host.run_once().await?;
    assert_eq!(virustotal.count(Kind::Download), downloads);
    Ok(())
}
