//! The connector killed at every step of a run and at random moments, as by a power cut, and started again with
//! nothing but what the platform stored. `soak.rs` does the same for longer.

use anyhow::Result;
use connector_host::step::Step;
use connector_tests::crash::{Stage, expected, over_api, over_broker, seed, with_files};
use connector_tests::fixtures::Scenario;
use connector_tests::host::rabbitmq;
use connector_tests::opencti::Options;

/// How often a step comes at least in a run over the feed of the test.
fn times(step: Step) -> u32 {
    match step {
        Step::AuthorSent | Step::WorkClosed => 1,
        _ => 2,
    }
}

#[tokio::test]
async fn a_kill_at_any_step_loses_nothing() -> Result<()> {
    let amqp_url = rabbitmq().await;
    if amqp_url.is_none() {
        return Ok(());
    }
    let options = Options {
        amqp_url,
        ..Options::default()
    };
    // More than two batches, and some of them fail or are filtered out.
    let large = Scenario {
        bodies: false,
        ..Scenario::of_today(210)
    };
    let large = large.world();
    let without_files = expected(&large, &options, over_broker).await?;
    let small = Scenario::of_today(12).world();
    let of_files = expected(&small, &options, with_files).await?;
    for step in Step::ALL.iter().copied() {
        let mut stage = match step {
            Step::AuthorSent | Step::FileCopied => {
                Stage::with(of_files.clone(), &small, &options, with_files).await?
            }
            _ => Stage::with(without_files.clone(), &large, &options, over_broker).await?,
        };
        stage.go_on(large.notifications.len());
        for time in 1..=times(step) {
            stage.die_at(step.name(), time).await?;
        }
        stage.drain().await?;
        stage.check_removed()?;
        println!("{step:?}: {}", stage.summary());
    }
    Ok(())
}

#[tokio::test]
async fn kills_at_random_moments_lose_nothing_over_the_broker() -> Result<()> {
    let Some(amqp_url) = rabbitmq().await else {
        return Ok(());
    };
    let world = Scenario::of_today(200).world();
    // The older release gets a message for each object.
    for version in ["6.2.12", "7.260817.0"] {
        let options = Options {
            amqp_url: Some(amqp_url.clone()),
            ..Options::version(version)?
        };
        let mut stage = Stage::new(&world, &options, with_files).await?;
        stage.kill_often(10, seed()?).await?;
        stage.check_removed()?;
        println!("{version}: {}", stage.summary());
    }
    Ok(())
}

#[tokio::test]
async fn kills_at_random_moments_lose_nothing_over_the_api() -> Result<()> {
    let scenario = Scenario {
        bodies: false,
        ..Scenario::of_today(400)
    };
    let mut stage = Stage::new(&scenario.world(), &Options::default(), over_api).await?;
    stage.kill_often(10, seed()?).await?;
    println!("{}", stage.summary());
    Ok(())
}
