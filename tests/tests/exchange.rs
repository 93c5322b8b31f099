//! Another guest at work without a restart.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use connector_host::runtime::CONTRACT;
use connector_tests::fixtures::Scenario;
use connector_tests::host::{Host, Running};
use connector_tests::understudy::stamped;
use connector_tests::virustotal::{Notification, World};
use connector_tests::{endpoint, opencti, registry, virustotal};
use serde_json::Value;

const PREFIX: &str = "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS";

/// Puts a guest in place as one deploys it: written aside, then renamed.
fn deploy(path: &Path, component: &[u8]) -> Result<()> {
    let aside = path.with_extension("aside");
    std::fs::write(&aside, component)?;
    Ok(std::fs::rename(aside, path)?)
}

/// Both simulators, a folder for the guest, and notifications that come later.
struct Stage {
    virustotal: virustotal::Server,
    platform: opencti::Server,
    folder: tempfile::TempDir,
    to_come: Vec<Value>,
}

impl Stage {
    /// `at_first` of the notifications are there from the start.
    async fn new(at_first: usize, in_all: usize, latency: Duration) -> Result<Self> {
        let mut world: World = Scenario {
            mixed: false,
            ..Scenario::of_today(in_all)
        }
        .world();
        let later = world.notifications.split_off(at_first);
        let options = virustotal::Options {
            latency,
            ..virustotal::Options::default()
        };
        Ok(Self {
            virustotal: virustotal::Server::start_with(world, options).await?,
            platform: opencti::Server::start(opencti::Options::default()).await?,
            folder: tempfile::tempdir()?,
            to_come: later.iter().map(Notification::item).collect(),
        })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("guest.wasm")
    }

    /// Starts the connector, with runs a second apart.
    fn start(&self, source: &Path) -> Result<Running> {
        Host::of(source, PREFIX, &self.virustotal, &self.platform)
            .variable("CONNECTOR_DURATION_PERIOD", "PT1S")
            .start(&["run"])
    }

    /// Lets the rest of the notifications come.
    fn go_on(&mut self) {
        let items = std::mem::take(&mut self.to_come);
        self.virustotal.edit(|world| {
            for item in &items {
                world.add(item);
            }
        });
    }

    /// Waits until so many notifications have arrived.
    async fn until_arrived(&self, count: usize) -> Result<()> {
        let all = |platform: &opencti::Platform| platform.store.len() >= count;
        self.platform.until("all have arrived", all).await
    }

    /// How many objects each version made.
    fn makers(&self) -> BTreeMap<String, usize> {
        let mut makers = BTreeMap::new();
        for object in self.platform.objects_of("identity") {
            let (maker, _) = object["name"].as_str().unwrap().split_once(':').unwrap();
            *makers.entry(maker.to_owned()).or_default() += 1;
        }
        makers
    }
}

#[tokio::test]
async fn guests_take_over_under_load_and_nothing_is_lost_or_doubled() -> Result<()> {
    const NOTIFICATIONS: usize = 600;
    // Fifteen pages, far enough apart that the run lasts longer than the exchanges.
    let stage = Stage::new(NOTIFICATIONS, NOTIFICATIONS, Duration::from_millis(600)).await?;
    deploy(&stage.path(), &stamped("1.0.0", "none")?)?;
    let mut running = stage.start(&stage.path())?;
    running.until_logged("a run begins").await?;
    let mut versions = 0;
    while stage.makers().values().sum::<usize>() < NOTIFICATIONS {
        versions += 1;
        let version = format!("1.{versions}.0");
        deploy(&stage.path(), &stamped(&version, "none")?)?;
        running
            .until_logged(&format!("guest understudy {version} takes over"))
            .await?;
    }
    running.until_logged("notifications read").await?;
    running.terminate()?;
    let finished = running.finish().await?;
    assert!(finished.success, "{}", finished.log);
    assert_eq!(finished.messages("ERROR"), Vec::<String>::new());
    let makers = stage.makers();
    assert!(versions >= 4 && makers.len() >= 3, "{versions}: {makers:?}");
    assert_eq!(makers.values().sum::<usize>(), NOTIFICATIONS, "{makers:?}");
    let deliveries = stage.platform.deliveries();
    let sent: usize = deliveries.iter().map(|it| it.ids.len()).sum();
    assert_eq!(sent, NOTIFICATIONS, "each was sent once");
    // A batch never mixes guests.
    let names = stage.platform.objects_of("identity");
    let maker_of: BTreeMap<&str, &str> = names
        .iter()
        .map(|it| {
            let name = it["name"].as_str().unwrap();
            (it["id"].as_str().unwrap(), name.split_once(':').unwrap().0)
        })
        .collect();
    for delivery in &deliveries {
        let mut makers = delivery.ids.iter().map(|id| maker_of[id.as_str()]);
        let first = makers.next();
        assert!(makers.all(|it| Some(it) == first), "{:?}", delivery.ids);
    }
    Ok(())
}

