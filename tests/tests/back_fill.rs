//! `connector-host run --since`: what was delivered, or never read, is brought over again, and nothing is lost.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use connector_host::state::{OVERLAP_SECONDS, State};
use connector_tests::fixtures::{Scenario, now};
use connector_tests::host::{CONNECTOR_ID, Finished, Host};
use connector_tests::opencti::QueueDetails;
use connector_tests::virustotal::{Notification, World};
use connector_tests::{opencti, virustotal};
use futures::FutureExt as _;
use serde_json::{Value, json};
use tokio::sync::Notify;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

struct Stage {
    virustotal: virustotal::Server,
    platform: opencti::Server,
    host: Host,
    /// Dates of the notifications, oldest first.
    dates: Vec<u64>,
}

impl Stage {
    /// Notifications of the last two days.
    async fn new(notifications: usize) -> Result<Self> {
        Self::of(of_files(notifications).world()).await
    }

    async fn of(world: World) -> Result<Self> {
        let mut dates: Vec<u64> = world.notifications.iter().map(|it| it.date).collect();
        dates.sort_unstable();
        let virustotal = virustotal::Server::start(world).await?;
        let platform = opencti::Server::start(opencti::Options::default()).await?;
        let host = Host::new(&virustotal, &platform)?;
        Ok(Self {
            virustotal,
            platform,
            host,
            dates,
        })
    }

    /// How many notifications are dated so, or later.
    fn since(&self, time: u64) -> usize {
        self.dates.iter().filter(|date| **date >= time).count()
    }

    async fn back_fill(&self, since: u64) -> Result<Finished> {
        self.back_fill_from(&time(since)).await
    }

    async fn back_fill_from(&self, since: &str) -> Result<Finished> {
        let arguments = ["run", "--once", "--since", since];
        self.host.start(&arguments)?.finish().await
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.platform.state().unwrap()).unwrap()
    }

    fn incidents(&self) -> usize {
        self.platform.objects_of("incident").len()
    }
}

/// Notifications of files, of the last two days.
fn of_files(notifications: usize) -> Scenario {
    Scenario {
        mixed: false,
        bodies: false,
        ..Scenario::of_today(notifications)
    }
}

fn time(seconds: u64) -> String {
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap());
    time.unwrap().to_string()
}

/// The attributes of a message of the log.
fn attributes(run: &Finished, level: &str, message: &str) -> Value {
    let messages = run.messages(level);
    let found = messages.iter().find_map(|it| it.strip_prefix(message));
    serde_json::from_str(found.unwrap_or_else(|| panic!("{message}: {}", run.log))).unwrap()
}

/// From when a back-fill is to go on that did not come to its end, as it was told.
fn rest_of(run: &Finished) -> String {
    assert!(!run.success, "{}", run.log);
    let message = "the back-fill did not come to its end; what is left begins there";
    assert_eq!(run.log.matches(message).count(), 1, "{}", run.log);
    let attributes = attributes(run, "WARNING", message);
    attributes["since"].as_str().unwrap().to_owned()
}

/// A notification that nobody can map: its rule is not named.
fn broken(notification: &Notification) -> Notification {
    let mut item = notification.item();
    item["context_attributes"]["hunting_info"] = json!({});
    item["context_attributes"]["sources"] = json!([{"type": "hunting_ruleset", "id": "1"}]);
    Notification::new(&item)
}

fn assert_read(run: &Finished, read: usize, delivered: usize) {
    assert!(run.success, "{}", run.log);
    assert_counts(run, read, delivered);
}

fn assert_counts(run: &Finished, read: usize, delivered: usize) {
    let expected = format!("{read} notifications read: {delivered} delivered");
    assert!(
        run.summary().starts_with(&expected),
        "{expected}: {}",
        run.summary()
    );
}

