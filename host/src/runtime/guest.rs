//! Loading: from a file to a guest that has proved itself.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use wasmtime::component::{Component, Linker};

use crate::guest_source::Digest;

use super::contract::Setting;
use super::description::Description;
use super::engine::Engine;
use super::error::{CallError, LoadError, OpenError};
use super::heap;
use super::mapper::{Instance, Mapper, Plan};
use super::usage::Usage;

/// The contract that this host serves. A guest of an older minor version runs, since inside a major version
/// functions are only added; one of a newer minor version runs unless it differs in what this host needs.
pub const CONTRACT: semver::Version = semver::Version::new(1, 2, 0);

/// The contract's name, without its version.
const PACKAGE: &str = "cti:connector";

/// The interface that a guest exports.
const INTERFACE: &str = "cti:connector/mapping";

/// A component that has been compiled, checked and tried. Cheap to clone.
#[derive(Clone)]
pub struct Guest(Arc<Loaded>);

struct Loaded {
    engine: Engine,
    plan: Plan,
    contract: semver::Version,
    exports: Vec<String>,
    description: Description,
    digest: Digest,
    size: usize,
    usage: Arc<Usage>,
}

impl Guest {
    /// Loads the component at `path`.
    ///
    /// # Errors
    /// When it cannot be read, and those of [`Guest::from_bytes`].
    pub fn load(engine: &Engine, path: &Path) -> Result<Self, LoadError> {
        let bytes = std::fs::read(path).map_err(|error| LoadError::Read {
            path: path.to_owned(),
            error,
        })?;
        Self::from_bytes(engine, &bytes, &path.display().to_string())
    }

    /// Compiles a component, refuses imports and foreign contracts, makes an instance on trial, and asks it to
    /// describe itself. `origin` says in messages where it came from.
    ///
    /// Takes about a second of one core for half a megabyte of component; a millisecond where the engine has a
    /// cache that knows it.
    ///
    /// # Errors
    /// With the step that failed, in words for the user.
    pub fn from_bytes(engine: &Engine, bytes: &[u8], origin: &str) -> Result<Self, LoadError> {
        let component = Component::from_binary(&engine.wasmtime, bytes).map_err(|error| {
            LoadError::NotAComponent {
                origin: origin.to_owned(),
                error,
            }
        })?;
        heap::release();
        let (imports, exports) = names(engine, &component);
        if !imports.is_empty() {
            return Err(LoadError::Imports {
                origin: origin.to_owned(),
                imports,
            });
        }
        let contract = spoken(&exports, origin)?;
        let usage = Arc::default();
        let (plan, mut instance) = Linker::new(&engine.wasmtime)
            .instantiate_pre(&component)
            .and_then(Plan::new)
            .and_then(|plan| {
                Instance::tried(engine, &plan, &usage).map(|instance| (plan, instance))
            })
            .map_err(|error| broken(&contract, error, origin))?;
        let description = instance.describe().map_err(|error| LoadError::Describe {
            origin: origin.to_owned(),
            error,
        })?;
        Ok(Self(Arc::new(Loaded {
            engine: engine.clone(),
            plan,
            contract,
            exports,
            description,
            digest: Digest::of(bytes),
            size: bytes.len(),
            usage,
        })))
    }

    /// What the guest says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// SHA-256 of the component.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Whether both are the same load of a component.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Size of the component in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// Names of what it exports.
    #[must_use]
    pub fn exports(&self) -> &[String] {
        &self.0.exports
    }

    /// The version of the contract that it speaks.
    #[must_use]
    pub fn contract(&self) -> &semver::Version {
        &self.0.contract
    }

    /// Whether it tells what its filters say, so that [`Mapper::explain`] has an answer.
    #[must_use]
    pub fn explains(&self) -> bool {
        self.0.plan.explain.is_some()
    }

    /// Whether it tells what all its emissions have in common, so that [`Mapper::preamble`] has an answer.
    #[must_use]
    pub fn announces(&self) -> bool {
        self.0.plan.preamble.is_some()
    }

    /// What it has used so far.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.0.usage
    }

    /// A fresh instance with these settings.
    ///
    /// # Errors
    /// When the guest refuses the settings, or the call fails.
    pub fn open(&self, settings: &[Setting]) -> Result<Mapper, OpenError> {
        let Loaded {
            engine,
            plan,
            usage,
            ..
        } = &*self.0;
        Instance::new(engine, plan, usage)
            .map_err(CallError::Instantiate)?
            .open(settings)
    }
}

/// Name and version, as log lines show a guest.
impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Description { name, version, .. } = self.description();
        write!(f, "{name} {version}")
    }
}

/// Names of imports and exports.
fn names(engine: &Engine, component: &Component) -> (Vec<String>, Vec<String>) {
    let kind = component.component_type();
    let imports = kind.imports(&engine.wasmtime);
    let exports = kind.exports(&engine.wasmtime);
    (
        imports.map(|(name, _)| name.to_owned()).collect(),
        exports.map(|(name, _)| name.to_owned()).collect(),
    )
}

/// The version of the contract that a component with these exports speaks, if it is one that can be served.
fn spoken(exports: &[String], origin: &str) -> Result<semver::Version, LoadError> {
    let version = exports.iter().find_map(|name| {
        let (interface, version) = name.split_once('@')?;
        (interface == INTERFACE).then(|| version.parse().ok())?
    });
    let Some(version): Option<semver::Version> = version else {
        return Err(LoadError::NoContract {
            origin: origin.to_owned(),
            served: named(&CONTRACT),
            exports: exports.to_vec(),
        });
    };
    if version.major != CONTRACT.major {
        return Err(LoadError::OtherContract {
            origin: origin.to_owned(),
            found: named(&version),
            served: named(&CONTRACT),
        });
    }
    Ok(version)
}

fn broken(contract: &semver::Version, error: wasmtime::Error, origin: &str) -> LoadError {
    let (origin, found) = (origin.to_owned(), named(contract));
    if contract.minor > CONTRACT.minor {
        return LoadError::NewerContract {
            origin,
            found,
            served: named(&CONTRACT),
            error,
        };
    }
    LoadError::BrokenContract {
        origin,
        found,
        error,
    }
}

fn named(version: &semver::Version) -> String {
    format!("{PACKAGE}@{version}")
}
