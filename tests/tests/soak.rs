//! What takes too long for every day: `./justw soak`.

use anyhow::Result;
use connector_tests::crash::{Stage, over_api, seed, with_files};
use connector_tests::fixtures::Scenario;
use connector_tests::host::rabbitmq;
use connector_tests::opencti::Options;

/// Kills in each of the two ways of delivery.
const KILLS: usize = 100;

#[tokio::test]
#[ignore = "long: ./justw soak"]
async fn a_hundred_kills_lose_nothing_over_the_broker() -> Result<()> {
    let Some(amqp_url) = rabbitmq().await else {
        return Ok(());
    };
    let options = Options {
        amqp_url: Some(amqp_url),
        ..Options::default()
    };
    let world = Scenario::of_today(2_000).world();
    let mut stage = Stage::new(&world, &options, with_files).await?;
    stage.kill_often(KILLS, seed()?).await?;
    stage.check_removed()?;
    println!("{}", stage.summary());
    Ok(())
}

#[tokio::test]
#[ignore = "long: ./justw soak"]
async fn a_hundred_kills_lose_nothing_over_the_api() -> Result<()> {
    let scenario = Scenario {
        bodies: false,
        ..Scenario::of_today(4_000)
    };
    let mut stage = Stage::new(&scenario.world(), &Options::default(), over_api).await?;
    stage.kill_often(KILLS, seed()?).await?;
    println!("{}", stage.summary());
    Ok(())
}
