//! Time: a clock that jumps, and notifications that come late.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use connector_tests::fault::{Fault, path};
use connector_tests::fixtures::now;
use connector_tests::host::Running;
use connector_tests::trial::Trial;
use connector_tests::virustotal::{Kind, World};
use serde_json::json;

/// Debian's libfaketime; none, with a line that says so, where it is not installed.
fn libfaketime() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    let library = folders
        .map(|folder| folder.path().join("faketime/libfaketime.so.1"))
        .find(|library| library.exists());
    if library.is_none() {
        println!("skipped: no libfaketime for this test (Debian's package faketime)");
    }
    library
}

/// A connector whose clock a test sets.
struct Clock {
    folder: tempfile::TempDir,
    library: PathBuf,
}

impl Clock {
    fn new(library: PathBuf, days: i64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let clock = Self { folder, library };
        clock.jump(days)?;
        Ok(clock)
    }

    /// From now on the clock is so many days ahead of the real one.
    fn jump(&self, days: i64) -> Result<()> {
        // The connector may read it at any moment: it is replaced as a whole.
        let new = self.folder.path().join("new");
        std::fs::write(&new, format!("{days:+}d\n"))?;
        Ok(std::fs::rename(new, self.offset())?)
    }

    fn offset(&self) -> PathBuf {
        self.folder.path().join("offset")
    }

    /// Runs each second.
    fn start(&self, trial: &Trial) -> Result<Running> {
        let text = |path: &Path| path.display().to_string();
        trial
            .host
            .clone()
            .variable("LD_PRELOAD", text(&self.library))
            .variable("FAKETIME_TIMESTAMP_FILE", text(&self.offset()))
            .variable("FAKETIME_NO_CACHE", "1")
            // Pauses and timeouts go by the monotonic clock, which never jumps.
            .variable("DONT_FAKE_MONOTONIC", "1")
            .variable("CONNECTOR_DURATION_PERIOD", "PT1S")
            .start(&["run"])
    }
}

/// Waits until a run has begun after now, and asked for its page.
async fn another_run(trial: &Trial) -> Result<()> {
    let pages = trial.virustotal.count(Kind::Page);
    // The first of them may be of a run that was under way.
    let asked = move |world: &World| world.count(Kind::Page) >= pages + 2;
    trial.virustotal.until("another run", asked).await
}

/// Waits until the log has a line of the day so many days ahead.
async fn until_day(running: &mut Running, days: i64) -> Result<()> {
    let time = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days);
    let day = time.strftime("%Y-%m-%d").to_string();
    running
        .until_logged(&format!("\"timestamp\":\"{day}"))
        .await
}

#[tokio::test]
async fn a_clock_that_jumps_between_and_in_mid_run_loses_nothing() -> Result<()> {
    let Some(library) = libfaketime() else {
        return Ok(());
    };
    let mut trial = Trial::new(44).await?;
    let mut held = vec![trial.hold_back()?, trial.hold_back()?];
    let clock = Clock::new(library, 0)?;
    // The answer to the second request is late: the clock jumps in between.
    let late = Fault::RetryAfter(503, 1, json!({}));
    trial
        .virustotal
        .edit(|world| world.faults.after(1, path("/ioc_stream"), late));
    let mut running = clock.start(&trial)?;
    trial
        .virustotal
        .until("the page after the jump", |world| {
            world.count(Kind::Page) == 2
        })
        .await?;
    clock.jump(5)?;
    trial.until_delivered().await?;
    until_day(&mut running, 5).await?;
    for days in [-30, 2] {
        clock.jump(days)?;
        if let Some(notification) = held.pop() {
            trial.add(notification.dated(now()));
        }
        trial.until_delivered().await?;
        until_day(&mut running, days).await?;
    }
    running.end().await?;
    trial.check_drained().await
}

/// VirusTotal keeps seven days, so that further back is never asked for: by a clock that is further ahead than
/// that, nothing is new. The checkpoint stays, and what was missed is delivered when the clock is right again.
#[tokio::test]
async fn what_a_clock_far_ahead_hides_is_delivered_once_it_is_right() -> Result<()> {
    let Some(library) = libfaketime() else {
        return Ok(());
    };
    let trial = Trial::new(5).await?;
    // No state yet: a first run begins three days before this clock, which is in the future.
    let clock = Clock::new(library, 30)?;
    let mut running = clock.start(&trial)?;
    another_run(&trial).await?;
    until_day(&mut running, 30).await?;
    ensure!(trial.delivered() == 0);
    clock.jump(0)?;
    trial.until_delivered().await?;
    running.end().await?;
    trial.check_drained().await
}

/// A run reads again from ten minutes before the checkpoint, and counts what it finds there only once.
#[tokio::test]
async fn a_notification_that_comes_late_is_delivered_if_it_is_dated_within_ten_minutes()
-> Result<()> {
    let mut trial = Trial::new(20).await?;
    let [late, too_late] = [trial.hold_back()?, trial.hold_back()?];
    trial.run_well().await?;
    let newest = trial.newest();
    trial.add(late.dated(newest - 590));
    let too_late = too_late.dated(newest - 610);
    trial
        .virustotal
        .edit(|world| world.notifications.push(too_late));
    let run = trial.run_well().await?;
    ensure!(
        run.summary()
            .starts_with("1 notifications read: 1 delivered"),
        "{}",
        run.summary()
    );
    trial.check_drained().await
}
