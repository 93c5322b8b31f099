//! GraphQL over HTTP.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use reqwest::redirect;
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::answer::{answer_of, delay_after, parse};
use super::error::{Code, Error};
use super::operations::{ABOUT, Operation, Variant};
use super::version::Version;
use crate::config::{Http, HttpError, OpenCti, Redaction};

/// An address that answers slowly is worth the wait (pycti waits 300 s), but a run must get on.
const TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// First delay of a retry.
const RETRY_BASE: Duration = Duration::from_secs(1);
/// With these, eight tries take about two minutes: a platform or a broker restarts in that time.
const RETRY_TIMES: usize = 7;
const RETRY_LONGEST: Duration = Duration::from_secs(30);
/// How often a token that has worked may be refused in a row before that is believed: six tries take about 45 seconds.
/// An overloaded platform answers so for some seconds (platform.md P4).
const DOUBTED_REFUSALS: usize = 5;

/// Markings that are remembered as seen; platforms have about ten.
const SEEN_MARKINGS: usize = 64;

/// Without it, a human who works in a draft with the connector's account would trap the connector in that
/// draft (protocol section 1).
const DRAFT_ID: HeaderName = HeaderName::from_static("opencti-draft-id");

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A certificate authority cannot be used.
    #[error(transparent)]
    Certificates(#[from] HttpError),
    /// A value cannot stand in an HTTP header.
    #[error("{0} holds characters that cannot stand in an HTTP header")]
    Header(&'static str),
    /// The HTTP library refuses.
    #[error("cannot make an HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

impl ClientError {
    /// The setting to change, where it is known.
    #[must_use]
    pub fn setting(&self) -> Option<&str> {
        match self {
            Self::Certificates(error) => error.setting(),
            Self::Header(setting) => Some(setting),
            Self::Http(_) => None,
        }
    }
}

/// A client of one platform. Cheap to clone; clones share what was learned about the platform.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
    /// Whether the token is one that the connector made for an account of its own.
    own_account: bool,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    endpoint: String,
    redaction: Redaction,
    retry_base: Duration,
    learned: Mutex<Learned>,
    /// Whether the platform has answered to the token, and did not refuse it for good since.
    token_works: AtomicBool,
    requests: AtomicU64,
    errors: AtomicU64,
}

/// What the platform's answers taught.
#[derive(Debug)]
struct Learned {
    version: Version,
    /// Names of variants that the platform refused, whatever its version says.
    refused: Vec<&'static str>,
    /// STIX ids of markings that the account may use. Bounded: another one is asked for each time.
    seen_markings: Vec<String>,
}

/// When a call is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// On every transient failure.
    Transient,
    /// Only where the failed call certainly had no effect: it must not count twice.
    WithoutEffect,
    /// The caller repeats, or does not.
    Never,
}

#[derive(Serialize)]
struct Request<'a, V> {
    query: &'static str,
    variables: &'a V,
}

#[derive(Deserialize)]
struct AboutAnswer {
    about: About,
}

#[derive(Deserialize)]
struct About {
    version: String,
}

