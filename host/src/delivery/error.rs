//! Why a batch was not delivered.

use std::io;
use std::path::PathBuf;

use crate::opencti::{self, S3Connection, Version};

/// Why a batch was not delivered. It may have been delivered in part; repeating it does no harm.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The platform did not take it, or what had to be said about it.
    #[error(transparent)]
    Platform(#[from] opencti::Error),
    /// The broker did not take it.
    #[error("cannot send to RabbitMQ at {address}: {failure}")]
    Broker {
        /// Host and port.
        address: String,
        /// Why.
        failure: BrokerFailure,
    },
    /// A setting about the broker, S3 or certificates cannot be used.
    #[error("{setting}: {reason}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// What the guest made of an object cannot stand in a file.
    #[error("a document of the bundle is not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// The directory did not take it.
    #[error("CONNECTOR_SEND_TO_DIRECTORY_PATH: cannot write {path}: {source}")]
    Directory {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The platform does not tell what S3 needs, and neither do the settings.
    #[error(
        "CONNECTOR_SEND_TO_S3: {} must be set: OpenCTI tells about its S3 storage from 6.9.10 on, and this {}",
        .missing.join(", "), what_it_tells(*.version)
    )]
    S3Unknown {
        /// Names of the settings.
        missing: Vec<&'static str>,
        /// What the platform is.
        version: Version,
    },
    /// S3 did not take it.
    #[error("cannot write to S3 at {address}: {failure}")]
    S3 {
        /// Address and bucket.
        address: String,
        /// Why.
        failure: S3Failure,
    },
}

/// What S3 did, or did not.
#[derive(Debug, Clone, thiserror::Error)]
pub enum S3Failure {
    /// No connection, or it broke.
    #[error(
        "{0}; check that it runs, and S3_ENDPOINT, S3_PORT and S3_USE_SSL, which overwrite what OpenCTI says of it"
    )]
    Connection(String),
    /// Its certificate is refused.
    #[error(
        "{0}; HTTPS_CA_CERTIFICATES names additional authorities, S3_ENDPOINT the host that its certificate is for, and S3_USE_SSL says whether it speaks TLS"
    )]
    Certificate(String),
    /// The keys are refused.
    #[error(
        "{0}; check S3_ACCESS_KEY and S3_SECRET_KEY, which overwrite what OpenCTI says of it, and that they may write to the bucket"
    )]
    Refused(String),
    /// The keys are good, and may not do this.
    #[error(
        "{0}; the keys of S3_ACCESS_KEY and S3_SECRET_KEY are accepted and lack a right: the connector writes to the bucket, and with CONNECTOR_SEND_TO_S3_RETENTION lists and deletes there"
    )]
    Denied(String),
    /// Signatures hold for a quarter of an hour.
    #[error("{0}; the clock here and that of the storage differ: set both right")]
    Clock(String),
    /// The bucket is not there.
    #[error("{0}; check CONNECTOR_SEND_TO_S3_BUCKET: the bucket is not made by the connector")]
    NoBucket(String),
    /// The bucket is in another region.
    #[error("{0}; check S3_BUCKET_REGION and S3_ENDPOINT")]
    Region(String),
    /// It is overloaded, or in trouble.
    #[error("{0}; it may be starting or overloaded")]
    Trouble(String),
    /// Any other answer.
    #[error("{0}; check that S3_ENDPOINT and S3_PORT lead to an S3 storage")]
    Other(String),
}

