//! What arrives on OpenCTI lives, and stays as people make it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use connector_tests::fault::{Fault, field, path};
use connector_tests::fixtures::{Scenario, now};
use connector_tests::host::{Host, rabbitmq};
use connector_tests::opencti::{self, Options, error_body, pace};
use connector_tests::trial::{Trial, each};
use connector_tests::virustotal::{self, Kind, Notification};
use jiff::SignedDuration;
use serde_json::{Value, json};

/// The releases in which something changed that a first run meets.
const RELEASES: [&str; 8] = [
    "6.0.0",
    "6.2.18",
    "6.4.0",
    "6.7.5",
    "6.8.9",
    "6.9.22",
    "7.260817.0",
    "7.261008.0",
];

/// What the simulated platform finds at the end of this test (an object refused, an indicator dead on arrival, two files
/// merged, an object without author or marking) fails it.
#[tokio::test]
async fn a_first_run_on_an_empty_platform_brings_every_object_in_every_release() -> Result<()> {
    let Some(broker) = rabbitmq().await else {
        return Ok(());
    };
    each(RELEASES, async |version| {
        let scenario = Scenario {
            mixed: true,
            ..Scenario::of_today(24)
        };
        let virustotal = virustotal::Server::start(scenario.world()).await?;
        let mut options = Options::version(version)?;
        options.amqp_url = Some(broker.clone());
        let platform = opencti::Server::start(options).await?;
        let run = Host::new(&virustotal, &platform)?
            .variable("CONNECTOR_QUEUE_PROTOCOL", "amqp")
            .setting("ENTITY_TYPES", "file,url,domain,ip_address")
            .setting("UPLOAD_ARTIFACT", "true")
            .setting("CREATE_FILE_INDICATORS", "true")
            .setting("CREATE_URL_INDICATORS", "true")
            .setting("CREATE_DOMAIN_NAME_INDICATORS", "true")
            .setting("CREATE_IP_INDICATORS", "true")
            .setting("GET_MALWARE_CONFIG", "true")
            .run_once()
            .await?;
        platform.until_works_complete().await?;
        ensure!(run.success, "{}", run.log);
        // One of them is of an object that VirusTotal does not have any more.
        ensure!(
            run.summary()
                .starts_with("24 notifications read: 23 delivered, 1 failed"),
            "{}",
            run.log
        );
        ensure!(platform.objects_of("incident").len() == 23);
        let files: BTreeSet<String> = platform
            .stored_of("artifact")
            .into_iter()
            .filter(|it| it.size.is_some())
            .map(|it| it.standard_id)
            .collect();
        let observed = platform.objects_of("file").len();
        ensure!(files.len() == observed && observed > 5, "{}", files.len());
        let labelled = |it: &Value| it["x_opencti_labels"].is_array();
        ensure!(platform.objects_of("artifact").iter().all(labelled));
        platform.pass_time(SignedDuration::from_hours(24));
        let lives = platform.stored_of("indicator");
        ensure!(lives.len() > 5);
        let dead = lives
            .iter()
            .filter(|it| it.life.as_ref().is_none_or(|life| life.revoked));
        ensure!(dead.count() == 0);
        Ok(())
    })
    .await
}

/// A connector that sends to RabbitMQ itself: the platform would split what comes by its API.
async fn over_the_broker(notifications: usize) -> Result<Option<Trial>> {
    let Some(broker) = rabbitmq().await else {
        return Ok(None);
    };
    let options = Options {
        amqp_url: Some(broker),
        ..Options::default()
    };
    let mut trial = Trial::on(notifications, options).await?;
    trial.host = trial.host.variable("CONNECTOR_QUEUE_PROTOCOL", "amqp");
    Ok(Some(trial))
}

#[tokio::test]
async fn a_batch_goes_out_in_bundles_of_ten_notifications_and_the_platform_is_asked_once_a_page()
-> Result<()> {
    let Some(trial) = over_the_broker(40).await? else {
        return Ok(());
    };
    trial.run_well().await?;
    trial.platform.until_works_complete().await?;
    let deliveries = trial.platform.deliveries();
    ensure!(deliveries.len() == 4, "{} messages", deliveries.len());
    for delivery in &deliveries {
        // Each holds all that it refers to.
        let held: BTreeSet<&String> = delivery.ids.iter().collect();
        let incidents = held.iter().filter(|id| id.starts_with("incident--"));
        ensure!(incidents.count() == 10);
        ensure!(held.iter().any(|id| id.starts_with("identity--")));
    }
    let asked = trial.platform.requests_of("stixCoreObjects");
    let of_ids = asked.iter().filter(|it| it.variables["ids"].is_array());
    let ids: Vec<usize> = of_ids
        .filter_map(|it| it.variables["ids"].as_array().map(Vec::len))
        .collect();
    let all: usize = ids.iter().sum();
    ensure!(
        ids.len() == all.div_ceil(100) && all > 80,
        "{ids:?} ids asked for, a request each"
    );
    trial.check_drained().await
}

