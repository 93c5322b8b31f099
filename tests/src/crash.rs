//! The connector, killed again and again, and what must be left when it may go on at last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::host::{Finished, Host, program};
use crate::ledger::{Expected, Ledger, objects};
use crate::random::Random;
use crate::virustotal::{Notification, World};
use crate::{opencti, virustotal};

/// Seeds the moments of the kills, unless `CRASH_SEED` does.
const SEED: u64 = 4;

/// How the connector is set up, apart from the simulators.
pub type Setup = fn(Host) -> Host;

/// Over the platform's API; all types of objects, filters off.
#[must_use]
pub fn over_api(host: Host) -> Host {
    host.setting("ENTITY_TYPES", "file,url,domain,ip_address")
}

/// Over the broker; a filter does not want all, and what is delivered is removed at the source.
#[must_use]
pub fn over_broker(host: Host) -> Host {
    over_api(host)
        .variable("CONNECTOR_QUEUE_PROTOCOL", "amqp")
        .setting("EXTENSIONS", "exe,dll,doc,js")
        .setting("DELETE_NOTIFICATION", "true")
}

/// Over the broker, with copies of the files.
#[must_use]
pub fn with_files(host: Host) -> Host {
    over_broker(host).setting("UPLOAD_ARTIFACT", "true")
}

/// The seed of this run, also printed: with it the same moments are drawn again.
///
/// # Errors
/// When `CRASH_SEED` is no number.
pub fn seed() -> Result<u64> {
    let seed = match std::env::var("CRASH_SEED") {
        Ok(seed) => seed.parse().context("CRASH_SEED")?,
        Err(_) => SEED,
    };
    println!("CRASH_SEED={seed}");
    Ok(seed)
}

/// A connector between two simulators that watch it, and what a run without kills delivers.
pub struct Stage {
    virustotal: Arc<virustotal::Server>,
    platform: Arc<opencti::Server>,
    ledger: Arc<Ledger>,
    host: Host,
    /// The second sink.
    folder: TempDir,
    expected: Expected,
    /// Newest first.
    to_come: Vec<Notification>,
}

impl Stage {
    /// Runs the connector once over the whole world without kills; the stage itself begins with an empty feed.
    ///
    /// # Errors
    /// When that run does not succeed, or the simulators cannot be started.
    pub async fn new(world: &World, options: &opencti::Options, setup: Setup) -> Result<Self> {
        let expected = expected(world, options, setup).await?;
        Self::with(expected, world, options, setup).await
    }

    /// The same with the result of a run without kills that is known already.
    ///
    /// # Errors
    /// When the simulators cannot be started.
    pub async fn with(
        expected: Expected,
        world: &World,
        options: &opencti::Options,
        setup: Setup,
    ) -> Result<Self> {
        let mut copy = renewed(world);
        let mut to_come = std::mem::take(&mut copy.notifications);
        to_come.reverse();
        let (virustotal, platform) = simulators(copy, options).await?;
        let (virustotal, platform) = (Arc::new(virustotal), Arc::new(platform));
        let folder = tempfile::tempdir()?;
        Ok(Self {
            ledger: Ledger::watch(expected.clone(), &virustotal, &platform),
            host: setup(connector(&virustotal, &platform)?)
                .variable("CONNECTOR_SEND_TO_DIRECTORY", "true")
                .variable(
                    "CONNECTOR_SEND_TO_DIRECTORY_PATH",
                    folder.path().display().to_string(),
                ),
            folder,
            virustotal,
            platform,
            expected,
            to_come,
        })
    }

    /// Lets the next notifications come, oldest first.
    pub fn go_on(&mut self, notifications: usize) {
        let rest = self.to_come.len().saturating_sub(notifications);
        let next = self.to_come.split_off(rest);
        self.virustotal
            .edit(|world| world.notifications.extend(next.into_iter().rev()));
    }

    /// Starts the connector; it must kill itself at this step, at that time.
    ///
    /// # Errors
    /// When it ends otherwise.
    pub async fn die_at(&self, step: &str, time: u32) -> Result<()> {
        let host = self
            .host
            .clone()
            .variable("FAILPOINT", format!("{step}:{time}"));
        let finished = host.run_once().await?;
        ensure!(
            finished.killed,
            "the connector did not die at {step}, time {time}; it is to be built with its failpoints, as cargo test \
             --workspace does, not cargo build:\n{}",
            finished.log
        );
        self.check_so_far(&format!("after dying at {step}, time {time}"))
    }

