//! What a run brings waits in a draft until a human has validated it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};
use connector_tests::fixtures::Scenario;
use connector_tests::host::{Host, rabbitmq};
use connector_tests::{opencti, virustotal, written};
use futures::FutureExt as _;

struct Stage {
    virustotal: virustotal::Server,
    platform: Arc<opencti::Server>,
}

impl Stage {
    /// Notifications of files for a platform of a release; none where there is no RabbitMQ.
    async fn new(version: &str, notifications: usize) -> Result<Option<Self>> {
        let Some(amqp_url) = rabbitmq().await else {
            return Ok(None);
        };
        let scenario = Scenario {
            mixed: false,
            ..Scenario::of_today(notifications)
        };
        let options = opencti::Options {
            amqp_url: Some(amqp_url),
            ..opencti::Options::version(version)?
        };
        Ok(Some(Self {
            virustotal: virustotal::Server::start(scenario.world()).await?,
            platform: Arc::new(opencti::Server::start(options).await?),
        }))
    }

    fn host(&self) -> Result<Host> {
        Ok(Host::new(&self.virustotal, &self.platform)?
            .variable("CONNECTOR_QUEUE_PROTOCOL", "amqp")
            .variable("CONNECTOR_VALIDATE_BEFORE_IMPORT", "true"))
    }

    /// What a human does in mid-run: once, when the connector asks whether its draft is open and it is time.
    fn in_mid_run(
        &self,
        is_time: fn(&opencti::Platform) -> bool,
        act: fn(&opencti::Server, &opencti::Draft),
    ) {
        let platform = Arc::downgrade(&self.platform);
        let done = AtomicBool::new(false);
        self.platform.check(move |request| {
            let asks = request.fields.iter().any(|field| field == "draftWorkspace");
            if let Some(platform) = platform.upgrade()
                && asks
                && platform.read(is_time)
                && !done.swap(true, Ordering::Relaxed)
                && let [draft] = platform.drafts().as_slice()
            {
                act(&platform, draft);
            }
            async {}.boxed()
        });
    }

    /// The one draft.
    fn draft(&self) -> Result<opencti::Draft> {
        let mut drafts = self.platform.drafts();
        let draft = drafts.pop().context("no draft")?;
        assert!(drafts.is_empty(), "{} more", drafts.len());
        Ok(draft)
    }
}

fn count(draft: &opencti::Draft, kind: &str) -> usize {
    let objects = draft.store.iter();
    objects.filter(|it| it.object["type"] == kind).count()
}

#[tokio::test]
async fn a_run_brings_everything_into_one_draft() -> Result<()> {
    // More than one batch.
    let Some(stage) = Stage::new("7.260817.0", 150).await? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let host = stage
        .host()?
        .variable("CONNECTOR_SEND_TO_DIRECTORY", "true")
        .variable(
            "CONNECTOR_SEND_TO_DIRECTORY_PATH",
            folder.path().display().to_string(),
        );
    let run = host.run_once().await?;
    assert!(run.success, "{}", run.log);
    stage.platform.until_works_complete().await?;
    assert_eq!(stage.platform.work_errors(), Vec::<String>::new());
    let draft = stage.draft()?;
    assert_eq!(count(&draft, "incident"), 150);
    assert!(stage.platform.objects().is_empty());
    let deliveries = stage.platform.deliveries();
    assert!(deliveries.len() > 1);
    for delivery in &deliveries {
        assert_eq!(delivery.draft_id.as_deref(), Some(draft.id.as_str()));
    }
    let works = stage.platform.works();
    assert_eq!(works.len(), 1);
    assert_eq!(works[0].draft_context.as_deref(), Some(draft.id.as_str()));
    assert_eq!(draft.name, format!("{}.json", works[0].id));
    for file in written::files(folder.path(), "DIRECTORY_BUNDLE")? {
        assert_eq!(file["connector"]["validate_before_import"], true);
    }

    let run = host.run_once().await?;
    assert!(
        run.summary().starts_with("0 notifications read"),
        "{}",
        run.summary()
    );
    let draft = stage.draft().context("an empty run makes no draft")?;
    stage.platform.validate_draft(&draft.id)?;
    assert_eq!(stage.platform.objects_of("incident").len(), 150);
    Ok(())
}

/// A draft that holds a file cannot be validated; what refers to the file waits all the same.
#[tokio::test]
async fn files_go_past_the_draft_if_a_setting_says_so() -> Result<()> {
    let Some(stage) = Stage::new("7.260817.0", 6).await? else {
        return Ok(());
    };
    let run = stage
        .host()?
        .setting("UPLOAD_ARTIFACT", "true")
        .variable("CONNECTOR_FILES_OUTSIDE_DRAFT", "true")
        .run_once()
        .await?;
    assert!(run.success, "{}", run.log);
    assert!(!run.summary().contains("not copied"), "{}", run.summary());
    stage.platform.until_works_complete().await?;
    let uploads = stage.platform.requests_of("artifactImport").len();
    assert!(uploads > 0, "{}", run.log);
    assert_eq!(stage.platform.objects_of("artifact").len(), uploads);
    assert_eq!(stage.platform.objects_of("identity").len(), 1);
    assert!(stage.platform.objects_of("incident").is_empty());
    let in_draft = |request: &opencti::Request| request.http.header("opencti-draft-id") != Some("");
    assert!(!stage.platform.requests().iter().any(in_draft));
    let draft = stage.draft()?;
    assert_eq!(count(&draft, "incident"), 6);
    // What the draft says of the files: they themselves are outside of it.
    assert_eq!(count(&draft, "artifact"), uploads);
    stage.platform.validate_draft(&draft.id)?;
    assert_eq!(stage.platform.objects_of("incident").len(), 6);
    Ok(())
}

