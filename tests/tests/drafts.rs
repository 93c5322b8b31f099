//! What a run brings waits in a draft until a human has validated it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use connector_tests::fixtures::Scenario;
use connector_tests::host::{Host, rabbitmq};
use connector_tests::{opencti, virustotal, written};

struct Stage {
    virustotal: virustotal::Server,
    platform: opencti::Server,
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
            platform: opencti::Server::start(options).await?,
        }))
    }

    fn host(&self) -> Result<Host> {
        Ok(Host::new(&self.virustotal, &self.platform)?
            .variable("CONNECTOR_QUEUE_PROTOCOL", "amqp")
            .variable("CONNECTOR_VALIDATE_BEFORE_IMPORT", "true"))
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
    stage.platform.validate_draft(&draft.id);
    assert_eq!(stage.platform.objects_of("incident").len(), 150);
    Ok(())
}

#[tokio::test]
async fn files_wait_in_the_draft_too() -> Result<()> {
    let Some(stage) = Stage::new("7.260817.0", 6).await? else {
        return Ok(());
    };
    let run = stage
        .host()?
        .setting("UPLOAD_ARTIFACT", "true")
        .run_once()
        .await?;
    assert!(run.success, "{}", run.log);
    stage.platform.until_works_complete().await?;
    let draft = stage.draft()?;
    assert!(count(&draft, "artifact") > 0, "{}", run.log);
    assert!(stage.platform.objects().is_empty());
    let uploads = stage.platform.requests_of("artifactImport");
    for upload in &uploads {
        let header = upload.http.header("opencti-draft-id");
        assert_eq!(header, Some(draft.id.as_str()));
    }
    // Nothing else is asked in the draft but for the author of the files.
    let others: BTreeSet<_> = stage
        .platform
        .requests()
        .into_iter()
        .filter(|it| it.http.header("opencti-draft-id") != Some(""))
        .flat_map(|it| it.fields)
        .collect();
    let expected = ["artifactImport", "stixCoreObject"].map(str::to_owned);
    assert_eq!(others, BTreeSet::from(expected));
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
