//! Answers that go wrong, planned by a test.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use serde_json::Value;

use crate::gzip;

/// What goes wrong with one answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status and JSON body instead of an answer. The request has no effect.
    Status(u16, Value),
    /// This status and JSON body with `Retry-After` in seconds. The request has no effect.
    RetryAfter(u16, u64, Value),
    /// Status 302 to this address. The request has no effect.
    Redirect(String),
    /// A front end's HTML page with this status. The request has no effect.
    Html(u16),
    /// Status 200 with a body that is not JSON. The request has no effect.
    Garbage,
    /// The request takes effect; the connection breaks in the middle of the answer's body.
    CutBody,
    /// The request takes effect; one byte in the middle of the body is another.
    Corrupt,
    /// The request takes effect; one byte in a word in the middle of the body is none of UTF-8.
    NotUtf8,
    /// The request takes effect; the body is compressed, and the second half of that is missing.
    CutGzip,
    /// The request takes effect; the answer says that it is HTML.
    WrongType,
}

/// What a matcher sees of a request.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// `GET`, `POST`, `DELETE`.
    pub method: &'a str,
    /// As in [`crate::Recorded::path`].
    pub path: &'a str,
    /// The root fields of the GraphQL document (`pingConnector`); none for VirusTotal.
    pub fields: &'a [String],
}

