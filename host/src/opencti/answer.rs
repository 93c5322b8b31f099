//! Reading the answer to a GraphQL request.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderValue, RETRY_AFTER};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::error::{Code, Error, Excerpt};
use super::operations::Operation;
use crate::config::Redaction;

/// No answer that we ask for comes near this.
const MAX_ANSWER: usize = 8 << 20;
/// Most bytes of an unexpected answer that are looked at.
const MAX_EXCERPTED: usize = 16 << 10;
/// A longer `Retry-After` is not waited for: the next run comes anyway.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    errors: Vec<GraphQlError>,
}

#[derive(Deserialize)]
struct GraphQlError {
    #[serde(default)]
    message: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    extensions: Extensions,
}

#[derive(Default, Deserialize)]
struct Extensions {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    data: Option<ErrorData>,
}

#[derive(Deserialize)]
struct ErrorData {
    /// Of references: which of them the platform does not have.
    #[serde(default, rename = "unresolvedIds")]
    unresolved_ids: Vec<String>,
}

/// Ids in the words of an error.
const MAX_NAMED_IDS: usize = 5;

impl GraphQlError {
    /// The platform's words, with the references that it does not have.
    fn words(&self) -> String {
        let data = self.extensions.data.as_ref();
        let unresolved = data.map_or(&[][..], |data| &data.unresolved_ids);
        if unresolved.is_empty() {
            return self.message.clone();
        }
        let named = unresolved.iter().take(MAX_NAMED_IDS);
        let named: Vec<&str> = named.map(String::as_str).collect();
        let more = match unresolved.len() - named.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{}: {}{more}", self.message, named.join(", "))
    }
}

/// What to wait before the next try: what the platform asks for, where it does.
pub(super) fn delay_after(error: &Error, delay: Duration) -> Option<Duration> {
    match error.retry_after() {
        Some(asked) if asked > LONGEST_RETRY_AFTER => None,
        Some(asked) => Some(asked.max(delay)),
        None => Some(delay),
    }
}

/// Sends a request and reads the body of a GraphQL answer. GraphQL errors come as [`Error::GraphQl`],
/// whatever the HTTP status (protocol section 1).
pub(super) async fn answer_of(
    operation: &'static Operation,
    request: reqwest::RequestBuilder,
    redaction: &Redaction,
) -> Result<Bytes, Error> {
    let mut response = request.send().await.map_err(Error::network)?;
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(retry_after);
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Error::network)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Error::TooLarge {
                operation,
                limit: MAX_ANSWER,
            });
        }
        body.extend_from_slice(&chunk);
    }
    let envelope = serde_json::from_slice::<Envelope<'_>>(&body);
    if let Ok(Envelope { errors, .. }) = &envelope
        && let Some(first) = errors.first()
    {
        let code = first.extensions.code.as_deref().or(first.name.as_deref());
        return Err(Error::GraphQl {
            operation,
            code: Code::parse(&redaction.strike(code.unwrap_or("(no code)"))),
            message: redaction.strike(&first.words()),
        });
    }
    let excerpt = || {
        let beginning = body.get(..MAX_EXCERPTED).unwrap_or(&body);
        Excerpt::of(
            redaction
                .strike(&String::from_utf8_lossy(beginning))
                .as_bytes(),
        )
    };
    if !status.is_success() {
        return Err(Error::Status {
            status: status.as_u16(),
            retry_after,
            excerpt: excerpt(),
        });
    }
    match envelope {
        Ok(Envelope { data: Some(_), .. }) => Ok(body.freeze()),
        _ => Err(Error::NotGraphQl { excerpt: excerpt() }),
    }
}

pub(super) fn parse<A: DeserializeOwned>(
    operation: &'static Operation,
    body: &[u8],
) -> Result<A, Error> {
    #[derive(Deserialize)]
    struct Data<A> {
        data: A,
    }
    serde_json::from_slice::<Data<A>>(body)
        .map(|answer| answer.data)
        .map_err(|error| Error::Shape {
            operation,
            reason: error.to_string(),
        })
}

/// `Retry-After` in either of its forms (RFC 9110, section 10.2.3).
fn retry_after(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let wait = date.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}
