//! `connector-host run --since`: what was delivered, or never read, is brought over again, and nothing is lost.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use anyhow::Result;
use connector_host::state::State;
use connector_tests::fixtures::{Scenario, now};
use connector_tests::host::{CONNECTOR_ID, Finished, Host};
use connector_tests::virustotal::World;
use connector_tests::{opencti, virustotal};
use serde_json::Value;

const HOUR: u64 = 3_600;

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
        let scenario = Scenario {
            mixed: false,
            bodies: false,
            ..Scenario::of_today(notifications)
        };
        Self::of(scenario.world()).await
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
        let time = jiff::Timestamp::from_second(i64::try_from(since)?)?.to_string();
        let arguments = ["run", "--once", "--since", &time];
        self.host.start(&arguments)?.finish().await
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.platform.state().unwrap()).unwrap()
    }

    fn incidents(&self) -> usize {
        self.platform.objects_of("incident").len()
    }
}

fn assert_read(run: &Finished, read: usize, delivered: usize) {
    assert!(run.success, "{}", run.log);
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
    assert_eq!(stage.state(), state, "checkpoint and fingerprints");
    assert_eq!(stage.platform.deliveries().len(), deliveries + 1);
    assert_eq!(stage.incidents(), 60, "the same ids");
    let works = stage.platform.works();
    assert!(works.last().unwrap().name.contains(" back-fill @ "));
    assert_read(&stage.host.run_once().await?, 0, 0);
    Ok(())
}

#[tokio::test]
async fn a_back_fill_reaches_before_the_first_run() -> Result<()> {
    let stage = Stage::new(40).await?;
    // The checkpoint has passed nearly everything, and nothing of it was delivered.
    let mut state = State::starting_at(stage.dates[38]);
    state.mark_failed("1234", stage.dates[0], "bad");
    stage.platform.seed_state(CONNECTOR_ID, &state.to_json())?;
    // A limit is of runs that nobody asked for.
    let host = stage.host.clone().setting("LIMIT", "5");
    let time = jiff::Timestamp::from_second(i64::try_from(stage.dates[0])?)?.to_string();
    let run = host
        .start(&["run", "--once", "--since", &time])?
        .finish()
        .await?;
    assert_read(&run, 40, 40);
    let after = stage.state();
    assert_eq!(after["checkpoint"]["date"], stage.dates[39]);
    assert_eq!(
        after["failed"][0]["id"], "1234",
        "what failed is not forgotten"
    );
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

#[tokio::test]
async fn what_virustotal_does_not_keep_is_not_asked_for_and_the_future_is_refused() -> Result<()> {
    let stage = Stage::new(20).await?;
    let run = stage.back_fill(now() - 30 * 24 * HOUR).await?;
    assert_read(&run, 20, 20);
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
            "yesterday",
            "expected a time such as 2026-11-20T00:00:00Z, or a date",
        ),
    ] {
        let refused = stage.host.start(&["run", "--once", "--since", time])?;
        let refused = refused.finish().await?;
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
    assert_read(&run, 440, 440);
    let lines = run.messages("INFO");
    let lines: Vec<&String> = lines
        .iter()
        .filter(|it| it.starts_with("the back-fill goes on "))
        .collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, read) in lines.iter().zip([200, 400]) {
        assert!(line.contains(&format!("\"read\":{read}")), "{line}");
        assert!(
            line.contains("\"to\":\"20") && line.contains("\"percent\":"),
            "{line}"
        );
    }
    let rest = stage.state()["checkpoint"]["date"].as_u64().unwrap();
    let told = run.messages("WARNING");
    let told = told
        .iter()
        .find(|it| it.starts_with("the back-fill did not come to its end"));
    assert!(
        told.unwrap().contains(&format!("\"since\":{rest}")),
        "{told:?}"
    );

    // A connector that goes on running goes on with it.
    stage.virustotal.edit(|world| world.quota = Some(3));
    let host = stage.host.clone().setting("INTERVAL_SEC", "1");
    let time = jiff::Timestamp::from_second(i64::try_from(since)?)?.to_string();
    let mut connector = host.start(&["run", "--since", &time])?;
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
