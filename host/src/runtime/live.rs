//! The guest at work, and the one before it, which takes over again where its successor fails.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::guest_source::Digest;

use super::guest::Guest;
use super::pool::Pool;
use super::rehearsal::{Case, Ring};

/// Failures in a row, on items that the guest before manages, after which that one takes over again.
const FAILURES_IN_A_ROW: u32 = 3;

/// Changes that are remembered.
const CHANGES: usize = 20;

/// Which guest decides. Cheap to clone.
#[derive(Clone)]
pub struct Live(Arc<Shared>);

struct Shared {
    shift: ArcSwap<Shift>,
    recent: Mutex<Ring>,
    records: Mutex<Records>,
}

#[derive(Default)]
struct Records {
    changes: VecDeque<Change>,
    counts: BTreeMap<&'static str, u64>,
    /// Digests of guests that were rolled back: never taken again in this process.
    quarantined: HashSet<Digest>,
}

/// One guest's time at work.
pub struct Shift {
    /// The guest, with its settings.
    pub pool: Pool,
    /// The guest before, until the next takes over.
    pub before: Option<Pool>,
    failures: AtomicU32,
}

/// What happened to guests.
#[derive(Debug, Clone)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Name, version or origin of the guest that came, or did not.
    pub guest: String,
    /// Its digest, where it is known.
    pub digest: Option<Digest>,
    /// What happened to it.
    pub event: ChangeEvent,
}

/// What happened to a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeEvent {
    /// It went to work.
    TookOver,
    /// It was not taken, for this reason.
    Refused(String),
    /// It failed at work, for this reason, and the guest before took over again.
    RolledBack(String),
}

impl ChangeEvent {
    /// As metrics and status name it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::TookOver => "took_over",
            Self::Refused(_) => "refused",
            Self::RolledBack(_) => "rolled_back",
        }
    }

    /// Why, where there is a reason.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::TookOver => None,
            Self::Refused(reason) | Self::RolledBack(reason) => Some(reason),
        }
    }
}

impl Live {
    /// The first guest of the process.
    #[must_use]
    pub fn new(pool: Pool) -> Self {
        let live = Self(Arc::new(Shared {
            shift: ArcSwap::from_pointee(Shift::new(pool.clone(), None)),
            recent: Mutex::default(),
            records: Mutex::default(),
        }));
        live.record(pool.guest(), ChangeEvent::TookOver);
        live
    }

    /// Who is at work now. Whoever decides on an item keeps to one shift.
    #[must_use]
    pub fn shift(&self) -> Arc<Shift> {
        self.0.shift.load_full()
    }

    /// Puts another guest to work, with the present one to fall back on.
    pub fn replace(&self, pool: Pool) {
        let before = self.shift().pool.clone();
        self.record(pool.guest(), ChangeEvent::TookOver);
        before.rest();
        self.0.shift.store(Arc::new(Shift::new(pool, Some(before))));
    }

    /// Notes that a guest was not taken.
    pub fn note_refusal(&self, guest: String, digest: Option<Digest>, reason: String) {
        self.push(Change {
            at: Timestamp::now(),
            guest,
            digest,
            event: ChangeEvent::Refused(reason),
        });
    }

    /// Notes that the guest of a shift decided.
    pub fn note_success(&self, shift: &Shift) {
        shift.failures.store(0, Ordering::Relaxed);
    }

    /// Notes that the guest of a shift failed where the guest before did not. Says whether that one took over
    /// again.
    pub fn note_failure(&self, shift: &Arc<Shift>, reason: &str) -> bool {
        let failures = shift.failures.fetch_add(1, Ordering::Relaxed) + 1;
        let Some(before) = shift
            .before
            .as_ref()
            .filter(|_| failures >= FAILURES_IN_A_ROW)
        else {
            return false;
        };
        let mut records = self.records();
        let current = self.0.shift.load();
        if !Arc::ptr_eq(&current, shift) {
            return false;
        }
        let guest = shift.pool.guest();
        records.quarantined.insert(guest.digest());
        shift.pool.rest();
        before.wake();
        self.0
            .shift
            .store(Arc::new(Shift::new(before.clone(), None)));
        drop(records);
        self.record(guest, ChangeEvent::RolledBack(reason.to_owned()));
        true
    }

    /// Whether a guest with this digest was rolled back.
    #[must_use]
    pub fn is_quarantined(&self, digest: Digest) -> bool {
        self.records().quarantined.contains(&digest)
    }

    /// Remembers an item for rehearsals.
    pub fn remember(&self, case: Case) {
        lock(&self.0.recent).push(case);
    }

    /// The last items that were decided on.
    #[must_use]
    pub fn recent(&self) -> Vec<Case> {
        lock(&self.0.recent).cases()
    }

    /// What happened to guests, oldest first.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        self.records().changes.iter().cloned().collect()
    }

    /// How often each event happened, by its name.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.records().counts.clone()
    }

    fn record(&self, guest: &Guest, event: ChangeEvent) {
        self.push(Change {
            at: Timestamp::now(),
            guest: guest.to_string(),
            digest: Some(guest.digest()),
            event,
        });
    }

    fn push(&self, change: Change) {
        let mut records = self.records();
        *records.counts.entry(change.event.name()).or_default() += 1;
        records.changes.push_back(change);
        if records.changes.len() > CHANGES {
            records.changes.pop_front();
        }
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        lock(&self.0.records)
    }
}

impl Shift {
    fn new(pool: Pool, before: Option<Pool>) -> Self {
        Self {
            pool,
            before,
            failures: AtomicU32::new(0),
        }
    }
}

/// What is kept is whole after any panic: the locks are held for single steps only.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