#[tokio::test]
async fn a_refused_object_holds_back_its_own_bundle_alone() -> Result<()> {
    let Some(trial) = over_the_broker(40).await? else {
        return Ok(());
    };
    let first = trial
        .virustotal
        .read(|world| world.notifications[0].clone());
    let name = first.item()["context_attributes"]["hunting_info"]["rule_name"].clone();
    trial.platform.edit(|platform| {
        platform.refuse(move |object| {
            let refused = object["type"] == "indicator" && object["name"] == name;
            refused.then(|| "FUNCTIONAL_ERROR: no such luck".to_owned())
        });
    });
    trial.platform.expect_refused("no such luck");
    trial.platform.expect_refused("MISSING_REFERENCE_ERROR");
    trial.run_well().await?;
    trial.platform.until_works_complete().await?;
    let deliveries = trial.platform.deliveries();
    let holds = |it: &&opencti::Delivery| it.costs.contains(&pace::Cost::Retried);
    let held_back = deliveries.iter().filter(holds).count();
    ensure!(held_back < deliveries.len(), "{held_back}");
    let apart = pace::of(&deliveries, 3);
    let together: Vec<pace::Cost> = deliveries.iter().flat_map(|it| it.costs.clone()).collect();
    let together = pace::of_messages(&[together], 3);
    ensure!(
        apart.held_back < together.held_back,
        "{apart:?} {together:?}"
    );
    Ok(())
}

/// Workers import long after a run has ended.
#[tokio::test]
async fn what_workers_refuse_later_is_told_by_the_next_run_and_once() -> Result<()> {
    let trial = Trial::new(12).await?;
    trial.platform.edit(|platform| {
        platform.refuse(|object| {
            (object["type"] == "indicator").then(|| "FUNCTIONAL_ERROR: no such luck".to_owned())
        });
    });
    trial.platform.expect_refused("no such luck");
    trial.platform.expect_refused("MISSING_REFERENCE_ERROR");
    trial.platform.pause_worker();
    let run = trial.run_well().await?;
    ensure!(!run.summary().contains("refused"), "{}", run.log);
    trial.platform.resume_worker();
    trial.platform.until_works_complete().await?;
    let refused = trial.platform.report().refused.len();
    let run = trial.run_well().await?;
    let summary =
        format!("0 notifications read: 0 delivered, {refused} objects refused by OpenCTI");
    ensure!(run.summary() == summary, "{}", run.log);
    let errors: Vec<String> = run.messages("ERROR");
    // One line a kind: the rules, with the relationships that need them.
    ensure!(errors.len() == 1, "{errors:?}");
    ensure!(errors[0].contains("no such luck"), "{errors:?}");
    let run = trial.run_well().await?;
    ensure!(!run.summary().contains("refused"), "{}", run.log);
    Ok(())
}

/// The file is at VirusTotal, but cannot be had for a while.
#[tokio::test]
async fn a_file_that_is_not_copied_is_failed_and_retry_copies_it() -> Result<()> {
    let trial = Trial::copying().await?;
    let mut host = trial.host.clone();
    host = host.setting("DELETE_NOTIFICATION", "true");
    for _ in 0..3 {
        trial
            .virustotal
            .edit(|world| world.storage_faults.push(path("/"), Fault::Corrupt));
    }
    let run = host.run_once().await?;
    ensure!(!run.success, "the exit code says so");
    ensure!(
        run.summary().contains("6 delivered") && run.summary().contains("1 files not copied"),
        "{}",
        run.log
    );
    let failed = failed(&trial.platform)?;
    let [failed] = failed.as_slice() else {
        anyhow::bail!("{failed:?}");
    };
    let reason = failed["reason"].as_str().unwrap_or_default();
    ensure!(
        reason.starts_with("file ") && reason.contains("not copied: "),
        "{reason}"
    );
    let id = failed["id"].as_str().unwrap_or_default().to_owned();
    let removed = trial.virustotal.deletions();
    ensure!(removed.len() == 5 && !removed.contains(&id), "{removed:?}");
    ensure!(trial.platform.objects_of("incident").len() == 6);

    let retry = host.start(&["retry", "--force"])?.finish().await?;
    ensure!(retry.success, "{}", retry.log);
    ensure!(
        retry.output.contains("1 delivered") && retry.output.contains("1 files copied"),
        "{}",
        retry.output
    );
    ensure!(trial.virustotal.deletions().contains(&id));
    let with_file = trial.platform.stored_of("artifact");
    ensure!(with_file.len() == trial.files && with_file.iter().all(|it| it.size.is_some()));
    Ok(())
}

