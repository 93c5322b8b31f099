//! How much was asked of VirusTotal.

use std::sync::atomic::{AtomicU64, Ordering};

/// What one run asked of VirusTotal.
///
/// Each number but `retries` and `cache_hits` counts the first try of a request that the key pays for.
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
}

impl Counters {
    pub(super) fn snapshot(&self) -> Requests {
        self.each(|counter| counter.load(Ordering::Relaxed))
    }

    pub(super) fn reset(&self) {
        self.each(|counter| counter.swap(0, Ordering::Relaxed));
    }

    fn each(&self, read: impl Fn(&AtomicU64) -> u64) -> Requests {
        Requests {
            pages: read(&self.pages),
            lookups: read(&self.lookups),
            downloads: read(&self.downloads),
            removals: read(&self.removals),
            retries: read(&self.retries),
            cache_hits: read(&self.cache_hits),
        }
    }
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
