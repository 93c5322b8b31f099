//! Why the platform did not do what it was asked.

use std::fmt;
use std::time::Duration;

use super::network_failure::NetworkFailure;
use super::operations::REGISTER;
use super::{Operation, Version};

/// Why a call failed. Each says which setting to look at.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer.
    #[error("cannot reach OpenCTI: {failure}: {detail}; {}", .failure.advice())]
    Network {
        /// What kind of failure.
        failure: NetworkFailure,
        /// The words of the library, without addresses.
        detail: String,
    },
    /// An HTTP status without a GraphQL answer.
    #[error("OpenCTI answers HTTP {status}{excerpt}; {}", status_advice(*.status))]
    Status {
        /// The status.
        status: u16,
        /// What `Retry-After` asks for.
        retry_after: Option<Duration>,
        /// How the body starts.
        excerpt: Excerpt,
    },
    /// The address answers, but not with GraphQL.
    #[error(
        "the answer is not GraphQL{excerpt}; check that OPENCTI_URL is the base address of the platform, without /graphql, and that no proxy answers in its place"
    )]
    NotGraphQl {
        /// How the body starts.
        excerpt: Excerpt,
    },
    /// A GraphQL error.
    #[error("{operation} failed: {code}: {message}{}", code_advice(.code, .operation, .message))]
    GraphQl {
        /// What was asked.
        operation: &'static Operation,
        /// What went wrong.
        code: Code,
        /// The platform's words.
        message: String,
    },
    /// An answer that does not have the documented shape.
    #[error("{operation}: the answer does not have the expected shape: {reason}")]
    Shape {
        /// What was asked.
        operation: &'static Operation,
        /// What is wrong.
        reason: String,
    },
    /// An answer beyond what any operation needs.
    #[error("{operation}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// What was asked.
        operation: &'static Operation,
        /// Bytes.
        limit: usize,
    },
    /// The platform is too old for what a setting wants.
    #[error("{setting}: this needs OpenCTI {since} or newer, and this is {version}")]
    TooOld {
        /// Name of the setting.
        setting: &'static str,
        /// What the platform is.
        version: Version,
        /// What it would have to be.
        since: Version,
    },
    /// The built-in group of connectors' accounts is not there.
    #[error(
        "CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT: OpenCTI has no group \"Connectors\" to put the account into; make it again, or make an account yourself and set OPENCTI_TOKEN to its token"
    )]
    NoConnectorsGroup,
    /// The platform is too old.
    #[error("OpenCTI {version} has no {operation}: it exists since {since}")]
    Missing {
        /// What was asked.
        operation: &'static Operation,
        /// What the platform is.
        version: Version,
        /// What it would have to be.
        since: Version,
    },
}

/// `extensions.code` of a GraphQL error (protocol section 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// The token is not accepted.
    AuthRequired,
    /// The same of the token that the connector made for an account of its own.
    OwnTokenRefused,
    /// The account may not do this.
    Forbidden,
    /// The account must do something first (`OTP_REQUIRED`, …).
    Account(String),
    /// The platform does not know a field or argument.
    ValidationFailed,
    /// A business rule.
    Functional,
    /// `UNSUPPORTED_ERROR`.
    Unsupported,
    /// A referenced object is not there (yet).
    MissingReference,
    /// What was asked for is gone.
    Gone,
    /// Too many writers on the same entity.
    Lock,
    /// Trouble inside the platform.
    Internal(String),
    /// The work was deleted.
    WorkNotAlive,
    /// The draft was closed.
    DraftLocked,
    /// Any other.
    Other(String),
}

impl Code {
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "AUTH_REQUIRED" | "AUTH_FAILURE" => Self::AuthRequired,
            "FORBIDDEN_ACCESS" => Self::Forbidden,
            "OTP_REQUIRED"
            | "OTP_REQUIRED_ACTIVATION"
            | "PASSWORD_CHANGE_REQUIRED"
            | "LTS_REQUIRED_ACTIVATION" => Self::Account(text.to_owned()),
            "GRAPHQL_VALIDATION_FAILED" | "BAD_USER_INPUT" => Self::ValidationFailed,
            "FUNCTIONAL_ERROR" => Self::Functional,
            "UNSUPPORTED_ERROR" => Self::Unsupported,
            "MISSING_REFERENCE_ERROR" => Self::MissingReference,
            "ALREADY_DELETED_ERROR" | "RESOURCE_NOT_FOUND" => Self::Gone,
            "LOCK_ERROR" => Self::Lock,
            "DATABASE_ERROR"
            | "UNKNOWN_ERROR"
            | "INTERNAL_SERVER_ERROR"
            | "FILESYSTEM_ERROR"
            | "COMPLEX_SEARCH_ERROR"
            | "CLIENT_ABORT_ERROR" => Self::Internal(text.to_owned()),
            "WORK_NOT_ALIVE" => Self::WorkNotAlive,
            "DRAFT_LOCKED" => Self::DraftLocked,
            _ => Self::Other(text.to_owned()),
        }
    }
}

