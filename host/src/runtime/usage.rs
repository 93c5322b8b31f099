//! What a guest has used so far.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Counts of one guest, over all its instances.
#[derive(Debug, Default)]
pub struct Usage {
    instances: AtomicU64,
    calls: AtomicU64,
    traps: AtomicU64,
    nanoseconds: AtomicU64,
    memory: AtomicUsize,
}

impl Usage {
    pub(super) fn count_instance(&self) {
        self.instances.fetch_add(1, Relaxed);
    }

    /// `memory` is the instance's, in bytes.
    pub(super) fn count_call(&self, took: Duration, memory: usize) {
        self.calls.fetch_add(1, Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
        self.memory.fetch_max(memory, Relaxed);
    }

    pub(super) fn count_trap(&self) {
        self.traps.fetch_add(1, Relaxed);
    }

    /// Instances that were made.
    #[must_use]
    pub fn instances(&self) -> u64 {
        self.instances.load(Relaxed)
    }

    /// Calls of its functions.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Relaxed)
    }

    /// Calls that trapped or hit a limit.
    #[must_use]
    pub fn traps(&self) -> u64 {
        self.traps.load(Relaxed)
    }

    /// Time in calls, arguments and results carried over included.
    #[must_use]
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Relaxed))
    }

    /// Largest linear memory of an instance, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.memory.load(Relaxed)
    }
}
