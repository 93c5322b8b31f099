//! Every setting of the guest: the one table that [`describe`] prints and [`Settings::parse`] reads.

mod reader;

use std::num::NonZeroU64;

use serde::Serialize;

use crate::contract::{Problem, Remark, Setting};
use crate::notification::EntityType;
use crate::stix::Tlp;
use reader::Reader;

/// One row of the table.
#[derive(Serialize)]
struct Definition {
    name: &'static str,
    kind: Kind,
    /// Text as a user would write it; empty where there is none.
    default: &'static str,
    /// Empty where any value of the kind will do.
    choices: &'static [&'static str],
    help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Boolean,
    Integer,
    Text,
    List,
    Choice,
}

impl Definition {
    const fn boolean(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Boolean, default, help)
    }

    const fn integer(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Integer, default, help)
    }

    const fn text(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Text, default, help)
    }

    const fn list(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::List, default, help)
    }

    const fn choice(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Choice, default, help)
    }

    const fn new(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            default,
            choices: &[],
            help,
        }
    }

    const fn of(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }
}

#[rustfmt::skip]
mod table {
    use super::Definition;

    pub(super) const ENTITY_TYPES: Definition = Definition::list("ENTITY_TYPES", "file",
        "Types of objects that are wanted. Network rules report URLs, domains and IP addresses.")
        .of(&["file", "url", "domain", "ip_address"]);
    pub(super) const FILTER_WITH_TAG: Definition = Definition::text("FILTER_WITH_TAG", "",
        "Only notifications with this tag. Upper case, and characters other than a-z and 0-9, make no difference.");
    pub(super) const EXTENSIONS: Definition = Definition::list("EXTENSIONS", "",
        "Only files that VirusTotal gives one of these extensions: exe,dll. Commas, semicolons and blanks separate. \
         Empty: all files.");
    pub(super) const MIN_FILE_SIZE: Definition = Definition::integer("MIN_FILE_SIZE", "",
        "Only files of at least this many bytes. 0 or empty: no limit.");
    pub(super) const MAX_FILE_SIZE: Definition = Definition::integer("MAX_FILE_SIZE", "52428800",
        "Only files of at most this many bytes. 0: no limit.");
    pub(super) const MAX_AGE_DAYS: Definition = Definition::integer("MAX_AGE_DAYS", "3",
        "Only files and URLs first submitted less than this many days ago. 0: no limit.");
    pub(super) const MIN_POSITIVES: Definition = Definition::integer("MIN_POSITIVES", "",
        "Only objects that at least this many engines call malicious, at most 100. 0 or empty: no limit.");
    pub(super) const CREATE_ALERT: Definition = Definition::boolean("CREATE_ALERT", "true",
        "Create an incident for each notification.");
    pub(super) const ALERT_PREFIX: Definition = Definition::text("ALERT_PREFIX", "VT ",
        "What incident names begin with; a blank and the rule name follow. Blanks count.");
    pub(super) const CREATE_FILE: Definition = Definition::boolean("CREATE_FILE", "true",
        "Create a file observable for each file.");
    pub(super) const UPLOAD_ARTIFACT: Definition = Definition::boolean("UPLOAD_ARTIFACT", "false",
        "Copy each file to the platform as an artifact, unless it is there. Uses the download quota.");
    pub(super) const CREATE_YARA_RULE: Definition = Definition::boolean("CREATE_YARA_RULE", "true",
        "Create an indicator of the YARA rule that matched.");
    pub(super) const YARA_UNPORTABLE: Definition = Definition::choice("YARA_UNPORTABLE", "note",
        "What becomes of a rule that the platform cannot compile (module vt, variables of Livehunt): \
         a note on the incident and the object, an indicator all the same (the platform may refuse it), or nothing.")
        .of(&["note", "indicator", "skip"]);
    pub(super) const REVOKE_CHANGED_RULES: Definition = Definition::boolean("REVOKE_CHANGED_RULES", "false",
        "Revoke the indicator of a rule's earlier text once the rule was changed. Else both live, and are related.");
    pub(super) const DELETE_NOTIFICATION: Definition = Definition::boolean("DELETE_NOTIFICATION", "false",
        "Delete each notification at VirusTotal once it is delivered.");
    pub(super) const TLP_LEVEL: Definition = Definition::choice("TLP_LEVEL", "clear",
        "Traffic Light Protocol marking of everything that is created. white is the old name of clear.")
        .of(&["clear", "white", "green", "amber", "amber+strict", "red"]);
    pub(super) const CONFIDENCE: Definition = Definition::integer("CONFIDENCE", "",
        "Confidence of everything that is created, 0 to 100. What an analyst of higher confidence changed stays theirs. \
         Empty: the confidence of the connector's account.");
    pub(super) const AV_LIST: Definition = Definition::list("AV_LIST", "",
        "Engines whose results go into the description of the object: Microsoft,Kaspersky.");
    pub(super) const ENABLE_LABEL_ENRICHMENT: Definition = Definition::boolean("ENABLE_LABEL_ENRICHMENT", "true",
        "Label incidents and YARA indicators with the names of rule and ruleset, prefixed, in place of the plain tags.");
    pub(super) const YARA_LABEL_PREFIX: Definition = Definition::text("YARA_LABEL_PREFIX", "vt:yara:",
        "Prefix of the label with the ruleset's name.");
    pub(super) const LIVEHUNT_LABEL_PREFIX: Definition = Definition::text("LIVEHUNT_LABEL_PREFIX", "vt:lh:",
        "Prefix of the label with the rule's name.");
    pub(super) const LIVEHUNT_TAG_PREFIX: Definition = Definition::text("LIVEHUNT_TAG_PREFIX", "",
        "Prefix of the labels made of VirusTotal's tags of the object.");
    pub(super) const GET_MALWARE_CONFIG: Definition = Definition::boolean("GET_MALWARE_CONFIG", "false",
        "Create observables for the domains, IP addresses and URLs in the malware configuration of a file.");
    pub(super) const CREATE_FILE_INDICATORS: Definition = Definition::boolean("CREATE_FILE_INDICATORS", "false",
        "Create an indicator for each file observable.");
    pub(super) const CREATE_DOMAIN_NAME_INDICATORS: Definition = Definition::boolean("CREATE_DOMAIN_NAME_INDICATORS", "false",
        "Create an indicator for each domain observable.");
    pub(super) const CREATE_IP_INDICATORS: Definition = Definition::boolean("CREATE_IP_INDICATORS", "false",
        "Create an indicator for each IP address observable.");
    pub(super) const CREATE_URL_INDICATORS: Definition = Definition::boolean("CREATE_URL_INDICATORS", "false",
        "Create an indicator for each URL observable.");

