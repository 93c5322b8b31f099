//! What happens to OpenCTI while a run is under way: it restarts, stays away, hangs; the token expires; users reset
//! the connector or delete its work.

use anyhow::{Result, ensure};
use connector_tests::fault::{Fault, field, path};
use connector_tests::host::Running;
use connector_tests::proxy::Link;
use connector_tests::trial::Trial;
use connector_tests::virustotal::{Kind, World};
use serde_json::json;

/// Three pages make a batch of 100; the fourth comes late, so that a test can do something in between.
const FOUR_PAGES: usize = 125;

/// A connector that has delivered its first batch and waits for the fourth page.
async fn in_mid_run(trial: &Trial, period: &str) -> Result<Running> {
    let late = Fault::RetryAfter(503, 5, json!({}));
    let fourth = path("/ioc_stream");
    trial
        .virustotal
        .edit(|world| world.faults.after(3, fourth, late));
    let host = trial.host.clone();
    let running = host
        .variable("CONNECTOR_DURATION_PERIOD", period)
        .start(&["run"])?;
    let asked = |world: &World| world.count(Kind::Page) >= 4;
    trial
        .virustotal
        .until("the fourth page is asked for", asked)
        .await?;
    Ok(running)
}

#[tokio::test]
async fn a_platform_that_restarts_in_mid_run_is_waited_for() -> Result<()> {
    let mut trial = Trial::new(FOUR_PAGES).await?;
    let proxy = trial.put_proxy_before_platform().await?;
    let mut running = in_mid_run(&trial, "P1D").await?;
    proxy.set(Link::Refused);
    running.until_logged("connection refused").await?;
    proxy.set(Link::Open);
    running
        .until_logged("125 notifications read: 125 delivered")
        .await?;
    running.end().await?;
    trial.check_drained().await
}

/// An answer that asks to come back in ten minutes ends the tries of a call at once, as two minutes do.
#[tokio::test]
async fn a_platform_that_is_away_for_longer_than_the_tries_costs_runs_and_nothing_else()
-> Result<()> {
    let trial = Trial::deleting(5).await?;
    let away = Fault::RetryAfter(503, 600, json!({}));
    for _ in 0..3 {
        trial.platform.fault(field("stixBundlePush"), away.clone());
    }
    let host = trial.host.clone();
    let mut running = host
        .variable("CONNECTOR_DURATION_PERIOD", "PT1S")
        .start(&["run"])?;
    running.until_logged("5 removed at the source").await?;
    let log = running.end().await?;
    ensure!(
        log.matches("; stopped by an error: delivery: OpenCTI answers HTTP 503")
            .count()
            == 3,
        "{log}"
    );
    trial.check_deleted()?;
    trial.check_drained().await
}

#[tokio::test]
async fn a_token_that_expires_in_mid_run_is_named_and_its_renewal_is_noticed() -> Result<()> {
    let trial = Trial::new(FOUR_PAGES).await?;
    let mut running = in_mid_run(&trial, "PT1S").await?;
    trial
        .platform
        .edit(|platform| platform.token_expired = true);
    running.until_logged("; stopped by an error").await?;
    ensure!(
        running.log().contains("set OPENCTI_TOKEN to a token"),
        "{}",
        running.log()
    );
    let delivered = trial.delivered();
    ensure!(delivered == 100, "{delivered}");
    trial
        .platform
        .edit(|platform| platform.token_expired = false);
    trial.until_delivered().await?;
    running
        .until_logged("25 notifications read: 25 delivered")
        .await?;
    running.end().await?;
    trial.check_drained().await
}

#[tokio::test]
async fn a_reset_in_mid_run_ends_it_and_everything_is_delivered_again() -> Result<()> {
    let trial = Trial::new(FOUR_PAGES).await?;
    let mut running = in_mid_run(&trial, "P1D").await?;
    trial.platform.reset_state().await?;
    running
        .until_logged("stopped because the state was reset on the platform")
        .await?;
    running
        .until_logged("125 notifications read: 125 delivered\"")
        .await?;
    running.end().await?;
    trial.check_drained().await
}

#[tokio::test]
async fn a_work_that_is_deleted_in_mid_run_is_gone_on_without() -> Result<()> {
    let trial = Trial::new(FOUR_PAGES).await?;
    let mut running = in_mid_run(&trial, "P1D").await?;
    let works = trial.platform.works();
    trial.platform.delete_work(&works[0].id);
    running
        .until_logged("the run goes on without its work in OpenCTI")
        .await?;
    running
        .until_logged("125 notifications read: 125 delivered")
        .await?;
    running.end().await?;
    trial.check_drained().await
}

/// A platform that hangs may keep the connector from ending in good order, but not from ending.
#[tokio::test]
async fn sigterm_ends_a_run_whose_platform_hangs() -> Result<()> {
    let mut trial = Trial::deleting(FOUR_PAGES).await?;
    let proxy = trial.put_proxy_before_platform().await?;
    let running = in_mid_run(&trial, "P1D").await?;
    proxy.set(Link::Stalled);
    proxy.until_met(1).await?;
    let log = running.end().await?;
    ensure!(
        log.contains("what is not confirmed will be done again"),
        "{log}"
    );
    ensure!(trial.delivered() == 100 && trial.virustotal.deletions().len() == 100);
    proxy.set(Link::Open);
    trial.run_well().await?;
    trial.check_deleted()?;
    trial.check_drained().await
}
