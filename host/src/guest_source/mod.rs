//! Where guests come from: a file, a folder, a registry. Bytes only; whether they are a guest is the runtime's
//! question.

mod files;
mod watch;

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use watch::Watcher;

/// Larger components are refused unread.
const MAX_BYTES: u64 = 64 << 20;

/// Where guests come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestSource {
    /// A file, or a folder of files, whichever the path is when it is looked at.
    Path(PathBuf),
}

impl FromStr for GuestSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::Path(PathBuf::from(text)))
    }
}

/// A component that may be a guest.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The component.
    pub bytes: Arc<[u8]>,
    /// SHA-256 of the component, lower-case hexadecimal.
    pub digest: String,
    /// Where it came from, for messages.
    pub origin: String,
}

impl Candidate {
    fn new(bytes: Vec<u8>, origin: String) -> Self {
        let digest = Sha256::digest(&bytes);
        Self {
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes: bytes.into(),
            origin,
        }
    }
}

/// Why nothing, or not everything, came from a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file or folder cannot be read.
    #[error("cannot read the guest {path}: {error}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A component is too large to be read.
    #[error("the guest {origin} has {bytes} bytes; allowed are {MAX_BYTES}")]
    TooLarge {
        /// Where it is.
        origin: String,
        /// Its size.
        bytes: u64,
    },
    /// A folder has no component.
    #[error("the folder {path} holds no *.wasm file")]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// A component has another digest than the settings want.
    #[error(
        "the guest {origin} has the digest sha256:{found}; CONNECTOR_GUEST_DIGEST wants sha256:{expected}"
    )]
    OtherDigest {
        /// Where it is.
        origin: String,
        /// Its digest.
        found: String,
        /// The digest that is wanted.
        expected: String,
    },
}

impl GuestSource {
    /// All components that the source has now, with the wanted digest if one is wanted; and what cannot be
    /// read. Reads files: for a thread where that may block.
    #[must_use]
    pub fn candidates(&self, digest: Option<&str>) -> (Vec<Candidate>, Vec<SourceError>) {
        let Self::Path(path) = self;
        let (mut candidates, mut errors) = files::candidates(path);
        if let Some(expected) = digest {
            candidates.retain(|it| {
                let is_wanted = it.digest == expected;
                if !is_wanted {
                    errors.push(SourceError::OtherDigest {
                        origin: it.origin.clone(),
                        found: it.digest.clone(),
                        expected: expected.to_owned(),
                    });
                }
                is_wanted
            });
        }
        (candidates, errors)
    }
}
