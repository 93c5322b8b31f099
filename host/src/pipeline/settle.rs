//! What is decided becomes done: delivered, marked in the state, told, removed at the source, in the order in which
//! nothing is lost.

use super::observer::{Fate, Settled};
use super::run::{Run, Task};
use super::stop::Stop;
use crate::opencti::Saved;
use crate::step::Step;
use crate::virustotal::Subject;

/// An item that is decided on.
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) observed: u64,
    pub(super) subject: Option<Subject>,
    pub(super) fate: Fate,
}

impl Entry {
    fn settled(&self) -> Settled<'_> {
        Settled {
            id: &self.id,
            observed: self.observed,
            subject: self.subject.as_ref(),
            fate: &self.fate,
        }
    }
}

impl Run<'_> {
    pub(super) fn note(&mut self, id: String, observed: u64, subject: Option<Subject>, fate: Fate) {
        self.report.decided_to = self.report.decided_to.max(observed);
        self.entries.push(Entry {
            id,
            observed,
            subject,
            fate,
        });
    }

    /// Delivers the batch; moves the checkpoint and pushes it; removes what is acknowledged.
    pub(super) async fn flush(&mut self) -> Result<(), Stop> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let pipeline = self.pipeline;
        if !self.batch.is_empty() {
            Step::BatchReady.reached();
            pipeline
                .deliverer
                .deliver(&self.batch, Some(&self.work))
                .await?;
            Step::BatchDelivered.reached();
            self.report.bundles += 1;
            for object in self.batch.objects() {
                self.report.count_object(&object.id);
            }
            self.batch.clear();
            self.remember_work().await;
        }
        let entries = std::mem::take(&mut self.entries);
        self.report_failures(&entries).await;
        for entry in &entries {
            self.mark(entry);
            self.report.done_to = self.report.done_to.max(entry.observed);
        }
        Step::StateMarked.reached();
        self.save().await?;
        for entry in &entries {
            self.observer.settled(&entry.settled());
        }
        self.tell_progress();
        self.remove_delivered().await
    }

    /// Pushes the state to the platform.
    pub(super) async fn save(&self) -> Result<(), Stop> {
        let state = self.state.to_json();
        match self.pipeline.keeper.save(self.generation, state).await? {
            Saved::Stored => {
                Step::StateSaved.reached();
                Ok(())
            }
            Saved::Reset => Err(Stop::Reset),
        }
    }

    fn mark(&mut self, entry: &Entry) {
        match &entry.fate {
            Fate::Failed(_) => self.report.failed += 1,
            Fate::Gone => self.report.gone += 1,
            Fate::Delivered { .. } | Fate::Incomplete(_) => self.report.delivered += 1,
            Fate::Skipped { filter, .. } => self.report.count_skip(filter),
        }
        match (&entry.fate, self.task) {
            (Fate::Failed(reason) | Fate::Incomplete(reason), Task::Feed | Task::BackFill(_)) => {
                self.mark_failed(entry, reason);
            }
            (Fate::Failed(reason) | Fate::Incomplete(reason), Task::Failures) => {
                self.state.mark_failed_again(&entry.id, reason);
            }
            (_, Task::Feed | Task::BackFill(_)) if self.is_read_again(entry) => {
                self.state.mark_done(&entry.id, entry.observed);
            }
            (_, Task::Feed | Task::BackFill(_) | Task::Failures) => {
                self.state.forget_failed(&entry.id);
            }
        }
        if let Fate::Delivered { acknowledge: true } = entry.fate {
            self.mark_for_removal(&entry.id);
        }
    }

    /// Whether a later run may read it. Where none does, a fingerprint would take the place of one that is needed.
    fn is_read_again(&self, entry: &Entry) -> bool {
        // What has no date comes with any page.
        let is_dated = entry.observed > 0;
        let is_old = is_dated && entry.observed < self.read_again_from;
        !(is_old && matches!(self.task, Task::BackFill(_)))
    }

    fn mark_failed(&mut self, entry: &Entry, reason: &str) {
        let Entry { id, observed, .. } = entry;
        let dropped = if self.is_read_again(entry) {
            self.state.mark_failed(id, *observed, reason)
        } else {
            self.state.write_down_failed(id, *observed, reason)
        };
        if let Some(dropped) = dropped {
            self.report.forgotten += 1;
            tracing::warn!(
                notification = dropped.id,
                reason = dropped.reason,
                "the list of failed notifications is full: the oldest is forgotten"
            );
        }
    }

    /// Shows failures on the work. That it cannot be shown is no reason to stop.
    async fn report_failures(&self, entries: &[Entry]) {
        if !self.pipeline.deliverer.has_queue() {
            return;
        }
        for entry in entries {
            if let Fate::Failed(reason) = &entry.fate
                && let Err(error) = self.work.report_error(reason, &entry.id).await
            {
                tracing::warn!(%error, "cannot report a failed notification on the work");
            }
        }
    }
}
