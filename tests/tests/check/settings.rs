//! What is checked only where a setting wants it: S3, drafts, an account of the connector's own.

use anyhow::{Context as _, Result};
use connector_tests::opencti::Options;
use connector_tests::s3;

use super::{Line, Stage, lines};

/// The only line that is not `ok`, or the one of this name where all are.
async fn line(stage: &Stage, name: &str) -> Result<Line> {
    let finished = stage.check().await?;
    let lines = lines(&finished);
    let mut wrong: Vec<&Line> = lines.iter().filter(|it| it.0 != "ok").collect();
    wrong.retain(|it| it.0 != "skipped");
    let found = match wrong[..] {
        [] => lines.iter().find(|it| it.1 == name),
        [line] => Some(line),
        _ => None,
    };
    let found = found.with_context(|| finished.output.clone())?.clone();
    assert_eq!(finished.success, found.0 == "ok", "{}", finished.output);
    assert_eq!(found.1, name, "{}", finished.output);
    Ok(found)
}

#[tokio::test]
async fn the_bucket_is_looked_into() -> Result<()> {
    let s3 = s3::Server::start().await?;
    let mut stage = Stage::new(Options::default()).await?;
    let told = s3.connection();
    stage.platform.tell_s3(|s3| *s3 = told);
    stage.host = stage.host.variable("CONNECTOR_SEND_TO_S3", "true");
    let (state, _, words) = line(&stage, "s3").await?;
    assert_eq!(state, "ok");
    assert!(words.ends_with("writing was not tried"), "{words}");
    assert!(s3.keys()?.is_empty());

    for (variable, value, expected) in [
        ("S3_SECRET_KEY", "another-secret-key", "S3_ACCESS_KEY: "),
        ("S3_PORT", "1", "S3_ENDPOINT: "),
        (
            "CONNECTOR_SEND_TO_S3_BUCKET",
            "another",
            "CONNECTOR_SEND_TO_S3_BUCKET: ",
        ),
    ] {
        let host = stage.host.clone();
        stage.host = host.clone().variable(variable, value);
        let (state, _, words) = line(&stage, "s3").await?;
        assert_eq!(state, "failed", "{variable}: {words}");
        assert!(words.starts_with(expected), "{variable}: {words}");
        stage.host = host;
    }

    // Enough for a run.
    s3.allow_writing_alone();
    let finished = stage.check().await?;
    assert!(finished.success, "{}", finished.output);
    let found = lines(&finished);
    let (state, _, words) = found.iter().find(|it| it.1 == "s3").context("no line")?;
    assert_eq!(state, "warning", "{words}");
    assert!(
        words.starts_with("S3_ACCESS_KEY: cannot look into the bucket")
            && words.contains("accepted and lack a right"),
        "{words}"
    );
    Ok(())
}

#[tokio::test]
async fn an_administrator_is_not_registered_as_the_connector() -> Result<()> {
    let s3 = s3::Server::start().await?;
    let mut stage = Stage::new(Options::default().administrator()).await?;
    let told = s3.connection();
    stage.platform.tell_s3(|s3| *s3 = told);
    stage.host = stage
        .host
        .variable("CONNECTOR_SEND_TO_S3", "true")
        .variable("CONNECTOR_QUEUE_PROTOCOL", "amqp")
        .variable("CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT", "true");
    let finished = stage.check().await?;
    assert!(finished.success, "{}", finished.output);
    for name in ["opencti-registration", "queue", "s3"] {
        let found = lines(&finished);
        let (state, _, words) = found.iter().find(|it| it.1 == name).context(name)?;
        assert_eq!(state, "skipped", "{words}");
        assert!(words.contains("only `run` does"), "{words}");
    }
    assert!(stage.platform.requests_of("registerConnector").is_empty());
    assert!(stage.platform.read(|platform| platform.accounts.is_empty()));
    Ok(())
}

#[tokio::test]
async fn without_the_guest_nothing_is_registered_for_the_bucket() -> Result<()> {
    let mut stage = Stage::new(Options::default()).await?;
    stage.host = stage
        .host
        .variable("CONNECTOR_GUEST", "/nowhere.wasm")
        .variable("CONNECTOR_NAME", "A name of its own")
        .variable("CONNECTOR_SEND_TO_S3", "true");
    let found = lines(&stage.check().await?);
    let (state, _, words) = found.iter().find(|it| it.1 == "s3").context("s3")?;
    assert_eq!(state, "skipped", "{words}");
    assert!(stage.platform.requests_of("registerConnector").is_empty());
    Ok(())
}

#[tokio::test]
async fn what_the_settings_want_must_be_had() -> Result<()> {
    let drafts = [
        ("CONNECTOR_VALIDATE_BEFORE_IMPORT", "true"),
        ("CONNECTOR_QUEUE_PROTOCOL", "amqp"),
    ];
    let drafts_of_nothing = [
        ("CONNECTOR_VALIDATE_BEFORE_IMPORT", "true"),
        ("CONNECTOR_SEND_TO_QUEUE", "false"),
    ];
    let account = [("CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT", "true")];
    let lacking = |capability| Options::default().without(&[capability]);
    let cases: [(_, _, &[(&str, &str)], _); 4] = [
        (
            Options::version("6.9.22")?,
            "opencti-version",
            &account,
            "CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT: this needs OpenCTI 7.260224.0",
        ),
        (
            lacking("SETTINGS_SETACCESSES"),
            "opencti-capabilities",
            &account,
            "OPENCTI_TOKEN: missing: SETTINGS_SETACCESSES; only an administrator's token",
        ),
        (
            lacking("KNOWLEDGE_KNUPDATE"),
            "opencti-capabilities",
            &drafts,
            "OPENCTI_TOKEN: missing: KNOWLEDGE_KNUPDATE",
        ),
        (
            lacking("KNOWLEDGE_KNUPDATE"),
            "opencti-capabilities",
            &drafts_of_nothing,
            "OPENCTI_TOKEN: without KNOWLEDGE_KNUPDATE no files are copied",
        ),
    ];
    for (options, name, settings, expected) in cases {
        let mut stage = Stage::new(options).await?;
        for (setting, value) in settings {
            stage.host = stage.host.variable(setting, *value);
        }
        let finished = stage.check().await?;
        let found = lines(&finished);
        let line = found.iter().find(|it| it.1 == name).context(name)?;
        assert!(line.2.starts_with(expected), "{}", finished.output);
    }
    Ok(())
}
