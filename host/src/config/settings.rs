//! The settings as types that cannot be wrong.

use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use object_store::path::Path as ObjectPath;
use reqwest::header::{HeaderName, HeaderValue};
use secrecy::SecretString;
use url::{Host, Url};

/// All that the host is told by its environment and `config.yml`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The platform.
    pub opencti: OpenCti,
    /// The connector as the platform sees it, and how it sends.
    pub connector: Connector,
    /// VirusTotal.
    pub source: Source,
    /// Settings under the guest's prefix, names without the prefix, in order of their names.
    pub guest: Vec<(String, String)>,
    /// What is odd but accepted, in words for the log at start.
    pub warnings: Vec<String>,
}

/// How to reach the platform.
#[derive(Clone)]
pub struct OpenCti {
    /// Base address, without a trailing slash and without `/graphql`.
    pub url: Url,
    /// API token of the connector's account.
    pub token: SecretString,
    /// Whether certificates are verified; `OPENCTI_SSL_VERIFY`.
    pub verify: Verify,
    /// `OPENCTI_CUSTOM_HEADERS`; may overwrite our own.
    pub custom_headers: Vec<(HeaderName, HeaderValue)>,
}

impl fmt::Debug for OpenCti {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenCti")
            .field("url", &without_password(&self.url))
            .field("verify", &self.verify)
            .field("custom_headers", &self.custom_headers)
            .finish_non_exhaustive()
    }
}

/// Verification of a peer's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verify {
    /// Against the system's certificate authorities and those given in addition.
    Yes,
    /// Not at all: the connection can be read and changed by anyone on the way.
    No,
    /// Like `Yes`, with the authorities of this PEM file in addition.
    With(PathBuf),
}

/// The connector itself.
#[derive(Debug, Clone)]
pub struct Connector {
    /// UUID of this instance.
    pub id: String,
    /// Name shown on the platform.
    pub name: String,
    /// Name in OpenCTI's catalogs, as the guest says it; for information.
    pub slug: Option<String>,
    /// Entity types that it brings, for information.
    pub scope: Vec<String>,
    /// Time from the end of a run to the next; zero means one run.
    pub period: Duration,
    /// One run, then exit.
    pub run_and_terminate: bool,
    /// No run starts while the connector's queue holds this many megabytes (10^6 bytes) or more.
    pub queue_threshold: f64,
    /// Where bundles go.
    pub sinks: Sinks,
    /// Whether what runs bring waits in a draft until a human has validated it.
    pub validate_before_import: bool,
    /// Whether files go past the draft, straight to the platform's knowledge: `CONNECTOR_FILES_OUTSIDE_DRAFT`.
    pub files_outside_draft: bool,
    /// The account to make on the platform and to work as, if any: `CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT`.
    pub service_account: Option<ServiceAccount>,
    /// Where metrics and status are served, if they are: `CONNECTOR_EXPOSE_METRICS`.
    pub status: Option<Status>,
}

/// What the connector shows of itself over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where.
    pub address: SocketAddr,
    /// What the names of metrics begin with, the underscore behind it not included: `CONNECTOR_METRICS_NAMESPACE` and
    /// `CONNECTOR_METRICS_SUBSYSTEM`.
    pub metrics_prefix: Option<String>,
}

/// Where bundles go; at least one is on.
#[derive(Debug, Clone)]
pub struct Sinks {
    /// The platform's queue, or none with `CONNECTOR_SEND_TO_QUEUE=false` (then no work is opened either).
    pub queue: Option<Queue>,
    /// A directory, `CONNECTOR_SEND_TO_DIRECTORY`.
    pub directory: Option<Directory>,
    /// A bucket, `CONNECTOR_SEND_TO_S3`.
    pub s3: Option<S3>,
}

impl Sinks {
    /// Whether bundles go to the platform's queue and nowhere else.
    #[must_use]
    pub fn is_queue_alone(&self) -> bool {
        self.queue.is_some() && self.directory.is_none() && self.s3.is_none()
    }
}

