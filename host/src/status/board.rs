//! What is remembered of runs, for who looks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::latency;
use super::quota::{Quota, Told};
use crate::config::Settings;
use crate::date::timestamp;
use crate::opencti::{self, KeeperView, Pings};
use crate::pipeline::{End, Fate, Observer, Report, Settled};
use crate::runtime::Live;
use crate::state::State;
use crate::telemetry::Troubles;
use crate::virustotal;

/// Runs that are remembered.
const RUNS: usize = 20;

/// Notifications that are remembered.
const NOTIFICATIONS: usize = 50;

/// Characters of an id: an element without one is told by all its bytes.
const LONGEST_ID: usize = 128;

/// A ping that is older says that the platform is not reached: two in a row were missed.
const FRESH: SignedDuration =
    SignedDuration::from_secs(3 * opencti::PING_INTERVAL.as_secs() as i64);

/// What runs did, and whom to ask about the rest. Clones share it.
#[derive(Clone)]
pub struct Board(Arc<Shared>);

struct Shared {
    started: Timestamp,
    connector: Connector,
    guests: Live,
    troubles: Troubles,
    stop: CancellationToken,
    peers: OnceLock<Peers>,
    quotas: Told,
    record: Mutex<Record>,
}

/// Who this connector is.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) platform: String,
    pub(super) queue_threshold: f64,
}

/// Both sides, once the platform knows the connector.
pub struct Peers {
    /// The keeper of the state.
    pub keeper: KeeperView,
    /// The platform.
    pub platform: opencti::Client,
    /// The source.
    pub source: virustotal::Client,
}

/// What happened so far.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// When what goes on now began.
    pub(super) since: Timestamp,
    /// The run under way.
    pub(super) current: Option<Run>,
    /// Oldest first.
    pub(super) runs: VecDeque<Run>,
    pub(super) totals: Totals,
    /// Newest first.
    pub(super) notifications: VecDeque<Notification>,
    /// Up to when all that the source had reported was delivered.
    pub(super) caught_up: Option<Timestamp>,
}

/// A run, and what it did so far.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) begun: Timestamp,
    pub(super) report: Report,
}

/// What all runs of this process did.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    pub(super) runs: u64,
    pub(super) runs_failed: u64,
    pub(super) report: Report,
}

/// A notification that is done.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Notification {
    id: String,
    date: Option<Timestamp>,
    settled: Timestamp,
    outcome: &'static str,
    filter: Option<String>,
    reason: Option<String>,
    object: Option<String>,
    link: Option<String>,
}

/// What the connector is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Activity {
    #[serde(rename = "waiting for the platform")]
    Waiting,
    Running,
    Idle,
    #[serde(rename = "held back")]
    HeldBack,
    Stopping,
}

impl Board {
    /// Of a connector that has done nothing yet.
    #[must_use]
    pub fn new(
        settings: &Settings,
        guests: Live,
        troubles: Troubles,
        stop: CancellationToken,
    ) -> Self {
        let now = Timestamp::now();
        Self(Arc::new(Shared {
            started: now,
            connector: Connector {
                id: settings.connector.id.clone(),
                name: settings.connector.name.clone(),
                platform: settings.opencti.url.to_string(),
                queue_threshold: settings.connector.queue_threshold,
            },
            guests,
            troubles,
            stop,
            peers: OnceLock::new(),
            quotas: Told::default(),
            record: Mutex::new(Record::new(now)),
        }))
    }

    /// The platform knows the connector. From here on the quota is asked for, too.
    pub fn connected(&self, peers: Peers) {
        let quotas = self.0.quotas.clone();
        tokio::spawn(quotas.keep_asking(peers.source.clone(), self.0.stop.clone()));
        // There is one platform in the life of a process.
        let _ = self.0.peers.set(peers);
        self.lock().since = Timestamp::now();
    }

    pub(super) fn started(&self) -> Timestamp {
        self.0.started
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.0.connector
    }

    pub(super) fn guests(&self) -> &Live {
        &self.0.guests
    }

    pub(super) fn troubles(&self) -> &Troubles {
        &self.0.troubles
    }

    pub(super) fn peers(&self) -> Option<&Peers> {
        self.0.peers.get()
    }

    pub(super) fn quotas(&self) -> Vec<Quota> {
        self.0.quotas.latest()
    }

    pub(super) fn record(&self) -> Record {
        self.lock().clone()
    }

    pub(super) fn activity(&self, record: &Record) -> Activity {
        let held_back = || self.peers().is_some_and(|it| it.keeper.info().buffering);
        match self.peers() {
            _ if self.0.stop.is_cancelled() => Activity::Stopping,
            None => Activity::Waiting,
            Some(_) if record.current.is_some() => Activity::Running,
            Some(_) if held_back() => Activity::HeldBack,
            Some(_) => Activity::Idle,
        }
    }