#[tokio::test]
async fn a_guest_that_fails_any_step_never_takes_over_and_the_reason_is_told() -> Result<()> {
    let mut stage = Stage::new(20, 30, Duration::ZERO).await?;
    deploy(&stage.path(), &stamped("1.0.0", "none")?)?;
    let mut running = stage.start(&stage.path())?;
    stage.until_arrived(20).await?;
    let other_contract = wat::parse_str(
        r#"(component (instance $empty) (export "cti:connector/mapping@2.0.0" (instance $empty)))"#,
    )?;
    let path = stage.path().display().to_string();
    let cases = [
        (
            b"no component".to_vec(),
            format!("the guest {path} is not a WebAssembly component"),
        ),
        (
            other_contract,
            format!("the guest {path} speaks cti:connector@2.0.0; this host serves"),
        ),
        (
            stamped("2.0.0", "other name")?,
            "guest another 2.0.0 does not take over: it is a guest of another, and this connector runs understudy".to_owned(),
        ),
        (
            stamped("2.1.0", "refuses settings")?,
            "guest understudy 2.1.0 does not take over: the settings are refused".to_owned(),
        ),
        (
            stamped("2.2.0", "traps")?,
            "guest understudy 2.2.0 does not take over: in the rehearsal of item".to_owned(),
        ),
    ];
    for (component, reason) in cases {
        deploy(&stage.path(), &component)?;
        running.until_logged(&reason).await?;
    }
    stage.go_on();
    stage.until_arrived(30).await?;
    assert_eq!(stage.makers(), [("1.0.0".to_owned(), 30)].into());
    // What it would change is told when it takes over all the same.
    deploy(&stage.path(), &stamped("3.0.0", "skips")?)?;
    running
        .until_logged(
            "guest understudy 3.0.0 takes over from understudy 1.0.0; rehearsal: 0 the same, 0 changed, 30 now skipped",
        )
        .await?;
    assert!(!running.log().contains("2.2.0 takes over"));
    Ok(())
}