    /// Kills the connector so many times at random moments, while the rest of the feed comes; each seed gives other
    /// moments. Then lets it run to its end.
    ///
    /// # Errors
    /// At the first thing that must not happen, with the number of kills before it.
    pub async fn kill_often(&mut self, kills: usize, seed: u64) -> Result<()> {
        let mut moments = Moments::new(seed);
        // Some processes end before their moment.
        let portion = self.to_come.len() / (2 * kills);
        let (mut killed, mut spared) = (0, 0);
        while killed < kills {
            self.go_on(portion);
            let moment = moments.next();
            let when = format!("after {killed} kills");
            match self.kill_at(moment).await.context(when.clone())? {
                None => killed += 1,
                Some(requests) => {
                    spared += 1;
                    moments.learn(moment, requests);
                }
            }
            self.check_so_far(&when)?;
            ensure!(
                spared <= 2 * kills,
                "the connector ends too soon for {kills} kills"
            );
        }
        self.go_on(self.to_come.len());
        self.drain().await
    }

    /// Starts the connector and kills it when the moment comes. Where it ended before, by itself and in good order,
    /// answers how many requests it sent to the simulator of the moment.
    async fn kill_at(&self, moment: Moment) -> Result<Option<usize>> {
        let source = |world: &World| world.requests.len() + world.storage_requests.len();
        let platform = |platform: &opencti::Platform| platform.requests.len();
        let seen = || match moment.at {
            Simulator::Source => self.virustotal.read(source),
            Simulator::Platform => self.platform.read(platform),
        };
        let begun = seen();
        let until = begun + moment.requests;
        let running = self.host.start(&["run", "--once"])?;
        let come = async {
            match moment.at {
                Simulator::Source => {
                    let come = |world: &World| source(world) >= until;
                    self.virustotal.until("the moment", come).await
                }
                Simulator::Platform => {
                    let come = |it: &opencti::Platform| platform(it) >= until;
                    self.platform.until("the moment", come).await
                }
            }
        };
        let Some(finished) = running.kill_at(come).await? else {
            return Ok(None);
        };
        successful(&finished)?;
        Ok(Some(seen() - begun))
    }

    /// Lets the connector run to its end, with nothing but what the platform stored, and compares what is left.
    ///
    /// # Errors
    /// When it does not succeed, or leaves something else than a run without kills.
    pub async fn drain(&self) -> Result<()> {
        successful(&self.host.run_once().await?)?;
        self.platform.until_worker_caught_up().await?;
        self.check_so_far("at the end")?;
        ensure!(self.ledger.checked().1 > 0, "no state was ever stored");
        let left = objects(&self.platform);
        let ids = |objects: &BTreeMap<String, _>| objects.keys().cloned().collect::<BTreeSet<_>>();
        let (wanted, found) = (ids(&self.expected.objects), ids(&left));
        let missing: Vec<_> = wanted.difference(&found).collect();
        let surplus: Vec<_> = found.difference(&wanted).collect();
        ensure!(
            missing.is_empty() && surplus.is_empty(),
            "missing {missing:?}, too many {surplus:?}"
        );
        self.check_folder()?;
        for (id, object) in &self.expected.objects {
            ensure!(
                without_order(&left[id]) == without_order(object),
                "a run without kills leaves\n{object}\nand this one\n{}",
                left[id]
            );
        }
        Ok(())
    }

    /// Checks that every notification that was delivered is removed at the source, but for those whose file could not be
    /// copied. That no other is, was checked with each removal.
    ///
    /// # Errors
    /// Names those that are left.
    pub fn check_removed(&self) -> Result<()> {
        let wanted = self.expected.dates();
        let state: Value = serde_json::from_str(&self.platform.state().unwrap_or_default())?;
        let failed = state["failed"].as_array().into_iter().flatten();
        let failed: BTreeSet<&str> = failed.filter_map(|it| it["id"].as_str()).collect();
        let left: Vec<String> = self.virustotal.read(|world| {
            let delivered = world.notifications.iter();
            let left = delivered.filter(|it| wanted.contains(&it.date));
            let left = left.filter(|it| !failed.contains(it.id.as_str()));
            left.map(|it| it.id.clone()).collect()
        });
        ensure!(left.is_empty(), "delivered and not removed: {left:?}");
        Ok(())
    }

    /// What was checked, for the eyes.
    #[must_use]
    pub fn summary(&self) -> String {
        let (removals, states) = self.ledger.checked();
        let registrations = self.platform.read(|platform| {
            let connectors = platform.connectors.values();
            connectors.map(|it| it.registrations).sum::<usize>()
        });
        format!(
            "{registrations} starts, {} objects in {} messages, {states} states and {removals} removals checked",
            self.expected.objects.len(),
            self.platform.read(|platform| platform.deliveries.len()),
        )
    }

