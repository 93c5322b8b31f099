//! Deployed by OpenCTI's integration manager: the catalog that it reads, and the environment that it gives.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boon::{Compiler, Schemas, ValidationError};
use connector_tests::fixtures::Scenario;
use connector_tests::host::{CONNECTOR_ID, Host, component, program, workspace};
use connector_tests::{opencti, virustotal};
use serde_json::{Value, json};

fn folder() -> PathBuf {
    workspace().join("__metadata__")
}

fn read(path: PathBuf) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn catalog() -> Value {
    read(folder().join("catalog.json"))
}

fn form() -> Value {
    read(folder().join("connector_config_schema.json"))
}

/// What is wrong with a document, each with the place where it is.
fn problems(schema: &Value, document: &Value) -> Vec<String> {
    let mut schemas = Schemas::new();
    let mut compiler = Compiler::new();
    compiler.enable_format_assertions();
    compiler
        .add_resource("schema.json", schema.clone())
        .unwrap();
    let schema = compiler.compile("schema.json", &mut schemas).unwrap();
    let mut problems = Vec::new();
    if let Err(error) = schemas.validate(document, schema) {
        collect(&error, &mut problems);
    }
    problems
}

fn collect(error: &ValidationError<'_, '_>, problems: &mut Vec<String>) {
    if error.causes.is_empty() {
        problems.push(format!("{}: {}", error.instance_location, error.kind));
    }
    for cause in &error.causes {
        collect(cause, problems);
    }
}

#[test]
fn the_files_are_those_that_the_program_and_its_guest_make() {
    let check = std::env::var_os("BLESS").is_none().then_some("--check");
    let output = Command::new(program().unwrap())
        .arg("metadata")
        .args(check)
        .arg(folder())
        .arg("--guest")
        .arg(component().unwrap())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "run BLESS=1 ./justw test --test integration_manager: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_file_that_is_not_what_the_program_makes_is_named() {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let mut form = form();
    form["required"] = json!([]);
    let path = copy.path().join("connector_config_schema.json");
    std::fs::write(&path, form.to_string()).unwrap();
    let output = Command::new(program().unwrap())
        .args(["metadata", "--check"])
        .arg(copy.path())
        .arg("--guest")
        .arg(component().unwrap())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.contains(&path.display().to_string()), "{error}");
    assert!(!error.contains("catalog.json"), "{error}");
}

#[test]
fn the_catalog_is_of_the_form_that_the_platform_reads() {
    let schema = workspace().join("tests/fixtures/integration-manager/catalog.schema.json");
    let catalog = catalog();
    assert_eq!(problems(&read(schema), &catalog), Vec::<String>::new());
    let contract = &catalog["contracts"][0];
    assert_eq!(contract["config_schema"], form());
    assert_eq!(catalog["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(contract["container_version"], catalog["version"]);
    // Those of the Python connector, whose contract would be taken for ours or ours for it.
    let python = "virustotal-livehunt-notifications";
    assert_ne!(contract["slug"], python);
    // By the slug that it registers with, the platform knows which contract a connector is of.
    let guest: Value = serde_json::from_str(&livehunt::describe()).unwrap();
    assert_eq!(guest["connector"]["slug"], contract["slug"]);
    let image = contract["container_image"].as_str().unwrap();
    assert!(!image.ends_with(python), "{image}");
}

#[test]
fn the_logo_is_a_picture_that_the_catalog_keeps() {
    let logo = catalog()["contracts"][0]["logo"].clone();
    let (_, base64) = logo.as_str().unwrap().split_once(',').unwrap();
    let png = STANDARD.decode(base64).unwrap();
    // A PNG begins with its signature and the chunk IHDR, in which width and height come first.
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert!((16..=200).contains(&side(16)) && (16..=200).contains(&side(20)));
}

/// What a user would fill in first.
fn filled_in() -> Value {
    json!({
        "OPENCTI_URL": "http://opencti:8080",
        "OPENCTI_TOKEN": "6f2b7f0e-2f0c-4a55-9d0e-0f5a6f0e2f0c",
        "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY": "a key",
    })
}

#[test]
fn the_form_takes_what_is_right_and_refuses_what_is_not() {
    let form = form();
    assert_eq!(problems(&form, &filled_in()), Vec::<String>::new());
    let prefix = "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS";
    for (name, value) in [
        ("CONNECTOR_DURATION_PERIOD", json!("PT5M")),
        ("CONNECTOR_DURATION_PERIOD", json!("P1D")),
        ("CONNECTOR_SCOPE", json!(["StixFile", "Incident"])),
        (&format!("{prefix}_LIMIT"), json!(1)),
        (&format!("{prefix}_TLP_LEVEL"), json!("amber+strict")),
        (&format!("{prefix}_MAX_AGE_DAYS"), json!(0)),
        ("SOMETHING_ELSE", json!("is not looked at")),
    ] {
        let mut given = filled_in();
        given[name] = value;
        assert_eq!(problems(&form, &given), Vec::<String>::new(), "{name}");
    }
    for (name, value) in [
        ("OPENCTI_URL", json!("opencti")),
        ("CONNECTOR_DURATION_PERIOD", json!("5m")),
        ("CONNECTOR_LOG_LEVEL", json!("loud")),
        ("CONNECTOR_QUEUE_THRESHOLD", json!(0)),
        ("CONNECTOR_SCOPE", json!("StixFile")),
        (&format!("{prefix}_LIMIT"), json!(0)),
        (&format!("{prefix}_LIMIT"), json!("10")),
        (&format!("{prefix}_MIN_FILE_SIZE"), json!(-1)),
        (&format!("{prefix}_CREATE_ALERT"), json!("yes")),
        (&format!("{prefix}_TLP_LEVEL"), json!("purple")),
    ] {
        let mut given = filled_in();
        given[name] = value;
        let found = problems(&form, &given);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(found[0].starts_with(&format!("/{name}")), "{found:?}");
    }
    for name in filled_in().as_object().unwrap().keys() {
        let mut given = filled_in();
        given.as_object_mut().unwrap().remove(name);
        let found = problems(&form, &given);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert!(found[0].contains(name), "{found:?}");
    }
}

/// What stands in the form before a user touches it: what the manager passes on for what is left alone.
fn defaults() -> BTreeMap<String, Value> {
    form()["properties"]
        .as_object()
        .unwrap()
        .iter()
        .filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone())))
        .collect()
}

