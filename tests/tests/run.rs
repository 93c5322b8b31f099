//! Whole runs of the connector between the simulators.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use connector_tests::fault::{Fault, method, path};
use connector_tests::fixtures::{Scenario, now};
use connector_tests::host::{CONNECTOR_ID, Host, rabbitmq};
use connector_tests::virustotal::{Kind, error_body};
use connector_tests::{opencti, virustotal, written};
use serde_json::{Value, json};

/// Ids of the platform's objects of one type.
fn ids(platform: &opencti::Server, kind: &str) -> BTreeSet<String> {
    platform
        .objects_of(kind)
        .iter()
        .map(|object| object["id"].as_str().unwrap().to_owned())
        .collect()
}

fn all_ids(platform: &opencti::Server) -> BTreeSet<String> {
    platform
        .objects()
        .iter()
        .map(|object| object["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn platform(options: opencti::Options) -> Result<opencti::Server> {
    opencti::Server::start(options).await
}

#[tokio::test]
async fn at_info_a_run_is_three_lines() -> Result<()> {
    let scenario = Scenario {
        mixed: false,
        ..Scenario::of_today(130)
    };
    let virustotal = virustotal::Server::start(scenario.world()).await?;
    let platform = platform(opencti::Options::default()).await?;
    let host = Host::new(&virustotal, &platform)?.variable("CONNECTOR_LOG_LEVEL", "info");
    let run = host.run_once().await?;
    assert!(run.success, "{}", run.log);
    let lines = run.messages("INFO");
    let begin = lines.iter().position(|it| it.contains("a run begins"));
    let of_run = &lines[begin.unwrap()..];
    assert_eq!(of_run.len(), 3, "{}", run.log);
    assert!(of_run[1].contains("the run goes on"), "{}", run.log);
    assert!(of_run[2].contains("130 notifications read: 130 delivered"));
    Ok(())
}

#[tokio::test]
async fn every_notification_becomes_an_incident_with_its_objects() -> Result<()> {
    let virustotal = virustotal::Server::start(Scenario::of_today(95).world()).await?;
    let platform = platform(opencti::Options::default()).await?;
    let host =
        Host::new(&virustotal, &platform)?.setting("ENTITY_TYPES", "file,url,domain,ip_address");
    let run = host.run_once().await?;
    assert!(run.success, "{}", run.log);
    // One of the 95 is an object that VirusTotal no longer has.
    assert_eq!(ids(&platform, "incident").len(), 94, "{}", run.summary());
    assert!(
        run.summary()
            .contains("95 notifications read: 94 delivered"),
        "{}",
        run.summary()
    );
    assert!(run.summary().contains("1 failed"), "{}", run.summary());
    assert_eq!(platform.validity_problems(), Vec::<String>::new());
    platform.until_works_complete().await?;
    let works = platform.works();
    assert_eq!(works.len(), 1);
    // The failure is on the work, and nothing else is.
    assert_eq!(
        platform.work_errors().len(),
        1,
        "{:?}",
        platform.work_errors()
    );
    // Three pages of 40, and each ruleset once.
    assert_eq!(virustotal.count(Kind::Page), 3);
    assert!(virustotal.count(Kind::Ruleset) <= 5);
    assert_eq!(
        virustotal.count(Kind::Download) + virustotal.count(Kind::Deletion),
        0
    );
    Ok(())
}

#[tokio::test]
async fn a_second_run_delivers_nothing_twice() -> Result<()> {
    let virustotal = virustotal::Server::start(Scenario::of_today(60).world()).await?;
    let platform = platform(opencti::Options::default()).await?;
    let host = Host::new(&virustotal, &platform)?;
    host.run_once().await?;
    let deliveries = platform.deliveries().len();
    assert!(deliveries > 0);
    let second = host.run_once().await?;
    assert!(
        second.summary().starts_with("0 notifications read"),
        "{}",
        second.summary()
    );
    assert_eq!(platform.deliveries().len(), deliveries);
    assert_eq!(platform.works().len(), 1, "no work is opened for nothing");
    Ok(())
}

#[tokio::test]
async fn every_way_of_delivery_leaves_the_same_objects() -> Result<()> {
    let world = Scenario::of_today(50);
    let folder = tempfile::tempdir()?;
    let virustotal = virustotal::Server::start(world.world()).await?;
    let by_api = platform(opencti::Options::default()).await?;
    Host::new(&virustotal, &by_api)?.run_once().await?;

    let virustotal = virustotal::Server::start(world.world()).await?;
    let by_directory = platform(opencti::Options::default()).await?;
    let run = Host::new(&virustotal, &by_directory)?
        .variable("CONNECTOR_SEND_TO_QUEUE", "false")
        .variable("CONNECTOR_SEND_TO_DIRECTORY", "true")
        .variable(
            "CONNECTOR_SEND_TO_DIRECTORY_PATH",
            folder.path().display().to_string(),
        )
        .run_once()
        .await?;
    assert!(run.success, "{}", run.log);
    assert!(by_directory.objects().is_empty() && by_directory.works().is_empty());
    let mut written = BTreeSet::new();
    for bundle in written::bundles(folder.path())? {
        let objects = bundle["objects"].as_array().unwrap();
        written.extend(
            objects
                .iter()
                .map(|object| object["id"].as_str().unwrap().to_owned()),
        );
    }
    assert_eq!(written, all_ids(&by_api));

    let Some(amqp_url) = rabbitmq().await else {
        return Ok(());
    };
    let virustotal = virustotal::Server::start(world.world()).await?;
    let by_amqp = platform(opencti::Options {
        amqp_url: Some(amqp_url),
        ..Default::default()
    })
    .await?;
    let run = Host::new(&virustotal, &by_amqp)?
        .variable("CONNECTOR_QUEUE_PROTOCOL", "amqp")
        .run_once()
        .await?;
    assert!(run.success, "{}", run.log);
    by_amqp.until_works_complete().await?;
    assert_eq!(all_ids(&by_amqp), all_ids(&by_api));
    assert!(
        by_amqp
            .deliveries()
            .iter()
            .all(|delivery| delivery.no_split && delivery.lost.is_none())
    );
    by_amqp.stop().await
}

/// The releases where something begins or ends that a connector sees, from the oldest supported to one newer than
/// the newest known. The simulator checks each operation against the schema of its release.
const RELEASES: &[&str] = &[
    "6.0.0",
    "6.2.12",
    "6.7.0",
    "6.9.22",
    "7.260224.0",
    "7.260422.0",
    "7.260817.0",
    "7.261101.0",
];

/// A run with every operation that there is, files included; how many objects the platform has of each type.
async fn run_against(
    version: &str,
    protocol: &str,
    amqp_url: Option<String>,
) -> Result<BTreeMap<String, usize>> {
    // Ids of incidents hold the time of the scenario: counts can be compared, ids cannot.
    let virustotal = virustotal::Server::start(Scenario::of_today(20).world()).await?;
    let platform = platform(opencti::Options {
        amqp_url,
        ..opencti::Options::version(version)?
    })
    .await?;
    let run = Host::new(&virustotal, &platform)?
        .variable("CONNECTOR_QUEUE_PROTOCOL", protocol)
        .setting("UPLOAD_ARTIFACT", "true")
        .run_once()
        .await?;
    assert!(run.success, "{version} {protocol}: {}", run.log);
    platform.until_works_complete().await?;
    let fallbacks: Vec<_> = run
        .messages("WARNING")
        .into_iter()
        .filter(|line| line.contains("does not take"))
        .collect();
    assert_eq!(
        fallbacks,
        Vec::<String>::new(),
        "{version} takes every operation at the first try"
    );
    assert_eq!(
        platform.validity_problems(),
        Vec::<String>::new(),
        "{version} {protocol}"
    );
    let mut counts = BTreeMap::new();
    for object in platform.objects() {
        let kind = object["type"].as_str().unwrap_or_default().to_owned();
        *counts.entry(kind).or_default() += 1;
    }
    platform.stop().await?;
    Ok(counts)
}

#[tokio::test]
async fn one_binary_serves_every_release() -> Result<()> {
    let amqp_url = rabbitmq().await;
    let mut counts = BTreeSet::new();
    for version in RELEASES {
        if amqp_url.is_some() {
            counts.insert(run_against(version, "amqp", amqp_url.clone()).await?);
        }
        // The API takes bundles since 6.2.6.
        if *version != "6.0.0" {
            counts.insert(run_against(version, "api", None).await?);
        }
    }
    assert_eq!(counts.len(), 1, "{counts:?}");
    assert!(
        counts.iter().all(|counts| counts.contains_key("artifact")),
        "{counts:?}"
    );
    Ok(())
}

#[tokio::test]
async fn the_python_connectors_state_is_continued_and_kept_true() -> Result<()> {
    let world = Scenario::of_today(40).world();
    let virustotal = virustotal::Server::start(world).await?;
    let platform = platform(opencti::Options::default()).await?;
    // Half of the notifications of two days are older than this, overlap included.
    let since = now() - 24 * 3600;
    platform.seed_state(
        CONNECTOR_ID,
        &json!({"latest_run_timestamp": since}).to_string(),
    )?;
    let run = Host::new(&virustotal, &platform)?.run_once().await?;
    let incidents = ids(&platform, "incident").len();
    assert!(
        (10..30).contains(&incidents),
        "{incidents} of 40; {}",
        run.summary()
    );
    let state: Value = serde_json::from_str(&platform.state().unwrap())?;
    let newest = platform
        .objects_of("incident")
        .iter()
        .map(|incident| {
            incident["created"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .unwrap()
                .as_second()
        })
        .max();
    assert_eq!(state["latest_run_timestamp"].as_i64(), newest);
    Ok(())
}

#[tokio::test]
async fn a_run_without_quota_ends_in_good_order_and_the_next_goes_on() -> Result<()> {
    let virustotal = virustotal::Server::start(Scenario::of_today(120).world()).await?;
    let platform = platform(opencti::Options::default()).await?;
    let host = Host::new(&virustotal, &platform)?.setting("CREATE_YARA_RULE", "false");
    virustotal.edit(|world| world.quota = Some(2));
    let first = host.run_once().await?;
    assert!(
        first.success,
        "a used up quota is no failure: {}",
        first.log
    );
    assert!(
        first.summary().contains("quota is used up"),
        "{}",
        first.summary()
    );
    let after_first = ids(&platform, "incident").len();
    assert!(after_first > 0 && after_first < 100, "{after_first}");
    assert!(
        platform
            .works()
            .iter()
            .all(|work| work.processed_time.is_some()),
        "the work is closed"
    );

    virustotal.edit(|world| world.quota = None);
    let second = host.run_once().await?;
    // One object is gone, and some are of networks, which are not asked for.
    let wanted = virustotal.read(|world| {
        world
            .notifications
            .iter()
            .filter(|notification| {
                let item = notification.item();
                item["type"] == "file" && item.get("attributes").is_some()
            })
            .count()
    });
    assert_eq!(
        ids(&platform, "incident").len(),
        wanted,
        "{}",
        second.summary()
    );
    Ok(())
}

#[tokio::test]
async fn a_limit_is_kept_and_the_next_run_goes_on_behind_it() -> Result<()> {
    let virustotal = virustotal::Server::start(
        Scenario {
            mixed: false,
            ..Scenario::of_today(25)
        }
        .world(),
    )
    .await?;
    let platform = platform(opencti::Options::default()).await?;
    let host = Host::new(&virustotal, &platform)?.setting("LIMIT", "10");
    for expected in [10, 20, 25, 25] {
        let run = host.run_once().await?;
        assert_eq!(
            ids(&platform, "incident").len(),
            expected,
            "{}",
            run.summary()
        );
    }
    Ok(())
}

#[tokio::test]
async fn notifications_are_deleted_only_when_delivered() -> Result<()> {
    let virustotal = virustotal::Server::start(
        Scenario {
            mixed: false,
            ..Scenario::of_today(20)
        }
        .world(),
    )
    .await?;
    let platform = platform(opencti::Options::default()).await?;
    let host = Host::new(&virustotal, &platform)?
        .setting("DELETE_NOTIFICATION", "true")
        .setting("EXTENSIONS", "exe,dll");
    // The platform refuses the bundle for good: nothing is delivered, nothing may be deleted.
    platform.fault(
        connector_tests::fault::field("stixBundlePush"),
        Fault::Status(200, opencti::error_body("FORBIDDEN_ACCESS", "no")),
    );
    let failed = host.run_once().await?;
    assert!(!failed.success, "{}", failed.log);
    assert_eq!(virustotal.deletions(), Vec::<String>::new());
    assert!(
        platform.state().unwrap_or_default().is_empty()
            || !platform.state().unwrap().contains("checkpoint")
    );

    let run = host.run_once().await?;
    let delivered = ids(&platform, "incident").len();
    assert!(delivered > 0 && delivered < 20, "{}", run.summary());
    assert_eq!(virustotal.deletions().len(), delivered, "{}", run.summary());
    Ok(())
}

#[tokio::test]
async fn what_the_source_does_not_remove_for_now_is_removed_by_the_next_run() -> Result<()> {
    let scenario = Scenario {
        mixed: false,
        ..Scenario::of_today(6)
    };
    let virustotal = virustotal::Server::start(scenario.world()).await?;
    let platform = platform(opencti::Options::default()).await?;
    let host = Host::new(&virustotal, &platform)?.setting("DELETE_NOTIFICATION", "true");
    virustotal.edit(|world| {
        let removal = || method("DELETE", "/ioc_stream_notifications");
        let refusal = |status, code| Fault::Status(status, error_body(code, "no"));
        // The first removal is refused for good, the third for now.
        world
            .faults
            .after(0, removal(), refusal(403, "ForbiddenError"));
        world
            .faults
            .after(1, removal(), refusal(429, "QuotaExceededError"));
    });
    let first = host.run_once().await?;
    assert!(first.success, "{}", first.log);
    assert_eq!(ids(&platform, "incident").len(), 6, "{}", first.summary());
    assert_eq!(virustotal.deletions().len(), 1, "{}", first.summary());
    let second = host.run_once().await?;
    assert!(second.success, "{}", second.log);
    assert_eq!(virustotal.deletions().len(), 5, "{}", second.summary());
    let removals = virustotal.count(Kind::Deletion);
    host.run_once().await?;
    assert_eq!(virustotal.count(Kind::Deletion), removals);
    Ok(())
}

#[tokio::test]
async fn one_bad_object_stops_nothing() -> Result<()> {
    let mut world = Scenario {
        mixed: false,
        ..Scenario::of_today(10)
    }
    .world();
    let date = now() - 3600;
    for (number, attributes) in [json!({"sha256": 1}), json!([]), json!("text"), Value::Null]
        .into_iter()
        .enumerate()
    {
        world.add(&json!({
            "type": "file",
            "id": format!("{number:064x}"),
            "attributes": attributes,
            "context_attributes": {
                "notification_id": format!("77{number}"), "notification_date": date + number as u64,
                "origin": "hunting", "tags": [], "hunting_info": {"rule_name": "R"},
                "sources": [{"id": "1", "type": "hunting_ruleset", "label": "gone"}],
            },
        }));
    }
    let virustotal = virustotal::Server::start(world).await?;
    let platform = platform(opencti::Options::default()).await?;
    let run = Host::new(&virustotal, &platform)?.run_once().await?;
    assert!(run.success, "{}", run.log);
    assert!(
        run.summary().starts_with("14 notifications read"),
        "{}",
        run.summary()
    );
    assert!(ids(&platform, "incident").len() >= 10);
    assert_eq!(platform.validity_problems(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn what_passes_is_asked_again() -> Result<()> {
    let virustotal = virustotal::Server::start(
        Scenario {
            mixed: false,
            ..Scenario::of_today(60)
        }
        .world(),
    )
    .await?;
    let platform = platform(opencti::Options::default()).await?;
    virustotal.fault(path("/ioc_stream"), Fault::Html(502));
    virustotal.edit(|world| {
        world.faults.after(
            1,
            path("/ioc_stream"),
            Fault::RetryAfter(429, 0, error_body("TooManyRequestsError", "slow down")),
        );
        world.faults.after(0, path("/intelligence"), Fault::CutBody);
        world.quirks.empty_page_after = Some(1);
    });
    platform.fault(
        connector_tests::fault::field("stixBundlePush"),
        Fault::Status(200, opencti::error_body("LOCK_ERROR", "busy")),
    );
    let run = Host::new(&virustotal, &platform)?.run_once().await?;
    assert!(run.success, "{}", run.log);
    assert!(
        run.summary().contains("60 notifications read"),
        "{}",
        run.summary()
    );
    Ok(())
}
