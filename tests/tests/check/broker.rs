//! The check of RabbitMQ, with a real one.

use anyhow::{Context as _, Result};
use connector_tests::host::{CONNECTOR_ID, rabbitmq};
use connector_tests::opencti::Options;
use connector_tests::rabbitmq::Node;

use super::{Line, Stage, lines};

async fn stage(options: Options) -> Result<Stage> {
    let mut stage = Stage::new(options).await?;
    stage.host = stage.host.variable("CONNECTOR_QUEUE_PROTOCOL", "amqp");
    Ok(stage)
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
    let stage = stage(options).await?;
    for _ in 0..2 {
        let (state, _, message) = queue_line(&stage).await?;
        assert_eq!(state, "ok", "{message}");
        assert!(message.ends_with("lets us publish"), "{message}");
    }
    // As after a loss of RabbitMQ's data: the registration makes it anew.
    stage.platform.delete_exchange().await?;
    let (state, _, message) = queue_line(&stage).await?;
    assert_eq!(state, "ok", "{message}");
    let registrations = stage
        .platform
        .read(|platform| platform.connectors[CONNECTOR_ID].registrations);
    assert_eq!(registrations, 3);
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
    let mut stage = stage(options).await?;
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
