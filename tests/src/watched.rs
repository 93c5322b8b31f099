//! State that tests can wait on instead of sleeping.

use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::sync::watch;

/// How long `until` waits before it says what did not happen. Long, since it is only reached when a
/// test fails, and a loaded machine must not fail it.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// A value whose every change wakes those who wait for a condition on it.
pub struct Watched<T>(watch::Sender<T>);

impl<T> Watched<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(watch::Sender::new(value))
    }

    /// Looks at the value.
    pub fn read<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0.borrow())
    }

    /// Changes the value and wakes the waiting.
    #[expect(
        clippy::expect_used,
        reason = "send_modify calls its closure exactly once"
    )]
    pub fn edit<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut result = None;
        self.0.send_modify(|value| result = Some(change(value)));
        result.expect("the closure ran")
    }

    /// Waits as long as it takes until the condition holds, or the value is gone.
    pub(crate) async fn wait(&self, condition: impl FnMut(&T) -> bool) {
        // The value cannot be gone while it is borrowed here.
        let _ = self.0.subscribe().wait_for(condition).await;
    }

    /// Waits until the condition holds.
    ///
    /// # Errors
    /// Names `what` when it did not come true within [`PATIENCE`].
    pub async fn until(&self, what: &str, condition: impl FnMut(&T) -> bool) -> Result<()> {
        let mut receiver = self.0.subscribe();
        let waited = tokio::time::timeout(PATIENCE, receiver.wait_for(condition)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(anyhow!("the simulator stopped before {what}")),
            Err(_) => Err(anyhow!("{what}: not within {} s", PATIENCE.as_secs())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_change_made_before_or_after_the_wait_ends_it() {
        let number = Arc::new(Watched::new(1));
        number.until("one", |it| *it == 1).await.unwrap();
        let writer = Arc::clone(&number);
        let (waited, ()) = tokio::join!(number.until("two", |it| *it == 2), async move {
            writer.edit(|it| *it = 2);
        });
        waited.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_happens_is_named() {
        let error = Watched::new(1)
            .until("the second page", |it| *it == 2)
            .await
            .unwrap_err();
        assert!(error.to_string().starts_with("the second page"), "{error}");
    }
}
