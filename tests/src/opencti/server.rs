//! The listening platform, and the handle that tests hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::access::CONNECTOR_ROLE;
use super::account::TOKEN_PREFIX;
use super::broker::{Broker, connection_details};
use super::draft::Draft;
use super::graphql::Request;
use super::http::{Shared, router};
use super::ids::internal_id;
use super::import::Delivery;
use super::marking::{Sight, Tlp};
use super::platform::{Platform, Queues};
use super::schema;
use super::store::Stored;
use super::upsert::MAX_CONFIDENCE;
use super::version::Version;
use super::work::Work;
use crate::fault::{Call, Fault};
use crate::gate::Gate;
use crate::s3;
use crate::secrets::{Secrets, Watch};
use crate::serve::{Listening, bind};
use crate::watched::Watched;

/// How the platform is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The release to be.
    pub version: Version,
    /// `amqp://user:password@host:port/vhost` of a RabbitMQ. Without one, only the API delivers.
    pub amqp_url: Option<String>,
    /// Whether exchange and queues in RabbitMQ outlive the platform, as real ones do. For a broker of the
    /// test's own alone: nobody deletes them.
    pub lasting_queues: bool,
    /// The bearer token that is accepted.
    pub token: String,
    /// Capabilities of the token's user; those of the role "Connector" by default.
    pub capabilities: Vec<String>,
    /// The strongest marking of the protocol that the token's user sees.
    pub max_marking: Tlp,
    /// The confidence of what the token's user brings is at most this.
    pub max_confidence: i64,
    /// How much later than possible every answer comes.
    pub latency: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            version: Version::default(),
            amqp_url: None,
            lasting_queues: false,
            token: "token-of-the-simulated/opencti+".to_owned(),
            capabilities: CONNECTOR_ROLE.iter().map(|it| (*it).to_owned()).collect(),
            max_marking: Tlp::Red,
            max_confidence: MAX_CONFIDENCE,
            latency: Duration::ZERO,
        }
    }
}

impl Options {
    /// The default options with another release.
    ///
    /// # Errors
    /// When the text is not a version.
    pub fn version(text: &str) -> Result<Self> {
        Ok(Self {
            version: text.parse()?,
            ..Self::default()
        })
    }

    /// The default options with a user who sees markings up to this one.
    #[must_use]
    pub fn seeing_up_to(mut self, marking: Tlp) -> Self {
        self.max_marking = marking;
        self
    }

    /// The default options with the token of an administrator.
    #[must_use]
    pub fn administrator(mut self) -> Self {
        self.capabilities = vec!["BYPASS".to_owned()];
        self
    }

    /// The default options without some of the capabilities.
    #[must_use]
    pub fn without(mut self, capabilities: &[&str]) -> Self {
        self.capabilities
            .retain(|it| !capabilities.contains(&it.as_str()));
        self
    }
}

/// Counts the simulators of this process, so that their queues have different names.
static STARTED: AtomicU32 = AtomicU32::new(0);

/// A running platform. It stops when this is dropped, and its queues are gone then.
///
/// Dropping it panics where anything was imported that violates STIX 2.1, and where the [`super::Report`] has anything
/// that the test does not expect: no test has to think of looking.
pub struct Server {
    pub(super) shared: Arc<Shared>,
    listening: Listening,
}

impl Server {
    /// Starts on a free port of the loopback interface.
    ///
    /// # Errors
    /// When no port can be bound or RabbitMQ cannot be reached.
    pub async fn start(options: Options) -> Result<Self> {
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("simulator-{}-{number}_", std::process::id());
        let (connection, broker) = match &options.amqp_url {
            Some(url) => (
                connection_details(url)?,
                Some(Broker::connect(url, &prefix, options.lasting_queues).await?),
            ),
            // A name that never resolves: whoever uses it learns that there is no RabbitMQ.
            None => (
                json!({
                    "host": "rabbitmq.invalid", "vhost": "/", "use_ssl": false, "port": 5672,
                    "user": "guest", "pass": "guest",
                }),
                None,
            ),
        };
        let schema = schema::of(&options.version)?;
        let queues = Queues { connection, prefix };
        let mut platform = Platform::new(options.version, options.capabilities, queues);
        platform.user.sight = Sight(options.max_marking);
        platform.user.max_confidence = options.max_confidence;
        let platform = Arc::new(Watched::new(platform));
        let shared = Arc::new(Shared {
            platform,
            schema,
            token: options.token,
            broker,
            gate: Gate::default(),
        });
        let listening = bind()
            .await?
            .serve(router(Arc::clone(&shared)), options.latency);
        Ok(Self { shared, listening })
    }

    /// `http://127.0.0.1:port`: what OPENCTI_URL is set to.
    #[must_use]
    pub fn url(&self) -> String {
        self.listening.origin()
    }

