//! Announcing the connector to the platform (protocol section 3).

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::Version;
use super::client::{Client, Retry};
use super::error::Error;
use super::operations::{
    CONNECTOR_REGISTERED, CONNECTOR_REGISTERED_WITH_S3, REGISTER, REGISTER_WITH_S3,
    RELEASE_AND_SLUG, RESOLUTION, S3_TOLD, Variant,
};
use crate::config::Connector;

/// What the platform keeps and tells about this connector.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The state that was last stored; `None` where there is none, or where it was reset.
    pub state: Option<String>,
    /// Whether the state is the exact empty text that a reset in the user interface leaves.
    pub(super) state_is_reset: bool,
    /// When the state was created or last reset; `None` below 6.7.0.
    pub state_timestamp: Option<String>,
    /// The account that objects are attributed to: `applicant_id` of messages.
    pub user_id: String,
    /// RabbitMQ as the platform sees it.
    pub broker: BrokerConnection,
    /// Exchange that messages go to.
    pub push_exchange: String,
    /// Routing key of the connector's queue.
    pub push_routing: String,
    /// The platform's own S3 storage. Asked for only where bundles go to S3 and the settings do not say all of it;
    /// `None` below 6.9.10.
    pub s3: Option<S3Connection>,
}

/// How to reach RabbitMQ.
#[derive(Debug, Clone, Deserialize)]
pub struct BrokerConnection {
    /// Host name.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Virtual host.
    pub vhost: String,
    /// Whether with TLS.
    pub use_ssl: bool,
    /// User name.
    pub user: String,
    /// Password.
    #[serde(rename = "pass")]
    pub password: SecretString,
}

/// How to reach the platform's S3 storage.
#[derive(Debug, Clone, Deserialize)]
pub struct S3Connection {
    /// Host name.
    pub endpoint: String,
    /// TCP port.
    pub port: u16,
    /// Whether with TLS.
    pub use_ssl: bool,
    /// Name of the bucket.
    pub bucket_name: String,
    /// Region of the bucket.
    pub bucket_region: String,
    /// Access key.
    pub access_key: SecretString,
    /// Secret key.
    pub secret_key: SecretString,
}

impl S3Connection {
    /// Whether a release tells it to those whom it registers.
    #[must_use]
    pub fn is_told_by(version: Version) -> bool {
        version >= S3_TOLD
    }
}

#[derive(Serialize)]
struct Variables<'a> {
    input: Input<'a>,
}

/// What a registration says. The platform writes null over each field that is not given, and refuses that for those
/// it counts as mandatory; so all fields are sent that the release takes (platform.md P1), but for two:
/// `listen_callback_uri` is that of connectors that listen, and null for all others; `xtm_one_intent` is that of
/// connectors that import files by hand.
#[derive(Serialize)]
struct Input<'a> {
    id: &'a str,
    name: &'a str,
    r#type: &'static str,
    scope: &'a [String],
    auto: bool,
    only_contextual: bool,
    playbook_compatible: bool,
    #[serde(flatten)]
    enrichment: Option<Enrichment>,
    #[serde(flatten)]
    release: Option<Release<'a>>,
}

/// As pycti sends it for connectors that enrich nothing.
#[derive(Serialize)]
struct Enrichment {
    auto_update: bool,
    enrichment_resolution: &'static str,
}

/// Which connector it is.
#[derive(Serialize)]
struct Release<'a> {
    /// `SemVer`: the platform refuses any other text.
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    slug: Option<&'a str>,
}

