//! How far a run is, in the log: when its first batch is done, and now and then after that.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::pipeline::{Observer, Report};

/// Time between two lines about one run.
const TIME_A_LINE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Steps {
    /// When the last line about the run was written.
    told: Mutex<Option<Instant>>,
}

impl Observer for Steps {
    fn begun(&self, _: Timestamp) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn progress(&self, report: &Report) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if report.done() == 0 || told.is_some_and(|told| told.elapsed() < TIME_A_LINE) {
            return;
        }
        *told = Some(Instant::now());
        tracing::info!(
            read = report.read,
            skipped = report.skipped_in_all(),
            delivered = report.delivered,
            failed = report.failed,
            "the run goes on"
        );
    }
}
