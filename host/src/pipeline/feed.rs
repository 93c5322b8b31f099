//! What the guest wants to read, as a request to the source.

use std::time::Duration;

use super::stop::Stop;
use crate::runtime::{Item, Pool};
use crate::virustotal::{self, Element, FeedRequest, ItemId};

/// What the guest wants to read in a run that begins at `now`, to see all that was reported from `since` on.
///
/// # Errors
/// When the guest names no feed that is allowed.
pub fn feed_request(pool: &Pool, since: u64, now: u64) -> Result<FeedRequest, Stop> {
    let feed = pool.with(|mapper| mapper.feed(since, now))?;
    FeedRequest::parse(&feed.path, feed.query, &feed.item_id, &feed.item_date)
        .map_err(|refused| Stop::Guest(format!("the guest's feed is refused: {refused}")))
}

/// How long the source keeps what the guest reads; `None` where it does not forget by itself.
///
/// # Errors
/// When the guest names no feed that is allowed.
pub fn retention(pool: &Pool, now: u64) -> Result<Option<Duration>, Stop> {
    Ok(feed_request(pool, now, now)?.retention())
}

/// Reads one element of the guest's feed.
///
/// # Errors
/// When the guest names no feed that is allowed, or the source does not answer.
pub async fn read_element(
    source: &virustotal::Client,
    pool: &Pool,
    id: &ItemId,
    now: u64,
) -> Result<Element, Stop> {
    let feed = feed_request(pool, now, now)?;
    Ok(source.element(&feed, id).await?)
}

impl From<&virustotal::Item> for Item {
    fn from(item: &virustotal::Item) -> Self {
        Self {
            id: item.id.as_str().to_owned(),
            observed: item.observed,
            document: item.document.as_str().to_owned(),
        }
    }
}
