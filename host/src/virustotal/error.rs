//! What can go wrong between us and VirusTotal, in words that tell the user what to do.

use std::time::Duration;

use super::network::NetworkFault;

/// Why a request to VirusTotal brought nothing.
///
/// No message holds the API key, a signed URL or a query.
/// `code` and `message` are VirusTotal's own (API v3, "Errors"), without control characters and cut to a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// 429 `QuotaExceededError`: by the minute, day or month; VirusTotal does not say which.
    #[error(
        "the quota of the VirusTotal key is used up ({message}); \
         the daily quota is renewed at 00:00 UTC, the allowance is shown in the account's API settings"
    )]
    QuotaExceeded {
        /// VirusTotal's words.
        message: String,
    },
    /// 429 for another reason, after all tries.
    #[error("VirusTotal asks to slow down ({message}{}); set REQUESTS_PER_MINUTE to what the key allows", ask_again(*.after))]
    TooManyRequests {
        /// VirusTotal's words.
        message: String,
        /// `Retry-After`, where it was sent.
        after: Option<Duration>,
    },
    /// 401: the key is missing, wrong or its user is not active.
    #[error("VirusTotal does not accept the key ({code}: {message}); check API_KEY")]
    Unauthorized {
        /// `WrongCredentialsError`, `UserNotActiveError`, `AuthenticationRequiredError`.
        code: String,
        /// VirusTotal's words.
        message: String,
    },
    /// 403: outside the key's licence, or not shared with its user.
    #[error(
        "VirusTotal forbids this to the user of API_KEY ({code}: {message}); the licence does not cover it, or it is not shared with the user"
    )]
    Forbidden {
        /// `ForbiddenError`.
        code: String,
        /// VirusTotal's words.
        message: String,
    },
    /// 404, said by VirusTotal itself (a 404 of something else on the way is [`Error::NotJson`]).
    #[error("VirusTotal does not know it ({code}: {message})")]
    NotFound {
        /// `NotFoundError`.
        code: String,
        /// VirusTotal's words.
        message: String,
    },
    /// Any other error that VirusTotal explains.
    #[error("VirusTotal answered {status} {code}: {message}{}", ask_again(*.after))]
    Api {
        /// HTTP status.
        status: u16,
        /// Code from the official list.
        code: String,
        /// VirusTotal's words.
        message: String,
        /// `Retry-After`, where it was sent.
        after: Option<Duration>,
    },
    /// An answer that is no text.
    #[error("VirusTotal's answer is not UTF-8 from byte {byte} on")]
    NotText {
        /// Where the first byte stands that cannot be read.
        byte: usize,
    },
    /// An answer that is no JSON: something on the way spoke instead of VirusTotal.
    #[error("{host} answered {status} with something that is not JSON ({excerpt}); {}", not_json_hint(*.status))]
    NotJson {
        /// Host of `API_URL`.
        host: String,
        /// HTTP status.
        status: u16,
        /// Beginning of what came.
        excerpt: String,
        /// `Retry-After`, where it was sent.
        after: Option<Duration>,
    },
    /// A redirect: the API has none, and following it would show the key to another host.
    #[error(
        "{host} redirects ({status}), which VirusTotal's API never does; check API_URL and the proxy settings"
    )]
    Redirected {
        /// Host of `API_URL`.
        host: String,
        /// HTTP status.
        status: u16,
    },
    /// An answer of more bytes than we take.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// Most bytes taken.
        limit: u64,
    },
    /// JSON, but not of the documented shape.
    #[error("the answer is not what VirusTotal documents: {reason}")]
    Malformed {
        /// What was expected and what was found.
        reason: String,
    },
    /// The host was not reached, or the connection broke.
    #[error("cannot reach {host}: {fault} ({detail}){}", .fault.hint())]
    Network {
        /// Host of the request.
        host: String,
        /// What kind of failure.
        fault: NetworkFault,
        /// The innermost cause.
        detail: String,
    },
    /// The collection names a cursor for its next page that it named before: reading on would never end.
    #[error("VirusTotal names the same next page twice (page {page} of the listing)")]
    RepeatedCursor {
        /// Pages read before it was noticed.
        page: u64,
    },
    /// The collection names next page after next page, and all are empty.
    #[error("VirusTotal sent {pages} empty pages in a row, each naming another")]
    OnlyEmptyPages {
        /// Pages in a row.
        pages: u32,
    },
    /// The host that keeps the files refused.
    #[error("the storage host {host} answered {status}; a signed URL is valid for one hour")]
    Storage {
        /// Host of the signed URL.
        host: String,
        /// HTTP status.
        status: u16,
    },
    /// The file is not the one announced, or larger than VirusTotal's own limit.
    #[error("the storage host offers {offered} bytes where {expected}")]
    WrongSize {
        /// `Content-Length`.
        offered: u64,
        /// What was expected, in words.
        expected: String,
    },
    /// Neither `Content-Length` nor the object tells the size.
    #[error(
        "the size of the file is unknown: neither the storage host nor VirusTotal's object tells it"
    )]
    UnknownSize,
}

