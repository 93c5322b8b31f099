//! A run over what failed before, read again one by one.

use tokio_util::sync::CancellationToken;

use super::observer::{Fate, Unobserved};
use super::report::{End, Report};
use super::run::{Pipeline, Run, Task};
use super::stop::Stop;
use crate::opencti::Generation;
use crate::state::{FailedItem, State};
use crate::virustotal::{Element, FeedRequest, ItemId};

impl Pipeline {
    /// Reads failed items of the state again, decides and delivers, with the steps of a run in their order. What is
    /// done, and what the source does not have any more, leaves the list of failures; the checkpoint stays.
    /// A report comes back in every case: a retry that ends with an error has done what it reports.
    pub async fn retry(
        &self,
        generation: Generation,
        state: State,
        items: &[FailedItem],
        stop: &CancellationToken,
    ) -> Report {
        let mut run = Run::begin(self, Task::Failures, generation, state, &Unobserved);
        let read = run.read_again(items, stop).await;
        run.end(read).await
    }
}

impl Run<'_> {
    async fn read_again(
        &mut self,
        items: &[FailedItem],
        stop: &CancellationToken,
    ) -> Result<End, Stop> {
        self.ensure_markings().await?;
        self.tell_refusals().await?;
        let feed = self.feed()?;
        for failed in items {
            let element = tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Stop::Shutdown),
                element = self.element(&feed, failed) => element?,
            };
            self.report.read += 1;
            let fate = match element {
                Element::Found(item) => {
                    self.process(vec![item], stop).await?;
                    continue;
                }
                Element::Gone(words) => {
                    tracing::warn!(
                        notification = failed.id,
                        reason = failed.reason,
                        "{words}: it is not tried again"
                    );
                    Fate::Gone
                }
                Element::Refused(words) => {
                    tracing::error!(
                        notification = failed.id,
                        reason = words,
                        "cannot read the notification again"
                    );
                    Fate::Failed(words)
                }
            };
            self.note(failed.id.clone(), failed.date, None, fate);
        }
        Ok(End::Drained)
    }

    async fn element(&self, feed: &FeedRequest, failed: &FailedItem) -> Result<Element, Stop> {
        let Ok(id) = failed.id.parse::<ItemId>() else {
            let words = "it has no id that it could be read by";
            return Ok(Element::Gone(words.to_owned()));
        };
        if let Some(retention) = feed.retention()
            && failed.date.saturating_add(retention.as_secs()) < self.now
        {
            let days = retention.as_secs() / 86_400;
            return Ok(Element::Gone(format!(
                "VirusTotal keeps it for {days} days only"
            )));
        }
        Ok(self.pipeline.source.element(feed, &id).await?)
    }
}
