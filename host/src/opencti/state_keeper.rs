//! Keeps the connector alive on the platform, and its state there (protocol section 4).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::client::{Client, Retry};
use super::error::Error;
use super::operations::{PING, Variant};
use super::registration::Registration;
use super::reset::{Echo, ResetWatch};
use crate::config::Connector;

/// A connector counts as active on the platform for five minutes after a ping; pycti pings this often.
pub const PING_INTERVAL: Duration = Duration::from_secs(40);

/// Sent where there is no state, as pycti does: an empty text would look like a reset.
const NO_STATE: &str = "null";

/// Counts the resets in the user interface. A state belongs to the generation in which its run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Generation(u64);

/// What became of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Saved {
    /// The platform keeps it.
    Stored,
    /// The user reset the connector after the run of this state began. The state was dropped; a new run
    /// is to start from nothing.
    Reset,
}

/// What the user interface shows of the scheduler (since 6.2.12).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Info {
    /// One run, then the process ends.
    pub run_and_terminate: bool,
    /// Runs are held back because the queue is full.
    pub buffering: bool,
    /// Size of the queue at which runs are held back, in megabytes (10^6 bytes).
    pub queue_threshold: f64,
    /// Size of the queue, in megabytes (10^6 bytes), where it is known; else the platform is told 0, as by pycti.
    #[serde(serialize_with = "or_zero")]
    pub queue_messages_size: Option<f64>,
    /// Start of the next run.
    #[serde(rename = "next_run_datetime", serialize_with = "whole_seconds")]
    pub next_run: Option<jiff::Timestamp>,
    /// Start of the last run.
    #[serde(rename = "last_run_datetime", serialize_with = "whole_seconds")]
    pub last_run: Option<jiff::Timestamp>,
}

fn or_zero<S: Serializer>(size: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(size.unwrap_or_default())
}

fn whole_seconds<S: Serializer>(
    time: &Option<jiff::Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
        .serialize(serializer)
}

/// How the pings went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pings {
    /// Pings that were tried.
    pub sent: u64,
    /// Those that the platform did not take.
    pub failed: u64,
    /// When the platform last took one.
    pub last: Option<jiff::Timestamp>,
}

/// What others may know of a [`StateKeeper`].
#[derive(Debug, Clone)]
pub struct KeeperView(Arc<Shared>);

impl KeeperView {
    /// How the pings went so far.
    #[must_use]
    pub fn pings(&self) -> Pings {
        *lock(&self.0.pings)
    }

    /// What the user interface shows of the scheduler.
    #[must_use]
    pub fn info(&self) -> Info {
        lock(&self.0.info).clone()
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> Option<String> {
        lock(&self.0.state).clone()
    }
}

/// The owner of the connector's state. It pings the platform until it is dropped or stopped.
///
/// Nothing that the platform answers after the start replaces the own state; only a reset in the user
/// interface removes it.
#[derive(Debug)]
pub struct StateKeeper {
    shared: Arc<Shared>,
    pinging: Mutex<Option<tokio::task::JoinHandle<()>>>,
    stop: CancellationToken,
    _stop_when_dropped: DropGuard,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    connector: Connector,
    /// Held during a ping: answers are taken in the order of the pings.
    exchange: tokio::sync::Mutex<Exchange>,
    state: Mutex<Option<String>>,
    info: Mutex<Info>,
    pings: Mutex<Pings>,
    generation: watch::Sender<Generation>,
}

#[derive(Debug)]
struct Exchange {
    resets: ResetWatch,
    /// Whether the last ping failed: a streak of failures is logged once.
    failing: bool,
}

#[derive(Serialize)]
struct Variables<'a> {
    id: &'a str,
    state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Info>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    ping_connector: Pinged,
}

#[derive(Deserialize)]
struct Pinged {
    #[serde(default)]
    connector_state: Option<String>,
    #[serde(default)]
    connector_state_timestamp: Option<String>,
}

impl StateKeeper {
    /// Starts to ping, at once and then every 40 s. The state is that of the registration.
    #[must_use]
    pub fn start(client: Client, connector: Connector, registration: &Registration) -> Self {
        Self::start_with(client, connector, registration, PING_INTERVAL)
    }

    pub(super) fn start_with(
        client: Client,
        connector: Connector,
        registration: &Registration,
        interval: Duration,
    ) -> Self {
        let info = Info {
            run_and_terminate: connector.run_and_terminate,
            buffering: false,
            queue_threshold: connector.queue_threshold,
            queue_messages_size: None,
            next_run: None,
            last_run: None,
        };
        let shared = Arc::new(Shared {
            client,
            connector,
            exchange: tokio::sync::Mutex::new(Exchange {
                resets: ResetWatch::new(
                    registration.state_timestamp.clone(),
                    registration.state_is_reset,
                ),
                failing: false,
            }),
            state: Mutex::new(registration.state.clone()),
            info: Mutex::new(info),
            pings: Mutex::default(),
            generation: watch::Sender::new(Generation::default()),
        });
        let stop = CancellationToken::new();
        let pinging = tokio::spawn(ping_forever(shared.clone(), stop.clone(), interval));
        Self {
            shared,
            pinging: Mutex::new(Some(pinging)),
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
        }
    }

    /// What a run starts from: the state, and the generation that its states are to be saved with.
    #[must_use]
    pub fn current(&self) -> (Generation, Option<String>) {
        let state = lock(&self.shared.state);
        (*self.shared.generation.borrow(), state.clone())
    }

    /// Pushes a state to the platform at once. `generation` is that of the run's start.
    ///
    /// # Errors
    /// When the platform does not take it after retries. The state is kept all the same, and goes out with
    /// the next ping that succeeds.
    pub async fn save(&self, generation: Generation, state: String) -> Result<Saved, Error> {
        self.shared.save(generation, state).await
    }