/// No other try would find what is missing.
#[tokio::test]
async fn a_missing_reference_is_named_and_its_file_not_downloaded_again() -> Result<()> {
    let trial = Trial::copying().await?;
    let mut refusal = error_body("MISSING_REFERENCE_ERROR", "Element(s) not found");
    refusal["errors"][0]["extensions"]["data"]["unresolvedIds"] = json!(["label--7", "label--8"]);
    trial
        .platform
        .fault(field("artifactImport"), Fault::Status(200, refusal));
    let run = trial.host.run_once().await?;
    ensure!(!run.success && run.summary().contains("1 files not copied"));
    let told = run.messages("ERROR").concat();
    ensure!(
        told.contains("Element(s) not found: label--7, label--8"),
        "{told}"
    );
    let downloads = trial.virustotal.count(Kind::Download);
    ensure!(downloads == trial.files, "{downloads}");
    Ok(())
}

#[tokio::test]
async fn a_file_that_virustotal_does_not_have_is_told_and_then_given_up() -> Result<()> {
    let trial = Trial::copying().await?;
    let gone = trial.virustotal.edit(|world| {
        let sha256 = world.files.keys().next().cloned();
        sha256.and_then(|sha256| world.files.remove(&sha256))
    });
    ensure!(gone.is_some());
    let run = trial.host.run_once().await?;
    ensure!(!run.success && run.summary().contains("files not copied"));
    ensure!(!failed(&trial.platform)?.is_empty());
    let retry = trial.host.start(&["retry", "--force"])?.finish().await?;
    ensure!(retry.success, "{}{}", retry.output, retry.log);
    ensure!(retry.log.contains("it is not tried again"), "{}", retry.log);
    ensure!(failed(&trial.platform)?.is_empty());
    Ok(())
}

#[tokio::test]
async fn one_byte_that_is_no_text_fails_its_notification_alone() -> Result<()> {
    let trial = Trial::new(12).await?;
    for _ in 0..2 {
        trial
            .virustotal
            .edit(|world| world.faults.push(path("/ioc_stream"), Fault::NotUtf8));
    }
    let run = trial.run_well().await?;
    ensure!(
        run.summary()
            .starts_with("12 notifications read: 11 delivered, 1 failed"),
        "{}",
        run.log
    );
    let failed = failed(&trial.platform)?;
    let reason = failed[0]["reason"].as_str().unwrap_or_default();
    ensure!(reason.contains("is not UTF-8 at byte "), "{reason}");
    let id = failed[0]["id"].as_str().unwrap_or_default();
    let known = trial
        .virustotal
        .read(|world| world.notifications.iter().any(|it| it.id == id));
    ensure!(known, "{id}");
    let retry = trial.host.start(&["retry", "--force"])?.finish().await?;
    ensure!(retry.success && retry.output.contains("1 delivered"));
    trial.check_drained().await
}

fn failed(platform: &opencti::Server) -> Result<Vec<Value>> {
    let state: Value = serde_json::from_str(&platform.state().context("no state")?)?;
    Ok(state["failed"].as_array().cloned().unwrap_or_default())
}

/// Another match of the same rule in the same file, a minute later.
fn next_match(notification: &Notification) -> Notification {
    let mut item = notification.item();
    item["context_attributes"]["notification_id"] = json!(format!("{}1", notification.id));
    item["context_attributes"]["notification_date"] = json!(now() - 1);
    item["attributes"]["last_analysis_stats"] = json!({"malicious": 1, "undetected": 69});
    item["attributes"]["meaningful_name"] = json!("another-name.exe");
    Notification::new(&item)
}

fn only(platform: &opencti::Server, kind: &str) -> Result<opencti::Stored> {
    let found = platform.stored_of(kind);
    found
        .into_iter()
        .next()
        .with_context(|| format!("no {kind}"))
}