type Matcher = Box<dyn Fn(&Call<'_>) -> bool + Send + Sync>;

/// Matches every request.
pub fn any() -> impl Fn(&Call<'_>) -> bool + Send + Sync + 'static {
    |_| true
}

/// Matches paths that begin with `prefix`.
pub fn path(prefix: &'static str) -> impl Fn(&Call<'_>) -> bool + Send + Sync + 'static {
    move |call| call.path.starts_with(prefix)
}

/// Matches a method on paths that begin with `prefix`.
pub fn method(
    method: &'static str,
    prefix: &'static str,
) -> impl Fn(&Call<'_>) -> bool + Send + Sync + 'static {
    move |call| call.method == method && call.path.starts_with(prefix)
}

/// Matches a GraphQL request that has this root field.
pub fn field(name: &'static str) -> impl Fn(&Call<'_>) -> bool + Send + Sync + 'static {
    move |call| call.fields.iter().any(|field| field == name)
}

struct Plan {
    matcher: Matcher,
    pass: usize,
    fault: Fault,
}

/// Planned faults. Each is used once, by the first request that it matches.
#[derive(Default)]
pub struct Faults(Vec<Plan>);

impl Faults {
    /// The next matching request fails.
    pub fn push(
        &mut self,
        matcher: impl Fn(&Call<'_>) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) {
        self.after(0, matcher, fault);
    }

    /// `pass` matching requests succeed, the one after them fails.
    pub fn after(
        &mut self,
        pass: usize,
        matcher: impl Fn(&Call<'_>) -> bool + Send + Sync + 'static,
        fault: Fault,
    ) {
        self.0.push(Plan {
            matcher: Box::new(matcher),
            pass,
            fault,
        });
    }

    /// How many are still to come.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn take(&mut self, call: &Call<'_>) -> Option<Fault> {
        let mut due = None;
        for (position, plan) in self.0.iter_mut().enumerate() {
            if !(plan.matcher)(call) {
                continue;
            }
            if plan.pass == 0 {
                due = Some(position);
                break;
            }
            plan.pass -= 1;
        }
        due.map(|position| self.0.remove(position).fault)
    }
}

impl Fault {
    /// The answer to give without looking at the request, if this is such a fault.
    pub(crate) fn instead(&self) -> Option<Response> {
        let status =
            |code: u16| StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match self {
            Self::Status(code, body) => {
                Some((status(*code), axum::Json(body.clone())).into_response())
            }
            Self::RetryAfter(code, seconds, body) => {
                let mut response = (status(*code), axum::Json(body.clone())).into_response();
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
                Some(response)
            }
            Self::Redirect(address) => {
                Some((StatusCode::FOUND, [(header::LOCATION, address.clone())]).into_response())
            }
            Self::Html(code) => {
                Some((status(*code), [(header::CONTENT_TYPE, HTML_TYPE)], HTML).into_response())
            }
            Self::Garbage => Some(
                (
                    [(header::CONTENT_TYPE, "application/json")],
                    "{\"data\": [garb",
                )
                    .into_response(),
            ),
            Self::CutBody | Self::Corrupt | Self::NotUtf8 | Self::CutGzip | Self::WrongType => None,
        }
    }

    /// Spoils the answer that the request would have had.
    pub(crate) async fn spoil(&self, response: Response) -> Response {
        let (mut parts, body) = response.into_parts();
        let spoilt = match to_bytes(body, usize::MAX).await {
            Ok(bytes) => self.spoil_body(&mut parts.headers, bytes).ok(),
            Err(_) => None,
        };
        match spoilt {
            Some(body) => Response::from_parts(parts, body),
            None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }

    fn spoil_body(&self, headers: &mut HeaderMap, bytes: Bytes) -> std::io::Result<Body> {
        let middle = bytes.len() / 2;
        let is_packed = headers.contains_key(header::CONTENT_ENCODING);
        Ok(match self {
            Self::CutBody => {
                let length = HeaderValue::from(bytes.len().max(1));
                headers.insert(header::CONTENT_LENGTH, length);
                cut(std::iter::once(bytes.slice(..middle)))
            }
            Self::CutGzip => {
                let mut packed = if is_packed {
                    bytes.to_vec()
                } else {
                    gzip::pack(&bytes)?
                };
                packed.truncate(packed.len() / 2);
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                headers.remove(header::CONTENT_LENGTH);
                packed.into()
            }
            Self::NotUtf8 => {
                let plain = if is_packed {
                    gzip::unpack(&bytes)?
                } else {
                    bytes.to_vec()
                };
                headers.remove(header::CONTENT_ENCODING);
                let word = |at: &usize| {
                    let around = at.checked_sub(3).and_then(|from| plain.get(from..at + 3));
                    around.is_some_and(|it| it.iter().all(u8::is_ascii_alphanumeric))
                };
                let middle = plain.len() / 2;
                let at = (middle..plain.len()).find(word).unwrap_or(middle);
                replaced(&plain, at, |_| 0xff).into()
            }
            Self::WrongType => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(HTML_TYPE));
                bytes.into()
            }
            _ => corrupt(&bytes, middle).into(),
        })
    }
}

/// A body that breaks off after these chunks.
pub(crate) fn cut(chunks: impl Iterator<Item = Bytes> + Send + 'static) -> Body {
    // The server writes what it has when the body makes it wait; an error at once would also swallow
    // the head of the answer.
    let broken = stream::once(async {
        tokio::task::yield_now().await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    Body::from_stream(stream::iter(chunks.map(Ok)).chain(broken))
}

pub(crate) fn corrupt(bytes: &[u8], position: usize) -> Vec<u8> {
    replaced(bytes, position, |byte| byte ^ 0x55)
}

fn replaced(bytes: &[u8], position: usize, other: impl Fn(u8) -> u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(byte) = bytes.get_mut(position) {
        *byte = other(*byte);
    }
    bytes
}

const HTML_TYPE: &str = "text/html; charset=UTF-8";

const HTML: &str = "<html><head><title>Server Error</title></head><body><h1>Error: Server Error</h1>\
                    <p>The server encountered a temporary error.</p></body></html>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_meets_the_first_request_that_it_matches_and_is_gone() {
        let mut faults = Faults::default();
        faults.after(1, path("/ioc_stream"), Fault::Garbage);
        faults.push(method("DELETE", "/ioc_stream"), Fault::Html(502));
        faults.push(field("pingConnector"), Fault::CutBody);
        let fields = ["pingConnector".to_owned()];
        let cases = [
            (
                Call {
                    method: "GET",
                    path: "/files",
                    fields: &[],
                },
                "",
            ),
            (
                Call {
                    method: "GET",
                    path: "/ioc_stream",
                    fields: &[],
                },
                "",
            ),
            (
                Call {
                    method: "GET",
                    path: "/ioc_stream",
                    fields: &[],
                },
                "Garbage",
            ),
            (
                Call {
                    method: "GET",
                    path: "/ioc_stream",
                    fields: &[],
                },
                "",
            ),
            (
                Call {
                    method: "DELETE",
                    path: "/ioc_stream/1",
                    fields: &[],
                },
                "Html(502)",
            ),
            (
                Call {
                    method: "POST",
                    path: "/graphql",
                    fields: &fields,
                },
                "CutBody",
            ),
        ];
        for (call, expected) in cases {
            let fault = faults
                .take(&call)
                .map(|it| format!("{it:?}"))
                .unwrap_or_default();
            assert_eq!(fault, expected, "{call:?}");
        }
        assert_eq!(faults.left(), 0);
    }
}
