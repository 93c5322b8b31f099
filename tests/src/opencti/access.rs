//! Who may do what (protocol section 2).

use super::error::PlatformError;

/// What the built-in role "Connector" grants, as far as a connector uses it.
pub(crate) const CONNECTOR_ROLE: &[&str] = &[
    "APIACCESS_USETOKEN",
    "CONNECTORAPI",
    "KNOWLEDGE",
    "KNOWLEDGE_KNUPDATE",
    "KNOWLEDGE_KNASKIMPORT",
    "MODULES_MODMANAGE",
    "SETTINGS_SETLABELS",
];

/// Any of these capabilities opens a root field; none: every user may.
fn needed(field: &str) -> &'static [&'static str] {
    match field {
        "registerConnector" | "pingConnector" | "stixBundlePush" => &["CONNECTORAPI"],
        "workAdd" => &["CONNECTORAPI", "MODULES_MODMANAGE", "KNOWLEDGE_KNASKIMPORT"],
        "workEdit" => &["CONNECTORAPI", "MODULES_MODMANAGE"],
        "connector" | "work" | "isWorkAlive" => &["MODULES"],
        "resetStateConnector" => &["MODULES_MODMANAGE"],
        "stixCoreObjectEdit" => &["KNOWLEDGE_KNUPDATE"],
        "markingDefinition"
        | "stixCoreObject"
        | "stixCoreObjects"
        | "stixCyberObservables"
        | "incidents" => &["KNOWLEDGE"],
        "artifactImport" | "draftWorkspaceAdd" => &["KNOWLEDGE_KNUPDATE"],
        "draftWorkspace" => &["KNOWLEDGE"],
        "draftWorkspaceValidate" => &["KNOWLEDGE_KNUPDATE_KNDELETE"],
        "labelAdd" => &["SETTINGS_SETLABELS"],
        "groups" | "users" | "userAdd" | "userAdminTokenAdd" | "userAdminTokenRevoke" => {
            &["SETTINGS_SETACCESSES"]
        }
        _ => &[],
    }
}

/// Refuses a root field. A capability is matched by text, so `MODULES_MODMANAGE` holds `MODULES`.
pub(crate) fn check(field: &str, capabilities: &[String]) -> Result<(), PlatformError> {
    let needed = needed(field);
    let granted = capabilities
        .iter()
        .any(|has| has == "BYPASS" || needed.iter().any(|capability| has.contains(capability)));
    if needed.is_empty() || granted {
        return Ok(());
    }
    Err(PlatformError::new(
        "FORBIDDEN_ACCESS",
        "You are not allowed to do this.",
    ))
}