impl Error {
    pub(super) fn malformed_json(error: serde_json::Error) -> Self {
        Self::Malformed {
            reason: error.to_string(),
        }
    }

    /// Whether the same request may succeed in a while, without anyone changing anything.
    ///
    /// False for [`Error::QuotaExceeded`]: only the next run may try again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TooManyRequests { .. } => true,
            Self::Api { status, code, .. } => {
                *status == 424 || *status >= 500 || code == "NotAvailableYet"
            }
            Self::NotJson { status, .. } => *status == 429 || *status >= 500,
            Self::Storage { status, .. } => matches!(status, 408 | 429 | 500..),
            Self::Network { fault, .. } => fault.is_transient(),
            _ => false,
        }
    }

    /// Whether only what was asked for cannot be had, while VirusTotal answers about everything else.
    pub fn is_about_this_alone(&self) -> bool {
        match self {
            Self::NotFound { .. }
            | Self::Forbidden { .. }
            | Self::TooLarge { .. }
            | Self::WrongSize { .. }
            | Self::UnknownSize
            | Self::NotText { .. } => true,
            Self::Api { .. } | Self::Storage { .. } => !self.is_transient(),
            _ => false,
        }
    }

    /// The setting to look at first, without the guest's prefix, where one can help.
    pub fn setting(&self) -> Option<&'static str> {
        match self {
            Self::Unauthorized { .. } | Self::Forbidden { .. } | Self::QuotaExceeded { .. } => {
                Some("API_KEY")
            }
            Self::TooManyRequests { .. } => Some("REQUESTS_PER_MINUTE"),
            Self::Network { .. } | Self::NotJson { .. } | Self::Redirected { .. } => {
                Some("API_URL")
            }
            _ => None,
        }
    }

    /// Whether it was VirusTotal that answered, and not something on the way, or nobody.
    pub fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::QuotaExceeded { .. }
                | Self::TooManyRequests { .. }
                | Self::Unauthorized { .. }
                | Self::Forbidden { .. }
                | Self::NotFound { .. }
                | Self::Api { .. }
        )
    }

    /// How long the other side asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { after, .. }
            | Self::Api { after, .. }
            | Self::NotJson { after, .. } => *after,
            _ => None,
        }
    }
}

fn ask_again(after: Option<Duration>) -> String {
    after.map_or_else(String::new, |after| {
        format!("; ask again in {} s", after.as_secs())
    })
}

fn not_json_hint(status: u16) -> &'static str {
    match status {
        407 => "the proxy wants credentials: check HTTPS_PROXY",
        500.. => "VirusTotal or a proxy on the way is out of order",
        _ => "check API_URL and the proxy settings",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(status: u16, code: &str) -> Error {
        Error::Api {
            status,
            code: code.to_owned(),
            message: "words".to_owned(),
            after: None,
        }
    }

    #[test]
    fn only_what_passes_by_itself_is_transient() {
        let transient = [
            api(424, "FailedDependencyError"),
            api(503, "TransientError"),
            api(504, "DeadlineExceededError"),
            api(400, "NotAvailableYet"),
        ];
        let lasting = [
            api(400, "BadRequestError"),
            api(409, "AlreadyExistsError"),
            Error::QuotaExceeded {
                message: String::new(),
            },
            Error::TooLarge { limit: 1 },
        ];
        for error in transient {
            assert!(error.is_transient(), "{error}");
        }
        for error in lasting {
            assert!(!error.is_transient(), "{error}");
        }
    }

    #[test]
    fn what_stops_more_than_one_object_is_not_about_it_alone() {
        let storage = |status| Error::Storage {
            host: "storage".to_owned(),
            status,
        };
        let (code, message) = (String::new(), String::new());
        for (error, alone) in [
            (api(400, "BadRequestError"), true),
            (api(503, "TransientError"), false),
            (storage(403), true),
            (storage(503), false),
            (Error::UnknownSize, true),
            (Error::NotFound { code, message }, true),
            (
                Error::QuotaExceeded {
                    message: String::new(),
                },
                false,
            ),
            (
                Error::Unauthorized {
                    code: String::new(),
                    message: String::new(),
                },
                false,
            ),
        ] {
            assert_eq!(error.is_about_this_alone(), alone, "{error}");
        }
    }

    #[test]
    fn messages_name_the_setting() {
        let cases = [
            (
                Error::Unauthorized {
                    code: "WrongCredentialsError".to_owned(),
                    message: "Wrong API key".to_owned(),
                },
                "API_KEY",
            ),
            (
                Error::NotJson {
                    host: "vt".to_owned(),
                    status: 407,
                    excerpt: String::new(),
                    after: None,
                },
                "HTTPS_PROXY",
            ),
            (
                Error::TooManyRequests {
                    message: "slow".to_owned(),
                    after: Some(Duration::from_secs(7)),
                },
                "slow; ask again in 7 s); set REQUESTS_PER_MINUTE",
            ),
        ];
        for (error, words) in cases {
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
