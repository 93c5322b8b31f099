//! A bucket of an S3 storage: what the platform says of its own, with the `S3_*` settings over it.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use reqwest::{StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::{Error, S3Failure};
use crate::config::{self, Http, Redaction, S3 as Settings, Verify};
use crate::opencti::{NetworkFailure, S3Connection, Version};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// For an object whole; the largest has a few megabytes.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Most bytes of an error's body that are looked at.
const MAX_ERROR: usize = 16 << 10;
/// What S3 takes for a bucket without a region, and most storages other than Amazon's for all.
const DEFAULT_REGION: &str = "us-east-1";

/// Where a bucket is, and how to be let in.
#[derive(Clone)]
pub(super) struct Bucket {
    /// `http://host:port`.
    endpoint: Url,
    name: String,
    region: String,
    access_key: SecretString,
    secret_key: SecretString,
}

impl Bucket {
    /// # Errors
    /// When neither the platform nor a setting tells what is needed, or the address is none.
    pub(super) fn new(
        platform: Option<&S3Connection>,
        settings: &Settings,
        version: Version,
    ) -> Result<Self, Error> {
        let overrides = &settings.overrides;
        let mut missing = Vec::new();
        let endpoint = match &overrides.endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => told_endpoint(platform)?,
        };
        let endpoint = or_missing(&mut missing, "S3_ENDPOINT", endpoint.as_ref());
        let port = overrides.port.or(platform.map(|it| it.port));
        let port = or_missing(&mut missing, "S3_PORT", port);
        let use_ssl = overrides.use_ssl.or(platform.map(|it| it.use_ssl));
        let use_ssl = or_missing(&mut missing, "S3_USE_SSL", use_ssl);
        let access_key = overrides.access_key.as_ref();
        let access_key = access_key.or(platform.map(|it| &it.access_key));
        let access_key = or_missing(&mut missing, "S3_ACCESS_KEY", access_key);
        let secret_key = overrides.secret_key.as_ref();
        let secret_key = secret_key.or(platform.map(|it| &it.secret_key));
        let secret_key = or_missing(&mut missing, "S3_SECRET_KEY", secret_key);
        let name = settings.bucket.as_deref();
        let name = name.or(platform.map(|it| it.bucket_name.as_str()));
        let name = or_missing(&mut missing, "CONNECTOR_SEND_TO_S3_BUCKET", name);
        let region = overrides.bucket_region.as_deref();
        let region = region.or(platform.map(|it| it.bucket_region.as_str()));
        let (
            Some(endpoint),
            Some(port),
            Some(use_ssl),
            Some(access_key),
            Some(secret_key),
            Some(name),
        ) = (endpoint, port, use_ssl, access_key, secret_key, name)
        else {
            return Err(Error::S3Unknown { missing, version });
        };
        Ok(Self {
            endpoint: address(use_ssl, endpoint, port)?,
            name: name.to_owned(),
            region: region
                .filter(|region| !region.is_empty())
                .unwrap_or(DEFAULT_REGION)
                .to_owned(),
            access_key: access_key.clone(),
            secret_key: secret_key.clone(),
        })
    }

    /// Whether address, name or keys are others.
    pub(super) fn differs_from(&self, other: &Self) -> bool {
        let keys = |bucket: &Self| {
            let (access, secret) = (&bucket.access_key, &bucket.secret_key);
            (
                access.expose_secret().to_owned(),
                secret.expose_secret().to_owned(),
            )
        };
        self.endpoint != other.endpoint
            || self.name != other.name
            || self.region != other.region
            || keys(self) != keys(other)
    }

    /// A client of the bucket, which tries once: our callers repeat. Nothing is connected yet. The bucket stands in
    /// the path, as OpenCTI itself asks for it: a host of a bucket's own is not known to every storage.
    ///
    /// # Errors
    /// When the client cannot be made of these settings.
    pub(super) fn open(&self, http: &reqwest::Client) -> Result<AmazonS3, Error> {
        let redaction = Redaction::default()
            .with(self.secret_key.expose_secret(), "[secret key]")
            .with(self.access_key.expose_secret(), "[access key]");
        let peer = Peer {
            http: http.clone(),
            redaction,
        };
        AmazonS3Builder::new()
            .with_endpoint(self.endpoint.as_str())
            .with_bucket_name(&self.name)
            .with_region(&self.region)
            .with_access_key_id(self.access_key.expose_secret())
            .with_secret_access_key(self.secret_key.expose_secret())
            .with_virtual_hosted_style_request(false)
            // Not every storage has the bulk form.
            .with_disable_bulk_delete(true)
            .with_retry(RetryConfig {
                backoff: BackoffConfig::default(),
                max_retries: 0,
                retry_timeout: TIMEOUT,
            })
            .with_http_connector(Connector(HttpClient::new(peer)))
            .build()
            .map_err(|error| self.failed(&error))
    }

    /// What the library says, with the settings that may be wrong.
    pub(super) fn failed(&self, error: &object_store::Error) -> Error {
        Error::S3 {
            address: self.to_string(),
            failure: failure(error),
        }
    }
}

