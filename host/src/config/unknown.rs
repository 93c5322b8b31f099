//! Names that mean nothing: a setting that is written wrongly must not be passed over in silence.

use std::collections::BTreeSet;

use super::load::GuestDefaults;
use super::raw::{Raw, SECTIONS};
use super::table::{HOST_SETTINGS, IGNORED, SOURCE_SETTINGS};

/// Jaro-Winkler likeness from which on a name is taken for a slip of the pen.
const ALIKE: f64 = 0.85;

/// A warning for each section and name that nobody knows.
pub(super) fn warnings(raw: &Raw, guest: &GuestDefaults) -> Vec<String> {
    let mut warnings = unknown_sections(raw, guest);
    for section in SECTIONS {
        warnings.extend(unknown_host_settings(raw, section));
    }
    warnings.extend(unknown_guest_settings(raw, guest));
    warnings
}

fn unknown_sections(raw: &Raw, guest: &GuestDefaults) -> Vec<String> {
    let mut known: Vec<&str> = SECTIONS.to_vec();
    known.extend(guest.config_sections.iter().map(String::as_str));
    let found: BTreeSet<&str> = raw.sections().collect();
    found
        .into_iter()
        .filter(|section| !known.contains(section))
        .map(|section| {
            let hint = nearest(section, &known).map_or_else(String::new, |candidate| {
                format!(" (did you mean {candidate}?)")
            });
            format!("the configuration file's section {section} is not read{hint}")
        })
        .collect()
}

fn unknown_host_settings(raw: &Raw, section: &str) -> Vec<String> {
    let prefix = format!("{}_", section.to_uppercase());
    let known: Vec<&str> = HOST_SETTINGS
        .iter()
        .filter_map(|setting| setting.name.strip_prefix(&prefix))
        .collect();
    let mut warnings = Vec::new();
    for found in raw.names_of(section) {
        let name = format!("{prefix}{}", found.key);
        let expected = known.contains(&found.key.as_str())
            || IGNORED.contains(&name.as_str())
            || (found.in_environment && is_service_address(&found.key));
        let nearest = nearest(&found.key, &known);
        // The platform's own variables begin so too, and those of others; one file often serves all containers.
        let others =
            ["opencti", "s3"].contains(&section) && found.in_environment && nearest.is_none();
        if !expected && !others {
            warnings.push(unknown(&prefix, &found.key, nearest));
        }
    }
    warnings
}

fn unknown_guest_settings(raw: &Raw, guest: &GuestDefaults) -> Vec<String> {
    let prefix = format!("{}_", guest.environment_prefix);
    let known: Vec<&str> = SOURCE_SETTINGS
        .iter()
        .map(|setting| setting.name)
        .chain(guest.settings.iter().map(String::as_str))
        .collect();
    raw.names_prefixed(&guest.environment_prefix, &guest.config_sections)
        .into_iter()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| unknown(&prefix, &name, nearest(&name, &known)))
        .collect()
}

/// Kubernetes puts the addresses of services into the environment, under the service's name: that of a
/// service `opencti` as `OPENCTI_SERVICE_HOST`, `OPENCTI_SERVICE_PORT_…`, `OPENCTI_PORT`, `OPENCTI_PORT_…`.
fn is_service_address(key: &str) -> bool {
    key == "PORT" || key.starts_with("PORT_") || key.starts_with("SERVICE_")
}

/// Without their prefixes: what all names share would make all of them alike.
fn nearest<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), *candidate))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .map(|(_, candidate)| candidate)
}

fn unknown(prefix: &str, key: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(candidate) => {
            format!("{prefix}{key} is not a setting (did you mean {prefix}{candidate}?)")
        }
        None => format!("{prefix}{key} is not a setting"),
    }
}
