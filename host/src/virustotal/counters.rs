//! How much was asked of VirusTotal.

use std::ops::Sub;
use std::sync::atomic::{AtomicU64, Ordering};

/// What was asked of VirusTotal.
///
/// Each number but `retries`, `cache_hits` and `errors` counts the first try of a request that the key pays for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Pages of the feed.
    pub pages: u64,
    /// Objects looked up.
    pub lookups: u64,
    /// Signed URLs, each of which counts as a download.
    pub downloads: u64,
    /// Notifications removed.
    pub removals: u64,
    /// Tries after the first, of all the above and of the storage host.
    pub retries: u64,
    /// Lookups that needed no request.
    pub cache_hits: u64,
    /// Tries that had no success; that VirusTotal does not know an object is an answer.
    pub errors: u64,
}

impl Sub for Requests {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            pages: self.pages - before.pages,
            lookups: self.lookups - before.lookups,
            downloads: self.downloads - before.downloads,
            removals: self.removals - before.removals,
            retries: self.retries - before.retries,
            cache_hits: self.cache_hits - before.cache_hits,
            errors: self.errors - before.errors,
        }
    }
}

impl Requests {
    /// All requests that the key pays for, tries after the first included.
    #[must_use]
    pub fn in_all(&self) -> u64 {
        self.pages + self.lookups + self.downloads + self.removals + self.retries
    }
}

/// The numbers while they grow.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) pages: AtomicU64,
    pub(super) lookups: AtomicU64,
    pub(super) downloads: AtomicU64,
    pub(super) removals: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) cache_hits: AtomicU64,
    pub(super) errors: AtomicU64,
}

impl Counters {
    pub(super) fn snapshot(&self) -> Requests {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Requests {
            pages: read(&self.pages),
            lookups: read(&self.lookups),
            downloads: read(&self.downloads),
            removals: read(&self.removals),
            retries: read(&self.retries),
            cache_hits: read(&self.cache_hits),
            errors: read(&self.errors),
        }
    }
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