#[test]
fn the_form_takes_its_own_defaults() {
    let form = form();
    let mut given = filled_in();
    for (name, default) in defaults() {
        given[name] = default;
    }
    assert_eq!(problems(&form, &given), Vec::<String>::new());
    // What the manager gives itself is not asked for.
    for name in [
        "CONNECTOR_ID",
        "CONNECTOR_TYPE",
        "CONNECTOR_RUN_AND_TERMINATE",
    ] {
        assert!(form["properties"].get(name).is_none(), "{name}");
    }
}

/// A value as the manager writes it into the environment of a container.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(elements) => elements.iter().map(as_text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[tokio::test]
async fn a_run_in_the_environment_that_the_manager_gives() -> Result<()> {
    let scenario = Scenario {
        mixed: false,
        ..Scenario::of_today(20)
    };
    let virustotal = virustotal::Server::start(scenario.world()).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let authority = STANDARD.encode(&webpki_root_certs::TLS_SERVER_ROOT_CERTS[0]);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{authority}\n-----END CERTIFICATE-----\n");
    let authority = tempfile::NamedTempFile::new()?;
    std::fs::write(authority.path(), &pem)?;
    let authority = authority.path().display().to_string();

    let mut host = Host::new(&virustotal, &platform)?;
    for (name, default) in defaults() {
        let is_ours = ["CONNECTOR_GUEST", "CONNECTOR_QUEUE_PROTOCOL"].contains(&name.as_str());
        // The simulators have addresses of their own.
        if !is_ours && !name.ends_with("_API_URL") {
            host = host.variable(&name, as_text(&default));
        }
    }
    let host = host
        .variable("CONNECTOR_LOG_LEVEL", "info")
        .variable("CONNECTOR_ID", CONNECTOR_ID)
        .variable("CONNECTOR_NAME", "virustotal-livehunt")
        .variable("CONNECTOR_TYPE", "EXTERNAL_IMPORT")
        .variable("CONNECTOR_RUN_AND_TERMINATE", "false")
        .variable("OPENCTI_CONFIG_HASH", "2f0c4a559d0e")
        // Without a value.
        .variable("CONNECTOR_DURATION_PERIOD", "")
        .setting("AV_LIST", "")
        .setting("LIVEHUNT_TAG_PREFIX", "")
        .setting("EXTENSIONS", "")
        // The platform's proxy, which nobody listens at, and the manager's own.
        .variable("HTTP_PROXY", "http://127.0.0.1:9")
        .variable("HTTPS_PROXY", "http://127.0.0.1:9")
        .variable("NO_PROXY", "localhost,127.0.0.1")
        .variable("HTTPS_CA_CERTIFICATES", pem)
        .variable("HTTPS_PROXY_REJECT_UNAUTHORIZED", "false")
        .variable("SSL_CERT_FILE", &authority)
        .variable("REQUESTS_CA_BUNDLE", &authority)
        .variable("NODE_EXTRA_CA_CERTS", &authority)
        .variable("CURL_CA_BUNDLE", &authority)
        .variable("NODE_TLS_REJECT_UNAUTHORIZED", "0");
    let mut running = host.start(&["run"])?;
    running.until_logged("notifications read").await?;
    running.terminate()?;
    let run = running.finish().await?;
    assert!(run.success, "{}", run.log);
    assert_eq!(run.messages("WARNING"), Vec::<String>::new());
    assert_eq!(run.messages("ERROR"), Vec::<String>::new());
    let incidents = platform.objects_of("incident");
    assert!(incidents.len() > 5, "{}", run.summary());
    let first = incidents[0]["name"].as_str().unwrap();
    assert!(
        first.starts_with("VT  "),
        "blanks of a prefix count: {first:?}"
    );
    assert_eq!(platform.validity_problems(), Vec::<String>::new());
    Ok(())
}
