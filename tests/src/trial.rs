//! A connector between two simulators that is to bring everything over, whatever goes wrong on the way.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use futures::stream::{self, StreamExt as _};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::fixtures::Scenario;
use crate::host::{Finished, Host, workspace};
use crate::proxy::Proxy;
use crate::{opencti, virustotal};

/// Trials at a time: each runs a process of its own, which mostly waits to ask again.
const AT_A_TIME: usize = 8;

/// For all tests of a file.
static PLACES: Semaphore = Semaphore::const_new(AT_A_TIME);

/// Calls `trial` with every row, some at a time; all are finished before the first error is told.
///
/// # Errors
/// The first error, with the row that it is about.
pub async fn each<R: std::fmt::Debug>(
    rows: impl IntoIterator<Item = R>,
    trial: impl AsyncFn(R) -> Result<()>,
) -> Result<()> {
    let mut results = stream::iter(rows)
        .map(|row| {
            let name = format!("{row:?}");
            let trial = &trial;
            async move {
                let _place = PLACES.acquire().await?;
                trial(row).await.context(name)
            }
        })
        .buffer_unordered(AT_A_TIME)
        .collect::<Vec<_>>()
        .await;
    results.retain(Result::is_err);
    results.into_iter().next().unwrap_or(Ok(()))
}

/// A connector, its two peers, and what it must have done in the end.
pub struct Trial {
    /// Where notifications come from.
    pub virustotal: virustotal::Server,
    /// Where they go.
    pub platform: opencti::Server,
    /// The connector's settings.
    pub host: Host,
    ids: BTreeSet<String>,
    newest: u64,
    /// Files that the platform must have.
    pub files: usize,
}

impl Trial {
    /// Notifications of files, delivered by the API and left at the source. Nothing has run yet.
    ///
    /// # Errors
    /// When a simulator cannot be started.
    pub async fn new(notifications: usize) -> Result<Self> {
        let scenario = Scenario {
            mixed: false,
            bodies: false,
            ..Scenario::of_today(notifications)
        };
        Self::of(scenario.world()).await
    }

    /// The same, and all notifications are deleted at the source.
    ///
    /// # Errors
    /// When a simulator cannot be started.
    pub async fn deleting(notifications: usize) -> Result<Self> {
        let mut trial = Self::new(notifications).await?;
        trial.host = trial.host.setting("DELETE_NOTIFICATION", "true");
        Ok(trial)
    }

    /// A few notifications of files, all of which are copied to the platform.
    ///
    /// # Errors
    /// When a simulator cannot be started.
    pub async fn copying() -> Result<Self> {
        let scenario = Scenario {
            mixed: false,
            ..Scenario::of_today(6)
        };
        let mut world = scenario.world();
        let files = &world.files;
        world.notifications.retain(|notification| {
            let item = notification.item();
            files.contains_key(item["id"].as_str().unwrap_or_default())
        });
        let files = world.files.len();
        ensure!(files > 2, "the scenario has too few files");
        let mut trial = Self::of(world).await?;
        trial.files = files;
        trial.host = trial.host.setting("UPLOAD_ARTIFACT", "true");
        Ok(trial)
    }

    /// Notifications of files for a platform of another kind.
    ///
    /// # Errors
    /// When a simulator cannot be started.
    pub async fn on(notifications: usize, options: opencti::Options) -> Result<Self> {
        let scenario = Scenario {
            mixed: false,
            bodies: false,
            ..Scenario::of_today(notifications)
        };
        Self::between(scenario.world(), options).await
    }

    async fn of(world: virustotal::World) -> Result<Self> {
        Self::between(world, opencti::Options::default()).await
    }

    async fn between(world: virustotal::World, options: opencti::Options) -> Result<Self> {
        let ids = world.notifications.iter().map(|it| it.id.clone()).collect();
        let newest = world.notifications.iter().map(|it| it.date).max();
        let virustotal = virustotal::Server::start(world).await?;
        let platform = opencti::Server::start(options).await?;
        let cache = workspace().join("target/tmp/guest-cache");
        let host = Host::new(&virustotal, &platform)?
            .variable("CONNECTOR_GUEST_CACHE", cache.display().to_string());
        Ok(Self {
            virustotal,
            platform,
            host,
            ids,
            newest: newest.unwrap_or_default(),
            files: 0,
        })
    }