    pub(super) const ALL: &[Definition] = &[
        ENTITY_TYPES, FILTER_WITH_TAG, EXTENSIONS, MIN_FILE_SIZE, MAX_FILE_SIZE, MAX_AGE_DAYS, MIN_POSITIVES,
        CREATE_ALERT, ALERT_PREFIX, CREATE_FILE, UPLOAD_ARTIFACT, CREATE_YARA_RULE, YARA_UNPORTABLE,
        REVOKE_CHANGED_RULES, DELETE_NOTIFICATION, TLP_LEVEL, CONFIDENCE, AV_LIST, ENABLE_LABEL_ENRICHMENT, YARA_LABEL_PREFIX,
        LIVEHUNT_LABEL_PREFIX, LIVEHUNT_TAG_PREFIX, GET_MALWARE_CONFIG, CREATE_FILE_INDICATORS,
        CREATE_DOMAIN_NAME_INDICATORS, CREATE_IP_INDICATORS, CREATE_URL_INDICATORS,
    ];
}

#[derive(Serialize)]
struct Description {
    name: &'static str,
    version: &'static str,
    connector: Connector,
    settings: &'static [Definition],
}

#[derive(Serialize)]
struct Connector {
    name: &'static str,
    /// That of `__metadata__/connector_manifest.json`.
    slug: &'static str,
    scope: &'static [&'static str],
    environment_prefix: &'static str,
    config_sections: &'static [&'static str],
}

/// The guest's description of itself: the JSON of `describe` in the contract.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "cannot panic")]
pub fn describe() -> String {
    let description = Description {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        connector: Connector {
            name: "VirusTotal Livehunt Notifications",
            slug: "virustotal-livehunt",
            scope: &["StixFile", "Indicator", "Incident"],
            environment_prefix: "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS",
            config_sections: &["virustotal_livehunt_notifications", "virustotal"],
        },
        settings: table::ALL,
    };
    #[expect(clippy::expect_used, reason = "texts always serialise")]
    serde_json::to_string(&description).expect("a description is JSON")
}

/// No object is seen by more engines: VirusTotal has some ninety.
const MOST_ENGINES: u64 = 100;

/// What becomes of a YARA rule that the platform cannot compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unportable {
    Note,
    Indicator,
    Skip,
}

