//! What failed is tried again: `connector-host retry` between the simulators.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use connector_host::state::State;
use connector_tests::fault::{Call, Fault};
use connector_tests::fixtures::{Scenario, now};
use connector_tests::host::{CONNECTOR_ID, Finished, Host, test_guest};
use connector_tests::understudy::stamped;
use connector_tests::virustotal::{Kind, Notification, World, error_body};
use connector_tests::{opencti, virustotal};
use serde_json::{Value, json};

fn scenario(notifications: usize) -> Scenario {
    Scenario {
        mixed: false,
        bodies: false,
        ..Scenario::of_today(notifications)
    }
}

/// Both sides after a run that could not map some notifications.
struct Bench {
    scenario: Scenario,
    virustotal: virustotal::Server,
    platform: opencti::Server,
    host: Host,
    /// The notifications that failed, as they should be.
    sound: Vec<Notification>,
    run: Finished,
}

impl Bench {
    /// The first notifications of a world are broken.
    async fn new(notifications: usize, failing: usize) -> Result<Self> {
        let (source, platform) = Default::default();
        Self::with(notifications, failing, source, platform, |host| host).await
    }

    async fn with(
        notifications: usize,
        failing: usize,
        source: virustotal::Options,
        platform: opencti::Options,
        setup: fn(Host) -> Host,
    ) -> Result<Self> {
        let scenario = scenario(notifications);
        let mut world = scenario.world();
        let sound = world.notifications[..failing].to_vec();
        for notification in &mut world.notifications[..failing] {
            *notification = notification.without_rule();
        }
        let virustotal = virustotal::Server::start_with(world, source).await?;
        let platform = opencti::Server::start(platform).await?;
        let host = Host::new(&virustotal, &platform)?.setting("DELETE_NOTIFICATION", "true");
        let host = setup(host);
        let run = host.run_once().await?;
        assert!(run.success, "{}", run.log);
        forget_the_ping(&platform);
        let bench = Self {
            scenario,
            virustotal,
            platform,
            host,
            sound,
            run,
        };
        assert_eq!(bench.failed().len(), failing.min(50), "{}", bench.run.log);
        Ok(bench)
    }

    /// VirusTotal mends a notification that failed.
    fn mend(&self, number: usize) {
        let sound = &self.sound[number];
        self.virustotal.edit(|world| {
            let mut found = world.notifications.iter_mut();
            *found.find(|it| it.id == sound.id).unwrap() = sound.clone();
        });
    }

    async fn retry(&self, arguments: &[&str]) -> Result<Finished> {
        let arguments: Vec<&str> = [&["retry"], arguments].concat();
        let finished = self.host.start(&arguments)?.finish().await?;
        forget_the_ping(&self.platform);
        Ok(finished)
    }

    fn failed(&self) -> Vec<Value> {
        failed(&self.platform)
    }
}

/// On the platform an hour passes, so that the connector does not count as active any more.
fn forget_the_ping(platform: &opencti::Server) {
    let long_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    platform.edit(|platform| {
        for connector in platform.connectors.values_mut() {
            connector.updated_at = long_ago.to_string();
        }
    });
}

fn state(platform: &opencti::Server) -> Value {
    serde_json::from_str(&platform.state().unwrap()).unwrap()
}

/// The list of failures in the state.
fn failed(platform: &opencti::Server) -> Vec<Value> {
    let state = state(platform);
    state["failed"].as_array().cloned().unwrap_or_default()
}

/// Incidents by their id.
fn incidents(platform: &opencti::Server) -> Vec<Value> {
    let mut incidents = platform.objects_of("incident");
    incidents.sort_by_key(|it| it["id"].to_string());
    incidents
}

fn assert_output(finished: &Finished, success: bool, expected: &str) {
    assert_eq!(
        (finished.success, finished.output.lines().next()),
        (success, Some(expected)),
        "{}{}",
        finished.output,
        finished.log
    );
}