/// Address and name.
impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.endpoint, self.name)
    }
}

/// The HTTP client for S3, with the authorities and proxies of all peers.
///
/// # Errors
/// When it cannot be made.
pub(super) fn http_client(http: &Http) -> Result<reqwest::Client, Error> {
    let unusable = |reason: String| Error::Setting {
        setting: "HTTPS_CA_CERTIFICATES",
        reason,
    };
    http.builder(&Verify::Yes)
        .map_err(|error| unusable(error.to_string()))?
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        // A signature is for one address.
        .redirect(redirect::Policy::none())
        .build()
        .map_err(|error| unusable(error.to_string()))
}

/// The platform may tell an empty text where it has none.
fn or_missing<T: MayBeEmpty>(
    missing: &mut Vec<&'static str>,
    setting: &'static str,
    value: Option<T>,
) -> Option<T> {
    let value = value.filter(|value| !value.is_empty());
    if value.is_none() {
        missing.push(setting);
    }
    value
}

trait MayBeEmpty {
    fn is_empty(&self) -> bool;
}

impl MayBeEmpty for &str {
    fn is_empty(&self) -> bool {
        str::is_empty(self)
    }
}

impl MayBeEmpty for &SecretString {
    fn is_empty(&self) -> bool {
        self.expose_secret().is_empty()
    }
}

impl MayBeEmpty for u16 {
    fn is_empty(&self) -> bool {
        *self == 0
    }
}

impl MayBeEmpty for &Host {
    fn is_empty(&self) -> bool {
        false
    }
}

impl MayBeEmpty for bool {
    fn is_empty(&self) -> bool {
        false
    }
}

/// What the platform says; it may be an empty text.
fn told_endpoint(platform: Option<&S3Connection>) -> Result<Option<Host>, Error> {
    let told = platform.map(|it| it.endpoint.as_str());
    let Some(told) = told.filter(|told| !told.is_empty()) else {
        return Ok(None);
    };
    match config::parse_host(told) {
        Some(host) => Ok(Some(host)),
        None => Err(Error::Setting {
            setting: "S3_ENDPOINT",
            // Not the text itself: it may carry a password.
            reason: "it must be set: what OpenCTI says of its S3 storage is not a host such as minio or s3.eu-west-1.amazonaws.com".to_owned(),
        }),
    }
}

fn address(use_ssl: bool, host: &Host, port: u16) -> Result<Url, Error> {
    let scheme = if use_ssl { "https" } else { "http" };
    Url::parse(&format!("{scheme}://{host}:{port}")).map_err(|error| Error::Setting {
        setting: "S3_ENDPOINT",
        reason: format!("{host} cannot stand in an address: {error}"),
    })
}

