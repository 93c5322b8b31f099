//! VirusTotal's API v3: a collection page by page, lookups, downloads, removal.
//!
//! The key goes to the API and nowhere else: redirects of the API are errors, and the storage host is
//! asked by a client that does not have the key.

mod account;
mod counters;
mod document;
mod download;
mod element;
mod error;
mod feed;
#[cfg(test)]
mod feed_tests;
mod lookup;
mod network;
mod path;
mod pointer;
mod request;
mod seen;
mod subject;
#[cfg(test)]
mod testing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, redirect};
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::{Http, HttpError, Redaction, Source, Verify};

pub use account::{Allowance, Quotas};
pub use counters::Requests;
pub use document::Document;
pub use download::{Download, DownloadError};
pub use element::Element;
pub use error::Error;
pub use feed::{Feed, FeedRequest, Item, Page, Unidentified};
pub use lookup::Lookup;
pub use network::NetworkFault;
pub use path::{DownloadRequest, FeedPath, ItemId, LookupPath, Refused};
pub use pointer::Pointer;
pub use subject::Subject;

use counters::{Counters, count};
use lookup::Lookups;
use request::{Rate, Transport};

/// VirusTotal compresses only for a `User-Agent` that contains `gzip`.
const USER_AGENT: &str = concat!(
    env!("CARGO_PKG_NAME"),
    "/",
    env!("CARGO_PKG_VERSION"),
    "; gzip"
);

/// Pause before the second try of a request.
const RETRY_BASE: Duration = Duration::from_secs(1);

/// Longest time to make a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest time without a byte of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest time for a whole answer of the API; a download has no such limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2 * 60);

/// Most bytes read of the answer to a removal, which is empty.
const MAX_REMOVAL_ANSWER: u64 = 64 * 1024;

/// VirusTotal's API with one key. Clones share everything.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    /// The key as it stands in a path.
    key_in_path: SecretString,
    /// Has no key.
    storage: reqwest::Client,
    lookups: Lookups,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The key cannot stand in a header.
    #[error(
        "API_KEY is empty or holds characters that no key has (blanks inside, line ends, control characters)"
    )]
    Key,
    /// The API root is no address of HTTP.
    #[error("API_URL is {0:?}, expected http:// or https://")]
    Url(String),
    /// Proxies or certificate authorities.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The TLS library refuses.
    #[error("the HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
}

impl SetupError {
    /// The setting to change, without the guest's prefix where it has one; none where it is not known.
    #[must_use]
    pub fn setting(&self) -> Option<&str> {
        match self {
            Self::Key => Some("API_KEY"),
            Self::Url(_) => Some("API_URL"),
            Self::Http(error) => error.setting(),
            Self::Client(_) => None,
        }
    }
}

impl Client {
    /// Makes a client; nothing is asked yet.
    ///
    /// # Errors
    /// When a setting is unusable; the message names it.
    pub fn new(source: &Source, http: &Http) -> Result<Self, SetupError> {
        Self::with_retry_base(source, http, RETRY_BASE)
    }

