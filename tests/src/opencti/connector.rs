//! Registration, ping, state and reset (protocol sections 3 and 4).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::error::PlatformError;
use super::platform::Platform;
use super::sight::judge_registration;

/// How long a connector counts as active without a ping.
const ACTIVE: SignedDuration = SignedDuration::from_mins(5);

/// What the RabbitMQ management API would say; set by tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueueDetails {
    /// Messages in the push and listen queues.
    pub messages_number: u64,
    /// Bytes in both.
    pub messages_size: u64,
}

/// A registered connector.
#[derive(Clone, Debug)]
pub struct Connector {
    /// As registered.
    pub id: String,
    /// The input of the last registration.
    pub registration: Value,
    /// The state text, stored as it was sent.
    pub state: Option<String>,
    /// A reset that no ping has answered for yet.
    pub state_reset: bool,
    /// When the connector was created or last reset.
    pub state_timestamp: String,
    /// The last `connectorInfo`, or null.
    pub info: Value,
    /// When it was registered first.
    pub created_at: String,
    /// The last registration, or ping that did not follow a reset.
    pub updated_at: String,
    /// See [`QueueDetails`].
    pub queue: QueueDetails,
    /// Who registered it last.
    pub user_id: String,
    /// How often it registered.
    pub registrations: usize,
    /// How often it pinged.
    pub pings: usize,
    /// So many pings are still answered with the state as it was before them, as a platform whose
    /// index lags does.
    pub stale_answers: usize,
}

impl Platform {
    /// `registerConnector`: idempotent, leaves the state alone.
    pub(crate) fn register(
        &mut self,
        user_id: &str,
        input: &Value,
    ) -> Result<Value, PlatformError> {
        let id = input["id"].as_str().unwrap_or_default().to_owned();
        let name = input["name"].as_str().unwrap_or_default().trim();
        if name.chars().count() < 2 {
            return Err(PlatformError::new(
                "VALIDATION_ERROR",
                "name must have at least 2 characters",
            ));
        }
        let now = self.instant();
        let connector = self
            .connectors
            .entry(id.clone())
            .or_insert_with(|| Connector {
                id: id.clone(),
                registration: Value::Null,
                state: None,
                state_reset: false,
                state_timestamp: now.clone(),
                info: Value::Null,
                created_at: now.clone(),
                updated_at: now.clone(),
                queue: QueueDetails::default(),
                user_id: user_id.to_owned(),
                registrations: 0,
                pings: 0,
                stale_answers: 0,
            });
        judge_registration(&connector.registration, input)?;
        connector.registration = input.clone();
        connector.updated_at = now;
        connector.user_id = user_id.to_owned();
        connector.registrations += 1;
        self.connector(&id)
    }

    /// `pingConnector`: a ping after a reset only learns of it.
    pub(crate) fn ping(
        &mut self,
        id: &str,
        state: Option<&str>,
        info: Option<&Value>,
    ) -> Result<Value, PlatformError> {
        let before = self.connector(id)?;
        let now = self.instant();
        let Some(connector) = self.connectors.get_mut(id) else {
            return Err(unknown());
        };
        connector.pings += 1;
        if connector.state_reset {
            connector.state_reset = false;
        } else {
            connector.state = state.map(str::to_owned);
            connector.updated_at = now;
        }
        if let Some(info) = info.filter(|it| !it.is_null()) {
            connector.info = info.clone();
        }
        if connector.stale_answers > 0 {
            connector.stale_answers -= 1;
            return Ok(before);
        }
        self.connector(id)
    }

    /// `resetStateConnector`, and the button in the UI.
    pub(crate) fn reset(&mut self, id: &str) -> Result<Value, PlatformError> {
        let now = self.instant();
        let connector = self.connectors.get_mut(id).ok_or_else(unknown)?;
        connector.state = Some(String::new());
        connector.state_reset = true;
        connector.state_timestamp = now;
        if self.version.purges_on_reset() {
            self.waiting.retain(|message| message.connector_id != id);
            self.purges += 1;
        }
        self.connector(id)
    }

    /// The connector as GraphQL shows it.
    pub(crate) fn connector(&self, id: &str) -> Result<Value, PlatformError> {
        let connector = self.connectors.get(id).ok_or_else(unknown)?;
        let (input, prefix) = (&connector.registration, &self.queues.prefix);
        Ok(json!({
            "id": id,
            "name": input["name"],
            "active": is_active(&connector.updated_at),
            "auto": input["auto"],
            "connector_type": input["type"],
            "connector_scope": input["scope"],
            "connector_state": connector.state,
            "connector_state_reset": connector.state_reset,
            "connector_state_timestamp": connector.state_timestamp,
            "connector_user_id": connector.user_id,
            "connector_queue_details": {
                // Floats in the schema; JSON would write a whole number without a point.
                "messages_number": float(connector.queue.messages_number),
                "messages_size": float(connector.queue.messages_size),
            },
            "connector_info": connector.info,
            "updated_at": connector.updated_at,
            "created_at": connector.created_at,
            "jwks": "{\"keys\":[]}",
            "config": {
                "connection": self.queues.connection,
                "s3": self.s3,
                "listen": format!("{prefix}listen_{id}"),
                "listen_routing": format!("{prefix}listen_routing_{id}"),
                "listen_exchange": format!("{prefix}amqp.connector.exchange"),
                "listen_callback_uri": input["listen_callback_uri"],
                "push": format!("{prefix}push_{id}"),
                "push_routing": format!("{prefix}push_routing_{id}"),
                "push_exchange": format!("{prefix}amqp.worker.exchange"),
                "dead_letter_routing": "listen_routing_too-large-bundle",
            },
        }))
    }
}

/// Whether the connector was heard of in the last five minutes.
fn is_active(updated_at: &str) -> bool {
    let updated_at: Option<Timestamp> = updated_at.parse().ok();
    updated_at.is_some_and(|it| Timestamp::now().duration_since(it) < ACTIVE)
}

fn unknown() -> PlatformError {
    PlatformError::functional("No connector found with the specified ID")
}

/// As a GraphQL `Float`.
#[expect(
    clippy::cast_precision_loss,
    reason = "no queue holds 2^53 messages or bytes"
)]
fn float(number: u64) -> f64 {
    number as f64
}
