//! The compose file, and how the README starts it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use connector_tests::fixtures::Scenario;
use connector_tests::host::{CONNECTOR_ID, Host, rabbitmq};
use connector_tests::{opencti, virustotal};
use serde_json::Value;

use super::{Environment, assert_is_filled_in_by_its_user, documents, image, load, text};

fn file() -> Value {
    documents("docker-compose.yml").remove(0)
}

fn service(file: &Value) -> &Value {
    let services = file["services"].as_object().unwrap();
    assert_eq!(services.len(), 1, "the connector alone");
    services.values().next().unwrap()
}

/// `${NAME:-default}`, as compose fills it in.
fn filled_in(text: &str, given: &Environment) -> String {
    let Some((before, rest)) = text.split_once("${") else {
        return text.to_owned();
    };
    let (variable, after) = rest.split_once('}').unwrap();
    let (name, default) = variable.split_once(":-").unwrap();
    let value = given.get(name).map_or(default, String::as_str);
    format!("{before}{value}{}", filled_in(after, given))
}

fn environment(given: &Environment) -> Environment {
    let file = file();
    let lines = service(&file)["environment"].as_array().unwrap();
    lines
        .iter()
        .map(|line| line.as_str().unwrap().split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), filled_in(value, given)))
        .collect()
}

#[test]
fn its_settings_are_those_of_the_connector() {
    assert_is_filled_in_by_its_user(&environment(&Environment::new()), "docker-compose.yml");
}

#[test]
fn it_gives_the_container_no_right_that_it_does_not_need() {
    let file = file();
    let service = service(&file);
    assert_eq!(service["image"], image());
    assert_eq!(service["restart"], "always");
    assert_eq!(service["read_only"], true);
    assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]));
    let options = serde_json::json!(["no-new-privileges:true"]);
    assert_eq!(service["security_opt"], options);
    for right in ["privileged", "cap_add", "user", "volumes", "ports", "tmpfs"] {
        assert!(service.get(right).is_none(), "{right}");
    }
    let network = service["networks"][0].as_str().unwrap();
    assert_eq!(file["networks"][network]["external"], true);
}

/// The block of the README, by a shell, with what docker would be called with in place of docker.
#[test]
fn the_block_of_the_readme_starts_it_with_all_that_it_needs() {
    let readme = text("README.md");
    let (_, section) = readme.split_once("\n## Run it as a container\n").unwrap();
    let (_, block) = section.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    stand_in(folder.path(), "docker", "echo \"$@\" > called");
    stand_in(folder.path(), "nano", "test -f \"$1\"");
    let path = std::env::var("PATH").unwrap();
    let status = Command::new("sh")
        .args(["-e", "-c", block])
        .current_dir(folder.path())
        .env_remove("EDITOR")
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .status()
        .unwrap();
    assert!(status.success(), "{block}");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("called"), "compose up --detach --build\n");
    let given: Environment = read(".env")
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let file = text("docker-compose.yml");
    for name in given.keys() {
        assert!(file.contains(&format!("${{{name}:-")), "{name}");
    }
    // What is left to the user is two secrets.
    let refused = load(&environment(&given)).unwrap_err();
    let refused: Vec<&str> = refused.0.iter().map(|it| it.setting.as_str()).collect();
    let secrets = ["OPENCTI_TOKEN", "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY"];
    assert_eq!(refused, secrets);
}

#[tokio::test]
async fn what_it_gives_the_container_makes_a_run() -> Result<()> {
    let Some(amqp_url) = rabbitmq().await else {
        return Ok(());
    };
    let virustotal = virustotal::Server::start(Scenario::of_today(10).world()).await?;
    let platform = opencti::Server::start(opencti::Options {
        amqp_url: Some(amqp_url),
        ..Default::default()
    })
    .await?;
    let given = [
        ("OPENCTI_URL", platform.url()),
        ("OPENCTI_TOKEN", platform.token().to_owned()),
        ("CONNECTOR_ID", CONNECTOR_ID.to_owned()),
        (
            "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY",
            virustotal.api_key().to_owned(),
        ),
    ];
    let given = given.map(|(name, value)| (name.to_owned(), value)).into();
    let mut host = Host::new(&virustotal, &platform)?.variable("CONNECTOR_QUEUE_PROTOCOL", "");
    for (name, value) in environment(&given) {
        host = host.variable(&name, value);
    }
    let run = host.run_once().await?;
    assert!(run.success, "{}", run.log);
    platform.until_works_complete().await?;
    assert!(!platform.objects_of("incident").is_empty(), "{}", run.log);
    platform.stop().await
}

fn stand_in(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
}
