//! Another guest at work, without a restart: watched for, made ready aside, rehearsed, then put to work between
//! two notifications. A guest that fails any step never takes over, and the present one goes on.

mod choose;
mod prepare;

use std::collections::HashSet;

use tokio_util::sync::CancellationToken;

use crate::guest_source::{GuestSource, SourceError, Watcher};
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
    source: GuestSource,
    /// SHA-256 that a component must have.
    digest: Option<String>,
    chooser: Chooser,
    live: Live,
    /// What was said about the source already, and still holds.
    said: HashSet<String>,
}

impl Exchange {
    /// The guest of `live` was chosen from this source by this chooser.
    #[must_use]
    pub fn new(source: GuestSource, digest: Option<String>, chooser: Chooser, live: Live) -> Self {
        Self {
            source,
            digest,
            chooser,
            live,
            said: HashSet::new(),
        }
    }

    /// Looks whenever the watcher says so, until stopped.
    pub async fn run(mut self, mut watcher: Watcher, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = watcher.changed() => {}
            }
            // Compiling takes a second: not on a thread that others wait for.
            let look = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match look.await {
                Ok(exchange) => self = exchange,
                Err(error) => {
                    tracing::error!(%error, "guests are not exchanged any more: restart to get a new one");
                    return;
                }
            }
        }
    }

    /// Looks at the source once, and puts a better guest to work if there is one.
    fn look(&mut self) {
        let (candidates, errors) = self.source.candidates(self.digest.as_deref());
        self.tell(&errors);
        let present = self.live.shift().pool.guest().clone();
        let live = &self.live;
        let (chosen, refused) = self
            .chooser
            .choose(&candidates, Some(&present), |it| live.is_quarantined(it));
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
                digest = guest.digest(),
                "guest {guest} takes over from {present}; rehearsal: {comparison}"
            ),
            Err(error) => {
                tracing::error!(
                    digest = guest.digest(),
                    "guest {guest} does not take over: {error}; {present} goes on"
                );
                self.chooser.refuse(guest.digest());
                let digest = Some(guest.digest().to_owned());
                self.live
                    .note_refusal(guest.to_string(), digest, error.to_string());
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
    fn tell(&mut self, errors: &[SourceError]) {
        let now: HashSet<String> = errors.iter().map(ToString::to_string).collect();
        for new in now.difference(&self.said) {
            tracing::warn!("{new}; the present guest goes on");
        }
        self.said = now;
    }
}