/// Hands out one HTTP client, whatever options the library would like.
#[derive(Debug)]
struct Connector(HttpClient);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}

/// The library keeps its error types private; so an answer that is an error becomes one of ours here, which is found
/// again in the chain of causes.
#[derive(Debug)]
struct Peer {
    http: reqwest::Client,
    redaction: Redaction,
}

#[async_trait]
impl HttpService for Peer {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = HttpService::call(&self.http, request).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let mut body = Vec::new();
        let mut chunks = response.into_body().bytes_stream();
        while let Some(chunk) = chunks.try_next().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ERROR {
                break;
            }
        }
        let words = self.redaction.strike(&String::from_utf8_lossy(&body));
        Err(HttpError::new(
            HttpErrorKind::Unknown,
            answered(status, &words),
        ))
    }
}

/// Sorts an answer by its status and the code in its body
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).
fn answered(status: StatusCode, body: &str) -> S3Failure {
    let code = element(body, "Code");
    let words = match (code, element(body, "Message")) {
        (Some(code), Some(message)) => format!("HTTP {}, {code}: {message}", status.as_u16()),
        (Some(code), None) => format!("HTTP {}, {code}", status.as_u16()),
        (None, _) => format!("HTTP {}", status.as_u16()),
    };
    match (code, status.as_u16()) {
        (Some("NoSuchBucket"), _) => S3Failure::NoBucket(words),
        (Some("AuthorizationHeaderMalformed" | "PermanentRedirect"), _) | (_, 301 | 307) => {
            S3Failure::Region(words)
        }
        (Some("SlowDown" | "RequestTimeout" | "OperationAborted"), _) | (_, 408 | 429 | 500..) => {
            S3Failure::Trouble(words)
        }
        (Some("RequestTimeTooSkewed"), _) => S3Failure::Clock(words),
        (Some("AccessDenied"), _) => S3Failure::Denied(words),
        (_, 401 | 403) => S3Failure::Refused(words),
        _ => S3Failure::Other(words),
    }
}

