//! From a component to a guest that is ready for work.

use std::sync::Arc;

use crate::config::{self, GuestDefaults, Raw};
use crate::pipeline::log_remark;
use crate::runtime::{
    CallError, Description, Engine, Guest, LoadError, OpenError, Pool, Problem, Remark, Setting,
};

/// What guests are made ready with.
#[derive(Clone)]
pub struct Workshop {
    engine: Engine,
    raw: Arc<Raw>,
}

/// Why a component does not go to work.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is no guest.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It asks for what is not its own.
    #[error(transparent)]
    Taken(#[from] config::Taken),
    /// It refuses the user's settings.
    #[error("the settings are refused:{}", .problems.iter().map(|it| format!("\n  {prefix}_{}: {}", it.setting, it.reason)).collect::<String>())]
    Settings {
        /// Prefix of the guest's settings.
        prefix: String,
        /// All that it refuses.
        problems: Vec<Problem>,
    },
    /// It fails when it is given them.
    #[error("cannot open the guest: {0}")]
    Call(CallError),
}

impl Workshop {
    /// Settings are read from `raw` under the prefix that each guest names.
    #[must_use]
    pub fn new(engine: Engine, raw: Arc<Raw>) -> Self {
        Self { engine, raw }
    }

    /// Compiles a component and tries it. `origin` says in messages where it came from.
    ///
    /// # Errors
    /// Those of [`Guest::from_bytes`].
    pub fn load(&self, component: &[u8], origin: &str) -> Result<Guest, LoadError> {
        Guest::from_bytes(&self.engine, component, origin)
    }

    /// Opens a guest with the user's settings, and logs what it has to say about them.
    ///
    /// # Errors
    /// When it asks for settings of the host, refuses its own, or fails.
    pub fn open(&self, guest: &Guest) -> Result<Pool, Unfit> {
        let (pool, remarks) = self.open_with_remarks(guest)?;
        for remark in remarks {
            log_remark(&remark, None);
        }
        Ok(pool)
    }

    /// Opens a guest with the user's settings. Answers what it has to say about them too.
    ///
    /// # Errors
    /// When it asks for settings of the host, refuses its own, or fails.
    pub fn open_with_remarks(&self, guest: &Guest) -> Result<(Pool, Vec<Remark>), Unfit> {
        let defaults = defaults(guest.description());
        defaults.check()?;
        let settings: Vec<Setting> = config::guest_settings(&self.raw, &defaults)
            .into_iter()
            .map(|(name, value)| Setting { name, value })
            .collect();
        let mut mapper = guest.open(&settings).map_err(|error| match error {
            OpenError::Settings(problems) => Unfit::Settings {
                prefix: guest.description().connector.environment_prefix.clone(),
                problems,
            },
            OpenError::Call(error) => Unfit::Call(error),
        })?;
        let remarks = mapper.remarks().map_err(Unfit::Call)?;
        Ok((Pool::new(guest.clone(), settings, mapper), remarks))
    }
}

/// What the host's settings take from the guest.
#[must_use]
pub fn defaults(description: &Description) -> GuestDefaults {
    let connector = &description.connector;
    GuestDefaults {
        name: connector.name.clone(),
        slug: connector.slug.clone(),
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
