//! What every command begins with: settings as text, the engine, the guest.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::config::{GuestDefaults, Raw};
use crate::pipeline::log_remark;
use crate::runtime::{Description, Engine, Guest, Limits, Mapper, OpenError, Pool, Setting};
use crate::telemetry;

/// Guests at work at a time: mapping is a small part of a run, most of which waits for the network.
const WORKERS: u32 = 4;

/// Settings as text, and the path of the guest.
pub(super) struct Setup {
    pub(super) raw: Raw,
    pub(super) guest_path: PathBuf,
}

impl Setup {
    pub(super) fn read(config: &Path, guest: Option<PathBuf>) -> anyhow::Result<Self> {
        let raw = Raw::new(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
        .with_file(config)?;
        let guest_path = guest.unwrap_or_else(|| crate::config::guest_path(&raw));
        Ok(Self { raw, guest_path })
    }

    /// Starts the log as the settings want it.
    pub(super) fn init_logs(&self, name: &str) -> anyhow::Result<()> {
        let level = self
            .raw
            .get("CONNECTOR_LOG_LEVEL")
            .unwrap_or("error")
            .parse()?;
        let json = crate::config::json_logging(&self.raw);
        let format = if json {
            telemetry::Format::Json {
                name: name.to_owned(),
            }
        } else {
            telemetry::Format::Text
        };
        telemetry::init(level, format);
        Ok(())
    }

    pub(super) fn load_guest(&self) -> anyhow::Result<Guest> {
        let engine = Engine::new(WORKERS, Limits::default())?;
        Ok(Guest::load(&engine, &self.guest_path)?)
    }
}

/// What the settings take from the guest.
pub(super) fn defaults(description: &Description) -> GuestDefaults {
    let connector = &description.connector;
    GuestDefaults {
        name: connector.name.clone(),
        scope: connector.scope.clone(),
        environment_prefix: connector.environment_prefix.clone(),
        config_sections: connector.config_sections.clone(),
        settings: description
            .settings
            .iter()
            .map(|setting| setting.name.clone())
            .collect(),
    }
}

/// Opens the guest with the user's settings, and logs what it has to say about them.
pub(super) fn open(guest: &Guest, settings: &[(String, String)]) -> anyhow::Result<Pool> {
    let prefix = &guest.description().connector.environment_prefix;
    let settings: Vec<Setting> = settings
        .iter()
        .map(|(name, value)| Setting {
            name: name.clone(),
            value: value.clone(),
        })
        .collect();
    let mut mapper: Mapper = match guest.open(&settings) {
        Ok(mapper) => mapper,
        Err(OpenError::Settings(problems)) => {
            let lines: String = problems
                .iter()
                .map(|problem| format!("\n  {prefix}_{}: {}", problem.setting, problem.reason))
                .collect();
            anyhow::bail!("the settings are refused:{lines}");
        }
        Err(OpenError::Call(error)) => return Err(error).context("cannot open the guest"),
    };
    for remark in mapper.remarks()? {
        log_remark(&remark, None);
    }
    Ok(Pool::new(guest.clone(), settings, mapper))
}
