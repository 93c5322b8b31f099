//! Errors as the platform words them (protocol section 1).

use std::fmt;

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
    /// Ids that nothing is found by.
    pub(crate) unresolved: Vec<String>,
}

impl PlatformError {
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            unresolved: Vec::new(),
        }
    }

    /// Nothing is found by these ids.
    pub(crate) fn missing(ids: &[&str]) -> Self {
        let mut error = Self::new("MISSING_REFERENCE_ERROR", "Element(s) not found");
        error.unresolved = ids.iter().map(|it| (*it).to_owned()).collect();
        error
    }

    /// An error from the words of a test: `CODE: message`, or a message alone.
    pub(crate) fn from_words(words: &str) -> Self {
        let is_code = |it: &str| it.chars().all(|it| it.is_ascii_uppercase() || it == '_');
        match words.split_once(": ") {
            Some((code, message)) if is_code(code) => Self::new(code, message),
            _ => Self::functional(words),
        }
    }

    /// As the worker tells it to the work: the text of a Python dictionary, without `unresolvedIds`.
    pub(crate) fn as_the_worker_tells_it(&self) -> String {
        let quote = if self.message.contains('\'') && !self.message.contains('"') {
            '"'
        } else {
            '\''
        };
        let message = self.message.replace('\\', "\\\\").replace('\n', "\\n");
        let message = if quote == '\'' {
            message.replace('\'', "\\'")
        } else {
            message
        };
        format!(
            "{{'name': '{}', 'error_message': {quote}{message}{quote}}}",
            self.code
        )
    }

    pub(crate) fn functional(message: impl Into<String>) -> Self {
        Self::new("FUNCTIONAL_ERROR", message)
    }

    /// Undoes the conversion below; what did not come from it is an error of the simulator.
    pub(crate) fn from_field_error(text: &str) -> Self {
        let mut parts = text.split(SEPARATOR).skip(1);
        match (parts.next(), parts.next()) {
            (Some(code), Some(message)) => Self {
                unresolved: parts.map(str::to_owned).collect(),
                ..Self::new(code, message)
            },
            _ => Self::new("INTERNAL_SERVER_ERROR", text),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut data = json!({"http_status": self.status(), "genre": self.genre()});
        if !self.unresolved.is_empty() {
            data["unresolvedIds"] = json!(self.unresolved);
        }
        json!({
            "message": self.message,
            "name": self.code,
            "extensions": {"code": self.code, "data": data},
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

impl fmt::Display for PlatformError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.message)?;
        match &self.unresolved[..] {
            [] => Ok(()),
            ids => write!(formatter, " ({})", ids.join(", ")),
        }
    }
}

impl From<PlatformError> for FieldError {
    fn from(error: PlatformError) -> Self {
        let mut message = format!("{SEPARATOR}{}{SEPARATOR}{}", error.code, error.message);
        for id in error.unresolved {
            message.push(SEPARATOR);
            message.push_str(&id);
        }
        Self { message }
    }
}

/// The body of an answer with one error, for faults planned by tests: the platform sends it with
/// status 200.
#[must_use]
pub fn error_body(code: &str, message: &str) -> Value {
    json!({"errors": [PlatformError::new(code, message).to_json()], "data": null})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_tells_an_error_as_python_shows_a_dictionary() {
        for (words, told) in [
            (
                "LOCK_ERROR: busy",
                "{'name': 'LOCK_ERROR', 'error_message': 'busy'}",
            ),
            (
                "it's",
                "{'name': 'FUNCTIONAL_ERROR', 'error_message': \"it's\"}",
            ),
            (
                "a \"b's\"",
                "{'name': 'FUNCTIONAL_ERROR', 'error_message': 'a \"b\\'s\"'}",
            ),
        ] {
            assert_eq!(
                PlatformError::from_words(words).as_the_worker_tells_it(),
                told
            );
        }
        let missing = PlatformError::missing(&["url--1"]);
        assert!(!missing.as_the_worker_tells_it().contains("url--1"));
        assert!(missing.to_string().ends_with("(url--1)"));
        assert_eq!(
            missing.to_json()["extensions"]["data"]["unresolvedIds"],
            json!(["url--1"])
        );
        let FieldError { message } = PlatformError::missing(&["url--1"]).into();
        assert_eq!(PlatformError::from_field_error(&message), missing);
    }
}
