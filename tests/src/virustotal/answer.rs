//! The API's envelopes: data, errors, compression (virustotal-api section 0).

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::gzip;
use crate::recorded::Recorded;

/// What the API says to one request.
pub(super) enum Answer {
    /// A body of JSON.
    Json(String),
    /// Status 200, no body.
    Empty,
    /// Status 302.
    Redirect(String),
}

/// An error of the official list.
#[derive(Debug, PartialEq)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequestError", message)
    }

    pub(super) fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(400, "InvalidArgumentError", message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "NotFoundError", message)
    }

    pub(super) fn forbidden() -> Self {
        Self::new(
            403,
            "ForbiddenError",
            "You are not authorized to perform the requested operation",
        )
    }
}

/// The body of an error, for faults planned by tests.
#[must_use]
pub fn error_body(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

pub(super) fn data(value: &Value) -> Answer {
    Answer::Json(json!({"data": value}).to_string())
}

/// Error bodies are never compressed, as clients found out the hard way (vt-go issue 35).
pub(super) fn respond(result: Result<Answer, Problem>, request: &Recorded) -> Response {
    match result {
        Ok(Answer::Json(body)) => json_response(body, accepts_gzip(request)),
        Ok(Answer::Empty) => StatusCode::OK.into_response(),
        Ok(Answer::Redirect(location)) => match HeaderValue::try_from(location) {
            Ok(location) => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        },
        Err(problem) => {
            let status =
                StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (
                status,
                axum::Json(error_body(problem.code, &problem.message)),
            )
                .into_response()
        }
    }
}

/// The front end compresses only for clients that say so twice.
fn accepts_gzip(request: &Recorded) -> bool {
    let names_gzip = |name: &str| {
        request
            .header(name)
            .is_some_and(|value| value.contains("gzip"))
    };
    names_gzip("accept-encoding") && names_gzip("user-agent")
}

fn json_response(body: String, compressed: bool) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    let body = match compressed.then(|| gzip::pack(body.as_bytes())) {
        Some(Ok(packed)) => {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Body::from(packed)
        }
        // Packing into memory cannot fail, and then the plain body is right too.
        _ => Body::from(body),
    };
    *response.body_mut() = body;
    response
}
