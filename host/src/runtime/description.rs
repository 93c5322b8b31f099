//! What a guest says of itself; the JSON of `describe`.

use serde::{Deserialize, Serialize};

use super::error::CallError;

/// A guest's description of itself.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Description {
    /// Short name.
    pub name: String,
    /// Version of the guest.
    pub version: semver::Version,
    /// Defaults of the connector that it makes.
    pub connector: ConnectorDefaults,
    /// Its settings.
    pub settings: Vec<SettingDescription>,
}

impl Description {
    /// Reads what `describe` returned; anything but a description is no guest of ours.
    pub(super) fn parse(json: &str) -> Result<Self, CallError> {
        serde_json::from_str(json).map_err(|error| CallError::Output {
            call: "describe",
            found: format!("a description that cannot be read ({error})"),
            allowed: "the JSON object that the contract documents".to_owned(),
        })
    }
}

/// Defaults that the host takes from the guest.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct ConnectorDefaults {
    /// `CONNECTOR_NAME` where it is not set.
    pub name: String,
    /// Name in OpenCTI's catalogs, where it stands in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// `CONNECTOR_SCOPE` where it is not set.
    pub scope: Vec<String>,
    /// Prefix of the guest's settings in the environment, without the last underscore.
    pub environment_prefix: String,
    /// Sections of `config.yml` where the settings may stand, in lower case.
    pub config_sections: Vec<String>,
}

/// One setting of the guest.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct SettingDescription {
    /// Name without the prefix.
    pub name: String,
    /// Kind of value.
    pub kind: SettingKind,
    /// Default as text; empty where there is none.
    pub default: String,
    /// Allowed values; empty where any value of the kind will do.
    #[serde(default)]
    pub choices: Vec<String>,
    /// What the setting does, in a sentence or two.
    pub help: String,
}

/// Kind of a setting's value.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SettingKind {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// Any text.
    Text,
    /// Texts, separated by commas.
    List,
    /// One of the choices.
    Choice,
}
