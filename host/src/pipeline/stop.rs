//! Why a run cannot go on, whichever room says so.

use super::report::End;
use crate::runtime::CallError;
use crate::{delivery, opencti, virustotal};

/// Why a run cannot go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Stop {
    /// The source's quota is used up.
    #[error("{0}")]
    Quota(String),
    /// Somebody reset the connector's state.
    #[error("the state was reset on the platform")]
    Reset,
    /// The process was asked to stop.
    #[error("asked to stop")]
    Shutdown,
    /// The source does not work.
    #[error("VirusTotal: {0}")]
    Source(String),
    /// The platform does not work.
    #[error("OpenCTI: {0}")]
    Platform(String),
    /// Nothing can be delivered.
    #[error("delivery: {0}")]
    Delivery(String),
    /// The guest does not do its part.
    #[error("{0}")]
    Guest(String),
}

impl From<virustotal::Error> for Stop {
    fn from(error: virustotal::Error) -> Self {
        match error {
            virustotal::Error::QuotaExceeded { .. } => Self::Quota(error.to_string()),
            error => Self::Source(error.to_string()),
        }
    }
}

impl From<opencti::Error> for Stop {
    fn from(error: opencti::Error) -> Self {
        Self::Platform(error.to_string())
    }
}

impl From<delivery::Error> for Stop {
    fn from(error: delivery::Error) -> Self {
        Self::Delivery(error.to_string())
    }
}

impl From<CallError> for Stop {
    fn from(error: CallError) -> Self {
        Self::Guest(error.to_string())
    }
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Quota(_) => Self::Quota,
            Stop::Reset => Self::Reset,
            Stop::Shutdown => Self::Shutdown,
            stop => Self::Error(stop.to_string()),
        }
    }
}