#[tokio::test]
async fn what_is_delivered_is_delivered_again_and_the_state_stays() -> Result<()> {
    let stage = Stage::new(60).await?;
    assert_read(&stage.host.run_once().await?, 60, 60);
    let (state, deliveries) = (stage.state(), stage.platform.deliveries().len());
    let since = now() - 24 * HOUR;
    let wanted = stage.since(since);
    assert!((10..50).contains(&wanted), "{wanted}");

    let back_fill = stage.back_fill(since).await?;
    assert_read(&back_fill, wanted, wanted);
    let mut after = stage.state();
    // The errors of the back-fill's work are read on, too.
    after["works"] = state["works"].clone();
    assert_eq!(after, state, "checkpoint and fingerprints");
    assert_eq!(stage.platform.deliveries().len(), deliveries + 1);
    assert_eq!(stage.incidents(), 60, "the same ids");
    let works = stage.platform.works();
    assert!(works.last().unwrap().name.contains(" back-fill @ "));
    assert_read(&stage.host.run_once().await?, 0, 0);
    Ok(())
}

#[tokio::test]
async fn a_back_fill_reaches_before_the_first_run() -> Result<()> {
    let mut world = of_files(40).world();
    let oldest = world.notifications.iter_mut().min_by_key(|it| it.date);
    let oldest = oldest.unwrap();
    *oldest = broken(oldest);
    let broken = oldest.id.clone();
    let stage = Stage::of(world).await?;
    // The checkpoint has passed nearly everything, and nothing of it was delivered.
    let mut state = State::starting_at(stage.dates[38]);
    state.mark_failed("1234", stage.dates[0], "bad");
    stage.platform.seed_state(CONNECTOR_ID, &state.to_json())?;
    // A limit is of runs that nobody asked for.
    let host = stage.host.clone().setting("LIMIT", "5");
    let since = time(stage.dates[0]);
    let run = host
        .start(&["run", "--once", "--since", &since])?
        .finish()
        .await?;
    assert_read(&run, 40, 39);
    let after = stage.state();
    assert_eq!(after["checkpoint"]["date"], stage.dates[39]);
    let failed = after["failed"].as_array().unwrap();
    let failed: Vec<&Value> = failed.iter().map(|it| &it["id"]).collect();
    assert_eq!(failed, ["1234", &broken], "what failed is not forgotten");
    // What no run reads again has no fingerprint, delivered or failed.
    let done = after["checkpoint"]["done"].as_array().unwrap().len();
    assert_eq!(done, stage.since(state.since()) + 1, "one was there");
    assert_read(&stage.host.run_once().await?, 0, 0);
    Ok(())
}

#[tokio::test]
async fn a_time_after_the_checkpoint_leaves_nothing_out() -> Result<()> {
    let stage = Stage::new(40).await?;
    let checkpoint = State::starting_at(stage.dates[0]);
    stage
        .platform
        .seed_state(CONNECTOR_ID, &checkpoint.to_json())?;
    let run = stage.back_fill(now() - HOUR).await?;
    assert_read(&run, 40, 40);
    Ok(())
}

/// Also where there was nothing to read, the next run goes on from there, and not from three days back.
#[tokio::test]
async fn a_connector_without_a_state_begins_with_its_back_fill() -> Result<()> {
    let stage = Stage::new(0).await?;
    let since = now() - 6 * DAY;
    let run = stage.back_fill(since).await?;
    assert_read(&run, 0, 0);
    assert_eq!(stage.state()["checkpoint"]["date"], since);

    let late = of_files(1).world().notifications[0].dated(now() - 5 * DAY);
    stage
        .virustotal
        .edit(|world| world.notifications.push(late));
    assert_read(&stage.host.run_once().await?, 1, 1);
    Ok(())
}

