//! Looking at a source.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;

use oci_client::Reference;

use super::files::{self, Listed};
use super::registry::Registry;
use super::registry_error::RegistryError;
use super::{Digest, GuestSource};

/// A component of this many bytes is still read; no guest comes near it, and memory is finite.
pub(super) const MAX_BYTES: u64 = 64 << 20;

const EXPECTED_LAYERS: &str =
    "a guest is one layer of the media type application/wasm, as `wkg oci push` makes it";

/// Why nothing can be said of a source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path leads nowhere.
    #[error("cannot read the guest {path}: {error}")]
    Path {
        /// File or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A folder without guests.
    #[error("the folder {0} holds no file *.wasm")]
    Empty(PathBuf),
    /// The registry gives nothing.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Bytes that may be a guest.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Path or reference, for messages.
    pub origin: String,
    /// The component.
    pub bytes: Bytes,
    /// Of `bytes`.
    pub digest: Digest,
}

/// What was found and is no candidate.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {reason}")]
pub struct Refused {
    /// Path or reference.
    pub origin: String,
    /// Why not.
    pub reason: Refusal,
}

/// Why something is no candidate.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// More bytes than a guest may have.
    #[error("has more than {MAX_BYTES} bytes, the most that a guest may have")]
    TooLarge,
    /// A manifest with these media types of layers.
    #[error("holds {}; {EXPECTED_LAYERS}", layers(.0))]
    Layers(Vec<String>),
    /// Several manifests, one a platform.
    #[error("holds an index of manifests; {EXPECTED_LAYERS}")]
    Index,
    /// Other bytes than those that the user trusts.
    #[error("its bytes have the SHA-256 {found}; CONNECTOR_GUEST_DIGEST allows {expected} only")]
    Digest {
        /// Of the bytes.
        found: Digest,
        /// As it was set.
        expected: Digest,
    },
}

/// All that a look brought; not both are empty.
#[derive(Debug, Default)]
pub struct Found {
    /// At most one of a file or a reference; of a folder one a file, in the order of their names.
    pub candidates: Vec<Candidate>,
    /// The rest.
    pub refused: Vec<Refused>,
}

/// Looks at a source again and again, and reads only what is not as it was.
#[derive(Debug)]
pub struct Finder {
    source: GuestSource,
    pin: Option<Digest>,
    registry: Registry,
    seen: Option<Seen>,
}

/// What the last look that brought something saw.
#[derive(Debug)]
enum Seen {
    Files(Vec<Listed>),
    /// The digest of the manifest.
    Manifest(String),
}

impl Finder {
    /// Takes nothing but the bytes with the digest `pin`, where one is given.
    #[must_use]
    pub fn new(source: GuestSource, pin: Option<Digest>, registry: Registry) -> Self {
        Self {
            source,
            pin,
            registry,
            seen: None,
        }
    }

    /// The source, for messages.
    #[must_use]
    pub fn source(&self) -> &GuestSource {
        &self.source
    }

    /// Looks. `None` when nothing has changed since the last look that brought something; then nothing was
    /// read either. What could not be read counts as changed, so that it is tried again.
    ///
    /// # Errors
    /// When the source itself cannot be read; the next look reads everything.
    pub async fn look(&mut self) -> Result<Option<Found>, Error> {
        let seen = self.seen.take();
        let (found, seen) = match (&self.source, seen) {
            (GuestSource::Path(path), Some(Seen::Files(seen))) => {
                look_at_files(path.clone(), seen, self.pin).await?
            }
            (GuestSource::Path(path), _) => {
                look_at_files(path.clone(), Vec::new(), self.pin).await?
            }
            (GuestSource::Oci(reference), Some(Seen::Manifest(seen))) => {
                self.look_at_registry(reference, Some(seen)).await?
            }
            (GuestSource::Oci(reference), _) => self.look_at_registry(reference, None).await?,
        };
        self.seen = seen;
        Ok(found)
    }

    /// Makes the next look read everything, changed or not.
    pub fn forget(&mut self) {
        self.seen = None;
    }

    async fn look_at_registry(
        &self,
        reference: &Reference,
        seen: Option<String>,
    ) -> Result<(Option<Found>, Option<Seen>), Error> {
        let Some(pulled) = self.registry.pull(reference, seen.as_deref()).await? else {
            return Ok((None, seen.map(Seen::Manifest)));
        };
        let mut found = Found::default();
        found.add(self.source.to_string(), pulled.component, self.pin);
        Ok((Some(found), Some(Seen::Manifest(pulled.manifest))))
    }
}

async fn look_at_files(
    path: PathBuf,
    seen: Vec<Listed>,
    pin: Option<Digest>,
) -> Result<(Option<Found>, Option<Seen>), Error> {
    let source = path.clone();
    let look = move || {
        let listed = files::list(&path)?;
        if listed == seen && listed.iter().all(|file| file.stamp.is_some()) {
            return Ok((None, Some(Seen::Files(listed))));
        }
        let mut found = Found::default();
        for file in &listed {
            found.add(
                file.path.display().to_string(),
                files::read(&file.path),
                pin,
            );
        }
        let complete = found
            .refused
            .iter()
            .all(|refused| !matches!(refused.reason, Refusal::Read(_)));
        Ok((Some(found), complete.then_some(Seen::Files(listed))))
    };
    tokio::task::spawn_blocking(look)
        .await
        .unwrap_or_else(|error| {
            Err(Error::Path {
                path: source,
                error: io::Error::other(error),
            })
        })
}

impl Found {
    fn add(&mut self, origin: String, bytes: Result<Bytes, Refusal>, pin: Option<Digest>) {
        match bytes.and_then(|bytes| verified(bytes, pin)) {
            Ok((bytes, digest)) => self.candidates.push(Candidate {
                origin,
                bytes,
                digest,
            }),
            Err(reason) => self.refused.push(Refused { origin, reason }),
        }
    }
}

fn verified(bytes: Bytes, pin: Option<Digest>) -> Result<(Bytes, Digest), Refusal> {
    let found = Digest::of(&bytes);
    match pin {
        Some(expected) if expected != found => Err(Refusal::Digest { found, expected }),
        _ => Ok((bytes, found)),
    }
}

fn layers(media_types: &[String]) -> String {
    match media_types {
        [] => "no layer".to_owned(),
        [one] => format!("1 layer ({one})"),
        types => format!("{} layers ({})", types.len(), types.join(", ")),
    }
}

#[cfg(test)]
mod tests;
