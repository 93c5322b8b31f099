//! The last warnings and errors of the log, whatever its level, for who looks at the status.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::fields::{Fields, level_name};

/// Lines that are remembered.
const REMEMBERED: usize = 20;

/// The last warnings and errors. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Troubles(Arc<Mutex<VecDeque<Trouble>>>);

/// A warning or an error.
#[derive(Debug, Clone, Serialize)]
pub struct Trouble {
    /// When it was logged.
    pub at: Timestamp,
    /// `WARNING` or `ERROR`.
    pub level: &'static str,
    /// What was wrong.
    pub message: String,
    /// With what.
    pub attributes: Map<String, Value>,
}

impl Troubles {
    /// Oldest first.
    #[must_use]
    pub fn latest(&self) -> Vec<Trouble> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Trouble>> {
        // Nothing can panic while it is held; a poisoned lock would still hold sound values.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for Troubles {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Fields {
            message,
            attributes,
        } = Fields::of(event);
        let trouble = Trouble {
            at: Timestamp::now(),
            level: level_name(event),
            message,
            attributes,
        };
        let mut remembered = self.lock();
        if remembered.len() == REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back(trouble);
    }
}
