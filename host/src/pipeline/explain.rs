//! One notification, explained: decided on as in a run, by the guest alone, and nothing comes of it.

use std::sync::Arc;

use super::decide::{Answers, Decided, decide};
use crate::runtime::{CallError, Item, Pool, Said};

/// What a guest makes of an item, and why.
#[derive(Debug)]
pub struct Explained {
    /// What becomes of the item, and all that was asked about it.
    pub decided: Decided,
    /// What each filter says; `None` where the guest does not tell.
    pub said: Result<Option<Vec<Said>>, CallError>,
}

/// Decides on an item, and asks what each filter says to it.
///
/// # Errors
/// When a question cannot be answered now.
pub async fn explain<A: Answers>(
    pool: &Pool,
    item: Arc<Item>,
    now: u64,
    answers: &A,
) -> Result<Explained, A::Stop> {
    let said = pool.with(|mapper| mapper.explain(&item, now));
    let decided = decide(pool, item, now, answers).await?;
    Ok(Explained { decided, said })
}
