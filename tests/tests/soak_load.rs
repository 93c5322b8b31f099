//! Much at once, large, and for long: what the program holds in memory. `./justw soak` runs these; they take
//! the better part of an hour.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use connector_tests::body::FileBody;
use connector_tests::fixtures::{Scenario, now};
use connector_tests::host::{Host, Running};
use connector_tests::usage::Usage;
use connector_tests::{opencti, virustotal};
use serde_json::json;
use tokio::time::{Instant, interval};

const MB: u64 = 1_000_000;

/// A number of the environment, for a shorter or longer form.
fn number(name: &str, default: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is {text:?}")),
        Err(_) => Ok(default),
    }
}

/// A connector whose first run is its only one here: it stands still afterwards and can be looked at.
fn start(virustotal: &virustotal::Server, platform: &opencti::Server) -> Result<Host> {
    Ok(Host::new(virustotal, platform)?
        .variable("CONNECTOR_LOG_LEVEL", "info")
        .variable("CONNECTOR_DURATION_PERIOD", "P1D"))
}

async fn after_the_run(running: &mut Running, patience: Duration) -> Result<Usage> {
    running
        .until_logged_within("notifications read", patience)
        .await?;
    running.usage()
}

#[tokio::test]
#[ignore = "long: ./justw soak"]
async fn a_hundred_thousand_notifications_in_one_run_take_less_than_64_mb() -> Result<()> {
    let notifications = number("SOAK_NOTIFICATIONS", 100_000)?;
    let scenario = Scenario {
        bodies: false,
        mixed: false,
        ..Scenario::of_today(usize::try_from(notifications)?)
    };
    let virustotal = virustotal::Server::start(scenario.world()).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let mut running = start(&virustotal, &platform)?.start(&["run"])?;
    let usage = after_the_run(&mut running, Duration::from_secs(3_600)).await?;
    println!("{notifications} notifications in one run: {usage}");
    let delivered = platform.objects_of("incident").len();
    running.terminate()?;
    let finished = running.finish().await?;
    ensure!(
        delivered as u64 == notifications,
        "{delivered} delivered: {}",
        finished.summary()
    );
    ensure!(usage.peak < 64 * MB, "{usage}");
    Ok(())
}

#[tokio::test]
#[ignore = "long: ./justw soak"]
async fn a_sample_of_400_mb_is_copied_in_less_than_96_mb() -> Result<()> {
    const SIZE: u64 = 400 * MB;
    let scenario = Scenario {
        bodies: false,
        mixed: false,
        ..Scenario::of_today(1)
    };
    let mut world = scenario.world();
    let mut item = world.notifications.pop().context("no notification")?.item();
    let body = FileBody::new(scenario.seed, SIZE);
    item["id"] = json!(body.sha256);
    for (name, value) in [
        ("sha256", json!(body.sha256)),
        ("sha1", json!(body.sha1)),
        ("md5", json!(body.md5)),
        ("size", json!(SIZE)),
    ] {
        item["attributes"][name] = value;
    }
    world.add(&item);
    world.add_file(body);
    let virustotal = virustotal::Server::start(world).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let mut running = start(&virustotal, &platform)?
        .setting("UPLOAD_ARTIFACT", "true")
        .start(&["run"])?;
    let usage = after_the_run(&mut running, Duration::from_secs(600)).await?;
    println!("a sample of 400 MB: {usage}");
    running.terminate()?;
    running.finish().await?;
    let artifacts = platform.stored_of("artifact");
    ensure!(
        artifacts.len() == 1 && artifacts[0].size == Some(SIZE),
        "{artifacts:?}"
    );
    ensure!(usage.peak < 96 * MB, "{usage}");
    Ok(())
}

/// A run a second, and a notification every other one. Usage, open files and threads of the last third are held
/// against those of the second; the first fills caches and pools.
#[tokio::test]
#[ignore = "long: ./justw soak"]
async fn steady_load_for_half_an_hour_grows_nothing() -> Result<()> {
    const PACE: Duration = Duration::from_secs(2);
    let lasting = Duration::from_secs(60 * number("SOAK_MINUTES", 30)?);
    let count = lasting.as_secs() / PACE.as_secs();
    let scenario = Scenario {
        bodies: false,
        mixed: false,
        ..Scenario::of_today(usize::try_from(count)?)
    };
    let mut world = scenario.world();
    let to_come = std::mem::take(&mut world.notifications);
    let virustotal = virustotal::Server::start(world).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let running = start(&virustotal, &platform)?
        .variable("CONNECTOR_DURATION_PERIOD", "PT1S")
        .variable("CONNECTOR_LOG_LEVEL", "warning")
        .start(&["run"])?;
    let mut samples = Vec::new();
    let mut ticks = interval(PACE);
    let begun = Instant::now();
    for notification in to_come {
        ticks.tick().await;
        virustotal.edit(|world| world.notifications.push(notification.dated(now())));
        samples.push(running.usage()?);
    }
    println!("{count} notifications in {:?}", begun.elapsed());
    platform
        .until("all have arrived", |platform| {
            let incidents = platform
                .store
                .iter()
                .filter(|it| it.object["type"] == "incident");
            incidents.count() as u64 == count
        })
        .await?;
    running.terminate()?;
    running.finish().await?;
    let third = samples.len() / 3;
    let most = |samples: &[Usage]| samples.iter().copied().reduce(Usage::most);
    let (before, after) = most(&samples[third..2 * third])
        .zip(most(&samples[2 * third..]))
        .context("no sample was taken")?;
    println!("second third: {before}\nlast third:   {after}");
    ensure!(
        after.resident <= before.resident + 2 * MB,
        "memory grows: {before} -> {after}"
    );
    ensure!(
        after.files <= before.files + 2,
        "open files grow: {before} -> {after}"
    );
    ensure!(
        after.threads <= before.threads,
        "threads grow: {before} -> {after}"
    );
    Ok(())
}
