//! Removing at the source what is delivered. What is to be removed stands in the state until it is: neither a kill nor
//! a source that refuses for now makes the connector forget it.

use super::run::Run;
use super::stop::Stop;
use crate::step::Step;
use crate::virustotal::{ItemId, Refused};

/// Why a notification is still at the source.
struct Kept {
    reason: String,
    /// Whether it may be removed later.
    for_now: bool,
}

impl Run<'_> {
    /// Notes what is delivered, for [`Run::remove_delivered`].
    pub(super) fn mark_for_removal(&mut self, id: &str) {
        if let Some(dropped) = self.state.mark_for_removal(id) {
            tracing::warn!(
                notification = dropped,
                "the list of notifications to remove is full: the oldest stays at the source"
            );
        }
    }

    /// Removes what earlier runs delivered and did not come to remove. What they could not save of their state is
    /// saved before.
    pub(super) async fn remove_what_was_left(&mut self) -> Result<(), Stop> {
        if self.state.next_removal().is_none() {
            return Ok(());
        }
        self.save().await?;
        self.remove_delivered().await
    }

    /// Removes what the saved state says is to be removed, and saves what is left of that. What cannot be removed
    /// for now is tried again after the next batch; what the source refuses for good is delivered all the same.
    pub(super) async fn remove_delivered(&mut self) -> Result<(), Stop> {
        if self.state.next_removal().is_none() {
            return Ok(());
        }
        while let Some(id) = self.state.next_removal() {
            match self.remove(id).await {
                Ok(()) => self.report.removed += 1,
                Err(Kept { reason, for_now }) => {
                    tracing::warn!(
                        notification = id,
                        reason,
                        "cannot remove a delivered notification"
                    );
                    if for_now {
                        break;
                    }
                }
            }
            self.state.end_removal();
        }
        self.save().await
    }

    async fn remove(&self, id: &str) -> Result<(), Kept> {
        let item: ItemId = id.parse().map_err(|refused: Refused| Kept {
            reason: refused.to_string(),
            for_now: false,
        })?;
        let removed = self.pipeline.source.remove(&item).await;
        removed.map_err(|error| Kept {
            reason: error.to_string(),
            for_now: !error.is_about_this_alone(),
        })?;
        Step::NotificationRemoved.reached();
        Ok(())
    }
}
