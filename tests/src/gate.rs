//! What a test does with a request when it has arrived, before it takes effect.

use std::sync::OnceLock;

use futures::future::BoxFuture;

type Check<R> = Box<dyn Fn(R) -> BoxFuture<'static, ()> + Send + Sync>;

/// A simulator's gate: open, or with a check at which every request waits.
pub(crate) struct Gate<R>(OnceLock<Check<R>>);

impl<R> Default for Gate<R> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

impl<R> Gate<R> {
    /// Sets the check; the first one stays.
    pub(crate) fn set(&self, check: impl Fn(R) -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(check));
    }

    /// Waits until the check lets the request pass.
    pub(crate) async fn pass(&self, request: R) {
        if let Some(check) = self.0.get() {
            check(request).await;
        }
    }
}