    /// The second sink has what the first has, apart from files, which only the platform takes.
    fn check_folder(&self) -> Result<()> {
        let mut written = BTreeSet::new();
        for entry in std::fs::read_dir(self.folder.path())? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let file: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
                let objects = file["bundle"]["objects"].as_array().into_iter().flatten();
                written.extend(objects.filter_map(|it| it["id"].as_str().map(str::to_owned)));
            }
        }
        let wanted = self.expected.objects.keys();
        let missing: Vec<_> = wanted
            .filter(|id| !id.starts_with("artifact--") && !written.contains(*id))
            .collect();
        ensure!(missing.is_empty(), "missing in the directory: {missing:?}");
        Ok(())
    }

    fn check_so_far(&self, when: &str) -> Result<()> {
        let violations = self.ledger.violations();
        ensure!(violations.is_empty(), "{when}: {}", violations.join("\n"));
        let problems = self.platform.validity_problems();
        ensure!(problems.is_empty(), "{when}: {}", problems.join("\n"));
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Simulator {
    Source,
    Platform,
}

/// When a simulator has seen so many requests of a process.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Simulator,
    requests: usize,
}

/// Random moments.
struct Moments {
    random: Random,
    /// Requests that a whole run sends, about: to the source, to the platform.
    of_a_run: (usize, usize),
}

impl Moments {
    /// Begins with more requests than most runs send, and learns from those that end by themselves.
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            of_a_run: (30, 30),
        }
    }

    fn next(&mut self) -> Moment {
        let (at, of_a_run) = if self.random.chance(50) {
            (Simulator::Source, self.of_a_run.0)
        } else {
            (Simulator::Platform, self.of_a_run.1)
        };
        let requests = 1 + self.random.index(of_a_run);
        Moment { at, requests }
    }

    fn learn(&mut self, moment: Moment, requests: usize) {
        match moment.at {
            Simulator::Source => self.of_a_run.0 = requests,
            Simulator::Platform => self.of_a_run.1 = requests,
        }
    }
}

/// What a run without kills delivers.
///
/// # Errors
/// When it does not succeed.
pub async fn expected(world: &World, options: &opencti::Options, setup: Setup) -> Result<Expected> {
    let (virustotal, platform) = simulators(renewed(world), options).await?;
    let host = setup(connector(&virustotal, &platform)?);
    successful(&host.run_once().await?).context("the run without kills")?;
    platform.until_worker_caught_up().await?;
    let expected = Expected::of(&platform);
    platform.stop().await?;
    expected
}

/// Compiled guests are kept for the next start, which only saves time.
fn connector(virustotal: &virustotal::Server, platform: &opencti::Server) -> Result<Host> {
    let cache = program()?.with_file_name("compiled-guests");
    Ok(Host::new(virustotal, platform)?
        .variable("CONNECTOR_GUEST_CACHE", cache.display().to_string()))
}

async fn simulators(
    world: World,
    options: &opencti::Options,
) -> Result<(virustotal::Server, opencti::Server)> {
    Ok((
        virustotal::Server::start(world).await?,
        opencti::Server::start(options.clone()).await?,
    ))
}

/// The same source, as nobody has ever asked it.
fn renewed(world: &World) -> World {
    let mut copy = World::new();
    copy.notifications.clone_from(&world.notifications);
    copy.rulesets.clone_from(&world.rulesets);
    copy.files.clone_from(&world.files);
    copy
}

/// Which of several values came first is not looked at, nor the score of a file: with a second sink the platform is not
/// asked what it holds, so that the last score counts there, and in a batch the highest.
fn without_order(object: &Value) -> Value {
    let mut object = object.clone();
    object["x_opencti_score"] = Value::Null;
    let values = object
        .as_object_mut()
        .into_iter()
        .flat_map(|it| it.values_mut());
    for values in values.filter_map(Value::as_array_mut) {
        values.sort_by_key(Value::to_string);
    }
    object
}

fn successful(finished: &Finished) -> Result<()> {
    // A file that VirusTotal does not have is told by the exit code, too.
    let goes_on = finished.summary().contains("files not copied")
        && !finished.summary().contains("stopped by an error");
    if !finished.success && !goes_on {
        bail!("the connector failed:\n{}", finished.log);
    }
    Ok(())
}