impl Code {
    /// Whether an error with this code and these words passes without anybody's doing.
    fn passes(&self, message: &str) -> bool {
        match self {
            Self::Lock | Self::Internal(_) => true,
            Self::Functional => message.contains("Too many requests"),
            _ => false,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AuthRequired | Self::OwnTokenRefused => "AUTH_REQUIRED",
            Self::Forbidden => "FORBIDDEN_ACCESS",
            Self::ValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::Functional => "FUNCTIONAL_ERROR",
            Self::Unsupported => "UNSUPPORTED_ERROR",
            Self::MissingReference => "MISSING_REFERENCE_ERROR",
            Self::Gone => "RESOURCE_NOT_FOUND",
            Self::Lock => "LOCK_ERROR",
            Self::WorkNotAlive => "WORK_NOT_ALIVE",
            Self::DraftLocked => "DRAFT_LOCKED",
            Self::Account(text) | Self::Internal(text) | Self::Other(text) => text,
        })
    }
}

impl Error {
    /// Whether the same call may succeed later without anybody changing a setting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Network { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..),
            Self::GraphQl { code, message, .. } => code.passes(message),
            _ => false,
        }
    }

    /// Whether waiting cannot help: somebody must change a setting, the account's role, or what stands between.
    #[must_use]
    pub fn needs_change(&self) -> bool {
        self.is_configuration() || !self.is_transient()
    }

    /// Whether the platform says that nobody is logged in with this token.
    #[must_use]
    pub(super) fn refuses_token(&self) -> bool {
        matches!(
            self.code(),
            Some(Code::AuthRequired | Code::OwnTokenRefused)
        )
    }

    /// Whether the call failed and certainly had no effect, so that a repetition cannot count twice.
    #[must_use]
    pub(super) fn had_no_effect(&self) -> bool {
        match self {
            Self::Network { failure, .. } => matches!(
                failure,
                NetworkFailure::Dns
                    | NetworkFailure::Refused
                    | NetworkFailure::Tls
                    | NetworkFailure::Connect
            ),
            Self::Status { status, .. } => matches!(status, 429 | 503),
            Self::GraphQl {
                code: Code::Lock | Code::Functional,
                ..
            } => self.is_transient(),
            _ => false,
        }
    }

    /// Whether a setting or the account's role must be changed.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::GraphQl {
                code: Code::AuthRequired
                    | Code::OwnTokenRefused
                    | Code::Forbidden
                    | Code::Account(_),
                ..
            } | Self::Missing { .. }
                | Self::TooOld { .. }
                | Self::NoConnectorsGroup
                // A certificate does not mend itself.
                | Self::Network {
                    failure: NetworkFailure::Tls,
                    ..
                }
        )
    }

    /// Whether the platform refuses this one call, while it may well answer others: the account is accepted, and
    /// nothing stands in the way.
    #[must_use]
    pub fn is_about_this_alone(&self) -> bool {
        match self {
            Self::GraphQl { code, .. } => {
                !self.is_transient()
                    && !matches!(
                        code,
                        Code::AuthRequired | Code::OwnTokenRefused | Code::Account(_)
                    )
            }
            Self::Status { status, .. } => *status == 413,
            Self::TooLarge { .. } | Self::Missing { .. } => true,
            Self::Network { .. }
            | Self::NotGraphQl { .. }
            | Self::Shape { .. }
            | Self::TooOld { .. }
            | Self::NoConnectorsGroup => false,
        }
    }

    /// Whether an object that was referred to is not on the platform (yet).
    #[must_use]
    pub fn is_missing_reference(&self) -> bool {
        self.code() == Some(&Code::MissingReference)
    }

    /// Whether the platform does not know this connector (it was deleted there).
    #[must_use]
    pub fn is_unknown_connector(&self) -> bool {
        matches!(self, Self::GraphQl { message, .. } if message.contains("No connector found"))
    }

    /// Whether the platform answers, and refuses the account or its token.
    #[must_use]
    pub fn is_about_account(&self) -> bool {
        matches!(
            self.code(),
            Some(Code::AuthRequired | Code::OwnTokenRefused | Code::Forbidden | Code::Account(_))
        )
    }

    /// The setting to look at first, where one can help.
    #[must_use]
    pub fn setting(&self) -> Option<&'static str> {
        match self {
            Self::Network {
                failure: NetworkFailure::Tls,
                ..
            } => Some("OPENCTI_SSL_VERIFY"),
            Self::Network { .. } | Self::Status { .. } | Self::NotGraphQl { .. } => {
                Some("OPENCTI_URL")
            }
            Self::GraphQl {
                code: Code::OwnTokenRefused,
                ..
            } => Some("CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT"),
            Self::GraphQl { .. } if self.is_about_account() => Some("OPENCTI_TOKEN"),
            Self::GraphQl { operation, .. }
                if self.needs_change() && is_registration(operation) =>
            {
                Some("CONNECTOR_ID")
            }
            Self::TooOld { setting, .. } => Some(setting),
            Self::NoConnectorsGroup => Some("CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT"),
            Self::GraphQl { .. }
            | Self::Shape { .. }
            | Self::TooLarge { .. }
            | Self::Missing { .. } => None,
        }
    }

    /// The code of a GraphQL error.
    #[must_use]
    pub fn code(&self) -> Option<&Code> {
        match self {
            Self::GraphQl { code, .. } => Some(code),
            _ => None,
        }
    }

    /// How long the platform asks to wait.
    #[must_use]
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The same error as it is to be read where the token is one of the connector's own account.
    pub(super) fn of_own_account(self) -> Self {
        match self {
            Self::GraphQl {
                operation,
                code: Code::AuthRequired,
                message,
            } => Self::GraphQl {
                operation,
                code: Code::OwnTokenRefused,
                message,
            },
            other => other,
        }
    }

    /// Sorts a failure of the HTTP library.
    pub(super) fn network(error: reqwest::Error) -> Self {
        let (failure, detail) = NetworkFailure::of(&error.without_url());
        Self::Network { failure, detail }
    }
}

