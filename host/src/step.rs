//! Where a run can be killed by a test.
//!
//! A process that is killed leaves what was done so far, at whichever step it was. With the feature `failpoints` the
//! variable `FAILPOINT` names a step and a time, `state-saved:2`: when that step is reached for the second time, the
//! process kills itself. Without the feature, reaching a step does nothing.

macro_rules! steps {
    ($($(#[$documentation:meta])* $step:ident = $name:literal,)*) => {
        /// A step of a run that has just been done. They stand in the order of a run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Step {
            $($(#[$documentation])* $step,)*
        }

        impl Step {
            /// Every step.
            pub const ALL: &[Self] = &[$(Self::$step,)*];

            /// The step's name in `FAILPOINT`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$step => $name,)*
                }
            }
        }
    };
}

steps! {
    /// A page of the feed was read.
    PageRead = "page-read",
    /// The guest decided on an item.
    Decided = "decided",
    /// Author and markings were sent ahead of the first file.
    AuthorSent = "author-sent",
    /// A file was copied to the platform.
    FileCopied = "file-copied",
    /// A batch is ready, and nothing of it has been sent.
    BatchReady = "batch-ready",
    /// The objects of a batch were announced on the work.
    ObjectsAnnounced = "objects-announced",
    /// All messages of a batch are on their way to the broker, which has confirmed none.
    BatchPublished = "batch-published",
    /// A sink has the batch for good; others may follow.
    SinkServed = "sink-served",
    /// Every sink has the batch for good.
    BatchDelivered = "batch-delivered",
    /// The state has moved over the batch, in memory.
    StateMarked = "state-marked",
    /// The platform has the state.
    StateSaved = "state-saved",
    /// A notification was removed at the source.
    NotificationRemoved = "notification-removed",
    /// The work was closed.
    WorkClosed = "work-closed",
}

impl Step {
    /// Kills the process, where `FAILPOINT` says so.
    #[cfg(feature = "failpoints")]
    pub(crate) fn reached(self) {
        use std::sync::atomic::{AtomicU32, Ordering};
        static TIMES: AtomicU32 = AtomicU32::new(0);
        let Ok(failpoint) = std::env::var("FAILPOINT") else {
            return;
        };
        let Some((name, time)) = failpoint.split_once(':') else {
            return;
        };
        if name == self.name() {
            let times = TIMES.fetch_add(1, Ordering::Relaxed) + 1;
            if time == times.to_string() {
                kill();
            }
        }
    }

    /// Nothing without the feature `failpoints`.
    #[cfg(not(feature = "failpoints"))]
    pub(crate) const fn reached(self) {}
}

/// Not `abort`: that is another signal, which may write a core file.
#[cfg(feature = "failpoints")]
fn kill() {
    use rustix::process::{Signal, getpid, kill_process};
    // Fails only for a process that is not there.
    let _ = kill_process(getpid(), Signal::KILL);
}
