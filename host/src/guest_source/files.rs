//! Components in the file system.

use std::path::{Path, PathBuf};

use super::{Candidate, MAX_BYTES, SourceError};

/// The component at `path`, or those in the folder there, in order of their names.
pub(super) fn candidates(path: &Path) -> (Vec<Candidate>, Vec<SourceError>) {
    if !path.is_dir() {
        return gathered([read(path)]);
    }
    let files = match components(path) {
        Ok(files) => files,
        Err(error) => return gathered([Err(failed(path, error))]),
    };
    if files.is_empty() {
        let path = path.to_owned();
        return gathered([Err(SourceError::Empty { path })]);
    }
    gathered(files.iter().map(|file| read(file)))
}

fn gathered(
    found: impl IntoIterator<Item = Result<Candidate, SourceError>>,
) -> (Vec<Candidate>, Vec<SourceError>) {
    let (mut candidates, mut errors) = (Vec::new(), Vec::new());
    for one in found {
        match one {
            Ok(candidate) => candidates.push(candidate),
            Err(error) => errors.push(error),
        }
    }
    (candidates, errors)
}

fn components(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "wasm") && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Candidate, SourceError> {
    let origin = path.display().to_string();
    let bytes = std::fs::metadata(path)
        .map_err(|error| failed(path, error))?
        .len();
    if bytes > MAX_BYTES {
        return Err(SourceError::TooLarge { origin, bytes });
    }
    let component = std::fs::read(path).map_err(|error| failed(path, error))?;
    Ok(Candidate::new(component, origin))
}

fn failed(path: &Path, error: std::io::Error) -> SourceError {
    SourceError::Read {
        path: path.to_owned(),
        error,
    }
}
