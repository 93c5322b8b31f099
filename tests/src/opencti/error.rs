//! Errors as the platform words them (protocol section 1).

use apollo_compiler::resolvers::FieldError;
use serde_json::{Value, json};

/// Stands before the code and before the message on their way through the executor, which only carries
/// a text, and puts words of its own in front of it.
const SEPARATOR: char = '\u{1f}';

/// An error with a code from the protocol's list.
#[derive(Debug, PartialEq)]
pub(crate) struct PlatformError {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl PlatformError {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn functional(message: impl Into<String>) -> Self {
        Self::new("FUNCTIONAL_ERROR", message)
    }

    /// Undoes the conversion below; what did not come from it is an error of the simulator.
    pub(crate) fn from_field_error(text: &str) -> Self {
        let mut parts = text.splitn(3, SEPARATOR).skip(1);
        match (parts.next(), parts.next()) {
            (Some(code), Some(message)) => Self::new(code, message),
            _ => Self::new("INTERNAL_SERVER_ERROR", text),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "message": self.message,
            "name": self.code,
            "extensions": {
                "code": self.code,
                "data": {"http_status": self.status(), "genre": self.genre()},
            },
        })
    }

    fn status(&self) -> u16 {
        match self.code.as_str() {
            "AUTH_REQUIRED" | "AUTH_FAILURE" => 401,
            "FORBIDDEN_ACCESS" => 403,
            "RESOURCE_NOT_FOUND" | "ALREADY_DELETED_ERROR" | "MISSING_REFERENCE_ERROR" => 404,
            "DATABASE_ERROR" | "UNKNOWN_ERROR" | "INTERNAL_SERVER_ERROR" => 500,
            _ => 400,
        }
    }

    fn genre(&self) -> &'static str {
        if self.status() == 500 {
            "TECHNICAL"
        } else {
            "BUSINESS"
        }
    }
}

impl From<PlatformError> for FieldError {
    fn from(error: PlatformError) -> Self {
        Self {
            message: format!("{SEPARATOR}{}{SEPARATOR}{}", error.code, error.message),
        }
    }
}

/// The body of an answer with one error, for faults planned by tests: the platform sends it with
/// status 200.
#[must_use]
pub fn error_body(code: &str, message: &str) -> Value {
    json!({"errors": [PlatformError::new(code, message).to_json()], "data": null})
}
