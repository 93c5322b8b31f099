//! Facts about a real platform, as a connector meets them over GraphQL.

use serde_json::{Value, json};

use super::tests::{AUTHOR, bundle, code, identity, register, send, start};
use super::*;

const MARKING: &str = "query M($id: String!) { markingDefinition(id: $id) { standard_id } \
    me { allowed_marking { definition } } }";
const PUSH: &str = "mutation P($b: String!) { stixBundlePush(connectorId: \"c1\", bundle: $b) }";

#[tokio::test]
async fn an_account_is_told_the_markings_that_it_sees_and_of_all_that_there_are() {
    for (version, up_to, seen) in [
        ("6.0.0", Tlp::Red, 5),
        ("7.260817.0", Tlp::Green, 2),
        ("7.260817.0", Tlp::Amber, 3),
    ] {
        let options = Options::version(version).unwrap().seeing_up_to(up_to);
        let server = Server::start(options).await.unwrap();
        for level in Tlp::ALL {
            let answer = send(&server, MARKING, json!({"id": level.id()})).await;
            assert_eq!(
                answer["data"]["markingDefinition"]["standard_id"],
                level.id()
            );
            let allowed = answer["data"]["me"]["allowed_marking"].as_array();
            assert_eq!(allowed.map(Vec::len), Some(seen), "{version} {up_to:?}");
        }
        let answer = send(&server, MARKING, json!({"id": AUTHOR})).await;
        assert_eq!(answer["data"]["markingDefinition"], Value::Null);
    }
}

#[tokio::test]
async fn an_overloaded_platform_does_not_know_a_valid_token_for_some_answers() {
    let server = start("6.2.18").await;
    server.overload(2);
    for expected in ["AUTH_REQUIRED", "AUTH_REQUIRED", ""] {
        assert_eq!(
            code(&send(&server, "{ about { version } }", json!({})).await),
            expected
        );
    }
}

#[tokio::test]
async fn a_registration_may_say_release_and_slug_since_7_261008_0() {
    let query =
        "mutation R($input: RegisterConnectorInput) { registerConnector(input: $input) { id } }";
    let input = json!({"id": "c1", "name": "Connector", "type": "EXTERNAL_IMPORT",
        "version": "1.1.0", "slug": "connector"});
    for (version, expected) in [("7.261008.0", ""), ("7.260817.0", "BAD_USER_INPUT")] {
        let server = start(version).await;
        let answer = send(&server, query, json!({"input": input})).await;
        assert_eq!(code(&answer), expected, "{version} {answer}");
    }
}

#[tokio::test]
async fn a_label_can_be_made() {
    let server = start("7.260817.0").await;
    let query = "mutation L { labelAdd(input: {value: \"New\"}) { standard_id value } }";
    let answer = send(&server, query, json!({})).await;
    assert_eq!(answer["data"]["labelAdd"]["value"], "new");
    assert!(server.read(|it| it.labels.contains("new")));
}

#[tokio::test]
async fn a_draft_is_validated_unless_it_holds_an_artifact() {
    let options = Options::default().administrator();
    let server = Server::start(options).await.unwrap();
    let add = "mutation { draftWorkspaceAdd(input: {name: \"a\"}) { id } }";
    let validate = "mutation V($id: ID!) { draftWorkspaceValidate(id: $id) { id } }";
    for (size, expected) in [(Some(7), "The specified key does not exist"), (None, "")] {
        let answer = send(&server, add, json!({})).await;
        let id = answer["data"]["draftWorkspaceAdd"]["id"].as_str().unwrap();
        let artifact = json!({"type": "artifact", "id": "artifact--1", "hashes": {"MD5": "a1"}});
        server.edit(|platform| {
            let origin = store::Origin {
                size,
                imported: false,
                ..Default::default()
            };
            platform.upsert(Some(id), &artifact, &origin).unwrap();
        });
        let answer = send(&server, validate, json!({"id": id})).await;
        assert_eq!(
            answer["errors"][0]["message"].as_str().unwrap_or_default(),
            expected
        );
        assert_eq!(server.objects().len(), usize::from(expected.is_empty()));
        assert!(server.validate_draft(id).is_err());
    }
    // What a draft brings is of whom it was validated by.
    let validator = server.read(|it| it.user.id.clone());
    assert_eq!(server.stored_of("artifact")[0].applicant_id, validator);
}

#[tokio::test]
async fn a_draft_changes_what_is_there_when_it_is_validated() {
    let server = start("7.260817.0").await;
    let url = |description: &str| {
        json!({"type": "url", "id": "url--1", "value": "http://a.example/",
        "x_opencti_description": description, "labels": [description]})
    };
    server.analyst().create(&url("theirs")).unwrap();
    let id = server.edit(|platform| {
        let id = platform.add_draft("a")["id"].as_str().unwrap().to_owned();
        let origin = store::Origin {
            imported: false,
            ..Default::default()
        };
        platform.upsert(Some(&id), &url("ours"), &origin).unwrap();
        id
    });
    let labels = |server: &Server| server.objects()[0]["labels"].clone();
    assert_eq!(labels(&server), json!(["theirs"]));
    server.validate_draft(&id).unwrap();
    assert_eq!(labels(&server), json!(["theirs", "ours"]));
    assert_eq!(server.objects().len(), 1);
}

#[tokio::test]
async fn people_edit_what_the_platform_holds() {
    let server = start("7.260817.0").await;
    let indicator = json!({"type": "indicator", "id": "indicator--1", "name": "a rule", "labels": ["a", "b"],
        "pattern": "rule a { condition: true }", "pattern_type": "yara", "created_by_ref": AUTHOR});
    let analyst = server.analyst();
    analyst.create(&identity()).unwrap();
    analyst.create(&indicator).unwrap();
    analyst
        .set("indicator--1", "description", json!("theirs"))
        .unwrap();
    analyst.remove_label("indicator--1", "a").unwrap();
    analyst.add_label("indicator--1", "c").unwrap();
    analyst.set_confidence("indicator--1", 80).unwrap();
    analyst
        .set("indicator--1", "x_opencti_score", json!(70))
        .unwrap();
    let stored = server.stored_of("indicator").remove(0);
    assert_eq!(stored.object["description"], "theirs");
    assert_eq!(stored.object["labels"], json!(["b", "c"]));
    assert_eq!(
        (stored.confidence, stored.life.map(|it| it.score)),
        (Some(80), Some(70))
    );
    analyst.revoke("indicator--1").unwrap();
    let life = server.stored_of("indicator").remove(0).life.unwrap();
    assert_eq!((life.revoked, life.score), (true, 20));
    analyst.delete("indicator--1").unwrap();
    assert!(analyst.delete("indicator--1").is_err() && server.objects_of("indicator").is_empty());
}

#[tokio::test]
#[should_panic = "what arrived is not what was meant"]
async fn a_platform_that_refused_something_does_not_end_quietly() {
    let server = start("7.260817.0").await;
    register(&server).await;
    server.edit(|platform| platform.refuse(|_| Some("no".to_owned())));
    send(&server, PUSH, json!({"b": bundle(&[identity()])})).await;
}

#[tokio::test]
async fn a_test_says_what_it_expects_to_be_refused() {
    let server = start("7.260817.0").await;
    register(&server).await;
    server.expect_refused("FUNCTIONAL_ERROR: no");
    server.edit(|platform| platform.refuse(|_| Some("no".to_owned())));
    send(&server, PUSH, json!({"b": bundle(&[identity()])})).await;
    assert_eq!(server.report().refused.len(), 1);
}
