//! Loading: from a file to a guest that has proved itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Linker};

use super::contract::{ConnectorPre, Setting};
use super::description::Description;
use super::engine::Engine;
use super::error::{LoadError, OpenError};
use super::mapper::{Instance, Mapper, State};

/// The contract that this host serves.
const CONTRACT: &str = "cti:connector@1.0.0";

/// A component that has been compiled, checked and tried. Cheap to clone.
#[derive(Clone)]
pub struct Guest(Arc<Loaded>);

struct Loaded {
    engine: Engine,
    pre: ConnectorPre<State>,
    description: Description,
    digest: String,
}

impl Guest {
    /// Loads the component at `path`: reads, compiles, refuses imports, and asks it to describe itself.
    ///
    /// Takes about a second of one core for half a megabyte of component.
    ///
    /// # Errors
    /// With the step that failed, in words for the user.
    pub fn load(engine: &Engine, path: &Path) -> Result<Self, LoadError> {
        let bytes = std::fs::read(path).map_err(|error| LoadError::Read {
            path: path.to_owned(),
            error,
        })?;
        Self::from_bytes(engine, &bytes, path)
    }

    fn from_bytes(engine: &Engine, bytes: &[u8], path: &Path) -> Result<Self, LoadError> {
        let path = || PathBuf::from(path);
        let component = Component::from_binary(&engine.wasmtime, bytes).map_err(|error| {
            LoadError::NotAComponent {
                path: path(),
                error,
            }
        })?;
        let imports = names(
            component
                .component_type()
                .imports(&engine.wasmtime)
                .map(|(name, _)| name),
        );
        if !imports.is_empty() {
            return Err(LoadError::Imports {
                path: path(),
                imports,
            });
        }
        let pre = Linker::new(&engine.wasmtime)
            .instantiate_pre(&component)
            .and_then(ConnectorPre::new)
            .map_err(|error| LoadError::Contract {
                path: path(),
                contract: CONTRACT,
                exports: names(
                    component
                        .component_type()
                        .exports(&engine.wasmtime)
                        .map(|(name, _)| name),
                ),
                error,
            })?;
        let description = Instance::new(engine, &pre)
            .and_then(|mut instance| instance.describe())
            .map_err(|error| LoadError::Describe {
                path: path(),
                error,
            })?;
        Ok(Self(Arc::new(Loaded {
            engine: engine.clone(),
            pre,
            description,
            digest: hexadecimal(&Sha256::digest(bytes)),
        })))
    }

    /// What the guest says of itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// SHA-256 of the component, lower-case hexadecimal.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// A fresh instance with these settings.
    ///
    /// # Errors
    /// When the guest refuses the settings, or the call fails.
    pub fn open(&self, settings: &[Setting]) -> Result<Mapper, OpenError> {
        Instance::new(&self.0.engine, &self.0.pre)?.open(settings)
    }
}

fn names<'a>(items: impl Iterator<Item = &'a str>) -> Vec<String> {
    items.map(str::to_owned).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