    /// Like [`Client::new`], with another pause before the second try; it doubles with each further try.
    ///
    /// # Errors
    /// When a setting is unusable; the message names it.
    pub fn with_retry_base(
        source: &Source,
        http: &Http,
        retry_base: Duration,
    ) -> Result<Self, SetupError> {
        let mut root = source.api_url.clone();
        if !matches!(root.scheme(), "http" | "https") {
            return Err(SetupError::Url(root.scheme().to_owned()));
        }
        if !root.path().ends_with('/') {
            root.set_path(&format!("{}/", root.path()));
        }
        let headers = HeaderMap::from_iter([(
            reqwest::header::HeaderName::from_static("x-apikey"),
            key_header(source.api_key.expose_secret())?,
        )]);
        let api = http
            .builder(&Verify::Yes)?
            .default_headers(headers)
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .build()?;
        // The bytes are wanted as they are stored, and a `Referer` would carry the signed URL.
        let storage = http
            .builder(&Verify::Yes)?
            .user_agent(USER_AGENT)
            .no_gzip()
            .referer(false)
            .redirect(download::redirects(root.scheme().to_owned()))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()?;
        let key_in_path = account::key_in_path(&source.api_key);
        let transport = Transport {
            api,
            redaction: Redaction::default()
                .with(source.api_key.expose_secret(), "[key]")
                .with(key_in_path.expose_secret(), "[key]")
                .with_login_of(&root),
            root,
            rate: Rate::per_minute(source.requests_per_minute),
            retry_base,
            counters: Counters::default(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                transport,
                key_in_path,
                storage,
                lookups: lookup::cache(),
            }),
        })
    }

    /// Begins a run: forgets the answers to lookups.
    pub fn begin_run(&self) {
        self.inner.lookups.invalidate_all();
    }

    /// What was asked since the client was made.
    pub fn requests(&self) -> Requests {
        self.transport().counters.snapshot()
    }

    /// Removes a notification from the stream; one that is not there any more is as good as removed.
    ///
    /// # Errors
    /// When VirusTotal did not remove it, after all tries.
    pub async fn remove(&self, notification: &ItemId) -> Result<(), Error> {
        count(&self.transport().counters.removals);
        let path = format!("ioc_stream_notifications/{notification}");
        let answer = self
            .transport()
            .call(Method::DELETE, &path, &[], MAX_REMOVAL_ANSWER)
            .await;
        match answer {
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    /// The text of a successful answer that looks like a JSON object: a captive portal answers 200 as well.
    fn json_object(&self, body: Vec<u8>) -> Result<Arc<String>, Error> {
        let text = String::from_utf8(body).map_err(|error| Error::NotText {
            byte: error.utf8_error().valid_up_to(),
        })?;
        self.json_text(text)
    }

    /// An object of the API, or what something else on the way said.
    fn json_text(&self, text: String) -> Result<Arc<String>, Error> {
        if !text.trim_start().starts_with('{') {
            return Err(Error::NotJson {
                host: self.transport().host().to_owned(),
                status: 200,
                excerpt: self.transport().excerpt(&text),
                after: None,
            });
        }
        Ok(Arc::new(text))
    }

    #[cfg(test)]
    fn with_rate(self, rate: Rate) -> Self {
        let mut inner = Arc::into_inner(self.inner).unwrap();
        inner.transport.rate = rate;
        Self {
            inner: Arc::new(inner),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("host", &self.transport().host())
            .finish_non_exhaustive()
    }
}

fn key_header(key: &str) -> Result<HeaderValue, SetupError> {
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
    let value = plain
        .then(|| HeaderValue::from_str(key))
        .ok_or(SetupError::Key)?;
    let mut value = value.map_err(|_| SetupError::Key)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::testing::{self, Reply, Server, client};
    use super::*;

    #[tokio::test]
    async fn a_notification_that_is_gone_is_removed() {
        let error = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"words"}}}}"#);
        for (reply, removed) in [
            (Reply::text(200, ""), true),
            (Reply::json(404, error("NotFoundError")), true),
            (Reply::html(404), false),
            (Reply::json(403, error("ForbiddenError")), false),
            (Reply::json(429, error("QuotaExceededError")), false),
        ] {
            let server = Server::always(reply).await;
            let client = client(&server);
            let answer = client.remove(&"123".parse().unwrap()).await;
            assert_eq!(answer.is_ok(), removed, "{answer:?}");
            assert_eq!(
                server.lines(),
                ["DELETE /api/v3/ioc_stream_notifications/123"]
            );
            assert_eq!(client.requests().removals, 1);
        }
    }

    #[tokio::test]
    async fn removal_is_tried_again_while_another_is_under_way() {
        let busy = r#"{"error":{"code":"TooManyRequests","message":"Notifications already being deleted."}}"#;
        let server = Server::in_turn([Reply::json(429, busy), Reply::text(200, "")]).await;
        client(&server).remove(&"1".parse().unwrap()).await.unwrap();
        assert_eq!(server.requests().len(), 2);
    }

    #[test]
    fn unusable_settings_are_named() {
        testing::install_tls();
        let source = |url: &str, key: &str| Source {
            api_url: url.parse().unwrap(),
            api_key: key.to_owned().into(),
            limit: None,
            requests_per_minute: None,
        };
        for (url, key, words) in [
            ("https://vt.example/api/v3/", "", "API_KEY"),
            ("https://vt.example/api/v3/", "a b", "API_KEY"),
            ("https://vt.example/api/v3/", "a\n", "API_KEY"),
            ("ftp://vt.example/", "key", "API_URL"),
        ] {
            let error = Client::new(&source(url, key), &Http::default()).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
        assert!(
            Client::new(
                &source("https://vt.example/api/v3", "key"),
                &Http::default()
            )
            .is_ok()
        );
    }
}