/// As the README says, the age that a file may have counts from now.
#[tokio::test]
async fn old_files_are_brought_over_where_max_age_days_lets_them() -> Result<()> {
    let scenario = Scenario {
        hours: 6 * 24,
        ..of_files(40)
    };
    let stage = Stage::of(scenario.world()).await?;
    let by_default = Stage {
        host: stage.host.clone().setting("MAX_AGE_DAYS", "3"),
        ..stage
    };
    let since = by_default.dates[0];
    let run = by_default.back_fill(since).await?;
    assert!(run.success, "{}", run.log);
    let skipped = 40 - by_default.incidents();
    assert!((20..40).contains(&skipped), "{}", run.summary());
    let words = format!("{skipped} skipped (age {skipped})");
    assert!(run.summary().ends_with(&words), "{}", run.summary());

    let unlimited = Stage {
        host: by_default.host.clone().setting("MAX_AGE_DAYS", "0"),
        ..by_default
    };
    assert_read(&unlimited.back_fill(since).await?, 40, 40);
    assert_eq!(unlimited.incidents(), 40);
    Ok(())
}

#[tokio::test]
async fn what_virustotal_does_not_keep_is_not_asked_for_and_the_future_is_refused() -> Result<()> {
    let stage = Stage::new(0).await?;
    let oldest = now() - 7 * DAY;
    let run = stage.back_fill(now() - 30 * DAY).await?;
    assert_read(&run, 0, 0);
    // One second before what is kept: whether VirusTotal includes the second of a date, it does not say.
    let asked = stage.virustotal.requests()[0].clone();
    let filter = asked.parameter("filter").unwrap();
    let asked = filter.split_whitespace().find_map(|it| {
        let date = it.strip_prefix("date:")?.strip_suffix('+')?;
        format!("{date}Z").parse::<jiff::Timestamp>().ok()
    });
    let asked = u64::try_from(asked.unwrap().as_second())?;
    assert!((oldest - 1..now()).contains(&asked), "{filter}");
    let saved = stage.state()["checkpoint"]["date"].as_u64().unwrap();
    assert!((oldest..now()).contains(&saved), "{saved}");
    let warnings = run.messages("WARNING");
    let words = "VirusTotal keeps notifications for 7 days only: what is read begins at 20";
    assert!(
        warnings.iter().any(|it| it.starts_with(words)),
        "{}",
        run.log
    );

    let pages = stage.virustotal.requests().len();
    for (time, words) in [
        (
            "2999-01-01T00:00:00Z",
            "it is in the future; expected a time that is over",
        ),
        (
            "2026-01-01T10:00",
            "expected a time such as 2026-11-20T00:00:00Z, or a date",
        ),
    ] {
        let refused = stage.back_fill_from(time).await?;
        assert!(
            !refused.success && refused.log.contains(words),
            "{}",
            refused.log
        );
        assert!(refused.log.contains("--since"), "{}", refused.log);
    }
    assert_eq!(stage.virustotal.requests().len(), pages);
    Ok(())
}

/// Without a terminal the log says how far it is. What stops on the way is told, and can be gone on with.
#[tokio::test]
async fn a_back_fill_says_how_far_it_is_and_goes_on_where_it_stopped() -> Result<()> {
    let stage = Stage::new(450).await?;
    let since = stage.dates[0];
    // Eleven pages of 40, but for one; no rulesets.
    let host = stage.host.clone().setting("CREATE_YARA_RULE", "false");
    let stage = Stage { host, ..stage };
    stage.virustotal.edit(|world| world.quota = Some(11));
    let run = stage.back_fill(since).await?;
    assert_counts(&run, 440, 440);
    let begun = attributes(&run, "INFO", "a back-fill begins");
    assert_eq!(begun["since"], time(since));
    let lines = run.messages("INFO");
    for read in [200, 400] {
        // A slow machine writes more of them.
        let line = lines.iter().find(|it| {
            it.starts_with("the back-fill goes on ") && it.contains(&format!("\"read\":{read},"))
        });
        let line = line.unwrap_or_else(|| panic!("{read}: {lines:?}"));
        assert!(
            line.contains("\"to\":\"20") && line.contains("\"percent\":"),
            "{line}"
        );
    }
    let rest = rest_of(&run);
    let checkpoint = stage.state()["checkpoint"]["date"].as_u64().unwrap();
    assert_eq!(rest, time(checkpoint));
    // What is told is what the next one takes.
    stage.virustotal.edit(|world| world.quota = None);
    let read = stage.since(checkpoint - OVERLAP_SECONDS);
    assert_read(&stage.back_fill_from(&rest).await?, read, read);
    assert_eq!(stage.incidents(), 450);

    // A connector that goes on running goes on with it.
    stage.virustotal.edit(|world| world.quota = Some(3));
    let host = stage.host.clone().setting("INTERVAL_SEC", "1");
    let mut connector = host.start(&["run", "--since", &time(since)])?;
    connector
        .until_logged("the back-fill did not come to its end")
        .await?;
    stage.virustotal.edit(|world| world.quota = None);
    connector.until_logged("a run begins").await?;
    connector.end().await?;
    assert_eq!(stage.incidents(), 450);
    assert_read(&stage.host.run_once().await?, 0, 0);
    Ok(())
}