    /// The token that is accepted.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.shared.token
    }

    /// What a connector learns here and must not show.
    pub(crate) fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        let password = self.read(|platform| platform.queues.connection["pass"].clone());
        secrets.add(
            "password of RabbitMQ",
            password.as_str().unwrap_or_default(),
        );
        // Every token that the platform will make begins so.
        secrets.add("OPENCTI_TOKEN that the platform made", TOKEN_PREFIX);
        secrets.add("S3_ACCESS_KEY that the platform tells", s3::ACCESS_KEY);
        secrets.add("S3_SECRET_KEY that the platform tells", s3::SECRET_KEY);
        secrets
    }

    pub(crate) fn watch(&self) -> Arc<Watch> {
        self.read(|platform| Arc::clone(&platform.watch))
    }

    /// Looks at the platform.
    pub fn read<R>(&self, look: impl FnOnce(&Platform) -> R) -> R {
        self.shared.platform.read(look)
    }

    /// Changes the platform.
    pub fn edit<R>(&self, change: impl FnOnce(&mut Platform) -> R) -> R {
        self.shared.platform.edit(change)
    }

    /// Waits until the condition holds.
    ///
    /// # Errors
    /// Names `what` when it did not come true in [`crate::watched::PATIENCE`].
    pub async fn until(&self, what: &str, condition: impl FnMut(&Platform) -> bool) -> Result<()> {
        self.shared.platform.until(what, condition).await
    }

    /// Waits until there is a work and every work is complete.
    ///
    /// # Errors
    /// When that does not happen in [`crate::watched::PATIENCE`].
    pub async fn until_works_complete(&self) -> Result<()> {
        self.until("every work is complete", |platform| {
            !platform.works.is_empty() && platform.works.iter().all(Work::is_complete)
        })
        .await
    }

    /// The next matching request fails.
    pub fn fault(&self, matcher: impl Fn(&Call<'_>) -> bool + Send + Sync + 'static, fault: Fault) {
        self.edit(|platform| platform.faults.push(matcher, fault));
    }

    /// Every request to `/graphql` waits for this check before it takes effect. The first check stays.
    pub fn check(&self, check: impl Fn(Request) -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        self.shared.gate.set(check);
    }

    /// Waits until the worker has taken all that stood in the queues when this began: what the broker has
    /// confirmed is then imported.
    ///
    /// # Errors
    /// When RabbitMQ refuses, or the worker does not come so far in [`crate::watched::PATIENCE`].
    pub async fn until_worker_caught_up(&self) -> Result<()> {
        let Some(broker) = &self.shared.broker else {
            return Ok(());
        };
        let connectors =
            self.read(|platform| platform.connectors.keys().cloned().collect::<Vec<String>>());
        for connector in connectors {
            let mark = broker.mark(&self.shared.platform, &connector).await?;
            self.until("the worker has caught up", |platform| {
                platform.marks_taken.contains(&mark)
            })
            .await?;
        }
        Ok(())
    }

    /// All drafts that were not deleted, in the order of their creation.
    #[must_use]
    pub fn drafts(&self) -> Vec<Draft> {
        self.read(|platform| platform.drafts.clone())
    }

    /// An administrator takes over all that is in a draft, which is closed then.
    ///
    /// # Errors
    /// When it is closed already, or holds an artifact.
    pub fn validate_draft(&self, id: &str) -> Result<()> {
        let administrator = internal_id("administrator");
        self.edit(|platform| platform.validate_draft(id, &administrator))
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// All imported objects but those in drafts, as they are after all imports, in the order of their first.
    #[must_use]
    pub fn objects(&self) -> Vec<Value> {
        self.read(|platform| platform.store.iter().map(|it| it.object.clone()).collect())
    }

    /// The objects of one STIX type.
    #[must_use]
    pub fn objects_of(&self, kind: &str) -> Vec<Value> {
        self.stored_of(kind)
            .into_iter()
            .map(|it| it.object)
            .collect()
    }

    /// The objects of one STIX type, with what the platform knows of them.
    #[must_use]
    pub fn stored_of(&self, kind: &str) -> Vec<Stored> {
        self.read(|platform| {
            platform
                .store
                .iter()
                .filter(|it| it.object["type"] == kind)
                .cloned()
                .collect()
        })
    }

    /// What reached the worker, in that order.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.read(|platform| platform.deliveries.clone())
    }

    /// All works that were not deleted, in the order of their creation.
    #[must_use]
    pub fn works(&self) -> Vec<Work> {
        self.read(|platform| platform.works.clone())
    }

    /// All errors on all works.
    #[must_use]
    pub fn work_errors(&self) -> Vec<String> {
        self.read(Platform::work_errors)
    }

    /// Violations of STIX 2.1 in anything that was imported.
    #[must_use]
    pub fn validity_problems(&self) -> Vec<String> {
        self.read(|platform| platform.validity_problems.iter().cloned().collect())
    }

    /// All requests in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.read(|platform| platform.requests.clone())
    }

    /// The requests that named this root field.
    #[must_use]
    pub fn requests_of(&self, field: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|it| it.fields.iter().any(|name| name == field));
        requests
    }

    /// The state text that the platform holds of the first connector, if it ever got one.
    #[must_use]
    pub fn state(&self) -> Option<String> {
        self.read(|platform| {
            platform
                .connectors
                .values()
                .next()
                .and_then(|it| it.state.clone())
        })
    }

    /// Stops, and waits until RabbitMQ has let go of the queues.
    ///
    /// # Errors
    /// When the connection to RabbitMQ does not close in good order.
    pub async fn stop(self) -> Result<()> {
        match &self.shared.broker {
            Some(broker) => broker.close().await,
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.watch().assert_nothing_found();
        // A second panic would hide what the first one says.
        if !std::thread::panicking() {
            let problems = self.validity_problems();
            assert!(problems.is_empty(), "no valid STIX 2.1: {problems:#?}");
            let surprises = self.read(Platform::surprises);
            assert!(
                surprises.is_empty(),
                "what arrived is not what was meant (Server::expect says what a test expects): {surprises:#?}"
            );
        }
    }
}
