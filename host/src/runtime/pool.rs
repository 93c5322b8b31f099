//! The mappers at work: kept and reused, dropped after a failure, never more than there are workers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::checked::Verdict;
use super::contract::{Answer, Item, Question, Setting};
use super::error::{CallError, OpenError};
use super::guest::Guest;
use super::mapper::Mapper;

/// Mappers of one guest with one set of settings. Cheap to clone.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

struct Shared {
    guest: Guest,
    settings: Vec<Setting>,
    idle: Mutex<Vec<Mapper>>,
    rests: AtomicBool,
}

impl Pool {
    /// A pool that starts with `first`, opened by `guest` with these settings.
    #[must_use]
    pub fn new(guest: Guest, settings: Vec<Setting>, first: Mapper) -> Self {
        Self(Arc::new(Shared {
            guest,
            settings,
            idle: Mutex::new(vec![first]),
            rests: AtomicBool::new(false),
        }))
    }

    /// The guest.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        &self.0.guest
    }

    /// Gives the memory of idle mappers back, and of each that is at work when its call is over. Calls go on, on
    /// fresh mappers: slower, and never too many at a time.
    pub fn rest(&self) {
        self.0.rests.store(true, Ordering::Relaxed);
        self.idle().clear();
    }

    /// Keeps mappers again.
    pub fn wake(&self) {
        self.0.rests.store(false, Ordering::Relaxed);
    }

    /// [`Mapper::map`] on a thread for blocking work.
    ///
    /// # Errors
    /// Like [`Mapper::map`].
    pub async fn map(
        &self,
        item: Arc<Item>,
        answers: Vec<(Question, Answer)>,
        now: u64,
    ) -> (Vec<(Question, Answer)>, Result<Verdict, CallError>) {
        let pool = self.clone();
        blocking(move || {
            let verdict = pool.with(|mapper| mapper.map(&item, &answers, now));
            (answers, verdict)
        })
        .await
    }

    /// [`Mapper::digest`] on a thread for blocking work.
    ///
    /// # Errors
    /// Like [`Mapper::digest`].
    pub async fn digest(&self, question: Question, document: String) -> Result<String, CallError> {
        let pool = self.clone();
        blocking(move || pool.with(|mapper| mapper.digest(&question, document))).await
    }

    /// Runs a call on an idle mapper, or on a fresh one where none is idle.
    ///
    /// # Errors
    /// Those of the call, and of opening a fresh mapper.
    pub fn with<T>(
        &self,
        call: impl FnOnce(&mut Mapper) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let idle = self.idle().pop();
        let mut mapper = match idle {
            Some(mapper) => mapper,
            None => self
                .0
                .guest
                .open(&self.0.settings)
                .map_err(|error| match error {
                    OpenError::Call(error) => error,
                    // The same settings were accepted before: a guest that answers otherwise is not pure.
                    OpenError::Settings(problems) => CallError::Output {
                        call: "open",
                        found: format!(
                            "{} problems with settings that it had accepted",
                            problems.len()
                        ),
                        allowed: "the same answer to the same settings".to_owned(),
                    },
                })?,
        };
        let result = call(&mut mapper);
        let sound = match &result {
            Ok(_) => true,
            Err(error) => error.leaves_instance_sound(),
        };
        if sound && !mapper.is_worn() {
            let mut idle = self.idle();
            // Asked under the lock: who rests clears the list after saying so.
            if !self.0.rests.load(Ordering::Relaxed) {
                idle.push(mapper);
            }
        }
        result
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Mapper>> {
        // A list of mappers is whole after any panic: the lock is held for a push or a pop only.
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