/// Settings that hold together: what is none here does not limit.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one switch that a user sets"
)]
pub(crate) struct Settings {
    pub entity_types: Vec<EntityType>,
    pub filter_with_tag: Option<String>,
    /// Lower case, without the dot.
    pub extensions: Vec<String>,
    /// Bytes.
    pub min_file_size: Option<NonZeroU64>,
    /// Bytes.
    pub max_file_size: Option<NonZeroU64>,
    pub max_age_days: Option<NonZeroU64>,
    pub min_positives: Option<NonZeroU64>,
    pub create_alert: bool,
    pub alert_prefix: String,
    pub create_file: bool,
    pub upload_artifact: bool,
    pub create_yara_rule: bool,
    pub yara_unportable: Unportable,
    pub revoke_changed_rules: bool,
    pub delete_notification: bool,
    pub tlp: Tlp,
    /// 0 to 100.
    pub confidence: Option<u8>,
    pub av_list: Vec<String>,
    pub enable_label_enrichment: bool,
    pub yara_label_prefix: String,
    pub livehunt_label_prefix: String,
    pub livehunt_tag_prefix: String,
    pub get_malware_config: bool,
    pub create_file_indicators: bool,
    pub create_domain_name_indicators: bool,
    pub create_ip_indicators: bool,
    pub create_url_indicators: bool,
}

impl Settings {
    /// Settings, and remarks on what was accepted though it was written oddly.
    ///
    /// # Errors
    /// All problems at once.
    pub(crate) fn parse(given: &[Setting]) -> Result<(Self, Vec<Remark>), Vec<Problem>> {
        let mut reader = Reader::new(given, table::ALL);
        let settings = Self {
            entity_types: reader.choices(&table::ENTITY_TYPES, EntityType::from_name),
            filter_with_tag: reader.trimmed(&table::FILTER_WITH_TAG),
            extensions: reader.words(&table::EXTENSIONS, "a file extension like exe", extension),
            min_file_size: reader.limit(&table::MIN_FILE_SIZE),
            max_file_size: reader.limit(&table::MAX_FILE_SIZE),
            max_age_days: reader.limit(&table::MAX_AGE_DAYS),
            min_positives: reader.limit_up_to(&table::MIN_POSITIVES, MOST_ENGINES),
            create_alert: reader.boolean(&table::CREATE_ALERT),
            alert_prefix: reader.verbatim(&table::ALERT_PREFIX),
            create_file: reader.boolean(&table::CREATE_FILE),
            upload_artifact: reader.boolean(&table::UPLOAD_ARTIFACT),
            create_yara_rule: reader.boolean(&table::CREATE_YARA_RULE),
            yara_unportable: reader
                .choice(&table::YARA_UNPORTABLE, unportable)
                .unwrap_or(Unportable::Note),
            revoke_changed_rules: reader.boolean(&table::REVOKE_CHANGED_RULES),
            delete_notification: reader.boolean(&table::DELETE_NOTIFICATION),
            tlp: reader.choice(&table::TLP_LEVEL, tlp).unwrap_or(Tlp::Clear),
            confidence: reader.percentage(&table::CONFIDENCE),
            av_list: reader.names(&table::AV_LIST),
            enable_label_enrichment: reader.boolean(&table::ENABLE_LABEL_ENRICHMENT),
            yara_label_prefix: reader.verbatim(&table::YARA_LABEL_PREFIX),
            livehunt_label_prefix: reader.verbatim(&table::LIVEHUNT_LABEL_PREFIX),
            livehunt_tag_prefix: reader.verbatim(&table::LIVEHUNT_TAG_PREFIX),
            get_malware_config: reader.boolean(&table::GET_MALWARE_CONFIG),
            create_file_indicators: reader.boolean(&table::CREATE_FILE_INDICATORS),
            create_domain_name_indicators: reader.boolean(&table::CREATE_DOMAIN_NAME_INDICATORS),
            create_ip_indicators: reader.boolean(&table::CREATE_IP_INDICATORS),
            create_url_indicators: reader.boolean(&table::CREATE_URL_INDICATORS),
        };
        if let (Some(min), Some(max)) = (settings.min_file_size, settings.max_file_size)
            && min > max
        {
            reader.problem(
                &table::MIN_FILE_SIZE,
                format!("{min} is more than MAX_FILE_SIZE, {max}; no file would be wanted"),
            );
        }
        reader.finish(settings)
    }
}

/// `exe`, `.exe` and `*.exe` are the same; none where it cannot be an extension, since nothing would ever match it.
fn extension(text: &str) -> Option<String> {
    let text = text.strip_prefix('*').unwrap_or(text);
    let text = text.trim_start_matches('.').to_lowercase();
    let fits = |it: char| it.is_alphanumeric() || matches!(it, '-' | '_' | '+' | '.');
    (!text.is_empty() && text.chars().all(fits)).then_some(text)
}

fn unportable(choice: &str) -> Option<Unportable> {
    match choice {
        "note" => Some(Unportable::Note),
        "indicator" => Some(Unportable::Indicator),
        "skip" => Some(Unportable::Skip),
        _ => None,
    }
}

fn tlp(choice: &str) -> Option<Tlp> {
    match choice {
        "clear" | "white" => Some(Tlp::Clear),
        "green" => Some(Tlp::Green),
        "amber" => Some(Tlp::Amber),
        "amber+strict" => Some(Tlp::AmberStrict),
        "red" => Some(Tlp::Red),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