/// The start of a body that nobody expected, on one line: enough to recognise a proxy's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    const LENGTH: usize = 160;

    pub(super) fn of(body: &[u8]) -> Self {
        // What the platform itself answers may hold a password: it tells every connector that of RabbitMQ.
        if body.trim_ascii_start().starts_with(b"{\"data\"") {
            return Self("{\"data\" …".to_owned());
        }
        let text = String::from_utf8_lossy(body.get(..Self::LENGTH).unwrap_or(body));
        Self(text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str(" (empty body)");
        }
        write!(formatter, " (it starts: {})", self.0)
    }
}

fn status_advice(status: u16) -> &'static str {
    match status {
        300..=399 => {
            "OPENCTI_URL must be the address that the platform itself uses, a redirect is not followed"
        }
        401 | 407 => {
            "a proxy wants a login: check OPENCTI_CUSTOM_HEADERS, HTTP_PROXY and HTTPS_PROXY"
        }
        404 | 405 => "OPENCTI_URL must be the base address of the platform, without /graphql",
        413 => "the request is larger than the platform or a proxy before it allows",
        429 => "the platform or a proxy before it limits the rate of requests",
        500..=599 => "the platform may be starting or overloaded",
        _ => "check OPENCTI_URL and what stands between",
    }
}

fn is_registration(operation: &Operation) -> bool {
    operation.name == REGISTER.name
}

fn code_advice(code: &Code, operation: &Operation, message: &str) -> String {
    match code {
        Code::AuthRequired => "; set OPENCTI_TOKEN to a token of an account that may use the API (capability APIACCESS_USETOKEN) and that has not expired".to_owned(),
        Code::OwnTokenRefused => "; the token that this process made for the connector's own account is not accepted any more: restart it, which makes another. Each start under the same CONNECTOR_NAME revokes the token of the one before, and so does retry --force: let one run at a time".to_owned(),
        Code::Forbidden if operation.capability == "SETTINGS_SETACCESSES" => "; with CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT, OPENCTI_TOKEN must be the token of an administrator (capability SETTINGS_SETACCESSES), who makes the connector's account".to_owned(),
        Code::Forbidden => format!("; the account of OPENCTI_TOKEN lacks a capability: give its role {} (the built-in group \"Connectors\" has it)", operation.capability),
        Code::Account(_) => "; log in as the account of OPENCTI_TOKEN and do what is asked".to_owned(),
        _ if is_registration(operation) && !code.passes(message) => "; check CONNECTOR_ID, CONNECTOR_NAME and CONNECTOR_SCOPE. If another program registered the connector of this CONNECTOR_ID, set CONNECTOR_ID to a new UUID, or delete that connector in OpenCTI, with which its state is lost".to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
