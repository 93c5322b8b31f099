//! One request to the API: rate, retry, size limit, and what an answer means.

use std::num::NonZeroU32;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use url::Url;

use super::counters::{Counters, count};
use super::error::Error;
use crate::config::Redaction;

/// Tries after the first.
const RETRIES: usize = 4;

/// Longest pause that `Retry-After` may ask for; beyond it the request fails, and the next run asks again.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// Longest pause of our own, before jitter (which at most doubles it).
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Most bytes read of an answer that reports an error.
const MAX_ERROR_BODY: u64 = 64 * 1024;

/// Most characters of someone else's words that go into a message.
const MAX_EXCERPT: usize = 200;

/// Sends requests to the API, and only there: the key is on all of them.
pub(super) struct Transport {
    pub(super) api: reqwest::Client,
    pub(super) root: Url,
    pub(super) redaction: Redaction,
    pub(super) rate: Rate,
    /// Pause before the second try; doubled for each further one.
    pub(super) retry_base: Duration,
    pub(super) counters: Counters,
}

impl Transport {
    /// Host of the API, for messages.
    pub(super) fn host(&self) -> &str {
        self.root.host_str().unwrap_or("API_URL")
    }

    /// Asks until there is an answer of success, and returns its body.
    ///
    /// `path` is relative to the API root and checked; `limit` is in bytes.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        self.with_retry(path, || async {
            let answer = self.once(&method, path, query, limit).await;
            if let Err(error) = &answer
                && !matches!(error, Error::NotFound { .. })
            {
                count(&self.counters.errors);
            }
            answer
        })
        .await
    }

    /// Tries again what may pass by itself: with growing, jittered pauses, or when the other side says.
    pub(super) async fn with_retry<T, F, A>(&self, what: &str, attempt: F) -> Result<T, Error>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<T, Error>>,
    {
        let pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(self.retry_base)
            .with_max_delay(MAX_BACKOFF)
            .with_max_times(RETRIES);
        attempt
            .retry(pauses)
            .when(Error::is_transient)
            .adjust(pause)
            .notify(|error, pause| {
                count(&self.counters.retries);
                tracing::warn!(what, %error, ?pause, "VirusTotal is asked again.");
            })
            .await
    }

    /// Asks one time; otherwise as [`Transport::call`].
    pub(super) async fn once(
        &self,
        method: &Method,
        path: &str,
        query: &[(&str, &str)],
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let url = self.root.join(path).map_err(|error| Error::Malformed {
            reason: format!("{} under API_URL: {error}", self.redaction.strike(path)),
        })?;
        self.rate.ready().await;
        let response = self
            .api
            .request(method.clone(), url)
            .query(query)
            .send()
            .await
            .map_err(|error| Error::network(self.host(), &error))?;
        if response.status().is_success() {
            return body(response, limit, self.host()).await;
        }
        Err(self.refusal(response).await)
    }

    /// What an answer other than success means (API v3, "Errors").
    async fn refusal(&self, response: Response) -> Error {
        let status = response.status();
        let after = retry_after(response.headers(), jiff::Timestamp::now());
        if status.is_redirection() {
            return Error::Redirected {
                host: self.host().to_owned(),
                status: status.as_u16(),
            };
        }
        let text = beginning(response).await;
        let Ok(Envelope { error }) = serde_json::from_slice(&text) else {
            return Error::NotJson {
                host: self.host().to_owned(),
                status: status.as_u16(),
                excerpt: self.excerpt(&String::from_utf8_lossy(&text)),
                after,
            };
        };
        let code = self.excerpt(&error.code);
        let message = self.excerpt(&error.message);
        match status {
            StatusCode::TOO_MANY_REQUESTS if code == "QuotaExceededError" => {
                Error::QuotaExceeded { message }
            }
            StatusCode::TOO_MANY_REQUESTS => Error::TooManyRequests { message, after },
            StatusCode::UNAUTHORIZED => Error::Unauthorized { code, message },
            StatusCode::FORBIDDEN => Error::Forbidden { code, message },
            StatusCode::NOT_FOUND => Error::NotFound { code, message },
            _ => Error::Api {
                status: status.as_u16(),
                code,
                message,
                after,
            },
        }
    }

    /// Someone else's words on one line, without the key and the login should they repeat them.
    pub(super) fn excerpt(&self, words: &str) -> String {
        let words = self.redaction.strike(words);
        let line: Vec<&str> = words
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty())
            .collect();
        line.join(" ").chars().take(MAX_EXCERPT).collect()
    }
}

/// `{"error": {"code", "message"}}`.
#[derive(Deserialize)]
struct Envelope {
    error: Explanation,
}

#[derive(Deserialize)]
struct Explanation {
    code: String,
    #[serde(default)]
    message: String,
}

/// Our own limit on how often the API is asked.
pub(super) struct Rate(Option<DefaultDirectRateLimiter>);

