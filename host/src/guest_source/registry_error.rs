//! Why a registry gives no guest, and what to do about it.

use std::io;

use oci_client::Reference;
use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;

/// Why a registry gives no guest. Shows no login and no signed address.
#[derive(Debug, thiserror::Error)]
#[error("oci://{reference}: {problem}")]
pub struct RegistryError {
    /// What was asked for.
    pub reference: String,
    /// What went wrong.
    pub problem: RegistryProblem,
}

/// What went wrong with a registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryProblem {
    /// No answer, or none that can be used.
    #[error("the registry {registry} cannot be reached: {reason}")]
    Unreachable {
        /// Host and port.
        registry: String,
        /// Why.
        reason: String,
    },
    /// The docker configuration has a login that cannot be used.
    #[error("the docker configuration has no usable login for {registry}: {reason}")]
    Login {
        /// Host and port.
        registry: String,
        /// Why.
        reason: String,
    },
    /// Asked without a login.
    #[error(
        "the registry {registry} wants a login: `docker login {registry}`, and DOCKER_CONFIG the folder of the config.json that it writes; or there is no such repository"
    )]
    LoginRequired {
        /// Host and port.
        registry: String,
    },
    /// Asked with a login.
    #[error(
        "the registry {registry} refuses the login of the docker configuration, or there is no such repository"
    )]
    LoginRefused {
        /// Host and port.
        registry: String,
    },
    /// The registry does not have it.
    #[error("the registry {registry} has no such repository, tag or digest")]
    Missing {
        /// Host and port.
        registry: String,
    },
    /// The registry sent something else than it announced.
    #[error("the registry {registry} sent bytes with the digest {found} instead of {expected}")]
    Digest {
        /// Host and port.
        registry: String,
        /// Of the bytes.
        found: String,
        /// As announced.
        expected: String,
    },
    /// Anything else.
    #[error("the registry {registry} answers: {reason}")]
    Answer {
        /// Host and port.
        registry: String,
        /// What it says.
        reason: String,
    },
}

impl RegistryError {
    pub(super) fn new(
        reference: &Reference,
        auth: &RegistryAuth,
        error: OciDistributionError,
    ) -> Self {
        let registry = reference.registry().to_owned();
        let denied = |registry| match auth {
            RegistryAuth::Anonymous => RegistryProblem::LoginRequired { registry },
            _ => RegistryProblem::LoginRefused { registry },
        };
        let answer = |registry, reason| RegistryProblem::Answer { registry, reason };
        let problem = match error {
            OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::AuthenticationFailure(_)
            | OciDistributionError::ServerError {
                code: 401 | 403, ..
            } => denied(registry),
            OciDistributionError::ServerError { code: 404, .. } => {
                RegistryProblem::Missing { registry }
            }
            OciDistributionError::ServerError { code, .. } => {
                answer(registry, format!("HTTP status {code}"))
            }
            OciDistributionError::RegistryError { envelope, .. } => {
                match envelope.errors.first().map(|error| &error.code) {
                    Some(OciErrorCode::Unauthorized | OciErrorCode::Denied) => denied(registry),
                    Some(
                        OciErrorCode::ManifestUnknown
                        | OciErrorCode::NameUnknown
                        | OciErrorCode::NotFound
                        | OciErrorCode::BlobUnknown
                        | OciErrorCode::ManifestBlobUnknown,
                    ) => RegistryProblem::Missing { registry },
                    _ => answer(registry, envelope.to_string()),
                }
            }
            OciDistributionError::RequestError(error) => RegistryProblem::Unreachable {
                registry,
                reason: chain(&error.without_url()),
            },
            OciDistributionError::DigestError(error) => digest(registry, &error),
            OciDistributionError::IoError(error) => broken(registry, &error),
            other => answer(registry, other.to_string()),
        };
        Self {
            reference: reference.to_string(),
            problem,
        }
    }

    pub(super) fn unreachable(reference: &Reference, reason: String) -> Self {
        Self {
            reference: reference.to_string(),
            problem: RegistryProblem::Unreachable {
                registry: reference.registry().to_owned(),
                reason,
            },
        }
    }

    pub(super) fn login(reference: &Reference, reason: String) -> Self {
        Self {
            reference: reference.to_string(),
            problem: RegistryProblem::Login {
                registry: reference.registry().to_owned(),
                reason,
            },
        }
    }
}

fn digest(registry: String, error: &DigestError) -> RegistryProblem {
    match error {
        DigestError::VerificationError { expected, actual } => RegistryProblem::Digest {
            registry,
            found: actual.clone(),
            expected: expected.clone(),
        },
        other => RegistryProblem::Answer {
            registry,
            reason: other.to_string(),
        },
    }
}

/// A stream that ended early, or with other bytes than announced.
fn broken(registry: String, error: &io::Error) -> RegistryProblem {
    let inner = error.get_ref();
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<DigestError>()) {
        return digest(registry, error);
    }
    RegistryProblem::Unreachable {
        registry,
        // Not the address of a request, which may be signed.
        reason: inner
            .and_then(|inner| inner.source())
            .map_or_else(|| error.kind().to_string(), chain),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
