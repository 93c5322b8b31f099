//! Whether a process runs as this connector, and the state that the platform keeps: asked without leaving a trace
//! (protocol section 3).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::client::{Client, Retry};
use super::error::Error;
use super::operations::CONNECTOR_SEEN;
use super::state_keeper::PING_INTERVAL;

/// A connector that runs has pinged at least once in this time.
pub const SIGN_OF_LIFE: Duration = PING_INTERVAL.saturating_add(Duration::from_secs(10));

/// Time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// A connector as it was last heard of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Seen {
    /// Whether that was within the last five minutes, by the platform's clock.
    #[serde(default)]
    active: Option<bool>,
    /// Changes with each ping and each registration.
    #[serde(default)]
    updated_at: Option<String>,
    /// The state that was last stored, verbatim.
    #[serde(default, rename = "connector_state")]
    pub state: Option<String>,
}

#[derive(Serialize)]
struct Variables<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    connector: Option<Seen>,
}

impl Seen {
    /// Whether a process may run as this connector now: one that was heard of lately may have ended since.
    #[must_use]
    pub fn may_run(&self) -> bool {
        // Where the platform does not say, it may.
        self.active != Some(false)
    }
}

impl Client {
    /// What the platform knows of a connector; `None` where it was never registered.
    ///
    /// # Errors
    /// When the platform does not answer after retries, or refuses (the role lacks MODULES).
    pub async fn seen(&self, connector_id: &str) -> Result<Option<Seen>, Error> {
        let answer: Result<Answer, Error> = self
            .call(&CONNECTOR_SEEN, Retry::Transient, |_| Variables {
                id: connector_id,
            })
            .await;
        match answer {
            Ok(answer) => Ok(answer.connector),
            Err(error) if error.is_unknown_connector() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the connector is heard of again within [`SIGN_OF_LIFE`]. No clocks are compared, since those of
    /// platform and host may differ.
    ///
    /// # Errors
    /// As [`Client::seen`].
    pub async fn is_heard_again(&self, connector_id: &str, before: &Seen) -> Result<bool, Error> {
        let begun = Instant::now();
        while begun.elapsed() < SIGN_OF_LIFE {
            tokio::time::sleep(LOOK).await;
            let now = self.seen(connector_id).await?;
            if now.is_some_and(|now| now.updated_at != before.updated_at) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
