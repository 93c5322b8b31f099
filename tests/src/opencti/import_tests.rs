use serde_json::json;

use super::*;
use crate::opencti::platform::Queues;

const AUTHOR: &str = "identity--173c879a-bfb3-5dee-9f1f-3fffd76a8756";
const CLEAR: &str = "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9";

fn platform(version: &str) -> (Platform, String) {
    let queues = Queues {
        connection: Value::Null,
        prefix: String::new(),
    };
    let mut platform = Platform::new(version.parse().unwrap(), Vec::new(), queues);
    platform
        .register("user", &json!({"id": "c", "name": "Connector"}))
        .unwrap();
    let work = platform.add_work("c", "run", true).unwrap();
    (platform, work["id"].as_str().unwrap().to_owned())
}

fn author() -> Value {
    json!({
        "type": "identity", "spec_version": "2.1", "id": AUTHOR, "name": "VirusTotal",
        "identity_class": "organization",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
    })
}

fn url(number: u32) -> Value {
    json!({
        "type": "url", "spec_version": "2.1",
        "id": format!("url--88a92d93-6f12-54ff-af82-9cb63f8e{number:04}"),
        "value": format!("http://{number}.example/"),
        "object_marking_refs": [CLEAR], "x_opencti_created_by_ref": AUTHOR,
    })
}

fn bundle(objects: &[Value]) -> Value {
    json!({"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000000", "objects": objects})
}

fn queued(platform: &mut Platform, work: &str, no_split: bool, objects: &[Value]) -> bool {
    use base64::Engine as _;
    let content = base64::engine::general_purpose::STANDARD.encode(bundle(objects).to_string());
    let body = json!({
        "bundle_type": "QUEUE_BUNDLE", "applicant_id": platform.user.id, "work_id": work,
        "content": content, "no_split": no_split, "update": false,
    });
    let message = read_message("c", body.to_string().as_bytes(), Properties::default()).unwrap();
    platform.import(message)
}

#[test]
fn expectations_are_added_by_whom_the_release_says() {
    // Release, through the queue in one piece or by API, objects: expectations that the platform adds.
    let cases = [
        ("7.260817.0", true, 2, 0),
        ("6.6.9", true, 2, 2),
        ("6.6.9", true, 1, 0),
        ("7.260817.0", false, 2, 2),
        ("7.260817.0", false, 1, 0),
        ("7.260901.0", false, 2, 2),
        ("7.260901.0", false, 1, 1),
    ];
    for (version, queue, number, expected) in cases {
        let (mut platform, work) = platform(version);
        let objects: Vec<Value> = [author(), url(1)].into_iter().take(number).collect();
        if queue {
            assert!(queued(&mut platform, &work, true, &objects));
        } else {
            platform
                .push_bundle(
                    &platform.user.id.clone(),
                    "c",
                    &bundle(&objects).to_string(),
                    Some(&work),
                )
                .unwrap();
        }
        let work = platform.work(&work).unwrap();
        let found = (work.expected, work.processed);
        assert_eq!(
            found,
            (expected, number as i64),
            "{version} {queue} {number}"
        );
        assert_eq!(platform.store.len(), number);
        assert_eq!(
            platform.validity_problems.len(),
            0,
            "{:?}",
            platform.validity_problems
        );
    }
}

#[test]
fn a_bad_object_is_an_error_on_the_work_and_its_neighbours_pass() {
    let (mut platform, work) = platform("7.260817.0");
    platform.refuse(|object| (object["value"] == "http://2.example/").then(|| "no".to_owned()));
    let mut scored = url(3);
    scored["x_opencti_score"] = json!(101);
    let relationship = json!({
        "type": "relationship", "spec_version": "2.1", "relationship_type": "related-to",
        "id": "relationship--a1322115-0c52-50e8-9c66-877f2903e4b9",
        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
        "source_ref": url(1)["id"], "target_ref": url(2)["id"],
    });
    queued(
        &mut platform,
        &work,
        true,
        &[relationship, url(1), url(2), scored, author()],
    );
    let errors = platform.work_errors();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(
        errors.contains(
            &"{'name': 'MISSING_REFERENCE_ERROR', 'error_message': 'Element(s) not found'}"
                .to_owned()
        ),
        "{errors:?}"
    );
    let refused = platform.arrivals().refused;
    let missing = format!(
        "MISSING_REFERENCE_ERROR: Element(s) not found ({})",
        url(2)["id"].as_str().unwrap()
    );
    assert!(
        refused.iter().any(|it| it.ends_with(&missing)),
        "{refused:?}"
    );
    assert_eq!(platform.store.len(), 2);
    assert_eq!(platform.work(&work).unwrap().processed, 5);
}

#[test]
fn a_message_without_its_fields_is_lost() {
    let (mut platform, _) = platform("7.260817.0");
    for (body, expected) in [
        ("no json", "not JSON"),
        ("{\"applicant_id\":\"x\",\"content\":\"!\"}", "base64"),
    ] {
        let (delivery, reason) =
            read_message("c", body.as_bytes(), Properties::default()).unwrap_err();
        assert!(reason.contains(expected), "{reason}");
        platform.lose(*delivery, reason);
    }
    let mut message = read_message("c", b"{\"content\":\"e30=\"}", Properties::default()).unwrap();
    message.bundle = bundle(&[author()]);
    assert!(!platform.import(message));
    let lost: Vec<bool> = platform
        .deliveries
        .iter()
        .map(|it| it.lost.is_some())
        .collect();
    assert_eq!(lost, [true, true, true]);
    assert!(platform.store.is_empty());
}

#[test]
fn a_paused_worker_takes_pushed_bundles_later_and_a_reset_purges_them() {
    let (mut platform, work) = platform("7.260817.0");
    platform.paused = true;
    platform
        .push_bundle(
            &platform.user.id.clone(),
            "c",
            &bundle(&[author()]).to_string(),
            Some(&work),
        )
        .unwrap();
    assert!(platform.store.is_empty());
    platform.paused = false;
    platform.work_off();
    assert_eq!(platform.store.len(), 1);
    platform.paused = true;
    platform
        .push_bundle(
            &platform.user.id.clone(),
            "c",
            &bundle(&[url(1)]).to_string(),
            Some(&work),
        )
        .unwrap();
    platform.reset("c").unwrap();
    platform.paused = false;
    platform.work_off();
    assert_eq!(platform.store.len(), 1);
}

#[test]
fn a_bundle_that_is_none_is_refused() {
    let (mut platform, _) = platform("7.260817.0");
    for text in ["", "{}", "{\"type\":\"bundle\",\"objects\":[]}"] {
        let error = platform
            .push_bundle(&platform.user.id.clone(), "c", text, None)
            .unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.message.as_str()),
            ("UNSUPPORTED_ERROR", "Invalid bundle")
        );
    }
    platform
        .push_bundle(
            &platform.user.id.clone(),
            "c",
            &bundle(&[author()]).to_string(),
            None,
        )
        .unwrap();
    assert!(
        platform
            .works
            .last()
            .unwrap()
            .name
            .starts_with("Connector run @ ")
    );
}

#[path = "import_facts_tests.rs"]
mod facts;
