//! What a catalog says of a connector.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// `connector_manifest.json`, written by hand but for the version; the fields are those of OpenCTI's manifests.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) title: String,
    /// By it the platform finds the contract, in the first catalog that has it.
    pub(super) slug: String,
    description: String,
    /// At most 250 characters.
    pub(super) short_description: String,
    /// File beside the manifest; in a catalog a data URL.
    pub(super) logo: String,
    use_cases: Vec<String>,
    solution_categories: Vec<String>,
    license_type: String,
    contact: Option<String>,
    verified: bool,
    last_verified_date: Option<String>,
    playbook_supported: bool,
    max_confidence_level: u8,
    /// Oldest release of the platform: `>=6.0.0`.
    support_version: String,
    subscription_link: Option<String>,
    source_code: Option<String>,
    manager_supported: bool,
    /// Tag of the image.
    container_version: String,
    container_image: String,
    container_type: String,
}

impl Manifest {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read(path)
            .with_context(|| format!("cannot read the manifest {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no manifest", path.display()))
    }

    pub(super) fn of_version(self, version: &str) -> Self {
        Self {
            container_version: version.to_owned(),
            ..self
        }
    }

    pub(super) fn with_logo(self, logo: String) -> Self {
        Self { logo, ..self }
    }
}

/// A picture as the URL that holds it.
pub(super) fn data_url(path: &Path) -> anyhow::Result<String> {
    let kind = match path.extension().and_then(OsStr::to_str) {
        Some("png") => "png",
        Some("jpg") => "jpeg",
        Some("gif") => "gif",
        Some("svg") => "svg+xml",
        _ => bail!("the logo {} is no .png, .jpg, .gif or .svg", path.display()),
    };
    let bytes =
        fs::read(path).with_context(|| format!("cannot read the logo {}", path.display()))?;
    Ok(format!(
        "data:image/{kind};base64,{}",
        STANDARD.encode(bytes)
    ))
}