    /// From now on the connector reaches the platform through this proxy.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn put_proxy_before_platform(&mut self) -> Result<Proxy> {
        let (proxy, url) = Proxy::before(&self.platform.url()).await?;
        self.host = self.host.clone().variable("OPENCTI_URL", url);
        Ok(proxy)
    }

    /// How many notifications are to be delivered.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.ids.len()
    }

    /// Another notification has come to the source and is to be delivered.
    pub fn add(&mut self, notification: virustotal::Notification) {
        self.ids.insert(notification.id.clone());
        self.newest = self.newest.max(notification.date);
        self.virustotal
            .edit(|world| world.notifications.push(notification));
    }

    /// Takes a notification out of the source before anything ran, to be added later.
    ///
    /// # Errors
    /// When there is none.
    pub fn hold_back(&mut self) -> Result<virustotal::Notification> {
        let held = self.virustotal.edit(|world| world.notifications.pop());
        let held = held.context("the source is empty")?;
        self.ids.remove(&held.id);
        let left = |world: &virustotal::World| world.notifications.iter().map(|it| it.date).max();
        self.newest = self.virustotal.read(left).unwrap_or_default();
        Ok(held)
    }

    /// Date of the newest notification that is to be delivered.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// Incidents that the platform has.
    #[must_use]
    pub fn delivered(&self) -> usize {
        self.platform.objects_of("incident").len()
    }

    /// Waits until the platform has all that is to be delivered.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn until_delivered(&self) -> Result<()> {
        let wanted = self.wanted();
        self.platform
            .until("everything is delivered", |platform| {
                let is_incident = |it: &&opencti::Stored| it.object["type"] == "incident";
                platform.store.iter().filter(is_incident).count() == wanted
            })
            .await
    }

    /// Runs once. Whatever goes wrong, no secret is logged.
    async fn run(&self) -> Result<Finished> {
        let run = self.host.run_once().await?;
        for secret in [self.virustotal.api_key(), self.platform.token()] {
            ensure!(!run.log.contains(secret), "{secret} is in the log");
        }
        Ok(run)
    }

    /// Runs once; it must end well.
    ///
    /// # Errors
    /// When it does not, with its log.
    pub async fn run_well(&self) -> Result<Finished> {
        let run = self.run().await?;
        ensure!(run.success, "the run failed:\n{}", run.log);
        Ok(run)
    }

    /// Runs once; it must end with an error that holds these words.
    ///
    /// # Errors
    /// When it does not, with its log.
    pub async fn run_badly(&self, words: &str) -> Result<Finished> {
        let run = self.run().await?;
        let summary = run.summary();
        ensure!(
            !run.success && summary.contains(words),
            "expected an error with {words:?}, got {summary:?}:\n{}",
            run.log
        );
        Ok(run)
    }

    /// Checks that everything is on the platform, valid and with its files, that the last work has come to an
    /// end, that no fault is left, and that the state says all
    /// this: another run finds nothing to do.
    ///
    /// # Errors
    /// What is not so.
    pub async fn check_drained(&self) -> Result<()> {
        let left = self
            .virustotal
            .read(|it| it.faults.left() + it.storage_faults.left());
        let left = left + self.platform.read(|platform| platform.faults.left());
        ensure!(left == 0, "{left} planned faults were not met");
        ensure!(
            self.delivered() == self.wanted(),
            "{} of {} delivered",
            self.delivered(),
            self.wanted()
        );
        ensure!(self.platform.stored_of("artifact").len() == self.files);
        ensure!(self.platform.validity_problems().is_empty());
        let works = self.platform.works();
        if let Some(last) = works.last() {
            ensure!(last.is_closed() || last.is_complete(), "{last:?}");
        }
        self.check_state()?;
        let deliveries = self.platform.deliveries().len();
        let run = self.run_well().await?;
        ensure!(
            run.summary().starts_with("0 notifications read"),
            "{}",
            run.summary()
        );
        ensure!(self.platform.deliveries().len() == deliveries);
        Ok(())
    }

    fn check_state(&self) -> Result<()> {
        let state = self.platform.state().unwrap_or_default();
        let state: Value = serde_json::from_str(&state)?;
        ensure!(state["latest_run_timestamp"] == self.newest, "{state}");
        let done = state["checkpoint"]["done"].as_array();
        let done: Vec<_> = done
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let different: BTreeSet<_> = done.iter().collect();
        ensure!(
            done.len() == different.len(),
            "something is done twice: {state}"
        );
        Ok(())
    }

    /// Checks that exactly what was delivered is gone at the source.
    ///
    /// # Errors
    /// What is not so.
    pub fn check_deleted(&self) -> Result<()> {
        let deleted: BTreeSet<_> = self.virustotal.deletions().into_iter().collect();
        ensure!(deleted == self.ids, "{} deleted", deleted.len());
        Ok(())
    }
}
