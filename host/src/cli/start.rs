//! What every command begins with: settings as text, the engine, the guest.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;

use crate::config::{self, Connector, FileError, GuestSettings, Http, Raw, Settings};
use crate::guest_source::{Finder, Found, GuestSource, Registry};
use crate::pipeline::FilesInDraft;
use crate::runtime::{Engine, Guest, Limits, Live};
use crate::swap::{Chooser, NoGuest, Workshop, defaults};
use crate::telemetry::{self, Level, Troubles};

/// Calls of the guest at a time: mapping is a small part of a run, most of which waits for the network.
const WORKERS: u32 = 4;

/// The environment, and what the file adds.
pub(super) fn read_raw(config: &Path) -> Result<Raw, FileError> {
    Raw::new(
        std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }),
    )
    .with_file(config)
}

/// Settings as text, and those about the guest.
pub(super) struct Setup {
    pub(super) raw: Arc<Raw>,
    pub(super) guest: GuestSettings,
}

impl Setup {
    pub(super) fn read(config: &Path, guest: Option<GuestSource>) -> anyhow::Result<Self> {
        Ok(Self::new(Arc::new(read_raw(config)?), guest)?)
    }

    /// Reads the settings about the guest.
    pub(super) fn new(raw: Arc<Raw>, guest: Option<GuestSource>) -> Result<Self, config::Invalid> {
        Ok(Self {
            guest: config::load_guest(&raw, guest)?,
            raw,
        })
    }

    /// Starts the log as the settings want it; `level` where they do not say. A terminal gets text where they do not
    /// say either.
    pub(super) fn init_logs(&self, name: &str, level: Level) -> anyhow::Result<Troubles> {
        let level = match self.raw.get("CONNECTOR_LOG_LEVEL") {
            Some(level) => level.parse()?,
            None => level,
        };
        let json =
            config::json_logging(&self.raw).unwrap_or_else(|| !std::io::stderr().is_terminal());
        let format = if json {
            telemetry::Format::Json {
                name: name.to_owned(),
            }
        } else {
            telemetry::Format::Text
        };
        Ok(telemetry::init(level, format))
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

    /// The settings of a connector with this guest. What is odd about them is logged.
    pub(super) fn settings(&self, guest: &Guest) -> anyhow::Result<Settings> {
        let settings = config::load(&self.raw, &defaults(guest.description()))?;
        for warning in self.guest.warnings.iter().chain(&settings.warnings) {
            tracing::warn!("{warning}");
        }
        Ok(settings)
    }

    /// The guest at work with its settings, unless those of host and guest do not go together.
    pub(super) fn live(
        connector: &Connector,
        guest: &Guest,
        chooser: &Chooser,
    ) -> anyhow::Result<Live> {
        let pool = chooser.workshop().open(guest)?;
        match FilesInDraft::of(connector, &pool)? {
            Some(refused) => Err(refused.into()),
            None => Ok(Live::new(pool)),
        }
    }

    /// Who looks at the guest's source.
    pub(super) fn finder(&self, http: &Http) -> Finder {
        let GuestSettings {
            source,
            digest,
            docker_config,
            ..
        } = &self.guest;
        let registry = Registry::new(http.authorities(), docker_config.clone());
        Finder::new(source.clone(), *digest, registry)
    }

    /// What the guest's source holds, and who will look there again.
    pub(super) fn find_guest(&self, http: &Http) -> anyhow::Result<(Finder, Found)> {
        let mut finder = self.finder(http);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let found = runtime.block_on(finder.look())?;
        Ok((finder, found.unwrap_or_default()))
    }

    /// The guest to start with, and who chose it. Why others were left out is logged.
    pub(super) fn choose_guest(&self, found: &Found) -> anyhow::Result<(Guest, Chooser)> {
        let (guest, chooser, reasons) = self.choose_with_reasons(found)?;
        for reason in reasons {
            tracing::warn!("{reason}; {guest} is taken");
        }
        Ok((guest, chooser))
    }

    /// The guest to start with, who chose it, and why others were left out.
    pub(super) fn choose_with_reasons(
        &self,
        found: &Found,
    ) -> anyhow::Result<(Guest, Chooser, Vec<String>)> {
        let mut chooser = Chooser::new(self.workshop()?);
        let (guest, refused) = chooser.choose(&found.candidates, None, |_| false);
        let mut reasons: Vec<String> = found.refused.iter().map(ToString::to_string).collect();
        reasons.extend(
            refused
                .iter()
                .map(|NoGuest { error, .. }| error.to_string()),
        );
        let Some(guest) = guest else {
            bail!("{}", reasons.join("\n"));
        };
        Ok((guest, chooser, reasons))
    }

    /// The guest for a command that runs once.
    pub(super) fn guest(&self) -> anyhow::Result<(Guest, Chooser)> {
        let (_, found) = self.find_guest(&Http::new(&self.raw)?)?;
        self.choose_guest(&found)
    }
}
