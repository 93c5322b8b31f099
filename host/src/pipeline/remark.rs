//! What a guest has to say, in the log.

use crate::runtime::{Remark, Severity};

/// Logs a remark on the settings, or on a notification.
pub fn log_remark(remark: &Remark, notification: Option<&str>) {
    let Remark { severity, message } = remark;
    match severity {
        Severity::Debug => tracing::debug!(notification, "{message}"),
        Severity::Info => tracing::info!(notification, "{message}"),
        Severity::Warn => tracing::warn!(notification, "{message}"),
        Severity::Error => tracing::error!(notification, "{message}"),
    }
}
