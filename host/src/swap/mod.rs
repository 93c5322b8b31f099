//! Another guest at work, without a restart: watched for, made ready aside, rehearsed, then put to work between
//! two notifications. A guest that fails any step never takes over, and the present one goes on.

mod choose;
mod prepare;

use std::collections::HashSet;

use tokio_util::sync::CancellationToken;

use crate::guest_source::{Cause, Finder, Found, Watcher};
use crate::runtime::{Comparison, Guest, Live, Refused, rehearse};

pub use choose::{Chooser, NoGuest};
pub use prepare::{Unfit, Workshop, defaults};

/// Why a guest does not take over.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// It cannot go to work at all.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// It makes another connector, which the platform would not know.
    #[error(
        "it is a guest of {found}, and this connector runs {expected}: start the other one with a CONNECTOR_ID of its own"
    )]
    OtherConnector {
        /// Name of the new guest.
        found: String,
        /// Name of the guest at work.
        expected: String,
    },
    /// It failed in the rehearsal.
    #[error(transparent)]
    Rehearsal(#[from] Refused),
}

/// Where the guest at work is exchanged.
pub struct Exchange {
    finder: Finder,
    chooser: Chooser,
    live: Live,
    /// What was said about the source, and still holds.
    said: HashSet<String>,
}

impl Exchange {
    /// The guest of `live` was found by this finder and chosen by this chooser.
    #[must_use]
    pub fn new(finder: Finder, chooser: Chooser, live: Live) -> Self {
        Self {
            finder,
            chooser,
            live,
            said: HashSet::new(),
        }
    }

    /// Looks whenever the watcher says so, until stopped.
    pub async fn run(mut self, mut watcher: Watcher, stop: CancellationToken) {
        loop {
            let cause = tokio::select! {
                () = stop.cancelled() => return,
                cause = watcher.changed() => cause,
            };
            if cause == Cause::Hangup {
                self.finder.forget();
            }
            let found = match self.finder.look().await {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => {
                    self.tell([error.to_string()].into());
                    continue;
                }
            };
            // Compiling takes a second: not on a thread that others wait for.
            let consideration = tokio::task::spawn_blocking(move || {
                self.consider(&found);
                self
            });
            match consideration.await {
                Ok(exchange) => self = exchange,
                Err(error) => {
                    tracing::error!(%error, "guests are not exchanged any more: restart to get a new one");
                    return;
                }
            }
        }
    }

    /// Puts a better guest to work, if one was found.
    fn consider(&mut self, found: &Found) {
        self.tell(found.refused.iter().map(ToString::to_string).collect());
        let present = self.live.shift().pool.guest().clone();
        let live = &self.live;
        let (chosen, refused) = self
            .chooser
            .choose(&found.candidates, Some(&present), |it| {
                live.is_quarantined(it)
            });
        for NoGuest {
            digest,
            origin,
            error,
        } in refused
        {
            tracing::error!("{error}; {present} goes on");
            self.live
                .note_refusal(origin, Some(digest), error.to_string());
        }
        let Some(guest) = chosen else { return };
        match self.take_over(&guest, &present) {
            Ok(comparison) => tracing::info!(
                digest = %guest.digest(),
                "guest {guest} takes over from {present}; rehearsal: {comparison}"
            ),
            Err(error) => {
                self.chooser.refuse(guest.digest());
                self.live
                    .note_refusal(guest.to_string(), Some(guest.digest()), error.to_string());
                // After the note: who reads the log finds it in the status.
                tracing::error!(
                    digest = %guest.digest(),
                    "guest {guest} does not take over: {error}; {present} goes on"
                );
            }
        }
    }

    fn take_over(&self, guest: &Guest, present: &Guest) -> Result<Comparison, SwapError> {
        let (found, expected) = (&guest.description().name, &present.description().name);
        if found != expected {
            return Err(SwapError::OtherConnector {
                found: found.clone(),
                expected: expected.clone(),
            });
        }
        let pool = self.chooser.workshop().open(guest)?;
        let comparison = rehearse(&self.live.shift().pool, &pool, &self.live.recent())?;
        self.live.replace(pool);
        Ok(comparison)
    }

    /// Says what is wrong with the source, once for as long as it holds.
    fn tell(&mut self, reasons: HashSet<String>) {
        for new in reasons.difference(&self.said) {
            tracing::warn!("{new}; the present guest goes on");
            self.live
                .note_refusal(self.finder.source().to_string(), None, new.clone());
        }
        self.said = reasons;
    }
}