/// A row of the table "What a second delivery changes" in the README each.
#[tokio::test]
async fn a_further_match_undoes_nothing_of_the_analysts() -> Result<()> {
    let releases = ["6.2.18", "6.7.5", "7.260817.0"];
    each(releases, async |version| {
        let mut trial = Trial::on(1, Options::version(version)?).await?;
        trial.run_well().await?;
        let platform = &trial.platform;
        let file = only(platform, "file")?.standard_id;
        let indicator = only(platform, "indicator")?.standard_id;
        let incident = only(platform, "incident")?.standard_id;
        let analyst = platform.analyst();
        analyst.set(&file, "x_opencti_score", json!(99))?;
        analyst.set(&file, "x_opencti_description", json!("Known to us."))?;
        analyst.set(&file, "name", json!("their-name.exe"))?;
        let label = only(platform, "file")?.object["x_opencti_labels"][0].clone();
        let label = label.as_str().context("no label")?.to_owned();
        analyst.remove_label(&file, &label)?;
        analyst.add_label(&file, "ours")?;
        analyst.set(&indicator, "name", json!("Better name"))?;
        analyst.set(&indicator, "description", json!("Noisy."))?;
        analyst.revoke(&indicator)?;
        analyst.set(&incident, "name", json!("Handled"))?;
        analyst.set(&incident, "description", json!("By us."))?;
        let before: Vec<Value> = [&file, &indicator, &incident]
            .iter()
            .filter_map(|id| platform.read(|it| it.store.get(id).map(|it| it.object.clone())))
            .collect();

        let first = trial
            .virustotal
            .read(|world| world.notifications[0].clone());
        trial.add(next_match(&first));
        trial.run_well().await?;
        let platform = &trial.platform;
        ensure!(
            platform.objects_of("incident").len() == 2,
            "the match is told"
        );
        for (id, before) in [&file, &indicator, &incident].iter().zip(before) {
            let after = platform.read(|it| it.store.get(id).map(|it| it.object.clone()));
            ensure!(after.as_ref() == Some(&before), "{before} became {after:?}");
        }
        let life = only(platform, "indicator")?.life.context("no life")?;
        ensure!(life.revoked, "a revoked indicator stays revoked");
        Ok(())
    })
    .await
}