/// Text of the first XML element of this name.
fn element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn failure(error: &object_store::Error) -> S3Failure {
    let mut words = error.to_string();
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(failure) = inner.downcast_ref::<S3Failure>() {
            return failure.clone();
        }
        if let Some(error) = inner.downcast_ref::<reqwest::Error>() {
            let (failure, detail) = NetworkFailure::of(error);
            let words = format!("{failure}: {detail}");
            return match failure {
                NetworkFailure::Tls => S3Failure::Certificate(words),
                _ => S3Failure::Connection(words),
            };
        }
        words = inner.to_string();
        cause = inner.source();
    }
    S3Failure::Other(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::S3Overrides;

    fn told() -> S3Connection {
        S3Connection {
            endpoint: "minio".to_owned(),
            port: 9000,
            use_ssl: false,
            bucket_name: "opencti-bucket".to_owned(),
            bucket_region: String::new(),
            access_key: "platforms-key".into(),
            secret_key: "platforms-secret".into(),
        }
    }

    fn settings(overrides: S3Overrides) -> Settings {
        Settings {
            bucket: None,
            folder: object_store::path::Path::ROOT,
            retention_days: None,
            overrides,
        }
    }

    fn bucket(platform: Option<&S3Connection>, settings: &Settings) -> Result<Bucket, String> {
        Bucket::new(platform, settings, Version::new(6, 9, 9)).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_win_over_what_the_platform_says() {
        let told = told();
        let platforms = bucket(Some(&told), &settings(S3Overrides::default())).unwrap();
        assert_eq!(platforms.endpoint.as_str(), "http://minio:9000/");
        assert_eq!(platforms.name, "opencti-bucket");
        assert_eq!(platforms.region, "us-east-1");
        let own = Settings {
            bucket: Some("mine".to_owned()),
            ..settings(S3Overrides {
                endpoint: config::parse_host("::1"),
                port: Some(444),
                use_ssl: Some(true),
                access_key: Some("my-key".into()),
                secret_key: Some("my-secret".into()),
                bucket_region: Some("eu-west-3".to_owned()),
            })
        };
        for platform in [Some(&told), None] {
            let mine = bucket(platform, &own).unwrap();
            assert_eq!(mine.endpoint.as_str(), "https://[::1]:444/");
            assert_eq!(
                (mine.name.as_str(), mine.region.as_str()),
                ("mine", "eu-west-3")
            );
            assert_eq!(mine.access_key.expose_secret(), "my-key");
            assert_eq!(mine.secret_key.expose_secret(), "my-secret");
            assert!(mine.differs_from(&platforms) && !mine.differs_from(&mine));
        }
    }

    #[test]
    fn what_nobody_tells_is_named() {
        let keyless = S3Connection {
            access_key: "".into(),
            ..told()
        };
        for (platform, version, missing) in [
            (
                None,
                Version::new(6, 9, 9),
                "S3_ENDPOINT, S3_PORT, S3_USE_SSL, S3_ACCESS_KEY, S3_SECRET_KEY, CONNECTOR_SEND_TO_S3_BUCKET must be set: OpenCTI tells about its S3 storage from 6.9.10 on, and this is 6.9.9",
            ),
            // A platform that takes its role from Amazon.
            (
                Some(&keyless),
                Version::new(7, 260_817, 0),
                "S3_ACCESS_KEY must be set: OpenCTI tells about its S3 storage from 6.9.10 on, and this one (7.260817.0) does not tell it",
            ),
        ] {
            let unset = settings(S3Overrides::default());
            let error = Bucket::new(platform, &unset, version).err().unwrap();
            assert_eq!(
                error.to_string(),
                format!("CONNECTOR_SEND_TO_S3: {missing}")
            );
        }
    }

    #[test]
    fn an_endpoint_that_is_no_host_is_not_shown() {
        for endpoint in [
            "user:SECRET@minio",
            "http://SECRET",
            "min io",
            "minio/SECRET",
        ] {
            let told = S3Connection {
                endpoint: endpoint.to_owned(),
                ..told()
            };
            let error = bucket(Some(&told), &settings(S3Overrides::default()));
            let error = error.err().unwrap();
            assert!(
                error.starts_with("S3_ENDPOINT: it must be set") && !error.contains("SECRET"),
                "{error}"
            );
        }
    }

    #[test]
    fn answers_by_status_and_code() {
        let body = |code: &str| {
            format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>words</Message></Error>"
            )
        };
        for (status, body, setting, transient) in [
            (403, body("SignatureDoesNotMatch"), "S3_SECRET_KEY", false),
            (403, body("InvalidAccessKeyId"), "S3_ACCESS_KEY", false),
            (403, String::new(), "S3_ACCESS_KEY", false),
            (403, body("AccessDenied"), "lack a right", false),
            (403, body("RequestTimeTooSkewed"), "clock", false),
            (400, body("RequestTimeout"), "overloaded", true),
            (409, body("OperationAborted"), "overloaded", true),
            (
                404,
                body("NoSuchBucket"),
                "CONNECTOR_SEND_TO_S3_BUCKET",
                false,
            ),
            (404, "<html>".to_owned(), "S3_ENDPOINT", false),
            (
                400,
                body("AuthorizationHeaderMalformed"),
                "S3_BUCKET_REGION",
                false,
            ),
            (301, body("PermanentRedirect"), "S3_BUCKET_REGION", false),
            (503, body("SlowDown"), "overloaded", true),
            (500, "<html>".to_owned(), "overloaded", true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = Error::S3 {
                address: "http://minio:9000/bucket".to_owned(),
                failure: answered(status, &body),
            };
            assert_eq!(error.is_transient(), transient, "{status} {body}");
            let text = error.to_string();
            assert!(text.contains(setting), "{text}");
            assert_eq!(text.contains(": words"), body.contains("words"), "{text}");
        }
    }
}
