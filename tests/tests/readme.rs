//! The documents against the code: the settings they name are those that there are.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::fmt::Write as _;
use std::path::PathBuf;

use connector_host::config::{HOST_SETTINGS, HostSetting, SOURCE_SETTINGS};
use connector_host::runtime::{Description, SettingDescription, SettingKind};

const BEGIN: &str =
    "<!-- settings: generated from the tables in the code; BLESS=1 ./justw test readme -->\n";
const END: &str = "<!-- /settings -->";

fn document(name: &str) -> PathBuf {
    connector_tests::host::workspace().join(name)
}

fn description() -> Description {
    serde_json::from_str(&livehunt::describe()).unwrap()
}

/// Both tables, as they stand in the README.
fn tables(guest: &Description) -> String {
    let mut text = String::from("\n### Platform and connector\n\n");
    table(
        &mut text,
        HOST_SETTINGS
            .iter()
            .map(|setting| host_row(setting, "", guest)),
    );
    let prefix = format!("{}_", guest.connector.environment_prefix);
    text.push_str("\n### VirusTotal, filters and mapping\n\n");
    let source = SOURCE_SETTINGS
        .iter()
        .map(|setting| host_row(setting, &prefix, guest));
    let own = guest
        .settings
        .iter()
        .map(|setting| guest_row(setting, &prefix));
    table(&mut text, source.chain(own));
    text.push('\n');
    text
}

fn table(text: &mut String, rows: impl Iterator<Item = [String; 3]>) {
    text.push_str("| variable | default | meaning |\n|---|---|---|\n");
    for row in rows {
        let [name, default, meaning] = row.map(|cell| cell.replace('|', "\\|"));
        writeln!(text, "| `{name}` | {default} | {meaning} |").unwrap();
    }
}

fn host_row(setting: &HostSetting, prefix: &str, guest: &Description) -> [String; 3] {
    let default = match (setting.name, setting.default) {
        ("CONNECTOR_NAME", _) => code(&guest.connector.name),
        ("CONNECTOR_SCOPE", _) => code(&guest.connector.scope.join(",")),
        (_, "required") => "**required**".to_owned(),
        (_, words) if words.starts_with("the ") => words.to_owned(),
        (_, value) => code(value),
    };
    [
        format!("{prefix}{}", setting.name),
        default,
        setting.help.to_owned(),
    ]
}

fn guest_row(setting: &SettingDescription, prefix: &str) -> [String; 3] {
    let choices: Vec<String> = setting.choices.iter().map(|choice| code(choice)).collect();
    let choices = match (choices.as_slice(), setting.kind) {
        ([], _) => String::new(),
        (_, SettingKind::List) => format!(" Any of {}.", choices.join(", ")),
        (_, _) => format!(" One of {}.", choices.join(", ")),
    };
    [
        format!("{prefix}{}", setting.name),
        code(&setting.default),
        format!("{}{choices}", setting.help),
    ]
}

fn code(value: &str) -> String {
    if value.is_empty() {
        String::new()
    } else {
        format!("`{value}`")
    }
}

#[test]
fn readme_has_the_settings_of_the_code() {
    let path = document("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme
        .split_once(BEGIN)
        .expect("the README to have the marker of the settings");
    let (found, after) = rest
        .split_once(END)
        .expect("the README to have the end of the settings");
    let expected = tables(&description());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    assert!(
        found == expected,
        "the settings in README.md are not those of the code: run BLESS=1 ./justw test readme\n{expected}"
    );
}

/// Every setting by its name in the environment.
fn names(guest: &Description) -> Vec<String> {
    let prefix = &guest.connector.environment_prefix;
    let own = guest.settings.iter().map(|setting| setting.name.as_str());
    let prefixed = SOURCE_SETTINGS
        .iter()
        .map(|setting| setting.name)
        .chain(own);
    HOST_SETTINGS
        .iter()
        .map(|setting| setting.name.to_owned())
        .chain(prefixed.map(|name| format!("{prefix}_{name}")))
        .collect()
}

/// Words of the form of a variable's name, with at least one underscore.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| {
        !(letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
    })
    .filter(|word| {
        word.contains('_') && word.starts_with(|letter: char| letter.is_ascii_uppercase())
    })
}

#[test]
fn readme_demo_and_changelog_name_only_variables_that_exist() {
    let guest = description();
    let names = names(&guest);
    let mut named = 0;
    for file in ["README.md", "CHANGELOG.md", "tests/demo.sh"] {
        let text = std::fs::read_to_string(document(file)).unwrap();
        for variable in variables(&text) {
            let ours = ["OPENCTI_", "CONNECTOR_", "MQ_", "VIRUSTOTAL_"];
            if ours.iter().any(|prefix| variable.starts_with(prefix)) {
                named += 1;
                assert!(
                    names.iter().any(|name| name == variable),
                    "{file} names {variable}"
                );
            }
        }
    }
    assert!(named > 20, "{named} variables named");
}

/// In running text the names of the guest's settings stand without their prefix.
#[test]
fn readme_and_changelog_name_only_settings_that_exist() {
    let guest = description();
    let names = names(&guest);
    for file in ["README.md", "CHANGELOG.md"] {
        let text = std::fs::read_to_string(document(file)).unwrap();
        // What stands between backticks, in a text without code blocks.
        let prose: String = text.split("```").step_by(2).collect();
        for quoted in prose.split('`').skip(1).step_by(2) {
            let assigned = quoted.split_once('=').map_or(quoted, |(name, _)| name);
            for variable in variables(assigned).filter(|variable| *variable == assigned) {
                let suffix = format!("_{variable}");
                let exists = names
                    .iter()
                    .any(|name| name == variable || name.ends_with(&suffix));
                assert!(exists, "{file} names {variable}");
            }
        }
    }
}
