//! Guests as files.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::found::{Error, MAX_BYTES, Refusal};

/// What changes with a file: replaced, rewritten, or given other rights. Follows symbolic links.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file that may be a guest; without a stamp when it cannot be looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) path: PathBuf,
    pub(super) stamp: Option<Stamp>,
}

/// The file itself, or every `*.wasm` of the folder in the order of their names.
pub(super) fn list(path: &Path) -> Result<Vec<Listed>, Error> {
    let error = |error| Error::Path {
        path: path.to_owned(),
        error,
    };
    if !std::fs::metadata(path).map_err(error)?.is_dir() {
        return Ok(vec![listed(path.to_owned())]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(error)? {
        let file = entry.map_err(error)?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            files.push(listed(file));
        }
    }
    if files.is_empty() {
        return Err(Error::Empty(path.to_owned()));
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

fn listed(path: PathBuf) -> Listed {
    let stamp = std::fs::metadata(&path)
        .ok()
        .map(|metadata| stamp(&metadata));
    Listed { path, stamp }
}

fn stamp(metadata: &Metadata) -> Stamp {
    Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        length: metadata.len(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// The whole file. A pipe or a device is not opened: that could take for ever.
pub(super) fn read(path: &Path) -> Result<Bytes, Refusal> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file").into());
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Refusal::TooLarge);
    }
    Ok(bytes.into())
}
