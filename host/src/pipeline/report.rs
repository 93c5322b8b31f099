//! What a run did, in numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::virustotal::Requests;

/// Why a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// All that the source had was read.
    Drained,
    /// The limit of notifications a run was reached; the next run goes on behind them.
    Limit,
    /// The source's quota is used up; the next run goes on where this one stopped.
    Quota,
    /// The process was asked to stop.
    Shutdown,
    /// Somebody reset the connector's state on the platform: what this run did counts for nothing.
    Reset,
    /// Something does not work; the next run goes on where this one stopped.
    Error(String),
}

/// Counts of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Notifications read that were not done before.
    pub read: u64,
    /// From when it reads, in seconds since the epoch.
    pub read_from: u64,
    /// Latest date, by the source, of what was decided on; 0 before the first.
    pub decided_to: u64,
    /// Latest date of what is done: delivered, or known to need no delivery; 0 before the first.
    pub done_to: u64,
    /// Notifications that a filter did not want, by the filter's name.
    pub skipped: BTreeMap<String, u64>,
    /// Notifications whose objects were delivered.
    pub delivered: u64,
    /// Notifications that could not be mapped.
    pub failed: u64,
    /// Failed notifications that fell off the full list of failures, so that nobody tries them again.
    pub forgotten: u64,
    /// Failed notifications that the source does not have any more.
    pub gone: u64,
    /// STIX objects delivered, by type, each counted once a bundle.
    pub objects: BTreeMap<String, u64>,
    /// Bundles delivered.
    pub bundles: u64,
    /// Files copied to the platform.
    pub artifacts: u64,
    /// Files that could not be copied.
    pub artifacts_failed: u64,
    /// Objects that the platform refused, of this run and of earlier ones, as far as the run has learned of them.
    pub refused: u64,
    /// Notifications removed at the source.
    pub removed: u64,
    /// Requests to the source.
    pub source_requests: Requests,
    /// Requests to the platform.
    pub platform_requests: u64,
    /// Time from begin to end.
    pub duration: Duration,
    /// Why it ended.
    pub end: End,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            read: 0,
            read_from: 0,
            decided_to: 0,
            done_to: 0,
            skipped: BTreeMap::new(),
            delivered: 0,
            failed: 0,
            forgotten: 0,
            gone: 0,
            objects: BTreeMap::new(),
            bundles: 0,
            artifacts: 0,
            artifacts_failed: 0,
            refused: 0,
            removed: 0,
            source_requests: Requests::default(),
            platform_requests: 0,
            duration: Duration::ZERO,
            end: End::Drained,
        }
    }
}

impl Report {
    /// Notifications that some filter did not want.
    #[must_use]
    pub fn skipped_in_all(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// Notifications decided on: skipped, delivered, failed or gone.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.skipped_in_all() + self.delivered + self.failed + self.gone
    }

    /// Whether the run was ended by something that does not work.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self.end, End::Error(_))
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Self) {
        for (sums, counts) in [
            (&mut self.skipped, &other.skipped),
            (&mut self.objects, &other.objects),
        ] {
            for (name, count) in counts {
                *sums.entry(name.clone()).or_default() += count;
            }
        }
        self.read += other.read;
        self.decided_to = self.decided_to.max(other.decided_to);
        self.done_to = self.done_to.max(other.done_to);
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.forgotten += other.forgotten;
        self.gone += other.gone;
        self.bundles += other.bundles;
        self.artifacts += other.artifacts;
        self.artifacts_failed += other.artifacts_failed;
        self.refused += other.refused;
        self.removed += other.removed;
    }

    pub(super) fn count_skip(&mut self, filter: &str) {
        count(&mut self.skipped, filter);
    }

    pub(super) fn count_object(&mut self, id: &str) {
        let kind = id.split_once("--").map_or(id, |(kind, _)| kind);
        count(&mut self.objects, kind);
    }

    /// One line for the log and for the work.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = format!(
            "{} notifications read: {} delivered",
            self.read, self.delivered
        );
        let skipped = self.skipped_in_all();
        if skipped > 0 {
            let filters: Vec<_> = self
                .skipped
                .iter()
                .map(|(filter, count)| format!("{filter} {count}"))
                .collect();
            text += &format!(", {skipped} skipped ({})", filters.join(", "));
        }
        for (count, what) in [
            (self.failed, "failed"),
            (self.gone, "gone at the source"),
            (self.forgotten, "older failures forgotten"),
            (self.artifacts, "files copied"),
            (self.artifacts_failed, "files not copied"),
            (self.removed, "removed at the source"),
            (self.refused, "objects refused by OpenCTI"),
        ] {
            if count > 0 {
                text += &format!(", {count} {what}");
            }
        }
        text + &match &self.end {
            End::Drained => String::new(),
            End::Limit => "; stopped at the limit of a run".to_owned(),
            End::Quota => "; stopped because the source's quota is used up".to_owned(),
            End::Shutdown => "; stopped on request".to_owned(),
            End::Reset => "; stopped because the state was reset on the platform".to_owned(),
            End::Error(error) => format!("; stopped by an error: {error}"),
        }
    }
}

/// Counts under a name that a guest gave: one that invents names fills neither memory nor the log.
fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    const NAMES: usize = 50;
    const OTHERS: &str = "others";
    let is_room = counts.len() < NAMES || counts.contains_key(name);
    let name = if is_room { name } else { OTHERS };
    *counts.entry(name.to_owned()).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_happened_and_nothing_else() {
        let mut report = Report {
            read: 5,
            delivered: 2,
            ..Report::default()
        };
        assert_eq!(report.summary(), "5 notifications read: 2 delivered");
        report.count_skip("size");
        report.count_skip("size");
        report.count_skip("age");
        report.end = End::Quota;
        assert_eq!(
            report.summary(),
            "5 notifications read: 2 delivered, 3 skipped (age 1, size 2); \
             stopped because the source's quota is used up"
        );
        assert_eq!(report.done(), 5);
    }
}
