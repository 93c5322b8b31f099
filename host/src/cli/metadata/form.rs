//! The settings as a form: a JSON Schema of environment variables, of which OpenCTI's integration manager
//! compiles types, properties and what is required alone.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::config::{HOST_SETTINGS, HostSetting, HostSettingKind, SOURCE_SETTINGS};
use crate::runtime::{Description, SettingDescription, SettingKind};

/// Sections whose settings a form offers. Broker, proxies and authorities are the manager's to give.
const SECTIONS: [&str; 2] = ["opencti", "connector"];

/// Names, or what they begin with, that are left out of a form: what the manager gives, what ends a run that it
/// would start again, what needs a volume, and what the image sets for its health check.
const LEFT_OUT: &[&str] = &[
    "CONNECTOR_ID",
    "CONNECTOR_RUN_AND_TERMINATE",
    "CONNECTOR_SEND_TO_DIRECTORY",
    "CONNECTOR_GUEST_CACHE",
    "CONNECTOR_EXPOSE_METRICS",
    "CONNECTOR_METRICS",
    "CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT",
];

/// `connector_config_schema.json`.
#[derive(Serialize)]
pub(super) struct Form {
    #[serde(rename = "$schema")]
    schema: &'static str,
    #[serde(rename = "$id")]
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Their order is the form's.
    #[serde(serialize_with = "in_order")]
    properties: Vec<Field>,
    required: Vec<String>,
    #[serde(rename = "additionalProperties")]
    additional_properties: bool,
}

/// One environment variable.
struct Field {
    name: String,
    is_required: bool,
    property: Value,
}

impl Form {
    /// What a user is asked before a connector of this guest starts.
    pub(super) fn new(slug: &str, guest: &Description) -> Self {
        let prefix = &guest.connector.environment_prefix;
        let own = HOST_SETTINGS
            .iter()
            .filter(|setting| is_offered(setting))
            .map(|setting| of_host(setting, setting.name.to_owned(), guest));
        let source = SOURCE_SETTINGS
            .iter()
            .map(|setting| of_host(setting, format!("{prefix}_{}", setting.name), guest));
        let guests = guest
            .settings
            .iter()
            .map(|setting| of_guest(setting, format!("{prefix}_{}", setting.name)));
        let properties: Vec<Field> = own.chain(source).chain(guests).collect();
        let required = properties
            .iter()
            .filter(|field| field.is_required)
            .map(|field| field.name.clone())
            .collect();
        Self {
            schema: "https://json-schema.org/draft/2020-12/schema",
            id: format!("https://www.filigran.io/connectors/{slug}_config.schema.json"),
            kind: "object",
            properties,
            required,
            additional_properties: true,
        }
    }
}

fn is_offered(setting: &HostSetting) -> bool {
    let in_section = setting
        .place()
        .is_some_and(|(section, _)| SECTIONS.contains(&section));
    in_section && !LEFT_OUT.iter().any(|it| setting.name.starts_with(it))
}

fn of_host(setting: &HostSetting, name: String, guest: &Description) -> Field {
    let mut property = match setting.kind {
        HostSettingKind::Text => json!({"type": "string"}),
        HostSettingKind::Secret => {
            json!({"type": "string", "format": "password", "writeOnly": true})
        }
        HostSettingKind::Address => json!({"type": "string", "format": "uri"}),
        HostSettingKind::Duration => json!({"type": "string", "format": "duration"}),
        HostSettingKind::Boolean => json!({"type": "boolean"}),
        HostSettingKind::Integer(minimum) => json!({"type": "integer", "minimum": minimum}),
        HostSettingKind::List => json!({"type": "array", "items": {"type": "string"}}),
        HostSettingKind::Choice(choices) => json!({"type": "string", "enum": choices}),
    };
    property["description"] = setting.help.into();
    let scope = guest.connector.scope.join(",");
    let default = match setting.name {
        "CONNECTOR_NAME" => Some(guest.connector.name.as_str()),
        "CONNECTOR_SCOPE" => Some(scope.as_str()),
        _ => setting.default_value(),
    };
    add_default(&mut property, default);
    Field {
        name,
        is_required: setting.is_required(),
        property,
    }
}

fn of_guest(setting: &SettingDescription, name: String) -> Field {
    let mut property = match setting.kind {
        SettingKind::Text => json!({"type": "string"}),
        SettingKind::Boolean => json!({"type": "boolean"}),
        SettingKind::Integer => json!({"type": "integer", "minimum": 0}),
        SettingKind::List => json!({"type": "array", "items": {"type": "string"}}),
        SettingKind::Choice => json!({"type": "string", "enum": setting.choices}),
    };
    property["description"] = match (setting.kind, setting.choices.as_slice()) {
        (SettingKind::List, choices @ [_, ..]) => {
            format!("{} Any of {}.", setting.help, choices.join(", ")).into()
        }
        _ => setting.help.as_str().into(),
    };
    let default = Some(setting.default.as_str()).filter(|default| !default.is_empty());
    add_default(&mut property, default);
    Field {
        name,
        is_required: false,
        property,
    }
}

/// Adds a default in the type of its property. Without one, the manager does not set the variable.
fn add_default(property: &mut Value, default: Option<&str>) {
    let Some(text) = default else { return };
    property["default"] = match property["type"].as_str() {
        Some("boolean" | "integer") => serde_json::from_str(text).unwrap_or_default(),
        Some("array") => text.split(',').map(str::trim).collect(),
        _ => text.into(),
    };
}

fn in_order<S: Serializer>(fields: &[Field], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().map(|field| (&field.name, &field.property)))
}