#[tokio::test]
async fn what_is_not_imported_when_its_draft_is_validated_is_told_on_the_work() -> Result<()> {
    // Two batches.
    let Some(stage) = Stage::new("7.260817.0", 150).await? else {
        return Ok(());
    };
    stage.platform.expect_refused("DRAFT_LOCKED");
    stage.platform.pause_worker();
    stage.in_mid_run(
        |platform| {
            let mut connectors = platform.connectors.values();
            connectors.any(|it| {
                it.state
                    .as_deref()
                    .is_some_and(|it| it.contains("checkpoint"))
            })
        },
        |platform, draft| {
            let validated = platform.validate_draft(&draft.id);
            assert!(validated.is_ok(), "{validated:?}");
        },
    );
    let run = stage.host()?.run_once().await?;
    assert!(run.success, "{}", run.log);
    let warnings = run.messages("WARNING").join("\n");
    assert!(warnings.contains("the draft was closed"), "{warnings}");
    stage.platform.resume_worker();
    stage.platform.until_works_complete().await?;
    let drafts = stage.platform.drafts();
    let counts: Vec<_> = drafts.iter().map(|it| count(it, "incident")).collect();
    assert_eq!(counts, [0, 50], "the rest is in another draft");
    let errors = stage.platform.work_errors();
    let dropped = errors.iter().filter(|it| it.contains("DRAFT_LOCKED"));
    assert!(dropped.count() >= 100, "{errors:?}");

    // As the README says, a back-fill brings what was dropped.
    let since = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(6 * 24);
    let since = since.to_string();
    let arguments = ["run", "--once", "--since", since.as_str()];
    let run = stage.host()?.start(&arguments)?.finish().await?;
    assert!(run.success, "{}", run.log);
    stage.platform.until_works_complete().await?;
    let drafts = stage.platform.drafts();
    let last = drafts.last().context("no draft")?;
    assert_eq!(count(last, "incident"), 150, "{}", run.log);
    Ok(())
}

#[tokio::test]
async fn a_kill_loses_nothing_and_leaves_a_draft_of_its_own() -> Result<()> {
    for step in ["batch-published:1", "batch-delivered:1", "state-saved:1"] {
        let Some(stage) = Stage::new("7.260817.0", 150).await? else {
            return Ok(());
        };
        let killed = stage.host()?.variable("FAILPOINT", step).run_once().await?;
        assert!(killed.killed, "{step}: {}", killed.log);
        let run = stage.host()?.run_once().await?;
        assert!(run.success, "{step}: {}", run.log);
        stage.platform.until_worker_caught_up().await?;
        let drafts = stage.platform.drafts();
        assert_eq!(drafts.len(), 2, "{step}");
        for draft in drafts {
            stage.platform.validate_draft(&draft.id)?;
        }
        assert_eq!(stage.platform.objects_of("incident").len(), 150, "{step}");
    }
    Ok(())
}

#[tokio::test]
async fn releases_have_drafts_or_are_refused_by_the_setting() -> Result<()> {
    // The work shows its draft since 6.5.0.
    for (version, shown) in [("6.4.0", false), ("6.5.0", true), ("6.9.22", true)] {
        let Some(stage) = Stage::new(version, 3).await? else {
            return Ok(());
        };
        let run = stage.host()?.run_once().await?;
        assert!(run.success, "{version}: {}", run.log);
        stage.platform.until_works_complete().await?;
        let draft = stage.draft()?;
        assert_eq!(count(&draft, "incident"), 3, "{version}");
        let works = stage.platform.works();
        assert_eq!(works[0].draft_context.is_some(), shown, "{version}");
    }
    let Some(stage) = Stage::new("6.3.13", 3).await? else {
        return Ok(());
    };
    let run = stage.host()?.run_once().await?;
    assert!(!run.success, "{}", run.log);
    assert_eq!(
        run.messages("ERROR"),
        ["CONNECTOR_VALIDATE_BEFORE_IMPORT: this needs OpenCTI 6.4.0 or newer, and this is 6.3.13"]
    );
    assert!(stage.platform.requests_of("registerConnector").is_empty());
    Ok(())
}

#[tokio::test]
async fn what_comes_by_the_api_would_not_wait() -> Result<()> {
    let Some(stage) = Stage::new("7.260817.0", 3).await? else {
        return Ok(());
    };
    let run = stage
        .host()?
        .variable("CONNECTOR_QUEUE_PROTOCOL", "api")
        .run_once()
        .await?;
    assert!(!run.success, "{}", run.log);
    let errors = run.messages("ERROR").join("\n");
    assert!(
        errors.contains("CONNECTOR_VALIDATE_BEFORE_IMPORT: found \"true\"")
            && errors.contains("CONNECTOR_QUEUE_PROTOCOL=amqp"),
        "{errors}"
    );
    assert!(stage.platform.requests().is_empty());
    Ok(())
}