    pub(super) fn pings(&self) -> Pings {
        self.peers()
            .map(|peers| peers.keeper.pings())
            .unwrap_or_default()
    }

    /// Why the connector is not at work, if it is not.
    pub(super) fn unready(&self, now: Timestamp) -> Option<String> {
        if self.peers().is_none() {
            return Some("OpenCTI does not know the connector yet".to_owned());
        }
        match self.pings().last {
            None => Some("OpenCTI has taken no ping yet".to_owned()),
            Some(last) if now.duration_since(last) > FRESH => {
                let seconds = now.duration_since(last).as_secs();
                Some(format!("OpenCTI took the last ping {seconds} s ago"))
            }
            Some(_) => None,
        }
    }

    /// The state as the platform keeps it, where there is one that can be read.
    pub(super) fn state(&self) -> Option<State> {
        let stored = self.peers()?.keeper.state()?;
        State::parse(&stored).ok().flatten()
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        // Nothing can panic while it is held; a poisoned lock would still hold sound values.
        self.0.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn new(since: Timestamp) -> Self {
        Self {
            since,
            current: None,
            runs: VecDeque::new(),
            totals: Totals::default(),
            notifications: VecDeque::new(),
            caught_up: None,
        }
    }

    /// Seconds since when not all that the source reported may be delivered: since the last run that read it all, or
    /// since the date of the last notification that is done.
    pub(super) fn lag(&self, state: Option<&State>, now: Timestamp) -> Option<u64> {
        let checkpoint = state.and_then(|state| timestamp(state.checkpoint_date()));
        let done = self.caught_up.max(checkpoint)?;
        Some(u64::try_from(now.duration_since(done).as_secs()).unwrap_or_default())
    }

    /// What all runs did, the one under way included.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = self.totals.clone();
        if let Some(run) = &self.current {
            totals.report.add(&run.report);
        }
        totals
    }
}

impl Observer for Board {
    fn begun(&self, at: Timestamp) {
        let mut record = self.lock();
        record.since = at;
        record.current = Some(Run {
            begun: at,
            report: Report::default(),
        });
    }

    fn progress(&self, report: &Report) {
        if let Some(run) = &mut self.lock().current {
            run.report = report.clone();
        }
    }

    fn settled(&self, settled: &Settled<'_>) {
        let notification = Notification::of(settled);
        if let (Fate::Delivered { .. }, Some(date)) = (settled.fate, notification.date) {
            latency::record(notification.settled.duration_since(date));
        }
        let mut record = self.lock();
        record.notifications.truncate(NOTIFICATIONS - 1);
        record.notifications.push_front(notification);
    }

    fn ended(&self, report: &Report) {
        let mut record = self.lock();
        record.since = Timestamp::now();
        let Some(Run { begun, .. }) = record.current.take() else {
            return;
        };
        record.totals.runs += 1;
        record.totals.runs_failed += u64::from(report.is_failed());
        record.totals.report.add(report);
        if report.end == End::Drained {
            record.caught_up = Some(begun);
        }
        if record.runs.len() == RUNS {
            record.runs.pop_front();
        }
        let report = report.clone();
        record.runs.push_back(Run { begun, report });
    }

    fn wants_subjects(&self) -> bool {
        true
    }
}

impl Notification {
    fn of(settled: &Settled<'_>) -> Self {
        let (outcome, filter, reason) = match settled.fate {
            Fate::Delivered { .. } => ("delivered", None, None),
            Fate::Skipped { filter, reason } => ("skipped", Some(filter), Some(reason)),
            Fate::Failed(reason) | Fate::Incomplete(reason) => ("failed", None, Some(reason)),
            Fate::Gone => ("gone", None, None),
        };
        Self {
            id: settled.id.chars().take(LONGEST_ID).collect(),
            date: timestamp(settled.observed),
            settled: Timestamp::now(),
            outcome,
            filter: filter.cloned(),
            reason: reason.cloned(),
            object: settled.subject.map(|it| it.id.clone()),
            link: settled.subject.and_then(|it| it.link.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lags_since_the_later_of_what_was_read_and_what_is_done() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        for (caught_up, checkpoint, expected) in [
            (None, None, None),
            (None, Some(400), Some(600)),
            (Some(at(900)), None, Some(100)),
            (Some(at(900)), Some(400), Some(100)),
            (Some(at(300)), Some(400), Some(600)),
            // A clock that was set back.
            (Some(at(2_000)), Some(400), Some(0)),
        ] {
            let record = Record {
                caught_up,
                ..Record::new(at(0))
            };
            let state = checkpoint.map(State::starting_at);
            assert_eq!(record.lag(state.as_ref(), at(1_000)), expected);
        }
    }
}