#[tokio::test]
async fn a_back_fill_that_sigterm_ends_says_from_when_to_go_on() -> Result<()> {
    let stage = Stage::new(200).await?;
    // The fourth page does not come until it is asked for again.
    let fourth = Arc::new(Notify::new());
    let (asked, pages) = (Arc::clone(&fourth), AtomicUsize::new(0));
    stage.virustotal.check(move |request| {
        if request.path == "/ioc_stream" && pages.fetch_add(1, Ordering::SeqCst) == 3 {
            asked.notify_one();
            return std::future::pending().boxed();
        }
        std::future::ready(()).boxed()
    });
    let since = stage.dates[0];
    let arguments = ["run", "--once", "--since", &time(since)];
    let running = stage.host.start(&arguments)?;
    fourth.notified().await;
    running.terminate()?;
    let run = running.finish().await?;
    assert_counts(&run, 120, 120);
    assert!(run.summary().ends_with("; stopped on request"));
    let rest = rest_of(&run);
    assert!(rest > time(since), "{rest}");

    let run = stage.back_fill_from(&rest).await?;
    assert!(run.success, "{}", run.log);
    assert_eq!(stage.incidents(), 200);
    Ok(())
}

#[tokio::test]
async fn a_back_fill_that_is_given_up_says_from_when_to_go_on() -> Result<()> {
    let stage = Stage::new(20).await?;
    let delivery = Arc::new(Notify::new());
    let arrived = Arc::clone(&delivery);
    stage.platform.check(move |request| {
        if request.fields.iter().any(|it| it == "stixBundlePush") {
            arrived.notify_one();
            return std::future::pending().boxed();
        }
        std::future::ready(()).boxed()
    });
    let since = time(stage.dates[0]);
    let running = stage.host.start(&["run", "--once", "--since", &since])?;
    delivery.notified().await;
    running.terminate()?;
    let run = running.finish().await?;
    assert!(
        run.log.contains("the run did not end within"),
        "{}",
        run.log
    );
    assert_eq!(rest_of(&run), since);
    Ok(())
}

/// A run that is held back is made up for by the next one; a back-fill that is, by nobody.
#[tokio::test]
async fn a_back_fill_that_is_held_back_says_so_and_is_no_success() -> Result<()> {
    let stage = Stage::new(20).await?;
    let state = State::starting_at(stage.dates[10]).to_json();
    stage.platform.seed_state(CONNECTOR_ID, &state)?;
    stage.platform.set_queue(QueueDetails {
        messages_number: 1_000,
        messages_size: 600_000_000,
    });
    let since = stage.dates[0];
    let run = stage.back_fill(since).await?;
    let held_back = "the queue is too full for a run: it is held back";
    assert!(run.log.contains(held_back), "{}", run.log);
    assert_eq!(rest_of(&run), time(since));
    let run = stage.host.run_once().await?;
    assert!(run.success && run.log.contains(held_back), "{}", run.log);
    assert_eq!(stage.virustotal.requests().len(), 0);

    stage.platform.set_queue(QueueDetails::default());
    assert_read(&stage.back_fill(since).await?, 20, 20);
    Ok(())
}
