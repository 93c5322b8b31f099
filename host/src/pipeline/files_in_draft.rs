//! Whether files would be copied into drafts, which OpenCTI then cannot validate (platform.md P11).

use crate::config::Connector;
use crate::runtime::{CallError, Pool};

/// The settings want files in drafts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{SETTING}: OpenCTI cannot validate a draft that holds a file, and {} wants files copied; set CONNECTOR_FILES_OUTSIDE_DRAFT to true, with which files are on the platform before a human has validated the draft, or have no files copied",
    .wanted_by.as_deref().unwrap_or("the guest")
)]
pub struct FilesInDraft {
    /// The guest's setting that wants files, where it says so.
    wanted_by: Option<String>,
}

const SETTING: &str = "CONNECTOR_VALIDATE_BEFORE_IMPORT";

impl FilesInDraft {
    /// The setting to change.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        SETTING
    }

    /// Whether the settings of host and guest together want it. A guest that does not announce its files passes: its
    /// files fail one by one.
    ///
    /// # Errors
    /// When the guest cannot be asked.
    pub fn of(connector: &Connector, pool: &Pool) -> Result<Option<Self>, CallError> {
        let in_draft = connector.validate_before_import
            && connector.sinks.queue.is_some()
            && !connector.files_outside_draft;
        if !in_draft {
            return Ok(None);
        }
        let preamble = pool.with(|mapper| mapper.preamble())?;
        let files = preamble.and_then(|preamble| preamble.files);
        Ok(files.map(|files| {
            let prefix = &pool.guest().description().connector.environment_prefix;
            let setting = files.setting;
            Self {
                wanted_by: setting.map(|setting| format!("{prefix}_{setting}")),
            }
        }))
    }
}
