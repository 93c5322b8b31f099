//! What a look at a source brings.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;

use super::Digest;
use super::registry_error::RegistryError;

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

impl Found {
    pub(super) fn add(
        &mut self,
        origin: String,
        bytes: Result<Bytes, Refusal>,
        pin: Option<Digest>,
    ) {
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
