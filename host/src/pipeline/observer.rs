//! Who watches runs.

use jiff::Timestamp;

use super::report::Report;
use crate::virustotal::Subject;

/// Who watches runs. Nothing that it does is waited for long: a run goes on when it returns.
pub trait Observer: Sync {
    /// A run begins.
    fn begun(&self, _at: Timestamp) {}
    /// The counts have grown.
    fn progress(&self, _report: &Report) {}
    /// It is clear for good what became of a notification: what is delivered has been confirmed.
    fn settled(&self, _notification: &Settled<'_>) {}
    /// A run has ended.
    fn ended(&self, _report: &Report) {}
    /// Whether the subjects of notifications are wanted, which costs a look into each.
    fn wants_subjects(&self) -> bool {
        false
    }
}

/// Nobody.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {}

/// All of them.
impl Observer for Vec<Box<dyn Observer + '_>> {
    fn begun(&self, at: Timestamp) {
        self.iter().for_each(|it| it.begun(at));
    }

    fn progress(&self, report: &Report) {
        self.iter().for_each(|it| it.progress(report));
    }

    fn settled(&self, notification: &Settled<'_>) {
        self.iter().for_each(|it| it.settled(notification));
    }

    fn ended(&self, report: &Report) {
        self.iter().for_each(|it| it.ended(report));
    }

    fn wants_subjects(&self) -> bool {
        self.iter().any(|it| it.wants_subjects())
    }
}

/// A notification that is done.
#[derive(Debug, Clone, Copy)]
pub struct Settled<'a> {
    /// Its id; the beginning of an element that has none.
    pub id: &'a str,
    /// When the source reported it, in seconds since the epoch; 0 where it did not say.
    pub observed: u64,
    /// What it is about, where [`Observer::wants_subjects`].
    pub subject: Option<&'a Subject>,
    /// What became of it.
    pub fate: &'a Fate,
}

/// What became of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// A filter did not want it.
    Skipped {
        /// Name of the filter.
        filter: String,
        /// Words for the user.
        reason: String,
    },
    /// It could not be mapped.
    Failed(String),
    /// Every sink has its objects, but a file that belongs to it could not be copied.
    Incomplete(String),
    /// The source does not have it any more.
    Gone,
    /// Every sink has its objects.
    Delivered {
        /// Whether it is to be removed at the source.
        acknowledge: bool,
    },
}