impl<'a> Input<'a> {
    fn new(connector: &'a Connector, variant: &Variant) -> Self {
        Self {
            id: &connector.id,
            name: &connector.name,
            r#type: "EXTERNAL_IMPORT",
            scope: &connector.scope,
            auto: false,
            only_contextual: false,
            playbook_compatible: false,
            enrichment: (variant.since >= RESOLUTION).then_some(Enrichment {
                auto_update: false,
                enrichment_resolution: "none",
            }),
            release: (variant.since >= RELEASE_AND_SLUG).then_some(Release {
                version: env!("CARGO_PKG_VERSION"),
                slug: connector.slug.as_deref(),
            }),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    register_connector: Registered,
}

#[derive(Serialize)]
struct IdVariables<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
struct KnownAnswer {
    connector: Option<Registered>,
}

#[derive(Deserialize)]
struct Registered {
    #[serde(default)]
    connector_state: Option<String>,
    #[serde(default)]
    connector_state_timestamp: Option<String>,
    connector_user_id: String,
    config: Config,
}

#[derive(Deserialize)]
struct Config {
    connection: BrokerConnection,
    push_exchange: String,
    push_routing: String,
    #[serde(default)]
    s3: Option<S3Connection>,
}

impl Client {
    /// Announces the connector. The platform declares its queues and answers with the state that it keeps.
    /// Repeating it changes nothing there.
    ///
    /// # Errors
    /// When the platform does not answer after retries, or refuses.
    pub async fn register(&self, connector: &Connector) -> Result<Registration, Error> {
        self.register_with(connector, Retry::Transient).await
    }

    /// The same without retries, for callers that try again anyway.
    ///
    /// # Errors
    /// When the platform does not answer, or refuses.
    pub async fn register_once(&self, connector: &Connector) -> Result<Registration, Error> {
        self.register_with(connector, Retry::Never).await
    }

    /// What the platform told when the connector was registered, and nothing changes there; `None` where it never
    /// was. Asked once. The time of the state is left out: its beholder is no connector at work.
    ///
    /// # Errors
    /// When the platform does not answer, or refuses (the role lacks MODULES).
    pub async fn registered(&self, connector: &Connector) -> Result<Option<Registration>, Error> {
        let operation = match needs_s3(connector) {
            true => &CONNECTOR_REGISTERED_WITH_S3,
            false => &CONNECTOR_REGISTERED,
        };
        let answer: Result<KnownAnswer, Error> = self
            .call(operation, Retry::Never, |_| IdVariables {
                id: &connector.id,
            })
            .await;
        match answer {
            Ok(answer) => Ok(answer.connector.map(Registration::from)),
            Err(error) if error.is_unknown_connector() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn register_with(
        &self,
        connector: &Connector,
        retry: Retry,
    ) -> Result<Registration, Error> {
        let operation = match needs_s3(connector) {
            true => &REGISTER_WITH_S3,
            false => &REGISTER,
        };
        let answer: Answer = self
            .call(operation, retry, |variant| Variables {
                input: Input::new(connector, variant),
            })
            .await?;
        Ok(answer.register_connector.into())
    }
}

/// Nobody is told keys that are not needed.
fn needs_s3(connector: &Connector) -> bool {
    let s3 = connector.sinks.s3.as_ref();
    s3.is_some_and(|s3| !s3.says_all())
}

impl From<Registered> for Registration {
    fn from(answer: Registered) -> Self {
        let Config {
            connection,
            push_exchange,
            push_routing,
            s3,
        } = answer.config;
        let state = answer.connector_state;
        Self {
            state_is_reset: state.as_deref() == Some(""),
            state: state.filter(|state| !is_none(state)),
            state_timestamp: answer.connector_state_timestamp,
            user_id: answer.connector_user_id,
            broker: connection,
            push_exchange,
            push_routing,
            s3,
        }
    }
}

/// Whether a stored text stands for "no state": pycti stores the JSON text `null`.
fn is_none(state: &str) -> bool {
    matches!(state.trim(), "" | "null")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_as_stored() {
        for (stored, state, is_reset) in [
            (None, None, false),
            (Some(""), None, true),
            (Some("null"), None, false),
            (Some(r#"{"a":1}"#), Some(r#"{"a":1}"#), false),
        ] {
            let answer: Answer = serde_json::from_value(serde_json::json!({
                "registerConnector": {
                    "id": "c", "connector_state": stored, "connector_user_id": "u",
                    "config": {
                        "connection": {
                            "host": "rabbitmq", "port": 5672, "vhost": "/", "use_ssl": false,
                            "user": "guest", "pass": "hidden"
                        },
                        "push_exchange": "e", "push_routing": "r"
                    }
                }
            }))
            .unwrap();
            let registration = Registration::from(answer.register_connector);
            assert_eq!(registration.state.as_deref(), state, "{stored:?}");
            assert_eq!(registration.state_is_reset, is_reset, "{stored:?}");
            assert!(!format!("{registration:?}").contains("hidden"));
        }
    }
}