#[tokio::test]
async fn what_was_mended_at_the_source_is_delivered_as_by_a_run() -> Result<()> {
    let bench = Bench::new(12, 3).await?;
    let before = state(&bench.platform);
    let deliveries = bench.platform.deliveries().len();
    (0..3).for_each(|number| bench.mend(number));
    let retry = bench.retry(&[]).await?;
    assert_output(
        &retry,
        true,
        "3 notifications read: 3 delivered, 3 removed at the source",
    );

    let undisturbed = virustotal::Server::start(bench.scenario.world()).await?;
    let expected = opencti::Server::start(opencti::Options::default()).await?;
    let run = Host::new(&undisturbed, &expected)?.run_once().await?;
    assert!(run.success, "{}", run.log);
    assert_eq!(incidents(&bench.platform), incidents(&expected));
    assert_eq!(bench.platform.validity_problems(), Vec::<String>::new());

    let mut after = state(&bench.platform);
    assert_eq!(after.get("failed"), None);
    after["failed"] = before["failed"].clone();
    // That of the retry is read on, too.
    assert_eq!(after["works"].as_array().map(Vec::len), Some(2));
    after["works"] = before["works"].clone();
    assert_eq!(after, before, "the rest of the state stays");
    let works = bench.platform.works();
    assert_eq!(works.len(), 2);
    assert!(works[1].name.contains(" retry @ "), "{}", works[1].name);
    assert!(works[1].processed_time.is_some() && works[1].errors.is_empty());
    let delivered = bench.platform.deliveries().len();
    assert_eq!(delivered, deliveries + 1, "one bundle");
    let deletions: BTreeSet<String> = bench.virustotal.deletions().into_iter().collect();
    assert!(bench.sound.iter().all(|it| deletions.contains(&it.id)));

    assert_output(&bench.retry(&[]).await?, true, "nothing failed");
    let run = bench.host.run_once().await?;
    assert!(run.summary().starts_with("0 notifications read"));
    assert_eq!(bench.platform.deliveries().len(), delivered);
    Ok(())
}

#[tokio::test]
async fn it_is_tried_again_as_the_connectors_own_account() -> Result<()> {
    let administrator = opencti::Options::default().administrator();
    let bench = Bench::with(3, 1, Default::default(), administrator, |host| {
        host.variable("CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT", "true")
    });
    let bench = bench.await?;
    bench.mend(0);
    let deliveries = bench.platform.deliveries().len();
    let retry = bench.retry(&[]).await?;
    assert_output(
        &retry,
        true,
        "1 notifications read: 1 delivered, 1 removed at the source",
    );
    let accounts = bench.platform.read(|platform| platform.accounts.clone());
    let [account] = accounts.as_slice() else {
        panic!("{accounts:?}");
    };
    let delivered = &bench.platform.deliveries()[deliveries..];
    assert_eq!(delivered.len(), 1);
    assert_eq!(delivered[0].applicant_id, Some(account.id.clone()));
    // The next start makes a token of its own.
    let run = bench.host.run_once().await?;
    assert!(
        run.summary().starts_with("0 notifications read"),
        "{}",
        run.log
    );
    Ok(())
}

#[tokio::test]
async fn what_fails_again_stays_with_its_reason_and_what_is_gone_does_not() -> Result<()> {
    let bench = Bench::new(6, 4).await?;
    bench.mend(0);
    let id = |number: usize| bench.sound[number].id.as_str();
    bench.virustotal.edit(|world| {
        world.notifications.retain(|it| it.id != id(1));
    });
    let forbidden = Fault::Status(403, error_body("ForbiddenError", "not yours"));
    let path_of_the_third = format!("/ioc_stream_notifications/{}", id(2));
    let third = move |call: &Call<'_>| call.path == path_of_the_third;
    bench.virustotal.fault(third, forbidden);
    let before = bench.failed();
    assert!(before.iter().all(|it| it["tries"] == 1));

    let retry = bench.retry(&[]).await?;
    assert_output(
        &retry,
        false,
        "4 notifications read: 1 delivered, 2 failed, 1 gone at the source, 1 removed at the source",
    );
    let gone = format!(
        "VirusTotal does not have ioc_stream_notifications/{} any more: it is not tried again",
        id(1)
    );
    let warnings = retry.messages("WARNING");
    assert!(
        warnings.iter().any(|it| it.starts_with(&gone)),
        "{}",
        retry.log
    );
    let after = bench.failed();
    assert_eq!(after.len(), 2);
    for (item, number) in after.iter().zip([2, 3]) {
        assert_eq!(
            (&item["id"], &item["tries"]),
            (&json!(id(number)), &json!(2))
        );
        // What is left is shown.
        let line = retry
            .output
            .lines()
            .find(|line| line.starts_with(id(number)));
        let reason = item["reason"].as_str().unwrap();
        assert!(line.unwrap().ends_with(reason), "{}", retry.output);
    }
    assert!(after[0]["reason"].as_str().unwrap().contains("not yours"));
    assert_eq!(after[1]["reason"], before[3]["reason"]);
    // Failures are on the work of the retry as on that of the run.
    let works = bench.platform.works();
    let sources = |work: usize| {
        let errors = works[work].errors.iter();
        errors
            .map(|it| it.source.clone().unwrap())
            .collect::<Vec<_>>()
    };
    let told = |numbers: &[usize]| -> Vec<String> {
        numbers
            .iter()
            .map(|it| format!("connector: {}", id(*it)))
            .collect()
    };
    assert_eq!(sources(0), told(&[0, 1, 2, 3]));
    assert_eq!(sources(1), told(&[2, 3]));
    Ok(())
}

