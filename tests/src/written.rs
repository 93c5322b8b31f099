//! Bundles that the connector wrote to a file or to standard output. What is no valid STIX is an error, so that no
//! test has to think of looking.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::stix;

/// Reads one bundle.
///
/// # Errors
/// When it is not JSON, violates STIX 2.1, or has an object before one that it refers to.
pub fn bundle(json: &[u8]) -> Result<Value> {
    let bundle = serde_json::from_slice(json).context("no JSON was written")?;
    check(&bundle)?;
    Ok(bundle)
}

/// Reads all bundles in the folder of a directory sink.
///
/// # Errors
/// When a file is not one of a directory sink, or like [`bundle`].
pub fn bundles(folder: &Path) -> Result<Vec<Value>> {
    let files = files(folder, "DIRECTORY_BUNDLE")?.into_iter();
    Ok(files.map(|mut file| file["bundle"].take()).collect())
}

/// Reads all files of a sink, of this `bundle_type`, in a folder.
///
/// # Errors
/// When a file is not one of the sink, or its bundle is like none of [`bundle`].
pub fn files(folder: &Path, bundle_type: &str) -> Result<Vec<Value>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let file: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        let kind = &file["bundle_type"];
        ensure!(kind == bundle_type, "{} is a {kind}", path.display());
        check(&file["bundle"]).with_context(|| path.display().to_string())?;
        files.push(file);
    }
    Ok(files)
}

fn check(bundle: &Value) -> Result<()> {
    let mut problems = stix::problems(bundle);
    problems.extend(stix::order_problems(bundle));
    ensure!(problems.is_empty(), "no valid STIX 2.1: {problems:#?}");
    Ok(())
}
