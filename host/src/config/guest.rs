//! Where the guest comes from, and what it may use. Read before all other settings: they need the guest's
//! description.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use super::duration;
use super::load::{GuestDefaults, Invalid, Problem};
use super::raw::{Raw, SECTIONS};
use super::reader::{Entry, Reader};
use super::table::{HOST_SETTINGS, SOURCE_SETTINGS};
use crate::guest_source::{Digest, GuestSource};

const DEFAULT_SOURCE: &str = "/guests/livehunt.wasm";
const DEFAULT_POLL: Duration = Duration::from_secs(300);
const DEFAULT_DEADLINE: Duration = Duration::from_secs(2);
const DEFAULT_MEBIBYTES: usize = 64;
const DEFAULT_REUSE: NonZeroU32 = NonZeroU32::new(10_000).unwrap();

/// WebAssembly's 32-bit memories end there.
const MAX_MEBIBYTES: usize = 4096;

/// Where the guest comes from, and what it may use.
#[derive(Debug, Clone)]
pub struct GuestSettings {
    /// File, folder or registry.
    pub source: GuestSource,
    /// The only bytes that may run.
    pub digest: Option<Digest>,
    /// Time between two looks for another guest; at least a second.
    pub poll: Duration,
    /// Folder of the docker configuration; none where there is no home either.
    pub docker_config: Option<PathBuf>,
    /// Folder for compiled code.
    pub cache: Option<PathBuf>,
    /// Time for one call.
    pub deadline: Duration,
    /// Memory of one instance, in bytes.
    pub memory: usize,
    /// Calls that one instance serves.
    pub reuse: NonZeroU32,
    /// What is odd but accepted, in words for the log at start.
    pub warnings: Vec<String>,
}

/// Reads the settings about the guest; `given`, from the command line, wins over `CONNECTOR_GUEST`.
///
/// # Errors
/// With every setting that cannot be understood.
pub fn load_guest(raw: &Raw, given: Option<GuestSource>) -> Result<GuestSettings, Invalid> {
    let no_guest = GuestDefaults::default();
    let mut reader = Reader::new(raw, &no_guest);
    let configured = reader.source_of_guest(given.is_some());
    let entry = reader.host("CONNECTOR_GUEST_DIGEST");
    let digest = entry.text.map(str::parse::<Digest>).transpose();
    let digest = reader.valid(entry, digest).flatten();
    let poll = reader.host("CONNECTOR_GUEST_POLL");
    let poll = reader.parsed(
        poll,
        "an ISO 8601 duration of at least one second, such as PT5M",
        |text| duration::parse(text).filter(|poll| *poll >= Duration::from_secs(1)),
    );
    let docker_config = reader.host("DOCKER_CONFIG").text.map(PathBuf::from);
    let home = raw
        .get("HOME")
        .map(|home| PathBuf::from(home).join(".docker"));
    let cache = reader.host("CONNECTOR_GUEST_CACHE").text.map(PathBuf::from);
    let deadline = reader.deadline();
    let memory = reader.memory();
    let reuse = reader.host("CONNECTOR_GUEST_REUSE");
    let reuse = reader.parsed(reuse, "a number of at least 1", |text| text.parse().ok());
    match given.or(configured) {
        Some(source) if reader.problems.is_empty() => Ok(GuestSettings {
            source,
            digest,
            poll: poll.unwrap_or(DEFAULT_POLL),
            docker_config: docker_config.or(home),
            cache,
            deadline: deadline.unwrap_or(DEFAULT_DEADLINE),
            memory: memory.unwrap_or(DEFAULT_MEBIBYTES) << 20,
            reuse: reuse.unwrap_or(DEFAULT_REUSE),
            warnings: reader.warnings,
        }),
        _ => Err(Invalid(reader.problems)),
    }
}

/// A guest that would be given settings of the host, or the key of another guest, among its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the guest asks for {0}, which is the host's")]
pub struct Taken(String);

impl GuestDefaults {
    /// Whether the guest asks for nothing but settings of its own: it is told no secret of the host.
    ///
    /// # Errors
    /// With the first that is not its own.
    pub fn check(&self) -> Result<(), Taken> {
        let is_hosts = |section: &&String| SECTIONS.contains(&section.to_lowercase().as_str());
        if let Some(section) = self.config_sections.iter().find(is_hosts) {
            let section = format!("the section {section} of the configuration file");
            return Err(Taken(section));
        }
        let prefix = self.environment_prefix.to_uppercase();
        for name in self.settings.iter().map(|name| name.to_uppercase()) {
            let variable = format!("{prefix}_{name}");
            if name.ends_with("API_KEY")
                || SOURCE_SETTINGS.iter().any(|setting| setting.name == name)
                || is_of_host(&variable)
            {
                return Err(Taken(variable));
            }
        }
        Ok(())
    }
}

/// Whether the host has, or may come to have, a setting of this name.
fn is_of_host(variable: &str) -> bool {
    let section = variable.split('_').next().unwrap_or_default();
    SECTIONS.contains(&section.to_lowercase().as_str())
        || HOST_SETTINGS.iter().any(|setting| setting.name == variable)
}

impl Reader<'_> {
    /// One that is not used cannot be wrong.
    fn source_of_guest(&mut self, unused: bool) -> Option<GuestSource> {
        if unused {
            return None;
        }
        let entry = self.host("CONNECTOR_GUEST");
        let source = entry.text.unwrap_or(DEFAULT_SOURCE).parse();
        self.valid(entry, source)
    }

    fn deadline(&mut self) -> Option<Duration> {
        let entry = self.host("CONNECTOR_GUEST_DEADLINE");
        self.parsed(
            entry,
            "an ISO 8601 duration of more than zero, such as PT2S",
            |text| duration::parse(text).filter(|it| !it.is_zero()),
        )
    }

    /// In mebibytes.
    fn memory(&mut self) -> Option<usize> {
        let entry = self.host("CONNECTOR_GUEST_MEMORY");
        self.parsed(entry, "a number of mebibytes, 1 to 4096", |text| {
            let number: NonZeroUsize = text.parse().ok()?;
            (number.get() <= MAX_MEBIBYTES).then_some(number.get())
        })
    }

    /// `None` when a problem has been noted.
    fn valid<T, E: ToString>(&mut self, entry: Entry<'_>, value: Result<T, E>) -> Option<T> {
        value
            .map_err(|error| {
                self.problems.push(Problem {
                    setting: entry.name.into_owned(),
                    reason: error.to_string(),
                });
            })
            .ok()
    }
}