#[tokio::test]
async fn a_guest_that_fails_at_work_is_rolled_back_and_costs_no_notification() -> Result<()> {
    for fault in ["traps", "fails"] {
        // Without items the rehearsal cannot show it.
        let mut stage = Stage::new(0, 20, Duration::ZERO).await?;
        deploy(&stage.path(), &stamped("1.0.0", "none")?)?;
        let mut running = stage.start(&stage.path())?;
        running.until_logged("a run begins").await?;
        deploy(&stage.path(), &stamped("2.0.0", fault)?)?;
        running
            .until_logged("guest understudy 2.0.0 takes over")
            .await?;
        stage.go_on();
        stage.until_arrived(20).await?;
        running
            .until_logged("guest understudy 2.0.0 failed again and again: understudy 1.0.0 is back")
            .await?;
        assert_eq!(stage.makers(), [("1.0.0".to_owned(), 20)].into(), "{fault}");
        // The same component is not taken again, the next one is.
        deploy(&stage.path(), &stamped("2.0.0", fault)?)?;
        running.hang_up()?;
        deploy(&stage.path(), &stamped("2.0.1", "none")?)?;
        running
            .until_logged("guest understudy 2.0.1 takes over from understudy 1.0.0")
            .await?;
        running.terminate()?;
        let finished = running.finish().await?;
        assert_eq!(
            finished.log.matches("2.0.0 takes over").count(),
            1,
            "{fault}"
        );
        assert_eq!(
            stage.platform.work_errors(),
            Vec::<String>::new(),
            "{fault}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn metrics_and_status_tell_of_guests() -> Result<()> {
    let stage = Stage::new(10, 10, Duration::ZERO).await?;
    deploy(&stage.path(), &stamped("1.0.0", "none")?)?;
    let mut running = Host::of(&stage.path(), PREFIX, &stage.virustotal, &stage.platform)
        .variable("CONNECTOR_EXPOSE_METRICS", "true")
        .variable("CONNECTOR_METRICS_PORT", "0")
        .start(&["run"])?;
    stage.until_arrived(10).await?;
    deploy(&stage.path(), &stamped("1.1.0", "traps")?)?;
    running.until_logged("1.1.0 does not take over").await?;
    deploy(&stage.path(), &stamped("1.2.0", "none")?)?;
    running.until_logged("1.2.0 takes over").await?;

    let address = endpoint::address(&mut running).await?;
    let status = endpoint::status(address).await?;
    assert_eq!(status["guest"]["version"], "1.2.0", "{status}");
    let changes = status["guest_changes"].as_array().context("no changes")?;
    let events: Vec<&Value> = changes.iter().map(|it| &it["event"]).collect();
    assert_eq!(events, ["took_over", "refused", "took_over"]);
    let reason = changes[1]["reason"].as_str().context("no reason")?;
    assert!(reason.starts_with("in the rehearsal of item"), "{reason}");

    let metrics = endpoint::get(address, "/metrics").await?;
    for line in [
        "connector_guest_changes_total{event=\"refused\"} 1".to_owned(),
        "connector_guest_traps_total{guest=\"understudy\",version=\"1.2.0\"} 0".to_owned(),
        format!("contract=\"{CONTRACT}\"}} 1"),
    ] {
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    let calls = metrics
        .lines()
        .find(|it| {
            it.starts_with("connector_guest_calls_total{guest=\"understudy\",version=\"1.0.0\"}")
        })
        .and_then(|it| it.rsplit(' ').next()?.parse::<u64>().ok());
    assert!(calls.is_some_and(|it| it >= 10), "{metrics}");
    Ok(())
}

#[tokio::test]
async fn of_a_folder_the_highest_version_is_at_work() -> Result<()> {
    let stage = Stage::new(1, 1, Duration::ZERO).await?;
    let folder = stage.folder.path();
    deploy(&folder.join("a.wasm"), &stamped("1.10.0", "none")?)?;
    deploy(&folder.join("b.wasm"), &stamped("1.9.0", "none")?)?;
    deploy(&folder.join("c.wasm"), b"no component")?;
    let mut running = stage.start(folder)?;
    running
        .until_logged("guest understudy 1.10.0 is ready")
        .await?;
    deploy(&folder.join("d.wasm"), &stamped("1.9.9", "none")?)?;
    deploy(&folder.join("e.wasm"), &stamped("2.0.0", "none")?)?;
    running
        .until_logged("guest understudy 2.0.0 takes over from understudy 1.10.0")
        .await?;
    std::fs::remove_file(folder.join("e.wasm"))?;
    running
        .until_logged("guest understudy 1.10.0 takes over from understudy 2.0.0")
        .await?;
    assert!(!running.log().contains("1.9.9 takes over"));
    Ok(())
}

#[tokio::test]
async fn only_the_component_of_the_digest_that_is_set_is_taken() -> Result<()> {
    let stage = Stage::new(1, 1, Duration::ZERO).await?;
    deploy(&stage.path(), &stamped("1.0.0", "none")?)?;
    let wanted = "0".repeat(64);
    let finished = Host::of(&stage.path(), PREFIX, &stage.virustotal, &stage.platform)
        .variable("CONNECTOR_GUEST_DIGEST", format!("sha256:{wanted}"))
        .run_once()
        .await?;
    assert!(!finished.success);
    let errors = finished.messages("ERROR").join("\n");
    let expected = format!("CONNECTOR_GUEST_DIGEST allows {wanted} only");
    assert!(errors.contains(&expected), "{errors}");
    Ok(())
}

#[tokio::test]
async fn a_tag_that_moves_in_a_registry_brings_the_guest_that_it_stands_for() -> Result<()> {
    let stage = Stage::new(1, 1, Duration::ZERO).await?;
    let registry = registry::Server::start(registry::Access::OpenToken).await?;
    let push = |version| -> Result<()> {
        let component = registry::Layer::component(stamped(version, "none")?);
        registry.push("acme/understudy", "1", &[component]);
        Ok(())
    };
    push("1.0.0")?;
    let source = format!("oci://{}/acme/understudy:1", registry.host());
    let mut running = stage.start(Path::new(&source))?;
    running
        .until_logged("guest understudy 1.0.0 is ready")
        .await?;
    stage.until_arrived(1).await?;
    push("1.1.0")?;
    running.hang_up()?;
    running
        .until_logged("guest understudy 1.1.0 takes over from understudy 1.0.0; rehearsal: 0 the same, 1 changed")
        .await?;
    Ok(())
}