impl Rate {
    /// Requests stand evenly apart: a burst would spend two minutes' allowance within one.
    pub(super) fn per_minute(requests: Option<NonZeroU32>) -> Self {
        let evenly = |requests| Quota::per_minute(requests).allow_burst(NonZeroU32::MIN);
        Self(requests.map(|requests| RateLimiter::direct(evenly(requests))))
    }

    async fn ready(&self) {
        if let Some(limiter) = &self.0 {
            limiter.until_ready().await;
        }
    }
}

/// Reads a whole body, but not more than `limit` bytes of it (after decompression).
async fn body(mut response: Response, limit: u64, host: &str) -> Result<Vec<u8>, Error> {
    let announced = response.content_length().unwrap_or_default();
    if announced > limit {
        return Err(Error::TooLarge { limit });
    }
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or_default());
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Error::network(host, &error))?
    {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(Error::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What can be had of an error's body: the status already tells that it is one.
async fn beginning(mut response: Response) -> Vec<u8> {
    let mut text = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        text.extend_from_slice(&chunk);
        if text.len() as u64 > MAX_ERROR_BODY {
            break;
        }
    }
    text
}

/// The pause before the next try; none ends the tries.
fn pause(error: &Error, own: Option<Duration>) -> Option<Duration> {
    let own = own?;
    match error.retry_after() {
        Some(asked) if asked > MAX_RETRY_AFTER => None,
        Some(asked) => Some(asked.max(own)),
        None => Some(own),
    }
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds or a date.
fn retry_after(headers: &HeaderMap, now: jiff::Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::virustotal::testing::{Reply, Server, client};

    const BUSY: &str = r#"{"error":{"code":"TransientError","message":"try again"}}"#;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        for (text, seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("Thu, 01 Jan 2026 00:01:30 GMT", Some(90)),
            ("Wed, 31 Dec 2025 23:59:59 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, now), expected, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn the_other_side_may_ask_for_a_longer_pause() {
        let asked = |after: Option<u64>| Error::TooManyRequests {
            message: String::new(),
            after: after.map(Duration::from_secs),
        };
        let seconds = Duration::from_secs;
        for (after, own, expected) in [
            (None, Some(2), Some(2)),
            (Some(9), Some(2), Some(9)),
            (Some(0), Some(2), Some(2)),
            (Some(300), Some(2), Some(300)),
            (Some(301), Some(2), None),
            (Some(1), None, None),
        ] {
            assert_eq!(
                pause(&asked(after), own.map(seconds)),
                expected.map(seconds),
                "{after:?} {own:?}"
            );
        }
    }

    /// What the first answer is, how often we ask, and what comes of it when the second is good.
    #[tokio::test]
    async fn what_may_pass_is_asked_again_and_nothing_else() {
        let error = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"words"}}}}"#);
        let cases = [
            (Reply::json(424, error("FailedDependencyError")), 2),
            (Reply::json(429, error("TooManyRequestsError")), 2),
            (Reply::json(429, error("TooManyRequests")), 2),
            (Reply::json(500, error("Unknown")), 2),
            (Reply::json(503, error("TransientError")), 2),
            (Reply::json(504, error("DeadlineExceededError")), 2),
            (Reply::html(502), 2),
            (Reply::html(429), 2),
            (Reply::json(200, "{}").cut_by(1), 2),
            (Reply::no_answer(), 2),
            (
                Reply::json(429, error("TooManyRequests")).header("Retry-After", "0"),
                2,
            ),
            (
                Reply::json(429, error("TooManyRequests")).header("Retry-After", "301"),
                1,
            ),
            (Reply::json(429, error("QuotaExceededError")), 1),
            (Reply::json(400, error("BadRequestError")), 1),
            (Reply::json(401, error("WrongCredentialsError")), 1),
            (Reply::json(403, error("ForbiddenError")), 1),
            (Reply::json(404, error("NotFoundError")), 1),
            (Reply::html(404), 1),
            (Reply::html(407), 1),
            (Reply::json(302, "").header("Location", "/elsewhere"), 1),
        ];
        for (first, asked) in cases {
            let shown = format!("{first:?}");
            let server = Server::in_turn([first, Reply::json(200, "{}")]).await;
            let client = client(&server);
            let answer = client.transport().call(Method::GET, "x", &[], 1000).await;
            assert_eq!(server.requests().len(), asked, "{shown}");
            assert_eq!(answer.is_ok(), asked == 2, "{shown}: {answer:?}");
            assert_eq!(client.requests().retries, asked as u64 - 1, "{shown}");
        }
    }

    #[tokio::test]
    async fn gives_up_after_five_tries_with_the_last_reason() {
        let server = Server::always(Reply::json(503, BUSY)).await;
        let answer = client(&server)
            .transport()
            .call(Method::GET, "x", &[], 1000)
            .await;
        assert_eq!(server.requests().len(), RETRIES + 1);
        let error = answer.unwrap_err().to_string();
        assert_eq!(error, "VirusTotal answered 503 TransientError: try again");
    }

    #[tokio::test]
    async fn answers_are_errors_by_their_kind() {
        let error = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"a\nb"}}}}"#);
        let (code, message) = (|code: &str| code.to_owned(), "a b".to_owned());
        let host = "127.0.0.1".to_owned();
        for (reply, expected) in [
            (
                Reply::json(429, error("QuotaExceededError")),
                Error::QuotaExceeded {
                    message: message.clone(),
                },
            ),
            (
                Reply::json(401, error("WrongCredentialsError")),
                Error::Unauthorized {
                    code: code("WrongCredentialsError"),
                    message: message.clone(),
                },
            ),
            (
                Reply::json(403, error("ForbiddenError")),
                Error::Forbidden {
                    code: code("ForbiddenError"),
                    message: message.clone(),
                },
            ),
            (
                Reply::json(404, error("NotFoundError")),
                Error::NotFound {
                    code: code("NotFoundError"),
                    message,
                },
            ),
            (
                Reply::html(404),
                Error::NotJson {
                    host: host.clone(),
                    status: 404,
                    excerpt: "<html><title>404</title></html>".to_owned(),
                    after: None,
                },
            ),
            (
                Reply::json(301, "").header("Location", "http://127.0.0.1:1/"),
                Error::Redirected { host, status: 301 },
            ),
            (
                Reply::json(200, "x".repeat(1001)),
                Error::TooLarge { limit: 1000 },
            ),
            (
                Reply::json(200, "x".repeat(1001)).chunked(),
                Error::TooLarge { limit: 1000 },
            ),
        ] {
            let server = Server::always(reply).await;
            let answer = client(&server)
                .transport()
                .call(Method::GET, "x", &[], 1000)
                .await;
            assert_eq!(answer.unwrap_err(), expected);
        }
    }

    #[tokio::test]
    async fn requests_carry_the_key_and_ask_for_gzip() {
        let server = Server::always(Reply::gzip(GZIPPED)).await;
        let client = client(&server);
        let answer = client
            .transport()
            .call(Method::GET, "x", &[("filter", "date:1+ a=b&c")], 10)
            .await;
        assert_eq!(answer.unwrap(), b"{}");

        let [request] = &server.requests()[..] else {
            panic!("one request")
        };
        assert_eq!(request.target, "/api/v3/x?filter=date%3A1%2B+a%3Db%26c");
        assert_eq!(request.header("x-apikey"), Some("secret-key"));
        assert_eq!(request.header("accept-encoding"), Some("gzip"));
        assert!(request.header("user-agent").unwrap().ends_with("; gzip"));
    }

    /// `{}`, compressed.
    const GZIPPED: &[u8] = &[
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0xae, 0x05, 0x00, 0x43,
        0xbf, 0xa6, 0xa3, 0x02, 0x00, 0x00, 0x00,
    ];

    #[tokio::test]
    async fn a_cut_gzip_body_is_asked_for_again() {
        let cut = &GZIPPED[..GZIPPED.len() - 9];
        let server = Server::in_turn([Reply::gzip(cut), Reply::gzip(GZIPPED)]).await;
        let answer = client(&server)
            .transport()
            .call(Method::GET, "x", &[], 10)
            .await;
        assert_eq!(answer.unwrap(), b"{}");
        assert_eq!(server.requests().len(), 2);
    }

    #[tokio::test]
    async fn the_key_is_struck_out_of_what_others_say() {
        let body = r#"{"error":{"code":"WrongCredentialsError","message":"no key secret-key"}}"#;
        for reply in [
            Reply::json(401, body),
            Reply::text(400, "your secret-key is wrong"),
        ] {
            let server = Server::always(reply).await;
            let client = client(&server);
            let error = client
                .transport()
                .call(Method::GET, "x", &[], 10)
                .await
                .unwrap_err();
            let shown = format!("{error} {error:?} {client:?}");
            assert!(!shown.contains("secret-key"), "{shown}");
            assert!(shown.contains("[key]"), "{shown}");
        }
    }

    #[tokio::test]
    async fn every_try_counts_against_the_rate() {
        let server = Server::in_turn([Reply::json(503, BUSY), Reply::json(200, "{}")]).await;
        let two = NonZeroU32::new(2).unwrap();
        let limiter = RateLimiter::direct(Quota::per_hour(two));
        let client = client(&server).with_rate(Rate(Some(limiter)));
        client
            .transport()
            .call(Method::GET, "x", &[], 10)
            .await
            .unwrap();
        let Rate(Some(limiter)) = &client.transport().rate else {
            panic!("a rate")
        };
        assert!(limiter.check().is_err(), "both tries are spent");
    }

    #[test]
    fn the_first_request_of_a_rate_leaves_no_burst() {
        let Rate(Some(limiter)) = Rate::per_minute(NonZeroU32::new(4)) else {
            panic!("a rate")
        };
        assert!(limiter.check().is_ok());
        assert!(limiter.check().is_err());
    }
}
