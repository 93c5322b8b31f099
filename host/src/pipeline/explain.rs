//! One notification, explained: decided on as in a run, by the guest alone, and nothing comes of it.

use std::sync::Arc;
use std::time::Duration;

use super::decide::{Answers, Decided, decide};
use super::stop::Stop;
use crate::runtime::{CallError, Item, Pool, Said};
use crate::virustotal::{self, Element, FeedRequest, ItemId};

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

/// Reads one element of the guest's feed.
///
/// # Errors
/// When the guest names no feed, or the source does not answer.
pub async fn read_element(
    source: &virustotal::Client,
    pool: &Pool,
    id: &ItemId,
    now: u64,
) -> Result<Element, Stop> {
    let feed = feed_request(pool, now, now)?;
    Ok(source.element(&feed, id).await?)
}

/// How long the source keeps what the guest reads; `None` where it does not forget by itself.
///
/// # Errors
/// When the guest names no feed.
pub fn retention(pool: &Pool, now: u64) -> Result<Option<Duration>, Stop> {
    Ok(feed_request(pool, now, now)?.retention())
}

/// What the guest wants to read in a run that begins at `now`, to see all that was reported from `since` on.
pub(super) fn feed_request(pool: &Pool, since: u64, now: u64) -> Result<FeedRequest, Stop> {
    let feed = pool.with(|mapper| mapper.feed(since, now))?;
    FeedRequest::parse(&feed.path, feed.query, &feed.item_id, &feed.item_date)
        .map_err(|refused| Stop::Guest(format!("the guest's feed is refused: {refused}")))
}