/// An account of the connector's own, which it makes with the rights of `OPENCTI_TOKEN`.
#[derive(Debug, Clone, Copy)]
pub struct ServiceAccount {
    /// Highest confidence of what the account brings, 0 to 100.
    pub confidence_level: u8,
}

/// The way to the platform's workers.
#[derive(Debug, Clone)]
pub enum Queue {
    /// RabbitMQ; the platform tells the connection, the overrides win.
    Amqp(BrokerOverrides),
    /// The platform's GraphQL API (`stixBundlePush`).
    Api,
}

/// `MQ_*`: what to use instead of what the platform says of its broker.
#[derive(Debug, Clone, Default)]
pub struct BrokerOverrides {
    /// Host name or address.
    pub host: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// Virtual host.
    pub vhost: Option<String>,
    /// Whether to use TLS.
    pub use_ssl: Option<bool>,
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<SecretString>,
    /// PEM text, or a path to it, of the authorities that sign the broker's certificate.
    pub ca: Option<String>,
    /// PEM text, or a path to it, of the client certificate.
    pub client_certificate: Option<String>,
    /// PEM text, or a path to it, of the client key.
    pub client_key: Option<SecretString>,
    /// Opens the client key where it is encrypted.
    pub client_key_passphrase: Option<SecretString>,
    /// `MQ_USE_SSL_REJECT_UNAUTHORIZED`; unset means true: certificates are verified.
    pub reject_unauthorized: Option<bool>,
}

/// The directory sink.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Folder; made if it is not there.
    pub path: PathBuf,
    /// Our own files older than this many days are removed; none means never.
    pub retention_days: Option<NonZeroU64>,
}

/// The S3 sink.
#[derive(Debug, Clone)]
pub struct S3 {
    /// Name of the bucket; none means the platform's own.
    pub bucket: Option<String>,
    /// Folder in the bucket; empty for its root.
    pub folder: ObjectPath,
    /// Our own objects older than this many days are removed; none means never.
    pub retention_days: Option<NonZeroU64>,
    /// What to use instead of what the platform says.
    pub overrides: S3Overrides,
}

impl S3 {
    /// Whether nothing is left for the platform to say.
    #[must_use]
    pub fn says_all(&self) -> bool {
        let S3Overrides {
            endpoint,
            port,
            access_key,
            secret_key,
            use_ssl,
            bucket_region,
        } = &self.overrides;
        self.bucket.is_some()
            && endpoint.is_some()
            && port.is_some()
            && access_key.is_some()
            && secret_key.is_some()
            && use_ssl.is_some()
            && bucket_region.is_some()
    }
}

/// `S3_*`: what to use instead of what the platform says of its own S3 storage.
#[derive(Debug, Clone, Default)]
pub struct S3Overrides {
    /// Host name or address.
    pub endpoint: Option<Host>,
    /// TCP port.
    pub port: Option<u16>,
    /// Access key.
    pub access_key: Option<SecretString>,
    /// Secret key.
    pub secret_key: Option<SecretString>,
    /// Whether to use TLS.
    pub use_ssl: Option<bool>,
    /// Region of the bucket.
    pub bucket_region: Option<String>,
}

/// VirusTotal.
#[derive(Clone)]
pub struct Source {
    /// API root, with a trailing slash: `https://www.virustotal.com/api/v3/`.
    pub api_url: Url,
    /// API key.
    pub api_key: SecretString,
    /// At most this many new notifications a run.
    pub limit: Option<NonZeroU64>,
    /// At most this many requests a minute of our own accord.
    pub requests_per_minute: Option<NonZeroU32>,
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Source")
            .field("api_url", &without_password(&self.api_url))
            .field("limit", &self.limit)
            .field("requests_per_minute", &self.requests_per_minute)
            .finish_non_exhaustive()
    }
}

/// The address as it may be shown: `https://user:password@host/` is a valid one.
fn without_password(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}
