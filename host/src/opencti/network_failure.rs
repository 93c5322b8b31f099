//! How a network failed, sorted by what there is to do about it.

use std::error::Error as _;
use std::fmt;
use std::io;

/// How a network failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkFailure {
    /// The host name is not known.
    Dns,
    /// Nobody listens.
    Refused,
    /// No secure connection.
    Tls,
    /// Not in time.
    Timeout,
    /// No connection for another reason.
    Connect,
    /// The connection broke after the request was sent.
    Broken,
}

impl NetworkFailure {
    /// Sorts a failure of the HTTP library; with the library's innermost words, which hold no address.
    pub(crate) fn of(error: &reqwest::Error) -> (Self, String) {
        let mut detail = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            detail = inner.to_string();
            cause = inner.source();
        }
        (network_failure(error), detail)
    }

    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Dns => "check the host name in OPENCTI_URL",
            Self::Refused => {
                "check host and port in OPENCTI_URL, that the platform has started, and HTTP_PROXY, HTTPS_PROXY and NO_PROXY where a proxy is on the way"
            }
            Self::Tls => {
                "check https in OPENCTI_URL, and the certificate authorities in HTTPS_CA_CERTIFICATES or OPENCTI_SSL_VERIFY"
            }
            Self::Timeout | Self::Connect => {
                "check OPENCTI_URL and the proxy settings (HTTP_PROXY, HTTPS_PROXY, NO_PROXY)"
            }
            Self::Broken => "the platform or a proxy before it may be restarting",
        }
    }
}

impl fmt::Display for NetworkFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Dns => "the host name cannot be resolved (DNS)",
            Self::Refused => "connection refused",
            Self::Tls => "no secure connection (TLS)",
            Self::Timeout => "no answer in time",
            Self::Connect => "no connection",
            Self::Broken => "the connection broke",
        })
    }
}

fn network_failure(error: &reqwest::Error) -> NetworkFailure {
    if error.is_timeout() {
        return NetworkFailure::Timeout;
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<rustls::Error>() {
            return NetworkFailure::Tls;
        }
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            if holds_tls_error(io) {
                return NetworkFailure::Tls;
            }
            match io.kind() {
                io::ErrorKind::ConnectionRefused => return NetworkFailure::Refused,
                io::ErrorKind::TimedOut => return NetworkFailure::Timeout,
                _ => {}
            }
        }
        // hyper-util keeps its error type private; this is the text of its resolver step.
        if inner.to_string().starts_with("dns error") {
            return NetworkFailure::Dns;
        }
        cause = inner.source();
    }
    if error.is_connect() {
        NetworkFailure::Connect
    } else {
        NetworkFailure::Broken
    }
}

/// An I/O error hides the error that it wraps from `source`, and may wrap another I/O error.
fn holds_tls_error(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| {
        inner.is::<rustls::Error>()
            || inner
                .downcast_ref::<io::Error>()
                .is_some_and(holds_tls_error)
    })
}