    /// Changes when the user reset the connector: a new run is to start at once.
    #[must_use]
    pub fn resets(&self) -> watch::Receiver<Generation> {
        self.shared.generation.subscribe()
    }

    /// Changes what the user interface shows of the scheduler, with the next ping.
    pub fn set_info(&self, info: Info) {
        *lock(&self.shared.info) = info;
    }

    /// What the user interface shows of the scheduler.
    #[must_use]
    pub fn info(&self) -> Info {
        lock(&self.shared.info).clone()
    }

    /// What others may know.
    #[must_use]
    pub fn view(&self) -> KeeperView {
        KeeperView(Arc::clone(&self.shared))
    }

    /// Pings once, now: the platform learns the current [`Info`] and the keeper of a reset.
    ///
    /// # Errors
    /// When the platform does not take the ping after retries.
    pub async fn ping(&self) -> Result<(), Error> {
        let mut exchange = self.shared.exchange.lock().await;
        self.shared.ping(&mut exchange, Retry::Transient).await?;
        Ok(())
    }

    /// Stops to ping; a ping under way is given up.
    pub async fn stop(&self) {
        self.stop.cancel();
        let pinging = lock(&self.pinging).take();
        if let Some(pinging) = pinging
            && let Err(error) = pinging.await
        {
            tracing::error!(%error, "the task that pings OpenCTI ended badly");
        }
    }
}

async fn ping_forever(shared: Arc<Shared>, stop: CancellationToken, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let pings = async {
        loop {
            ticks.tick().await;
            let mut exchange = shared.exchange.lock().await;
            // The next tick is the retry, and the failure has been logged.
            let _ = shared.ping(&mut exchange, Retry::Never).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = pings => {}
    }
}

/// What a ping came to.
enum Pong {
    Reset,
    /// The state that the answer carries; it may lag behind the stored one.
    Echo(Option<String>),
}

impl Shared {
    async fn save(&self, generation: Generation, state: String) -> Result<Saved, Error> {
        let mut exchange = self.exchange.lock().await;
        {
            let mut own = lock(&self.state);
            if *self.generation.borrow() != generation {
                return Ok(Saved::Reset);
            }
            *own = Some(state.clone());
        }
        // The platform ignores the state of the first ping after a reset, also of a reset that was known
        // at registration. The second cannot be swallowed; what it echoes may be stale, and says nothing.
        for _ in 0..2 {
            match self.ping(&mut exchange, Retry::Transient).await? {
                Pong::Reset => return Ok(Saved::Reset),
                Pong::Echo(Some(echo)) if echo == state => break,
                Pong::Echo(_) => {}
            }
        }
        Ok(Saved::Stored)
    }

    async fn ping(&self, exchange: &mut Exchange, retry: Retry) -> Result<Pong, Error> {
        let result = self.ping_registered(exchange, retry).await;
        self.count_ping(result.is_ok());
        match &result {
            Err(error) if exchange.failing => tracing::debug!(%error, "another ping failed"),
            Err(error) => {
                tracing::warn!(%error, "cannot ping OpenCTI; it is tried again until it works")
            }
            Ok(_) if exchange.failing => tracing::info!("OpenCTI answers to pings again"),
            Ok(_) => {}
        }
        exchange.failing = result.is_err();
        let pinged = result?;
        let echo = Echo {
            state: pinged.connector_state.as_deref(),
            timestamp: pinged.connector_state_timestamp.as_deref(),
        };
        if exchange.resets.is_reset(echo) {
            self.forget();
            return Ok(Pong::Reset);
        }
        Ok(Pong::Echo(pinged.connector_state))
    }

    fn count_ping(&self, taken: bool) {
        let mut pings = lock(&self.pings);
        pings.sent += 1;
        if taken {
            pings.last = Some(jiff::Timestamp::now());
        } else {
            pings.failed += 1;
        }
    }

    /// Pings; where the platform has forgotten the connector, registers it again first. The own state
    /// stays: nobody asked to import everything again.
    async fn ping_registered(
        &self,
        exchange: &mut Exchange,
        retry: Retry,
    ) -> Result<Pinged, Error> {
        match self.send_ping(retry).await {
            Err(error) if error.is_unknown_connector() => {
                tracing::warn!(
                    "OpenCTI does not know this connector any more: it is registered again"
                );
                self.client.read_version().await?;
                let registration = self.client.register_with(&self.connector, retry).await?;
                exchange
                    .resets
                    .registered_again(registration.state_timestamp, registration.state_is_reset);
                self.send_ping(retry).await
            }
            result => result,
        }
    }

    async fn send_ping(&self, retry: Retry) -> Result<Pinged, Error> {
        let state = lock(&self.state).clone();
        let info = lock(&self.info).clone();
        let variables = |variant: &'static Variant| Variables {
            id: &self.connector.id,
            state: state.as_deref().unwrap_or(NO_STATE),
            info: (variant != oldest_ping()).then(|| info.clone()),
        };
        let answer: Answer = self.client.call(&PING, retry, variables).await?;
        Ok(answer.ping_connector)
    }

    /// The user reset the connector: the own state goes, and states of older runs are refused from now on.
    fn forget(&self) {
        let mut state = lock(&self.state);
        *state = None;
        self.generation.send_modify(|generation| generation.0 += 1);
        tracing::info!("the state was reset in OpenCTI: the next run starts from nothing");
    }
}

/// The variant of the ping without `connectorInfo`.
fn oldest_ping() -> &'static Variant {
    &PING.variants()[PING.variants().len() - 1]
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while one of these is held; a poisoned lock would still hold a sound value.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
