//! `metadata`: what OpenCTI's integration manager needs to offer the connector: a contract, which is a manifest
//! with a logo and a form made of the settings, and a catalog with that contract alone.

mod form;
mod manifest;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde::Serialize;

use super::start::Setup;
use crate::runtime::Description;
use form::Form;
use manifest::Manifest;

const MANIFEST: &str = "connector_manifest.json";
const FORM: &str = "connector_config_schema.json";
const CATALOG: &str = "catalog.json";

/// Version of this program, and so of the image with it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Folder with the manifest (connector_manifest.json) and the logo that it names.
    #[arg(default_value = "__metadata__")]
    folder: PathBuf,

    /// Write nothing; fail where a file is not what would be written.
    #[arg(long)]
    check: bool,
}

/// A catalog of one contract, as the platform reads it.
#[derive(Serialize)]
struct Catalog<'a> {
    id: String,
    name: &'a str,
    description: &'a str,
    version: &'a str,
    contracts: [Contract<'a>; 1],
}

#[derive(Serialize)]
struct Contract<'a> {
    #[serde(flatten)]
    manifest: Manifest,
    config_schema: &'a Form,
}

pub(super) fn run(setup: &Setup, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (guest, _) = setup.guest()?;
    let files = files(&arguments.folder, guest.description())?;
    if !arguments.check {
        for (path, text) in files {
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut stale = Vec::new();
    for (path, text) in files {
        if fs::read_to_string(&path).ok() != Some(text) {
            stale.push(path.display().to_string());
        }
    }
    if !stale.is_empty() {
        bail!(
            "not as the settings of this program and of {guest} have it: {}; `metadata` without --check writes it",
            stale.join(", ")
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The files of the folder, made anew.
fn files(folder: &Path, guest: &Description) -> anyhow::Result<[(PathBuf, String); 3]> {
    let path = folder.join(MANIFEST);
    let manifest = Manifest::read(&path)?.of_version(VERSION);
    let form = Form::new(&manifest.slug, guest);
    let logo = manifest::data_url(&folder.join(&manifest.logo))?;
    let catalog = Catalog {
        id: format!("{}-catalog", manifest.slug),
        name: &manifest.title,
        description: &manifest.short_description,
        version: VERSION,
        contracts: [Contract {
            manifest: manifest.clone().with_logo(logo),
            config_schema: &form,
        }],
    };
    Ok([
        (folder.join(FORM), text(&form)?),
        (folder.join(CATALOG), text(&catalog)?),
        (path, text(&manifest)?),
    ])
}

fn text(json: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(json).map(|text| text + "\n")
}
