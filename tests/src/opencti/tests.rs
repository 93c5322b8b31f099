use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use serde_json::{Value, json};

use super::*;
use crate::body::FileBody;
use crate::fault::{Fault, field};
use crate::testing::{abandon, request};

pub(super) const AUTHOR: &str = "identity--173c879a-bfb3-5dee-9f1f-3fffd76a8756";
const REGISTER: &str = "mutation Register($input: RegisterConnectorInput) { registerConnector(input: $input) \
    { id connector_state connector_user_id config { connection { host port user pass vhost use_ssl } \
      push push_routing push_exchange } } }";
const PING: &str = "mutation Ping($id: ID!, $state: String) { pingConnector(id: $id, state: $state) \
    { id connector_state } }";

pub(super) async fn start(version: &str) -> Server {
    Server::start(Options::version(version).unwrap())
        .await
        .unwrap()
}

pub(super) async fn send(server: &Server, query: &str, variables: Value) -> Value {
    let body = json!({"query": query, "variables": variables}).to_string();
    let token = format!("Bearer {}", server.token());
    let headers = [
        ("authorization", token.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = request(
        "POST",
        &format!("{}/graphql", server.url()),
        &headers,
        body.as_bytes(),
    )
    .await;
    assert_eq!(answer.status, 200);
    answer.json()
}

pub(super) async fn register(server: &Server) -> Value {
    let input =
        json!({"id": "c1", "name": "Connector", "type": "EXTERNAL_IMPORT", "scope": ["incident"]});
    let answer = send(server, REGISTER, json!({"input": input})).await;
    answer["data"]["registerConnector"].clone()
}

async fn ping(server: &Server, state: &str) -> Value {
    send(server, PING, json!({"id": "c1", "state": state})).await["data"]["pingConnector"]["connector_state"].clone()
}

pub(super) fn code(answer: &Value) -> &str {
    let error = &answer["errors"][0];
    assert_eq!(error["name"], error["extensions"]["code"]);
    error["name"].as_str().unwrap_or_default()
}

pub(super) fn identity() -> Value {
    json!({
        "type": "identity", "spec_version": "2.1", "id": AUTHOR, "name": "VirusTotal",
        "identity_class": "organization",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
    })
}

pub(super) fn bundle(objects: &[Value]) -> String {
    json!({"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000000", "objects": objects})
        .to_string()
}

#[tokio::test]
async fn requests_are_validated_against_the_schema_of_the_release() {
    let with_info = "mutation P($id: ID!, $info: ConnectorInfoInput) \
        { pingConnector(id: $id, connectorInfo: $info) { id } }";
    let info = json!({"run_and_terminate": false, "buffering": false, "queue_threshold": 500.0,
        "queue_messages_size": 0.0});
    let mut more = info.clone();
    more["color"] = json!("red");
    let mut less = info.clone();
    less.as_object_mut().unwrap().remove("buffering");
    for (version, query, variables, expected) in [
        (
            "7.260817.0",
            with_info,
            json!({"id": "c1", "info": info}),
            "",
        ),
        ("6.2.12", with_info, json!({"id": "c1", "info": info}), ""),
        (
            "6.2.11",
            with_info,
            json!({"id": "c1", "info": info}),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "7.260817.0",
            with_info,
            json!({"id": "c1", "info": more}),
            "BAD_USER_INPUT",
        ),
        (
            "7.260817.0",
            with_info,
            json!({"id": "c1", "info": less}),
            "BAD_USER_INPUT",
        ),
        ("7.260817.0", with_info, json!({}), "BAD_USER_INPUT"),
        (
            "7.260817.0",
            "{ about { color } }",
            json!({}),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "7.260817.0",
            "{ about { version }",
            json!({}),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "7.260817.0",
            "{ __schema { types { name } } }",
            json!({}),
            "RESOURCE_NOT_FOUND",
        ),
        (
            "7.260817.0",
            "mutation { a: pingConnector(id: \"c1\") { id } b: pingConnector(id: \"c1\") { id } }",
            json!({}),
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "7.260817.0",
            "mutation { pingConnector(id: \"c2\") { id } }",
            json!({}),
            "FUNCTIONAL_ERROR",
        ),
    ] {
        let server = start(version).await;
        register(&server).await;
        let answer = send(&server, query, variables).await;
        assert_eq!(code(&answer), expected, "{version} {query} {answer}");
    }
}

#[tokio::test]
async fn answers_hold_what_was_selected() {
    let server = start("6.9.22").await;
    let answer = send(
        &server,
        "{ v: about { version } me { name capabilities { name } } }",
        json!({}),
    )
    .await;
    assert_eq!(answer["data"]["v"], json!({"version": "6.9.22"}));
    assert_eq!(answer["data"]["me"].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn a_token_must_be_right_and_may_be_too_weak() {
    let server = Server::start(Options::default().without(&["CONNECTORAPI"]))
        .await
        .unwrap();
    let body = json!({"query": "{ about { version } }"}).to_string();
    let url = format!("{}/graphql", server.url());
    for headers in [vec![], vec![("authorization", "Bearer other")]] {
        let answer = request("POST", &url, &headers, body.as_bytes()).await;
        assert_eq!(
            (answer.status, code(&answer.json())),
            (200, "AUTH_REQUIRED")
        );
    }
    let input = json!({"id": "c1", "name": "Connector", "type": "EXTERNAL_IMPORT"});
    let answer = send(&server, REGISTER, json!({"input": input})).await;
    assert_eq!(code(&answer), "FORBIDDEN_ACCESS");
    assert_eq!(answer["data"]["registerConnector"], Value::Null);
    assert_eq!(request("GET", &url, &[], b"").await.status, 405);
}

#[tokio::test]
async fn the_state_is_kept_and_a_reset_is_told_once() {
    let server = start("7.260817.0").await;
    assert_eq!(register(&server).await["connector_state"], Value::Null);
    assert_eq!(ping(&server, "{\"a\":1}").await, "{\"a\":1}");
    assert_eq!(register(&server).await["connector_state"], "{\"a\":1}");
    let stamp = || server.read(|it| it.connectors["c1"].state_timestamp.clone());
    let before = stamp();
    server.reset_state().await.unwrap();
    assert!(stamp() > before);
    assert_eq!(ping(&server, "{\"a\":2}").await, "");
    assert_eq!(ping(&server, "{\"a\":3}").await, "{\"a\":3}");
    server.edit(|it| it.connectors.get_mut("c1").unwrap().stale_answers = 1);
    assert_eq!(ping(&server, "{\"a\":4}").await, "{\"a\":3}");
    assert_eq!(server.state().as_deref(), Some("{\"a\":4}"));
}

#[tokio::test]
async fn a_connector_can_have_run_before() {
    let server = start("6.0.0").await;
    server
        .seed_state("c1", "{\"latest_run_timestamp\":1767002400}")
        .unwrap();
    assert_eq!(
        register(&server).await["connector_state"],
        "{\"latest_run_timestamp\":1767002400}"
    );
}

#[tokio::test]
#[should_panic = "no valid STIX 2.1"]
async fn a_platform_that_was_sent_invalid_stix_does_not_end_quietly() {
    let server = start("7.260817.0").await;
    register(&server).await;
    let push = "mutation P($b: String!) { stixBundlePush(connectorId: \"c1\", bundle: $b) }";
    let mut identity = identity();
    identity["modified"] = json!("2025-01-01T00:00:00.000Z");
    send(&server, push, json!({"b": bundle(&[identity])})).await;
}

#[tokio::test]
async fn bundles_pushed_by_api_are_imported_and_reported() {
    let server = start("7.260817.0").await;
    register(&server).await;
    let add = "mutation { workAdd(connectorId: \"c1\", friendlyName: \"run\", isMultiPartWork: true) { id } }";
    let work = send(&server, add, json!({})).await["data"]["workAdd"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let push = "mutation P($b: String!, $w: String) { stixBundlePush(connectorId: \"c1\", bundle: $b, work_id: $w) }";
    let url = json!({"type": "url", "id": "url--88a92d93-6f12-54ff-af82-9cb63f8effee",
        "value": "http://a.example/", "x_opencti_created_by_ref": AUTHOR,
        "object_marking_refs": [Tlp::Clear.id()]});
    let answer = send(
        &server,
        push,
        json!({"b": bundle(&[identity(), url]), "w": work}),
    )
    .await;
    assert_eq!(answer["data"]["stixBundlePush"], true);
    assert!(!server.works()[0].is_complete());
    let edit = "mutation E($id: ID!) { workEdit(id: $id) { toProcessed(message: \"done\", inError: false) } }";
    let answer = send(&server, edit, json!({"id": work})).await;
    assert_eq!(answer["data"]["workEdit"]["toProcessed"], work.as_str());
    server.until_works_complete().await.unwrap();
    assert_eq!(server.objects_of("url").len(), 1);
    assert_eq!(
        (server.work_errors().len(), server.validity_problems().len()),
        (0, 0)
    );
    let query = "query W($id: ID!) { isWorkAlive(id: $id) work(id: $id) { status tracking { import_expected_number } } }";
    let answer = send(&server, query, json!({"id": work})).await;
    assert_eq!(
        answer["data"]["work"],
        json!({"status": "complete", "tracking": {"import_expected_number": 2}})
    );
    server.delete_work(&work);
    let answer = send(&server, query, json!({"id": work})).await;
    assert_eq!(answer["data"], json!({"isWorkAlive": false, "work": null}));
}

/// A multipart request as the specification orders it.
fn multipart(variables: &Value, content: &[u8]) -> Vec<u8> {
    let query = "mutation A($file: Upload!, $author: String, $markings: [String], $labels: [String]) \
        { artifactImport(file: $file, createdBy: $author, objectMarking: $markings, objectLabel: $labels) \
          { id standard_id entity_type } }";
    let operations = json!({"query": query, "variables": variables}).to_string();
    let mut body = Vec::new();
    for (name, text) in [
        ("operations", operations.as_str()),
        ("map", "{\"0\":[\"variables.file\"]}"),
    ] {
        body.extend(
            format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
                .bytes(),
        );
    }
    body.extend_from_slice(
        b"--XX\r\nContent-Disposition: form-data; name=\"0\"; filename=\"a.exe\"\r\n\
          Content-Type: application/octet-stream\r\n\r\n",
    );
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--XX--\r\n");
    body
}

#[tokio::test]
async fn an_artifact_is_stored_by_its_hashes_and_found_again() {
    let server = start("7.260817.0").await;
    let file = FileBody::new(5, 200_000);
    let content: Vec<u8> = file.chunks().flatten().collect();
    let variables = json!({"file": null, "author": AUTHOR, "labels": ["a"]});
    let body = multipart(&variables, &content);
    let token = format!("Bearer {}", server.token());
    let base = [
        ("authorization", token.as_str()),
        ("content-type", "multipart/form-data; boundary=XX"),
    ];
    let strict = [base[0], base[1], ("opencti-retry-number", "0")];
    let url = format!("{}/graphql", server.url());

    let half = &body[..body.len() / 2];
    abandon(&url, &strict, half, body.len()).await;
    server
        .until("the upload broke off", |it| it.broken_uploads == 1)
        .await
        .unwrap();
    let refuses = async |missing: Value| {
        let answer = request("POST", &url, &strict, &body).await.json();
        assert_eq!(code(&answer), "MISSING_REFERENCE_ERROR");
        let data = &answer["errors"][0]["extensions"]["data"];
        assert_eq!(data["unresolvedIds"], missing);
    };
    refuses(json!([AUTHOR, "a"])).await;
    assert!(server.objects().is_empty());

    // Without the header, author and label are dropped in silence.
    let answer = request("POST", &url, &base, &body).await.json();
    let stored = server.stored_of("artifact").remove(0);
    assert_eq!(
        answer["data"]["artifactImport"]["standard_id"],
        stored.standard_id.as_str()
    );
    assert_eq!(stored.object["hashes"]["SHA-256"], file.sha256.as_str());
    assert_eq!(
        (stored.size, &stored.object["x_opencti_created_by_ref"]),
        (Some(200_000), &Value::Null)
    );
    assert!(stored.object.get("x_opencti_labels").is_none());
    server.expect(Finding::WithoutMarking, "artifact--");

    server.analyst().create(&identity()).unwrap();
    refuses(json!(["a"])).await;
    // A label comes into being with an object that has it.
    let url_object =
        json!({"type": "url", "id": "url--1", "value": "http://a.example/", "labels": ["A"]});
    server.analyst().create(&url_object).unwrap();
    request("POST", &url, &strict, &body).await;
    let stored = server.stored_of("artifact").remove(0);
    assert_eq!(
        (stored.imports, &stored.object["x_opencti_created_by_ref"]),
        (2, &json!(AUTHOR))
    );
    assert_eq!(stored.object["x_opencti_labels"], json!(["a"]));

    let query = "query A($filters: FilterGroup) { stixCyberObservables(types: [\"Artifact\"], filters: $filters, first: 1) \
        { edges { node { standard_id entity_type ... on Artifact { mime_type } } } } }";
    for (key, hash, found) in [
        ("hashes.SHA-256", &file.sha256, 1),
        ("hashes.MD5", &file.sha256, 0),
    ] {
        let filters = json!({"mode": "and", "filters": [{"key": [key], "values": [hash]}], "filterGroups": []});
        let answer = send(&server, query, json!({"filters": filters})).await;
        let edges = answer["data"]["stixCyberObservables"]["edges"]
            .as_array()
            .unwrap()
            .clone();
        assert_eq!(edges.len(), found, "{answer}");
        assert!(
            edges
                .iter()
                .all(|it| it["node"]["mime_type"] == "application/octet-stream")
        );
    }
    let filters = json!({"mode": "and", "filters": [{"key": ["colour"], "values": ["x"]}], "filterGroups": []});
    assert_eq!(
        code(&send(&server, query, json!({"filters": filters})).await),
        "UNSUPPORTED_ERROR"
    );
}

#[tokio::test]
async fn an_incident_is_found_by_the_id_it_was_sent_with() {
    let server = start("6.0.0").await;
    let sent = "incident--f6425bc2-08d6-57ae-8f4b-c35e55f97380";
    let incident = json!({"type": "incident", "id": sent, "name": "VT  MyRule",
        "created": "2023-11-14T22:13:20.000Z"});
    server.analyst().create(&incident).unwrap();
    let query = "query I($filters: FilterGroup) { incidents(filters: $filters, first: 50) \
        { edges { node { standard_id x_opencti_stix_ids } } } }";
    let filters = json!({"mode": "and", "filterGroups": [],
        "filters": [{"key": ["ids"], "values": [sent, "incident--none"]}]});
    let answer = send(&server, query, json!({"filters": filters})).await;
    let node = &answer["data"]["incidents"]["edges"][0]["node"];
    assert_eq!(node["x_opencti_stix_ids"], json!([sent]));
    let standard = node["standard_id"].as_str().unwrap();
    assert_ne!(standard, sent);
    let exists = "query E($id: String!) { stixCoreObject(id: $id) { id entity_type __typename } }";
    for (id, found) in [(sent, true), (standard, true), ("incident--none", false)] {
        let answer = send(&server, exists, json!({"id": id})).await;
        assert_eq!(
            answer["data"]["stixCoreObject"].is_object(),
            found,
            "{answer}"
        );
    }
}

#[tokio::test]
async fn planned_faults_come_before_the_platform_acts_or_after() {
    let server = start("7.260817.0").await;
    register(&server).await;
    server.fault(
        field("pingConnector"),
        Fault::Status(200, error_body("LOCK_ERROR", "busy")),
    );
    server.fault(field("pingConnector"), Fault::Html(502));
    server.fault(field("pingConnector"), Fault::CutBody);
    let variables = json!({"id": "c1", "state": "1"});
    assert_eq!(
        code(&send(&server, PING, variables.clone()).await),
        "LOCK_ERROR"
    );
    let body = json!({"query": PING, "variables": variables}).to_string();
    let token = format!("Bearer {}", server.token());
    let url = format!("{}/graphql", server.url());
    let headers = [("authorization", token.as_str())];
    assert_eq!(
        request("POST", &url, &headers, body.as_bytes())
            .await
            .status,
        502
    );
    assert_eq!(server.state(), None);
    assert!(
        !request("POST", &url, &headers, body.as_bytes())
            .await
            .is_whole()
    );
    assert_eq!(server.state().as_deref(), Some("1"));
    assert_eq!(server.requests_of("pingConnector").len(), 3);
}

#[tokio::test]
async fn the_schema_is_served_from_its_release_on_to_who_may_see_it() {
    for (version, token, status) in [
        ("6.8.0", None, 200),
        ("6.8.0", Some("other"), 401),
        ("6.7.9", None, 404),
    ] {
        let server = start(version).await;
        let token = format!("Bearer {}", token.unwrap_or(server.token()));
        let url = format!("{}/schema", server.url());
        let answer = request("GET", &url, &[("authorization", token.as_str())], b"").await;
        assert_eq!(answer.status, status, "{version}");
        if status == 200 {
            assert!(
                answer.json()["schema"]
                    .as_str()
                    .unwrap()
                    .contains("pingConnector")
            );
        }
    }
}

#[tokio::test]
async fn requests_of_a_deleted_work_are_refused_by_newer_releases() {
    for (version, status) in [("6.9.18", 200), ("6.9.19", 500)] {
        let server = start(version).await;
        let token = format!("Bearer {}", server.token());
        let headers = [
            ("authorization", token.as_str()),
            ("opencti-work-id", "work_c1_gone"),
        ];
        let body = json!({"query": "{ about { version } }"}).to_string();
        let url = format!("{}/graphql", server.url());
        let answer = request("POST", &url, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{version}");
        assert_eq!(
            code(&answer.json()),
            if status == 500 { "WORK_NOT_ALIVE" } else { "" }
        );
    }
}

/// A RabbitMQ to test with, if one listens.
async fn rabbitmq() -> Option<String> {
    let url = std::env::var("AMQP_URL")
        .unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned());
    match Connection::connect(&url, ConnectionProperties::default()).await {
        Ok(_) => Some(url),
        Err(error) => {
            println!("skipped: no RabbitMQ: {error}");
            None
        }
    }
}

/// Publishes as a connector does; whether it was confirmed without coming back.
async fn publish(url: &str, connector: &Value, message: &Value) -> bool {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    let config = &connector["config"];
    let name = |name: &str| config[name].as_str().unwrap().to_owned();
    let confirmation = channel
        .basic_publish(
            name("push_exchange").as_str().into(),
            name("push_routing").as_str().into(),
            BasicPublishOptions {
                mandatory: true,
                ..Default::default()
            },
            message.to_string().as_bytes(),
            BasicProperties::default()
                .with_delivery_mode(2)
                .with_content_encoding("utf-8".into()),
        )
        .await
        .unwrap()
        .await
        .unwrap();
    matches!(confirmation, Confirmation::Ack(None))
}

#[tokio::test]
async fn a_worker_takes_messages_from_rabbitmq() {
    let Some(url) = rabbitmq().await else { return };
    let options = Options {
        amqp_url: Some(url.clone()),
        ..Options::default()
    };
    let server = Server::start(options).await.unwrap();
    let connector = register(&server).await;
    let details = &connector["config"]["connection"];
    assert!(details["port"].as_u64().unwrap() > 0 && details["use_ssl"] == false);
    let message = |objects: &[Value]| {
        json!({
            "bundle_type": "QUEUE_BUNDLE", "applicant_id": connector["connector_user_id"],
            "content": STANDARD.encode(bundle(objects)), "no_split": true, "update": false,
        })
    };
    assert!(publish(&url, &connector, &message(&[identity()])).await);
    server
        .until("the identity is imported", |it| it.store.knows(AUTHOR))
        .await
        .unwrap();
    let delivery = server.deliveries().remove(0);
    assert_eq!(
        (delivery.via, delivery.no_split, delivery.ids),
        (Via::Queue, true, vec![AUTHOR.to_owned()])
    );
    let properties = delivery.properties.unwrap();
    assert_eq!(
        (
            properties.delivery_mode,
            properties.content_encoding.as_deref()
        ),
        (Some(2), Some("utf-8"))
    );

    let mut lost = message(&[identity()]);
    lost["applicant_id"] = json!("nobody");
    assert!(publish(&url, &connector, &lost).await);
    server
        .until("the second message is lost", |it| it.deliveries.len() == 2)
        .await
        .unwrap();
    assert!(server.deliveries()[1].lost.is_some());

    // Paused: what waits is purged by a reset, and nothing of it is imported later.
    server.pause_worker();
    assert!(publish(&url, &connector, &message(&[identity()])).await);
    assert!(publish(&url, &connector, &message(&[identity()])).await);
    server.reset_state().await.unwrap();
    server.resume_worker();
    let mut other = identity();
    other["id"] = json!("identity--757126d5-623a-5e79-8055-c3e22376dda1");
    assert!(publish(&url, &connector, &message(&[identity(), other])).await);
    server
        .until("the last message is imported", |it| {
            it.deliveries.len() == 3
        })
        .await
        .unwrap();
    assert_eq!(server.deliveries()[2].ids.len(), 2);

    // A deleted queue returns what is published, until a ping declares it again.
    server.delete_queue("c1").await.unwrap();
    assert!(!publish(&url, &connector, &message(&[identity()])).await);
    ping(&server, "{}").await;
    assert!(publish(&url, &connector, &message(&[identity()])).await);
    server
        .until("the new queue is consumed", |it| it.deliveries.len() == 4)
        .await
        .unwrap();
    server.stop().await.unwrap();
}