/// What the broker did, or did not.
#[derive(Debug, thiserror::Error)]
pub enum BrokerFailure {
    /// No connection, or it broke.
    #[error(
        "{0}; check that it runs, and MQ_HOST, MQ_PORT, MQ_USE_SSL and MQ_USE_SSL_CA, which overwrite what OpenCTI says of it"
    )]
    Connection(String),
    /// No confirm in time.
    #[error("no confirm within {0} seconds; it may be overloaded")]
    Timeout(u64),
    /// The login is refused.
    #[error("{0}; check MQ_USER, MQ_PASS and MQ_VHOST, which overwrite what OpenCTI says of it")]
    Refused(String),
    /// Its certificate is refused.
    #[error(
        "{0}; MQ_USE_SSL_CA names additional authorities, MQ_HOST the host that its certificate is for"
    )]
    Certificate(String),
    /// It refuses our certificate, or that there is none.
    #[error("{0}; check MQ_USE_SSL_CERT and MQ_USE_SSL_KEY")]
    ClientCertificate(String),
    /// The message came back: the connector's queue is not there.
    #[error(
        "the message came back ({0}): the connector's queue is missing, OpenCTI makes it at registration"
    )]
    Returned(String),
    /// The exchange is not there.
    #[error("{0}: OpenCTI makes the exchange at registration")]
    NoExchange(String),
    /// The broker could not store it.
    #[error(
        "the broker did not take the message (basic.nack); the connector's queue may be at the limit of a policy"
    )]
    Nack,
    /// The broker's limit, or another rule of it.
    #[error("{0}; a message of {1} bytes may be above the broker's max_message_size")]
    Precondition(String, usize),
}

fn what_it_tells(version: Version) -> String {
    match S3Connection::is_told_by(version) {
        true => format!("one ({version}) does not tell it"),
        false => format!("is {version}"),
    }
}

impl Error {
    /// The setting to look at first, where one can help.
    #[must_use]
    pub fn setting(&self) -> Option<&'static str> {
        match self {
            Self::Platform(error) => error.setting(),
            Self::Broker { failure, .. } => match failure {
                BrokerFailure::Connection(_) => Some("MQ_HOST"),
                BrokerFailure::Refused(_) => Some("MQ_USER"),
                BrokerFailure::Certificate(_) => Some("MQ_USE_SSL_CA"),
                BrokerFailure::ClientCertificate(_) => Some("MQ_USE_SSL_CERT"),
                BrokerFailure::Timeout(_)
                | BrokerFailure::Returned(_)
                | BrokerFailure::NoExchange(_)
                | BrokerFailure::Nack
                | BrokerFailure::Precondition(..) => None,
            },
            Self::Setting { setting, .. } => Some(setting),
            Self::NotJson(_) => None,
            Self::Directory { .. } => Some("CONNECTOR_SEND_TO_DIRECTORY_PATH"),
            Self::S3Unknown { missing, .. } => missing.first().copied(),
            Self::S3 { failure, .. } => match failure {
                S3Failure::Connection(_) | S3Failure::Other(_) => Some("S3_ENDPOINT"),
                S3Failure::Certificate(_) => Some("HTTPS_CA_CERTIFICATES"),
                S3Failure::Refused(_) | S3Failure::Denied(_) => Some("S3_ACCESS_KEY"),
                S3Failure::NoBucket(_) => Some("CONNECTOR_SEND_TO_S3_BUCKET"),
                S3Failure::Region(_) => Some("S3_BUCKET_REGION"),
                S3Failure::Trouble(_) | S3Failure::Clock(_) => None,
            },
        }
    }

    /// Whether the same batch may be delivered later without anybody changing a setting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Platform(error) => error.is_transient(),
            Self::Broker { failure, .. } => !matches!(
                failure,
                BrokerFailure::Refused(_)
                    | BrokerFailure::Certificate(_)
                    | BrokerFailure::ClientCertificate(_)
                    | BrokerFailure::Precondition(..)
            ),
            Self::S3 { failure, .. } => {
                matches!(failure, S3Failure::Connection(_) | S3Failure::Trouble(_))
            }
            Self::Setting { .. } | Self::NotJson(_) | Self::S3Unknown { .. } => false,
            Self::Directory { source, .. } => !matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::ReadOnlyFilesystem
            ),
        }
    }
}
