//! What the connector is deployed with, against the program: image, compose file, Kubernetes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod compose;
mod image;
mod kubernetes;

use std::collections::{BTreeMap, BTreeSet};

use connector_host::config::{self, Invalid, Raw, Settings};
use connector_host::runtime::Description;
use connector_host::swap;
use connector_tests::host::workspace;
use serde_json::Value;

type Environment = BTreeMap<String, String>;

fn text(name: &str) -> String {
    std::fs::read_to_string(workspace().join(name)).unwrap()
}

fn documents(name: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&text(name)).unwrap()
}

fn manifest() -> Value {
    serde_json::from_str(&text("__metadata__/connector_manifest.json")).unwrap()
}

/// `name:version` of the image, as the integration manager would pull it.
fn image() -> String {
    let manifest = manifest();
    let part = |name: &str| manifest[name].as_str().unwrap().to_owned();
    assert_eq!(part("container_version"), env!("CARGO_PKG_VERSION"));
    format!("{}:{}", part("container_image"), part("container_version"))
}

/// What the connector would say of an environment.
fn load(environment: &Environment) -> Result<Settings, Invalid> {
    let guest: Description = serde_json::from_str(&livehunt::describe()).unwrap();
    config::load(&Raw::new(environment.clone()), &swap::defaults(&guest))
}

/// The connector takes an environment without a word once a user has filled it in, and says what is missing before.
fn assert_is_filled_in_by_its_user(environment: &Environment, file: &str) {
    let refused = load(environment).unwrap_err();
    let refused: BTreeSet<&str> = refused.0.iter().map(|it| it.setting.as_str()).collect();
    let placeholders: BTreeSet<&str> = environment
        .iter()
        .filter(|(_, value)| *value == "ChangeMe")
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(placeholders.len() >= 3, "{file}: {placeholders:?}");
    assert_eq!(refused, placeholders, "{file}");
    let mut filled = environment.clone();
    for value in filled.values_mut().filter(|value| *value == "ChangeMe") {
        "0d9f4a52-5f5e-4a57-9a3c-2f7a3f7f4c11".clone_into(value);
    }
    assert_eq!(load(&filled).unwrap().warnings, Vec::<String>::new());
}
