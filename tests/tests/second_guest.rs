//! Another guest, of another collection, with other settings: the host carries it like Livehunt.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::collections::BTreeSet;

use anyhow::Result;
use connector_tests::fixtures::{Scenario, examples_world, now};
use connector_tests::host::{Finished, Host, test_guest};
use connector_tests::opencti::Finding;
use connector_tests::virustotal::{Kind, World};
use connector_tests::{opencti, virustotal};
use serde_json::{Value, json};

/// More rulesets than stand on one page.
const RULESETS: usize = 45;

fn scenario() -> Scenario {
    Scenario {
        rulesets: RULESETS,
        ..Scenario::of_today(0)
    }
}

/// The rules that report, by name.
fn reporting_rules() -> BTreeSet<String> {
    let rulesets = scenario().rulesets();
    let rules = rulesets.into_iter().flat_map(|ruleset| ruleset.rules);
    rules.map(|rule| rule.name).collect()
}

fn names(platform: &opencti::Server) -> BTreeSet<String> {
    let indicators = platform.objects_of("indicator");
    let names = indicators.iter().map(|it| it["name"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

/// Rulesets as other platforms could use them: without VirusTotal's module, which OpenCTI does not know.
fn portable_world() -> World {
    const CONDITIONS: [&str; 4] = [
        "vt.metadata.new_file and vt.metadata.analysis_stats.malicious > 3",
        "vt.net.url.path contains \"/admin/\"",
        "vt.net.domain.raw endswith \".panel.example\"",
        "vt.net.ip.raw startswith \"198.51.100.\"",
    ];
    let mut world = scenario().world();
    let ids: Vec<String> = world.rulesets.keys().cloned().collect();
    for id in ids {
        change(&mut world, &id, |attributes| {
            let rules = attributes["rules"].as_str().unwrap_or_default();
            let rules = rules.replace("import \"vt\"\n", "");
            let portable = |rules: String, it: &&str| rules.replace(*it, "filesize > 3");
            attributes["rules"] = json!(CONDITIONS.iter().fold(rules, portable));
        });
    }
    world
}

fn change(world: &mut World, id: &str, change: impl FnOnce(&mut Value)) {
    change(&mut world.rulesets.get_mut(id).unwrap()["attributes"]);
}

fn rulesets_guest(virustotal: &virustotal::Server, platform: &opencti::Server) -> Result<Host> {
    // It marks nothing.
    platform.expect(Finding::WithoutMarking, "indicator--");
    let component = test_guest("rulesets-guest")?;
    Ok(Host::of(
        &component,
        "VIRUSTOTAL_RULESETS",
        virustotal,
        platform,
    ))
}

fn assert_summary(run: &Finished, expected: &str) {
    assert!(run.success, "{}", run.log);
    assert_eq!(
        run.summary().split(" {").next(),
        Some(expected),
        "{}",
        run.log
    );
}

#[tokio::test]
async fn every_rule_arrives_once() -> Result<()> {
    let virustotal = virustotal::Server::start(portable_world()).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let host = rulesets_guest(&virustotal, &platform)?;

    let first = host.run_once().await?;
    assert_summary(&first, "45 notifications read: 45 delivered");
    assert_eq!(names(&platform), reporting_rules());
    assert_eq!(platform.objects_of("identity").len(), 1);
    assert_eq!(platform.validity_problems(), Vec::<String>::new());
    for indicator in platform.objects_of("indicator") {
        assert_eq!(indicator["pattern_type"], "yara");
        let rule = format!("rule {}", indicator["name"].as_str().unwrap());
        assert!(indicator["pattern"].as_str().unwrap().contains(&rule));
    }
    assert_eq!(
        virustotal.count(Kind::Ruleset),
        2,
        "two pages of 40, nothing else"
    );
    assert!(
        platform.works()[0]
            .name
            .starts_with("VirusTotal Rulesets run")
    );
    let deliveries = platform.deliveries().len();

    let second = host.run_once().await?;
    assert_summary(&second, "0 notifications read: 0 delivered");
    assert_eq!(platform.deliveries().len(), deliveries);
    Ok(())
}

#[tokio::test]
async fn what_is_no_yara_is_left_out_and_told() -> Result<()> {
    let world = examples_world();
    let named = world
        .rulesets
        .values()
        .flat_map(|it| it["attributes"]["rule_names"].as_array())
        .flatten();
    let mut expected: BTreeSet<String> = named.map(|it| it.as_str().unwrap().to_owned()).collect();
    // Of the minimal ruleset, which has no list of names.
    expected.insert("foo".to_owned());
    for private in ["is_pe_small", "has_high_entropy_section", "not_a_subfile"] {
        assert!(expected.remove(private));
    }
    // A set of rules with a wildcard is none in YARA-X.
    assert!(expected.remove("Rule_Set_Wildcard"));

    let virustotal = virustotal::Server::start(world).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    // Some rules are VirusTotal's alone.
    platform.expect_refused("Indicator of type yara");
    let run = rulesets_guest(&virustotal, &platform)?.run_once().await?;
    assert_summary(
        &run,
        "4 notifications read: 4 delivered, 6 objects refused by OpenCTI",
    );
    let taken = names(&platform);
    assert!(taken.len() > 5 && taken.is_subset(&expected), "{taken:?}");
    let refused = platform.report().refused.len();
    assert_eq!(taken.len() + refused, expected.len());
    assert_eq!(platform.validity_problems(), Vec::<String>::new());
    let warnings = run.messages("WARNING");
    assert!(
        warnings.len() == 1
            && warnings[0].starts_with("the ruleset \"Dropper_A\" is not valid YARA: "),
        "{warnings:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_ruleset_that_was_changed_arrives_again() -> Result<()> {
    let virustotal = virustotal::Server::start(portable_world()).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let host = rulesets_guest(&virustotal, &platform)?;
    host.run_once().await?;

    let id = scenario().rulesets()[7].id.clone();
    virustotal.edit(|world| {
        change(world, &id, |attributes| {
            attributes["rules"] = json!("rule Written_Later { condition: true }");
            attributes["modification_date"] = json!(now());
        });
    });
    let run = host.run_once().await?;
    assert_summary(&run, "1 notifications read: 1 delivered");
    assert!(names(&platform).contains("Written_Later"));
    Ok(())
}

#[tokio::test]
async fn what_its_filters_refuse_is_counted_and_its_settings_are_checked() -> Result<()> {
    let virustotal = virustotal::Server::start(portable_world()).await?;
    virustotal.edit(|world| {
        for (number, ruleset) in scenario().rulesets().iter().enumerate() {
            change(world, &ruleset.id, |attributes| match number {
                0..10 => attributes["enabled"] = json!(false),
                10..15 => attributes["tags"] = json!(["wanted"]),
                15 => {
                    attributes["tags"] = json!(["wanted"]);
                    attributes["rules"] = json!("private rule Helper { condition: true }");
                }
                _ => {}
            });
        }
    });
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let host = rulesets_guest(&virustotal, &platform)?.setting("FILTER_WITH_TAG", "wanted");

    let refused = host.clone().setting("ENABLED_ONLY", "sometimes");
    let refused = refused.run_once().await?;
    assert!(!refused.success);
    assert_eq!(
        refused.messages("ERROR"),
        [
            "the settings are refused:\n  VIRUSTOTAL_RULESETS_ENABLED_ONLY: found \"sometimes\"; allowed are true and false"
        ]
    );

    let run = host.run_once().await?;
    assert_summary(
        &run,
        "45 notifications read: 5 delivered, 40 skipped (enabled 10, rules 1, tag 29)",
    );
    Ok(())
}