/// Version 1.0.0 dated indicators by their rules, and gave them scores that OpenCTI takes for worn out.
#[tokio::test]
async fn an_indicator_that_1_0_0_brought_dead_comes_alive_with_the_next_match() -> Result<()> {
    let lives = [
        ("2019-03-01T00:00:00.000Z", Some(1)),
        ("2019-03-01T00:00:00.000Z", None),
        ("2026-10-01T00:00:00.000Z", Some(1)),
    ];
    let rows = ["6.2.18", "6.7.5", "7.260817.0"]
        .into_iter()
        .flat_map(|version| lives.map(|(from, score)| (version, from, score)));
    each(rows, async |(version, from, score)| {
        // What the same rule becomes.
        let model = Trial::new(1).await?;
        model.run_well().await?;
        let mut dead = only(&model.platform, "indicator")?.object;
        dead["valid_from"] = json!(from);
        dead["created"] = json!(from);
        if let Some(score) = score {
            dead["x_opencti_score"] = json!(score);
        }
        let author = only(&model.platform, "identity")?.object;

        let trial = Trial::on(1, Options::version(version)?).await?;
        trial.platform.expect_anything();
        trial.platform.analyst().create(&author)?;
        trial.platform.analyst().create(&dead)?;
        trial.platform.pass_time(SignedDuration::from_mins(5));
        let life = only(&trial.platform, "indicator")?
            .life
            .context("no life")?;
        ensure!(life.revoked, "dead: {life:?}");
        trial.run_well().await?;
        trial.platform.pass_time(SignedDuration::from_mins(5));
        let life = only(&trial.platform, "indicator")?
            .life
            .context("no life")?;
        ensure!(!life.revoked, "{life:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_address_that_two_families_share_keeps_the_labels_of_both() -> Result<()> {
    let trial = Trial::new(2).await?;
    trial.virustotal.edit(|world| {
        for (notification, family) in world.notifications.iter_mut().zip(["emotet", "qakbot"]) {
            let mut item = notification.item();
            item["attributes"]["malware_config"] = json!({"families": [{
                "family": family,
                "configs": [{"net_info": {"connections": [{"host": "198.51.100.7"}]}}],
            }]});
            *notification = Notification::new(&item);
        }
    });
    let run = trial
        .host
        .clone()
        .setting("GET_MALWARE_CONFIG", "true")
        .run_once()
        .await?;
    ensure!(run.success, "{}", run.log);
    let address = only(&trial.platform, "ipv4-addr")?.object;
    let labels = address["x_opencti_labels"].to_string();
    ensure!(
        labels.contains("emotet") && labels.contains("qakbot"),
        "{labels}"
    );
    Ok(())
}

/// Rulesets of the world with this instead of that in their text.
fn rewritten(world: &mut virustotal::World, old: &str, new: &str) {
    for ruleset in world.rulesets.values_mut() {
        let rules = ruleset["attributes"]["rules"].as_str().unwrap_or_default();
        ruleset["attributes"]["rules"] = json!(rules.replace(old, new));
    }
}

#[tokio::test]
async fn a_rule_that_the_account_may_not_share_fails_its_notifications_alone() -> Result<()> {
    let options = Options::default().seeing_up_to(opencti::Tlp::Green);
    let trial = Trial::on(20, options).await?;
    trial.virustotal.edit(|world| {
        let says = "author = \"Jane Analyst\"\n        tlp = \"TLP:RED\"";
        rewritten(world, "author = \"Jane Analyst\"", says);
    });
    let run = trial.run_well().await?;
    let failed = failed(&trial.platform)?;
    ensure!(!failed.is_empty() && failed.len() < 20, "{}", run.log);
    for failed in &failed {
        let reason = failed["reason"].as_str().unwrap_or_default();
        ensure!(
            reason.contains("cannot bring what is marked TLP:RED"),
            "{reason}"
        );
    }
    ensure!(trial.platform.objects_of("incident").len() == 20 - failed.len());
    Ok(())
}

#[tokio::test]
async fn a_changed_rule_is_related_to_the_one_before_or_revokes_it() -> Result<()> {
    let rows = ["6.2.18", "6.7.5", "7.260817.0"]
        .into_iter()
        .flat_map(|version| [(version, false), (version, true)]);
    each(rows, async |(version, revokes)| {
        let mut trial = Trial::on(1, Options::version(version)?).await?;
        let host = trial.host.clone();
        let host = host.setting("REVOKE_CHANGED_RULES", revokes.to_string());
        ensure!(host.run_once().await?.success);
        let before = only(&trial.platform, "indicator")?.standard_id;
        if revokes {
            // The old one shall be dead.
            trial.platform.expect_anything();
        }
        trial.virustotal.edit(|world| {
            rewritten(world, "config.begin", "config.start");
            rewritten(world, "/gate.php", "/door.php");
            rewritten(world, "filesize < 2MB", "filesize < 3MB");
        });
        let first = trial
            .virustotal
            .read(|world| world.notifications[0].clone());
        trial.add(next_match(&first));
        let run = host.run_once().await?;
        ensure!(run.success, "{}", run.log);
        let indicators = trial.platform.stored_of("indicator");
        ensure!(indicators.len() == 2, "{}", indicators.len());
        let after = indicators
            .iter()
            .find(|it| it.standard_id != before)
            .context("no new indicator")?;
        let related = trial.platform.objects_of("relationship");
        let ends = |it: &&Value| {
            it["relationship_type"] == "related-to"
                && it["source_ref"] == after.standard_id
                && it["target_ref"] == before
        };
        ensure!(related.iter().filter(ends).count() == 1, "{related:?}");
        trial.platform.pass_time(SignedDuration::from_mins(5));
        for indicator in trial.platform.stored_of("indicator") {
            let is_old = indicator.standard_id == before;
            let life = indicator.life.context("no life")?;
            ensure!(life.revoked == (is_old && revokes), "{life:?}");
        }
        Ok(())
    })
    .await
}

/// What another source brought is filled where it is empty, and a score is raised.
#[tokio::test]
async fn what_another_source_left_empty_is_filled_and_a_higher_score_is_taken() -> Result<()> {
    let model = Trial::new(1).await?;
    model.run_well().await?;
    let file = only(&model.platform, "file")?.object;
    let score = file["x_opencti_score"].as_i64().context("no score")?;
    ensure!((2..99).contains(&score), "{score}");
    for (held, name, description, expected) in [
        (1, None, None, score),
        (99, Some("theirs.exe"), Some("Theirs."), 99),
    ] {
        let trial = Trial::new(1).await?;
        let theirs = json!({
            "type": "file", "spec_version": "2.1", "id": file["id"], "hashes": file["hashes"],
            "x_opencti_score": held, "name": name, "x_opencti_description": description,
        });
        trial.platform.analyst().create(&theirs)?;
        trial.platform.expect_anything();
        trial.run_well().await?;
        let found = only(&trial.platform, "file")?.object;
        ensure!(found["x_opencti_score"] == expected, "{found}");
        let name = name.map_or(file["name"].clone(), |it| json!(it));
        ensure!(found["name"] == name, "{found}");
        let description = description.map_or(file["x_opencti_description"].clone(), |it| json!(it));
        ensure!(found["x_opencti_description"] == description, "{found}");
    }
    Ok(())
}