#[tokio::test]
async fn what_virustotal_no_longer_keeps_leaves_the_list() -> Result<()> {
    const DAY: u64 = 86_400;
    let mut world = scenario(1).world();
    let forgotten = world.notifications[0].clone();
    world.now = Some(forgotten.date + 7 * DAY + 1);
    let virustotal = virustotal::Server::start(world).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let mut state = State::starting_at(now() - 9 * DAY);
    state.mark_failed("1234", now() - 8 * DAY, "bad");
    state.mark_failed(r#"{"type": "file"}"#, 0, "bad");
    state.mark_failed(&forgotten.id, forgotten.date, "bad");
    platform.seed_state(CONNECTOR_ID, &state.to_json())?;
    forget_the_ping(&platform);
    let retry = Host::new(&virustotal, &platform)?;
    let retry = retry.start(&["retry"])?.finish().await?;
    assert_output(
        &retry,
        true,
        "3 notifications read: 0 delivered, 3 gone at the source",
    );
    let warnings = retry.messages("WARNING");
    for words in [
        "VirusTotal keeps it for 7 days only",
        "it has no id that it could be read by",
        "VirusTotal does not have ioc_stream_notifications/",
    ] {
        let told = warnings.iter().filter(|it| it.starts_with(words)).count();
        assert_eq!(told, 1, "{words}: {}", retry.log);
    }
    assert_eq!(
        virustotal.count(Kind::Notification),
        1,
        "the quota is spared"
    );
    assert_eq!(failed(&platform), Vec::<Value>::new());
    assert_eq!(platform.works().len(), 0, "no work is opened for nothing");
    Ok(())
}

#[tokio::test]
async fn the_list_is_shown_without_a_trace_and_notifications_can_be_named() -> Result<()> {
    let bench = Bench::new(4, 3).await?;
    (0..3).for_each(|number| bench.mend(number));
    let requests = bench.platform.requests().len();
    let list = bench.retry(&["--list"]).await?;
    assert!(list.success, "{}", list.log);
    let lines: Vec<&str> = list.output.lines().collect();
    assert_eq!(lines.len(), 4, "{}", list.output);
    for (line, sound) in lines[1..].iter().zip(&bench.sound) {
        let columns: Vec<&str> = line.split_whitespace().take(3).collect();
        let date = jiff::Timestamp::from_second(i64::try_from(sound.date)?)?;
        assert_eq!(columns, [&sound.id, &date.to_string(), "1"]);
    }
    let as_json = bench.retry(&["--list", "--json"]).await?;
    assert_eq!(
        serde_json::from_str::<Vec<Value>>(&as_json.output)?,
        bench.failed()
    );
    let asked = bench.platform.requests().split_off(requests);
    let fields = asked.into_iter().flat_map(|it| it.fields);
    let fields: BTreeSet<String> = fields.collect();
    assert_eq!(
        fields,
        BTreeSet::from(["about", "connector"].map(str::to_owned))
    );

    let id = |number: usize| bench.sound[number].id.as_str();
    let unknown = bench.retry(&[id(0), "99"]).await?;
    assert!(
        !unknown.success
            && unknown
                .log
                .contains("99 is not among the failed notifications")
    );
    let retry = bench.retry(&[id(1)]).await?;
    assert_output(
        &retry,
        true,
        "1 notifications read: 1 delivered, 1 removed at the source",
    );
    let left: Vec<Value> = bench.failed().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(left, [id(0), id(2)]);
    Ok(())
}

#[tokio::test]
async fn a_connector_that_never_ran_has_no_failures() -> Result<()> {
    let virustotal = virustotal::Server::start(World::new()).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let host = Host::new(&virustotal, &platform)?;
    for arguments in [&["retry"][..], &["retry", "--list"]] {
        let finished = host.start(arguments)?.finish().await?;
        assert_output(&finished, true, "nothing failed");
    }
    let named = host.start(&["retry", "7"])?.finish().await?;
    let refused = "7 is not among the failed notifications";
    assert!(
        !named.success && named.log.contains(refused),
        "{}",
        named.log
    );
    assert!(platform.read(|platform| platform.connectors.is_empty()));
    Ok(())
}

#[tokio::test]
async fn a_full_list_drops_the_oldest_and_says_so() -> Result<()> {
    let bench = Bench::new(53, 53).await?;
    let summary = bench.run.summary();
    assert!(
        summary.starts_with(
            "53 notifications read: 0 delivered, 53 failed, 3 older failures forgotten"
        ),
        "{summary}"
    );
    let warnings = bench.run.messages("WARNING");
    let forgotten = "the list of failed notifications is full: the oldest is forgotten";
    let forgotten: Vec<&String> = warnings
        .iter()
        .filter(|it| it.starts_with(forgotten))
        .collect();
    assert_eq!(forgotten.len(), 3, "{}", bench.run.log);
    for (warning, sound) in forgotten.iter().zip(&bench.sound) {
        assert!(warning.contains(&sound.id), "{warning}");
    }
    assert_eq!(bench.platform.works()[0].errors.len(), 53);
    (0..53).for_each(|number| bench.mend(number));
    let retry = bench.retry(&[]).await?;
    assert_output(
        &retry,
        true,
        "50 notifications read: 50 delivered, 50 removed at the source",
    );
    Ok(())
}

#[tokio::test]
async fn what_the_quota_does_not_reach_stays_as_it_was() -> Result<()> {
    let bench = Bench::new(3, 3).await?;
    (0..3).for_each(|number| bench.mend(number));
    // The notification, its file and its ruleset; then the second notification.
    bench.virustotal.edit(|world| world.quota = Some(4));
    let retry = bench.retry(&[]).await?;
    assert!(!retry.success);
    let summary = retry.output.lines().next().unwrap();
    assert!(
        summary.starts_with("1 notifications read: 1 delivered")
            && summary.ends_with("; stopped because the source's quota is used up"),
        "{summary}"
    );
    let left = bench.failed();
    let left: Vec<_> = left.iter().map(|it| (&it["id"], &it["tries"])).collect();
    let id = |number: usize| json!(bench.sound[number].id);
    assert_eq!(left, [(&id(1), &json!(1)), (&id(2), &json!(1))]);
    bench.virustotal.edit(|world| world.quota = None);
    assert!(bench.retry(&[]).await?.success);
    assert_eq!(incidents(&bench.platform).len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_reset_meanwhile_is_not_undone() -> Result<()> {
    let slow = virustotal::Options {
        latency: Duration::from_millis(300),
        ..Default::default()
    };
    let bench = Bench::with(2, 2, slow, Default::default(), |host| host).await?;
    (0..2).for_each(|number| bench.mend(number));
    let retry = bench.host.start(&["retry"])?;
    let begun = |world: &World| world.count(Kind::Notification) > 0;
    bench.virustotal.until("the retry reads", begun).await?;
    bench.platform.reset_state().await?;
    let retry = retry.finish().await?;
    assert!(!retry.success);
    let summary = retry.output.lines().next().unwrap();
    let reset = "; stopped because the state was reset on the platform";
    assert!(summary.ends_with(reset), "{summary}");
    let state = bench.platform.state().unwrap();
    assert_eq!(State::parse(&state)?, None, "{state}");
    // The next run starts from nothing, as after any reset.
    let run = bench.host.run_once().await?;
    assert!(
        run.summary()
            .starts_with("2 notifications read: 2 delivered")
    );
    Ok(())
}

#[tokio::test]
async fn a_better_guest_manages_what_its_predecessor_did_not() -> Result<()> {
    let virustotal = virustotal::Server::start(scenario(5).world()).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let folder = tempfile::tempdir()?;
    let component = folder.path().join("guest.wasm");
    std::fs::write(&component, stamped("1.0.0", "traps")?)?;
    let host = Host::new(&virustotal, &platform)?
        .variable("CONNECTOR_GUEST", component.display().to_string());
    let run = host.run_once().await?;
    assert!(
        run.summary().contains("0 delivered, 5 failed"),
        "{}",
        run.log
    );
    forget_the_ping(&platform);
    std::fs::write(&component, stamped("1.0.1", "none")?)?;
    let retry = host.start(&["retry"])?.finish().await?;
    assert_output(&retry, true, "5 notifications read: 5 delivered");
    assert_eq!(platform.objects_of("identity").len(), 5);
    assert_eq!(failed(&platform), Vec::<Value>::new());
    Ok(())
}

#[tokio::test]
async fn elements_of_another_collection_are_tried_again_too() -> Result<()> {
    let mut world = scenario(0).world();
    let id = world.rulesets.keys().next().unwrap().clone();
    let sound = world.rulesets[&id].clone();
    world.rulesets.get_mut(&id).unwrap()["attributes"]["name"] = Value::Null;
    let virustotal = virustotal::Server::start(world).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let component = test_guest("rulesets-guest")?;
    let host = Host::of(&component, "VIRUSTOTAL_RULESETS", &virustotal, &platform);
    // This guest takes rules as they are: these use a module that the platform does not know.
    platform.expect_refused("Indicator of type yara");
    let run = host.run_once().await?;
    assert!(run.summary().contains("1 failed"), "{}", run.log);
    forget_the_ping(&platform);
    let pages = virustotal.count(Kind::Ruleset);
    virustotal.edit(|world| world.add_ruleset(sound));
    let before = state(&platform);
    let retry = host.start(&["retry", &id])?.finish().await?;
    assert_output(
        &retry,
        true,
        "1 notifications read: 1 delivered, 3 objects refused by OpenCTI",
    );
    assert_eq!(virustotal.count(Kind::Ruleset), pages + 1);
    let after = state(&platform);
    assert_eq!(
        (after.get("failed"), &after["checkpoint"]),
        (None, &before["checkpoint"])
    );
    Ok(())
}

/// A connector at work keeps its own list; a retry beside it is refused, and does no harm where it is forced.
#[tokio::test]
async fn a_connector_at_work_is_noticed() -> Result<()> {
    let bench = Bench::new(3, 1).await?;
    bench.mend(0);
    let host = bench.host.clone().setting("INTERVAL_SEC", "1");
    let mut connector = host.start(&["run"])?;
    connector.until_logged("notifications read").await?;
    // Each new notification makes the connector save its state.
    let report = |number: u64| {
        let mut item = bench.sound[0].item();
        let context = &mut item["context_attributes"];
        context["notification_id"] = json!(number.to_string());
        context["notification_date"] = json!(now());
        bench.virustotal.edit(|world| world.add(&item));
    };
    let mut retry = bench.host.start(&["retry"])?;
    retry
        .until_logged("waiting 50s for a sign that it runs")
        .await?;
    report(1);
    let refused = retry.finish().await?;
    assert!(
        !refused.success && refused.log.contains("the connector runs"),
        "{}",
        refused.log
    );
    assert_eq!(bench.failed().len(), 1);

    let forced = bench.host.start(&["retry", "--force"])?.finish().await?;
    assert_output(
        &forced,
        true,
        "1 notifications read: 1 delivered, 1 removed at the source",
    );
    assert_eq!(bench.failed().len(), 0);
    report(2);
    let own = |platform: &opencti::Platform| {
        let state = platform.connectors[CONNECTOR_ID].state.as_deref();
        state.is_some_and(|state| state.contains(r#""failed""#))
    };
    bench
        .platform
        .until("the connector puts its own list back", own)
        .await?;
    let sound_id = bench.sound[0].id.clone();
    let known = incidents(&bench.platform);
    connector.terminate()?;
    assert!(connector.finish().await?.success);
    let checkpoint = state(&bench.platform)["checkpoint"].clone();

    // One that has ended is not distinguished at once from one that runs.
    let retry = bench.host.start(&["retry", &sound_id])?.finish().await?;
    assert_output(
        &retry,
        true,
        "1 notifications read: 0 delivered, 1 gone at the source",
    );
    assert!(retry.log.contains("waiting 50s"), "{}", retry.log);
    assert_eq!(bench.failed().len(), 0);
    assert_eq!(incidents(&bench.platform), known);
    assert_eq!(state(&bench.platform)["checkpoint"], checkpoint);
    Ok(())
}
