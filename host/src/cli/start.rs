//! What every command begins with: settings as text, the engine, the guest.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;

use crate::config::{self, GuestSettings, Raw};
use crate::guest_source::GuestSource;
use crate::runtime::{Engine, Guest, Limits};
use crate::swap::{Chooser, NoGuest, Workshop};
use crate::telemetry;

/// Calls of the guest at a time: mapping is a small part of a run, most of which waits for the network.
const WORKERS: u32 = 4;

/// Settings as text, and those about the guest.
pub(super) struct Setup {
    pub(super) raw: Arc<Raw>,
    pub(super) guest: GuestSettings,
}

impl Setup {
    pub(super) fn read(config: &Path, guest: Option<String>) -> anyhow::Result<Self> {
        let raw = Raw::new(std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
        .with_file(config)?;
        let mut settings = config::guest(&raw)?;
        if let Some(source) = guest {
            settings.source = source;
        }
        Ok(Self {
            raw: Arc::new(raw),
            guest: settings,
        })
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

    /// Where guests come from.
    pub(super) fn source(&self) -> anyhow::Result<GuestSource> {
        Ok(self.guest.source.parse()?)
    }

    /// An engine with the limits of the settings, and what else it takes to make a guest ready.
    pub(super) fn workshop(&self) -> anyhow::Result<Workshop> {
        let limits = Limits {
            deadline: self.guest.deadline,
            memory: self.guest.memory,
            memory_mark: self.guest.memory / 2,
            calls_per_instance: self.guest.reuse.get(),
            ..Limits::default()
        };
        let engine = Engine::new(WORKERS, limits, self.guest.cache.as_deref())?;
        Ok(Workshop::new(engine, Arc::clone(&self.raw)))
    }

    /// The guest to start with, and who chose it.
    pub(super) fn first_guest(&self, source: &GuestSource) -> anyhow::Result<(Guest, Chooser)> {
        let mut chooser = Chooser::new(self.workshop()?);
        let (candidates, errors) = source.candidates(self.guest.digest.as_deref());
        let (guest, refused) = chooser.choose(&candidates, None, |_| false);
        let mut reasons: Vec<String> = errors.iter().map(ToString::to_string).collect();
        reasons.extend(
            refused
                .iter()
                .map(|NoGuest { error, .. }| error.to_string()),
        );
        let Some(guest) = guest else {
            bail!("{}", reasons.join("\n"));
        };
        for reason in reasons {
            tracing::warn!("{reason}; {guest} is taken");
        }
        Ok((guest, chooser))
    }
}
