//! How much waits in the connector's queue (protocol section 5).

use serde::{Deserialize, Serialize};

use super::client::{Client, Retry};
use super::error::Error;
use super::operations::QUEUE_SIZE;

/// What waits to be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueSize {
    /// Number of messages.
    pub messages: u64,
    /// Bytes. The platform answers zero where it cannot ask RabbitMQ.
    pub bytes: u64,
}

impl QueueSize {
    /// Megabytes of 10^6 bytes, as the platform's user interface counts.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no queue holds 2^53 bytes")]
    pub fn megabytes(&self) -> f64 {
        self.bytes as f64 / 1e6
    }
}

#[derive(Serialize)]
struct Variables<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    connector: Option<Queued>,
}

#[derive(Deserialize)]
struct Queued {
    connector_queue_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    messages_number: f64,
    messages_size: f64,
}

impl Client {
    /// How much waits in the connector's queue; `None` where the platform cannot tell (below 6.1.12).
    ///
    /// # Errors
    /// When the platform does not answer after retries, or refuses (the role lacks MODULES).
    pub async fn queue_size(&self, connector_id: &str) -> Result<Option<QueueSize>, Error> {
        if let Err(Error::Missing { .. }) = self.variant(&QUEUE_SIZE) {
            return Ok(None);
        }
        let answer: Answer = self
            .call(&QUEUE_SIZE, Retry::Transient, |_| Variables {
                id: connector_id,
            })
            .await?;
        Ok(answer
            .connector
            .and_then(|connector| connector.connector_queue_details)
            .map(|details| QueueSize {
                messages: whole(details.messages_number),
                bytes: whole(details.messages_size),
            }))
    }
}

/// GraphQL has no wide integer, so the schema declares these as floats.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and counts of messages and bytes are far below 2^53"
)]
fn whole(number: f64) -> u64 {
    number as u64
}
