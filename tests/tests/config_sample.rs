//! `config.yml.sample` against the code: the settings in it are those that there are, with their defaults.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use connector_host::config::{self, HOST_SETTINGS, HostSetting, Raw, SOURCE_SETTINGS};
use connector_host::runtime::Description;
use connector_host::swap;
use connector_tests::host::workspace;

const HEAD: &str = "\
# Settings of the connector. Copy to config.yml, put yours in place of ChangeMe, and take the # from before what you
# change; what stands behind it is the default. The environment wins over this file; settings that belong to none
# of its sections, such as proxies and certificate authorities, stand in the environment only.
# Generated from the tables in the code: BLESS=1 ./justw test --test config_sample
";

fn description() -> Description {
    serde_json::from_str(&livehunt::describe()).unwrap()
}

/// A line of a section: the key, its default, what it does.
struct Entry {
    key: String,
    default: String,
    help: String,
    is_required: bool,
}

/// The sections in the order of the tables, and what stands in them.
fn sections(guest: &Description) -> Vec<(&str, Vec<Entry>)> {
    let mut sections: Vec<(&str, Vec<Entry>)> = Vec::new();
    for setting in HOST_SETTINGS {
        let Some((section, key)) = setting.place() else {
            continue;
        };
        let entry = of_host(setting, key, guest);
        match sections.iter_mut().find(|(name, _)| *name == section) {
            Some((_, entries)) => entries.push(entry),
            None => sections.push((section, vec![entry])),
        }
    }
    let source = SOURCE_SETTINGS
        .iter()
        .map(|setting| of_host(setting, setting.name.to_lowercase(), guest));
    let own = guest.settings.iter().map(|setting| Entry {
        key: setting.name.to_lowercase(),
        default: setting.default.clone(),
        help: match setting.choices.as_slice() {
            [] => setting.help.clone(),
            choices => format!("{} ({})", setting.help, choices.join(", ")),
        },
        is_required: false,
    });
    let section = guest.connector.config_sections[0].as_str();
    sections.push((section, source.chain(own).collect()));
    for (_, entries) in &mut sections {
        // Stable: the order of the tables otherwise.
        entries.sort_by_key(|entry| !entry.is_required);
    }
    sections
}

fn of_host(setting: &HostSetting, key: String, guest: &Description) -> Entry {
    let default = match setting.name {
        "CONNECTOR_NAME" => guest.connector.name.clone(),
        "CONNECTOR_SCOPE" => guest.connector.scope.join(","),
        _ => setting.default_value().unwrap_or_default().to_owned(),
    };
    Entry {
        key,
        default,
        help: setting.help.to_owned(),
        is_required: setting.is_required(),
    }
}

fn sample(guest: &Description) -> String {
    let mut text = HEAD.to_owned();
    for (section, entries) in sections(guest) {
        writeln!(text, "\n{section}:").unwrap();
        for entry in entries {
            let (mark, value) = if entry.is_required {
                ("", "ChangeMe".to_owned())
            } else {
                ("#", yaml(&entry.default))
            };
            let line = format!("  {mark}{}: {value}", entry.key);
            writeln!(text, "  # {}\n{}", entry.help, line.trim_end()).unwrap();
        }
    }
    text
}

/// A scalar; with quotes unless they are plainly not needed.
fn yaml(value: &str) -> String {
    let is_plain = !value.ends_with(':')
        && value.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/')
        && value
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "_-+./,:".contains(letter));
    if value.is_empty() || is_plain {
        value.to_owned()
    } else {
        serde_json::to_string(value).unwrap()
    }
}

/// The settings that a file and the environment give.
fn load(file: &str, environment: &[(&str, &str)]) -> Result<config::Settings, config::Invalid> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    std::fs::write(&path, file).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let raw = Raw::new(environment).with_file(&path).unwrap();
    config::load(&raw, &swap::defaults(&description()))
}

const REQUIRED: &[(&str, &str)] = &[
    ("OPENCTI_URL", "http://opencti:8080"),
    ("OPENCTI_TOKEN", "a token"),
    ("CONNECTOR_ID", "0d9f4a52-5f5e-4a57-9a3c-2f7a3f7f4c11"),
    ("VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY", "a key"),
];

#[test]
fn the_sample_has_the_settings_of_the_code() {
    let path = workspace().join("config.yml.sample");
    let expected = sample(&description());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, expected).unwrap();
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap();
    assert!(
        found == expected,
        "config.yml.sample is not what the code has: run BLESS=1 ./justw test --test config_sample\n{expected}"
    );
}

#[test]
fn the_sample_asks_for_what_is_required_and_nothing_else() {
    let refused = load(&sample(&description()), &[]).unwrap_err();
    let names: Vec<&str> = refused
        .0
        .iter()
        .map(|problem| problem.setting.as_str())
        .collect();
    let required: Vec<&str> = REQUIRED.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, required);
}

#[test]
fn every_line_of_the_sample_is_a_setting_that_is_taken() {
    let with_all: String = sample(&description())
        .lines()
        .map(|line| match line.strip_prefix("  #") {
            Some(setting) if !setting.starts_with(' ') => format!("  {setting}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let settings = load(&with_all, REQUIRED).unwrap();
    assert_eq!(settings.warnings, Vec::<String>::new());
    let given: Vec<(String, String)> = description()
        .settings
        .into_iter()
        .filter(|setting| !setting.default.is_empty())
        .map(|setting| (setting.name, setting.default))
        .collect();
    assert_eq!(
        settings.guest.into_iter().collect::<BTreeMap<_, _>>(),
        given.into_iter().collect()
    );
}