impl Client {
    /// A client for the platform of the settings. `user_agent` is to be stable: the platform's
    /// administrators exempt clients from its rate limit by it.
    ///
    /// # Errors
    /// When a certificate, the token or a header cannot be used.
    pub fn new(settings: &OpenCti, http: &Http, user_agent: &str) -> Result<Self, ClientError> {
        let http = http
            .builder(&settings.verify)?
            .default_headers(headers(settings, user_agent)?)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // A followed redirect turns a POST into a GET; the user is told instead.
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self {
            own_account: false,
            shared: Arc::new(Shared {
                http,
                endpoint: format!("{}/graphql", settings.url.as_str().trim_end_matches('/')),
                redaction: redaction(settings),
                retry_base: RETRY_BASE,
                learned: Mutex::new(Learned {
                    version: Version::NEWEST,
                    refused: Vec::new(),
                    seen_markings: Vec::new(),
                }),
                token_works: AtomicBool::new(false),
                requests: AtomicU64::new(0),
                errors: AtomicU64::new(0),
            }),
        })
    }

    /// The same client with another first delay of retries; what was learned is forgotten.
    #[must_use]
    pub fn with_retry_base(self, retry_base: Duration) -> Self {
        Self {
            own_account: self.own_account,
            shared: Arc::new(Shared {
                http: self.shared.http.clone(),
                endpoint: self.shared.endpoint.clone(),
                redaction: self.shared.redaction.clone(),
                retry_base,
                learned: Mutex::new(Learned {
                    version: self.version(),
                    refused: Vec::new(),
                    seen_markings: Vec::new(),
                }),
                token_works: AtomicBool::new(false),
                requests: AtomicU64::new(0),
                errors: AtomicU64::new(0),
            }),
        }
    }

    /// The same client, whose token the connector made for an account of its own: that it is refused means something
    /// else then.
    #[must_use]
    pub fn of_own_account(self) -> Self {
        Self {
            own_account: true,
            ..self
        }
    }

    /// Requests sent since the client was made, all tries counted.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::Relaxed)
    }

    /// Requests that had no success since the client was made, all tries counted.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.shared.errors.load(Ordering::Relaxed)
    }

    /// The platform's version as last read; [`Version::NEWEST`] before that.
    #[must_use]
    pub fn version(&self) -> Version {
        self.learned().version
    }

    /// How long to wait between tries: eight in all, about two minutes, doubling, with jitter.
    #[must_use]
    pub fn backoff(&self) -> ExponentialBuilder {
        ExponentialBuilder::new()
            .with_min_delay(self.shared.retry_base)
            .with_max_delay(RETRY_LONGEST.max(self.shared.retry_base))
            .with_max_times(RETRY_TIMES)
            .with_jitter()
    }

    /// Asks the platform for its version, once, and chooses the variants of operations by it.
    ///
    /// # Errors
    /// When the platform does not answer, or refuses the token.
    pub async fn read_version(&self) -> Result<Version, Error> {
        let answer: AboutAnswer = self
            .call(&ABOUT, Retry::Never, |_| serde_json::Map::new())
            .await?;
        let text = answer.about.version;
        let version = Version::parse(&text).unwrap_or_else(|| {
            tracing::warn!(
                version = text,
                "OpenCTI's version is not understood: taken as the newest"
            );
            Version::NEWEST
        });
        let mut learned = self.learned();
        if learned.version != version {
            learned.version = version;
            learned.refused.clear();
        }
        Ok(version)
    }

    /// The variant of the operation that the platform takes.
    pub(super) fn variant(&self, operation: &'static Operation) -> Result<&'static Variant, Error> {
        let learned = self.learned();
        let mut known = operation
            .variants()
            .iter()
            .filter(|variant| variant.since <= learned.version);
        let oldest = known.clone().next_back();
        known
            .find(|variant| !learned.refused.contains(&variant.name))
            .or(oldest)
            .ok_or_else(|| Error::Missing {
                operation,
                version: learned.version,
                since: operation
                    .oldest()
                    .map_or(Version::NEWEST, |variant| variant.since),
            })
    }

    /// Calls an operation in the variant that fits the platform. A platform that refuses the variant all
    /// the same is asked in the next older one, and only in that from then on. Where it refuses all of them, the
    /// form is not what it minds: then the first refusal is the error.
    pub(super) async fn call<V: Serialize, A: DeserializeOwned>(
        &self,
        operation: &'static Operation,
        retry: Retry,
        variables: impl Fn(&'static Variant) -> V,
    ) -> Result<A, Error> {
        let mut variant = self.variant(operation)?;
        let mut first_refusal = None;
        loop {
            let result = self
                .call_variant(operation, variant, retry, &variables(variant))
                .await;
            let error = match result {
                Err(error) if error.code() == Some(&Code::ValidationFailed) => error,
                result => return result,
            };
            let Some(older) = operation.older_than(variant) else {
                self.forget_refusals(operation);
                return Err(first_refusal.unwrap_or(error));
            };
            self.remember_refusal(operation, variant, &error);
            first_refusal.get_or_insert(error);
            variant = older;
        }
    }

    /// Notes that the platform does not take this variant of the operation.
    pub(super) fn remember_refusal(
        &self,
        operation: &'static Operation,
        variant: &'static Variant,
        error: &Error,
    ) {
        tracing::warn!(
            operation = operation.name,
            version = %self.version(),
            %error,
            "OpenCTI does not take the operation as its version would: an older form is used from now on"
        );
        self.learned().refused.push(variant.name);
    }

    pub(super) fn has_seen(&self, marking: &str) -> bool {
        let learned = self.learned();
        learned.seen_markings.iter().any(|seen| seen == marking)
    }

    pub(super) fn note_seen(&self, marking: &str) {
        let seen = &mut self.learned().seen_markings;
        if seen.len() < SEEN_MARKINGS && !seen.iter().any(|it| it == marking) {
            seen.push(marking.to_owned());
        }
    }

    fn forget_refusals(&self, operation: &'static Operation) {
        let is_of_it = |name: &&str| operation.variants().iter().any(|it| it.name == *name);
        self.learned().refused.retain(|name| !is_of_it(name));
    }

    async fn call_variant<V: Serialize, A: DeserializeOwned>(
        &self,
        operation: &'static Operation,
        variant: &'static Variant,
        retry: Retry,
        variables: &V,
    ) -> Result<A, Error> {
        let body = serde_json::to_vec(&Request {
            query: variant.text,
            variables,
        })
        .map(Bytes::from)
        .map_err(|error| Error::Shape {
            operation,
            reason: format!("the request cannot be written as JSON: {error}"),
        })?;
        let mut refusals = 0;
        let answer = (|| self.post(operation, body.clone()))
            .retry(self.backoff())
            .when(|error| match retry {
                Retry::Never => false,
                _ if error.refuses_token() => {
                    refusals += 1;
                    self.doubts_refusal(refusals)
                }
                Retry::Transient => error.is_transient(),
                Retry::WithoutEffect => error.had_no_effect(),
            })
            .adjust(|error, delay| delay.and_then(|delay| delay_after(error, delay)))
            .notify(|error, delay| {
                tracing::debug!(operation = operation.name, %error, ?delay, "OpenCTI is asked again");
            })
            .await?;
        parse(operation, &answer)
    }

    /// Whether a refusal of the token, the so manieth in a row, may still be that of an overloaded platform. One that is
    /// believed makes the next one count at once, until the token has worked again.
    fn doubts_refusal(&self, refusals: usize) -> bool {
        let doubts = refusals <= DOUBTED_REFUSALS && self.token_has_worked();
        if !doubts {
            self.shared.token_works.store(false, Ordering::Relaxed);
        }
        doubts
    }

    pub(super) fn token_has_worked(&self) -> bool {
        self.shared.token_works.load(Ordering::Relaxed)
    }

    async fn post(&self, operation: &'static Operation, body: Bytes) -> Result<Bytes, Error> {
        let request = self
            .shared
            .http
            .post(&self.shared.endpoint)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        self.answer_of(operation, request).await
    }

    async fn answer_of(
        &self,
        operation: &'static Operation,
        request: reqwest::RequestBuilder,
    ) -> Result<Bytes, Error> {
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let answer = answer_of(operation, request, &self.shared.redaction).await;
        if answer.is_err() {
            self.shared.errors.fetch_add(1, Ordering::Relaxed);
        } else if operation.name != ABOUT.name {
            // Older releases tell their version to everybody.
            self.shared.token_works.store(true, Ordering::Relaxed);
        }
        match self.own_account {
            true => answer.map_err(Error::of_own_account),
            false => answer,
        }
    }

    /// Sends a multipart request (graphql-multipart-request-spec) once.
    pub(super) async fn post_form<A: DeserializeOwned>(
        &self,
        operation: &'static Operation,
        form: reqwest::multipart::Form,
        header: (HeaderName, HeaderValue),
        timeout: Duration,
    ) -> Result<A, Error> {
        let request = self
            .shared
            .http
            .post(&self.shared.endpoint)
            .header(header.0, header.1)
            .timeout(timeout)
            .multipart(form);
        parse(operation, &self.answer_of(operation, request).await?)
    }

    fn learned(&self) -> MutexGuard<'_, Learned> {
        // Nothing can panic while it is held; a poisoned lock would still hold sound values.
        self.shared
            .learned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn headers(settings: &OpenCti, user_agent: &str) -> Result<HeaderMap, ClientError> {
    let mut token = HeaderValue::try_from(format!("Bearer {}", settings.token.expose_secret()))
        .map_err(|_| ClientError::Header("OPENCTI_TOKEN"))?;
    token.set_sensitive(true);
    let user_agent =
        HeaderValue::try_from(user_agent).map_err(|_| ClientError::Header("CONNECTOR_NAME"))?;
    let mut headers = HeaderMap::from_iter([
        (USER_AGENT, user_agent),
        (AUTHORIZATION, token),
        (DRAFT_ID, HeaderValue::from_static("")),
    ]);
    headers.extend(settings.custom_headers.iter().cloned());
    Ok(headers)
}

/// What we tell the platform and whatever stands before it.
fn redaction(settings: &OpenCti) -> Redaction {
    let token = Redaction::default().with(settings.token.expose_secret(), "[token]");
    let values = settings.custom_headers.iter().map(|(_, value)| value);
    values
        .filter_map(|value| value.to_str().ok())
        .fold(token, |all, value| all.with(value, "[header]"))
}
