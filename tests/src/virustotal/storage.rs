//! The sample storage: signed URLs on another origin, which must never see the API key.

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures::stream;

use super::api::Place;
use super::world::World;
use crate::body::FileBody;
use crate::fault::{Call, Fault, corrupt, cut};
use crate::recorded::Recorded;
use crate::watched::Watched;

/// Says who made the URL; the real one is a long HMAC.
pub(super) const SIGNATURE: &str = "c2ltdWxhdGVk/c2lnbmF0dXJl+w==";

pub(super) fn signed_url(place: &Place, sha256: &str) -> String {
    let signature =
        percent_encoding::utf8_percent_encode(SIGNATURE, percent_encoding::NON_ALPHANUMERIC);
    format!(
        "{}/{sha256}?Expires=4102444800&Signature={signature}",
        place.storage
    )
}

/// Answers one request to the storage.
pub(super) fn answer(world: &Watched<World>, method: &Method, request: Recorded) -> Response {
    let (fault, body) = world.edit(|world| {
        let call = Call {
            method: &request.method,
            path: &request.path,
            fields: &[],
        };
        let fault = world.storage_faults.take(&call);
        let signed = request.parameter("Signature") == Some(SIGNATURE);
        let sha256 = request.path.trim_start_matches('/').to_owned();
        world.storage_requests.push(request);
        (
            fault,
            if signed {
                world.files.get(&sha256).cloned()
            } else {
                None
            },
        )
    });
    if let Some(response) = fault.as_ref().and_then(Fault::instead) {
        return response;
    }
    if method != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    match body {
        Some(body) => download(&body, fault.as_ref()),
        None => (
            StatusCode::FORBIDDEN,
            "<Error><Code>SignatureDoesNotMatch</Code></Error>",
        )
            .into_response(),
    }
}

fn download(body: &FileBody, fault: Option<&Fault>) -> Response {
    let half = usize::try_from(body.size.div_ceil(2)).unwrap_or(usize::MAX);
    let content = match fault {
        Some(Fault::CutBody) => cut(first(body.chunks(), half)),
        Some(Fault::Corrupt) => {
            let spoilt = body.chunks().enumerate().map(|(number, chunk)| {
                if number == 0 {
                    Bytes::from(corrupt(&chunk, 0))
                } else {
                    chunk
                }
            });
            Body::from_stream(stream::iter(spoilt.map(Ok::<_, std::io::Error>)))
        }
        _ => Body::from_stream(stream::iter(body.chunks().map(Ok::<_, std::io::Error>))),
    };
    let mut response = Response::new(content);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.size));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    response
}

/// The first `limit` bytes of the chunks.
fn first(
    chunks: impl Iterator<Item = Bytes> + Send + 'static,
    limit: usize,
) -> impl Iterator<Item = Bytes> + Send + 'static {
    let mut left = limit;
    chunks.map_while(move |chunk| {
        let length = left.min(chunk.len());
        left -= length;
        (length > 0).then(|| chunk.slice(..length))
    })
}
