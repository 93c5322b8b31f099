use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::*;
use crate::body::FileBody;
use crate::fault::{Fault, any, method, path};
use crate::fixtures::{Scenario, examples_world};
use crate::testing::{Answer, request};

async fn start(notifications: usize) -> Server {
    let scenario = Scenario {
        notifications,
        mixed: false,
        bodies: false,
        ..Scenario::default()
    };
    Server::start(scenario.world()).await.unwrap()
}

async fn send(server: &Server, method: &str, path: &str) -> Answer {
    let key = [("X-Apikey", server.api_key())];
    request(method, &format!("{}/{path}", server.api_url()), &key, b"").await
}

fn code(answer: &Answer) -> String {
    answer.json()["error"]["code"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn ids(page: &Value) -> Vec<String> {
    let items = page["data"].as_array().unwrap();
    let id = |it: &Value| {
        it["context_attributes"]["notification_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    items.iter().map(id).collect()
}

/// Follows cursors to the end; the sizes of the pages, and all ids.
async fn list(server: &Server, query: &str) -> (Vec<usize>, Vec<String>) {
    let (mut sizes, mut all) = (Vec::new(), Vec::new());
    let mut cursor = String::new();
    loop {
        let page = send(server, "GET", &format!("ioc_stream?{query}{cursor}"))
            .await
            .json();
        let found = ids(&page);
        sizes.push(found.len());
        all.extend(found);
        let Some(next) = page["meta"]["cursor"].as_str() else {
            return (sizes, all);
        };
        assert!(next.ends_with('='), "{next}");
        let encoded = next
            .replace('=', "%3D")
            .replace('+', "%2B")
            .replace('/', "%2F");
        cursor = format!("&cursor={encoded}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_in_either_order() {
    let server = start(95).await;
    let (sizes, oldest_first) = list(&server, "limit=40&order=date%2B").await;
    assert_eq!(sizes, [40, 40, 15]);
    let (sizes, mut newest_first) = list(&server, "order=date-").await;
    assert_eq!(sizes.len(), 10, "the default limit is 10");
    newest_first.reverse();
    assert_eq!(oldest_first, newest_first);
    assert_eq!(oldest_first.iter().collect::<BTreeSet<_>>().len(), 95);
    server.edit(|world| world.quirks.empty_page_after = Some(1));
    assert_eq!(
        list(&server, "limit=40&order=date%2B").await.0,
        [40, 0, 40, 15]
    );
    assert_eq!(server.count(Kind::Page), 3 + 10 + 4);
}

#[tokio::test]
async fn a_deletion_in_the_middle_of_a_listing_hides_nothing() {
    let server = start(50).await;
    let first = send(&server, "GET", "ioc_stream?limit=20&order=date%2B")
        .await
        .json();
    for id in ids(&first) {
        let answer = send(&server, "DELETE", &format!("ioc_stream_notifications/{id}")).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0));
    }
    let gone = format!("ioc_stream_notifications/{}", ids(&first)[0]);
    assert_eq!(code(&send(&server, "DELETE", &gone).await), "NotFoundError");
    let cursor = first["meta"]["cursor"]
        .as_str()
        .unwrap()
        .replace('=', "%3D")
        .replace('+', "%2B");
    let next = format!("ioc_stream?limit=20&order=date%2B&cursor={cursor}");
    assert_eq!(ids(&send(&server, "GET", &next).await.json()).len(), 20);
    assert_eq!(server.deletions(), ids(&first));
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_listing_only() {
    let server = start(50).await;
    let first = send(&server, "GET", "ioc_stream?limit=20").await.json();
    let cursor = first["meta"]["cursor"]
        .as_str()
        .unwrap()
        .replace('=', "%3D")
        .replace('+', "%2B");
    for (query, status) in [
        (format!("limit=20&cursor={cursor}"), 200),
        (format!("limit=20&order=date%2B&cursor={cursor}"), 400),
        (
            format!("limit=20&filter=entity_type:file&cursor={cursor}"),
            400,
        ),
        ("limit=20&cursor=Zm9yZWlnbg%3D%3D".to_owned(), 400),
    ] {
        let answer = send(&server, "GET", &format!("ioc_stream?{query}")).await;
        assert_eq!(answer.status, status, "{query}");
        if status == 400 {
            assert_eq!(code(&answer), "InvalidArgumentError");
        }
    }
    server.edit(World::expire_cursors);
    let stale = send(
        &server,
        "GET",
        &format!("ioc_stream?limit=20&cursor={cursor}"),
    )
    .await;
    assert_eq!(code(&stale), "InvalidArgumentError");
}

#[tokio::test]
async fn filters_and_descriptors_reach_the_listing() {
    let server = Server::start(examples_world()).await.unwrap();
    let only = async |kind: &str| {
        let path =
            format!("ioc_stream?limit=40&filter=source_type:hunting_ruleset+entity_type:{kind}");
        let page = send(&server, "GET", &path).await.json();
        assert!(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .all(|it| it["type"] == kind)
        );
        page["data"].as_array().unwrap().len()
    };
    assert!(only("file").await > 4);
    assert_eq!((only("url").await, only("domain").await), (1, 1));
    let page = send(&server, "GET", "ioc_stream?descriptors_only=true&limit=2")
        .await
        .json();
    assert!(
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["attributes"].is_null())
    );
    assert!(
        page["links"]["next"]
            .as_str()
            .unwrap()
            .starts_with(&server.api_url())
    );
    for (query, expected) in [
        ("limit=41", "InvalidArgumentError"),
        ("limit=0", "InvalidArgumentError"),
        ("order=newest", "BadRequestError"),
        ("filter=origin:notHunting", "BadRequestError"),
        // A plus sign that nobody encoded is a blank.
        ("filter=date:1767002400+", "BadRequestError"),
        ("order=date+", "BadRequestError"),
    ] {
        let answer = send(&server, "GET", &format!("ioc_stream?{query}")).await;
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (400, expected),
            "{query}"
        );
    }
}

#[tokio::test]
async fn the_key_is_asked_for_and_the_quota_is_counted() {
    let server = start(3).await;
    let url = format!("{}/ioc_stream", server.api_url());
    let answer = request("GET", &url, &[], b"").await;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (401, "AuthenticationRequiredError")
    );
    let answer = request("GET", &url, &[("x-apikey", "other")], b"").await;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (401, "WrongCredentialsError")
    );
    server.edit(|world| world.quota = Some(1));
    assert_eq!(send(&server, "GET", "ioc_stream").await.status, 200);
    let answer = send(&server, "GET", "ioc_stream").await;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (429, "QuotaExceededError")
    );
    let quotas = send(&server, "GET", "users/me/overall_quotas").await.json();
    let daily = &quotas["data"]["api_requests_daily"]["user"];
    assert_eq!(daily["allowed"], daily["used"]);
    server.edit(|world| world.quota = Some(1));
    assert_eq!(send(&server, "GET", "ioc_stream").await.status, 200);
}

#[tokio::test]
async fn gzip_wants_to_be_asked_for_twice_and_errors_are_plain() {
    let server = start(3).await;
    for (path, encoding, agent, compressed) in [
        ("ioc_stream", "gzip", "x/1.0; gzip", true),
        ("ioc_stream", "gzip", "x/1.0", false),
        ("ioc_stream", "identity", "x/1.0; gzip", false),
        ("ioc_stream?limit=99", "gzip", "x/1.0; gzip", false),
    ] {
        let headers = [
            ("x-apikey", server.api_key()),
            ("accept-encoding", encoding),
            ("user-agent", agent),
        ];
        let answer = request(
            "GET",
            &format!("{}/{path}", server.api_url()),
            &headers,
            b"",
        )
        .await;
        assert_eq!(
            answer.headers.contains_key("content-encoding"),
            compressed,
            "{path} {encoding} {agent}"
        );
        if compressed {
            let mut text = String::new();
            GzDecoder::new(answer.body.as_slice())
                .read_to_string(&mut text)
                .unwrap();
            assert_eq!(ids(&serde_json::from_str(&text).unwrap()).len(), 3);
        } else {
            answer.json();
        }
    }
}

#[tokio::test]
async fn objects_are_found_or_refused_in_the_documented_words() {
    let server = Server::start(examples_world()).await.unwrap();
    server.edit(|world| {
        world
            .forbidden_rulesets
            .insert("6011223344556677".to_owned())
    });
    let sha256 = "a5b237e4b62f5f95b445f806f81bdd0d6bb44a7aa7651c3426f82a08ca4da7ab";
    for (path, status) in [
        (
            "intelligence/hunting_rulesets/5706526672224256".to_owned(),
            200,
        ),
        (
            "intelligence/hunting_rulesets/6011223344556677".to_owned(),
            403,
        ),
        ("intelligence/hunting_rulesets/5".to_owned(), 404),
        ("intelligence/hunting_rulesets?limit=2".to_owned(), 200),
        (format!("files/{sha256}"), 200),
        ("files/60d4443f27cdabd1d77266164317c7a1".to_owned(), 200),
        ("files/00".to_owned(), 404),
        (format!("files/{sha256}/download_url"), 404),
        ("ioc_stream_notifications/23089986176".to_owned(), 200),
        ("ioc_stream_notifications/1".to_owned(), 404),
        ("nothing".to_owned(), 404),
    ] {
        assert_eq!(send(&server, "GET", &path).await.status, status, "{path}");
    }
    let page = send(&server, "GET", "intelligence/hunting_rulesets?limit=2")
        .await
        .json();
    let cursor = page["meta"]["cursor"].as_str().unwrap();
    let rest = send(
        &server,
        "GET",
        &format!("intelligence/hunting_rulesets?limit=40&cursor={cursor}"),
    )
    .await;
    let total = page["meta"]["count"].as_u64().unwrap();
    assert_eq!(
        rest.json()["data"].as_array().unwrap().len() as u64 + 2,
        total
    );
}

#[tokio::test]
async fn a_deletion_by_filter_runs_alone() {
    let server = Server::start(examples_world()).await.unwrap();
    assert_eq!(send(&server, "DELETE", "ioc_stream").await.status, 400);
    assert_eq!(
        send(&server, "DELETE", "ioc_stream?filter=entity_type:url")
            .await
            .status,
        200
    );
    let answer = send(&server, "DELETE", "ioc_stream?filter=entity_type:domain").await;
    assert_eq!(
        (answer.status, code(&answer).as_str()),
        (429, "TooManyRequests")
    );
    server.edit(|world| world.deletion_running = false);
    assert_eq!(
        send(&server, "DELETE", "ioc_stream?filter=entity_type:domain")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_sample_comes_from_another_origin_whole_or_spoilt_as_planned() {
    let mut world = World::new();
    let body = FileBody::new(1, 300_000);
    world.add_file(body.clone());
    let server = Server::start(world).await.unwrap();
    let signed = send(
        &server,
        "GET",
        &format!("files/{}/download_url", body.sha256),
    )
    .await
    .json();
    let url = signed["data"].as_str().unwrap();
    assert!(url.starts_with(&server.storage_url()) && !url.starts_with(&server.api_url()));
    let redirect = send(&server, "GET", &format!("files/{}/download", body.md5)).await;
    assert_eq!(
        (redirect.status, redirect.headers["location"].as_str()),
        (302, url)
    );
    let expected: Vec<u8> = body.chunks().flatten().collect();
    let whole = request("GET", url, &[], b"").await;
    assert!(whole.is_whole() && whole.body == expected);
    server.edit(|world| {
        world.storage_faults.push(any(), Fault::CutBody);
        world.storage_faults.push(any(), Fault::Corrupt);
    });
    let cut = request("GET", url, &[], b"").await;
    assert!(!cut.is_whole() && expected.starts_with(&cut.body));
    let corrupt = request("GET", url, &[], b"").await;
    assert!(corrupt.is_whole() && corrupt.body != expected);
    assert_eq!(
        request("GET", &url.replace("Signature", "S"), &[], b"")
            .await
            .status,
        403
    );
    assert!(
        server
            .storage_requests()
            .iter()
            .all(|it| it.header("x-apikey").is_none())
    );
    server.edit(|world| world.quirks.downloads_forbidden = true);
    let path = format!("files/{}/download_url", body.sha256);
    assert_eq!(code(&send(&server, "GET", &path).await), "ForbiddenError");
    assert_eq!(server.count(Kind::Download), 3);
}

#[tokio::test]
async fn planned_faults_happen_once_and_in_their_place() {
    let server = start(3).await;
    let quota = error_body(
        "TransientError",
        "Transient server error. Retry might work.",
    );
    server.edit(|world| {
        world
            .faults
            .after(1, path("/ioc_stream"), Fault::RetryAfter(503, 7, quota));
        world.faults.push(
            method("DELETE", "/ioc_stream_notifications"),
            Fault::CutBody,
        );
        world.faults.push(path("/users"), Fault::Html(502));
        world.faults.push(path("/files"), Fault::Garbage);
        world.faults.push(
            path("/intelligence"),
            Fault::Status(403, json!({"error": {}})),
        );
    });
    assert_eq!(send(&server, "GET", "ioc_stream").await.status, 200);
    let answer = send(&server, "GET", "ioc_stream").await;
    assert_eq!(
        (answer.status, answer.headers["retry-after"].as_str()),
        (503, "7")
    );
    assert_eq!(send(&server, "GET", "ioc_stream").await.status, 200);
    assert_eq!(
        send(&server, "GET", "users/me/overall_quotas").await.status,
        502
    );
    let garbage = send(&server, "GET", "files/00").await;
    assert!(garbage.status == 200 && serde_json::from_slice::<Value>(&garbage.body).is_err());
    assert_eq!(
        send(&server, "GET", "intelligence/hunting_rulesets")
            .await
            .status,
        403
    );
    let id = server.read(|world| world.notifications[0].id.clone());
    let cut = send(&server, "DELETE", &format!("ioc_stream_notifications/{id}")).await;
    assert!(!cut.is_whole());
    assert_eq!(server.deletions(), [id]);
    server
        .until("the deletion", |world| world.deleted.len() == 1)
        .await
        .unwrap();
    assert_eq!(server.read(|world| world.faults.left()), 0);
}

#[tokio::test]
async fn a_notification_is_read_alone_until_it_is_seven_days_old() {
    let server = start(3).await;
    let first = server.read(|world| world.notifications[0].clone());
    let path = format!("ioc_stream_notifications/{}", first.id);
    let retention = 7 * 86_400;
    server.edit(|world| world.now = Some(first.date + retention));
    let answer = send(&server, "GET", &path).await.json();
    let attributes = &answer["data"]["attributes"];
    assert_eq!(attributes["date"], first.date);
    assert!(attributes["sources"][0]["id"].is_string());
    assert_eq!(attributes["sources"][0].get("label"), None);
    server.edit(|world| world.now = Some(first.date + retention + 1));
    assert_eq!(send(&server, "GET", &path).await.status, 404);
    assert_eq!(server.read(|world| world.notifications.len()), 2);
}

#[tokio::test]
async fn every_object_of_the_stream_is_read_alone_unless_it_is_gone() {
    let scenario = Scenario {
        notifications: 60,
        bodies: false,
        ..Scenario::default()
    };
    let server = Server::start(scenario.world()).await.unwrap();
    let items = server.read(|world| {
        let items = world.notifications.iter().map(Notification::item);
        items.collect::<Vec<_>>()
    });
    let mut gone = 0;
    for item in items {
        let collection = match item["type"].as_str().unwrap() {
            "ip_address" => "ip_addresses".to_owned(),
            other => format!("{other}s"),
        };
        let path = format!("{collection}/{}", item["id"].as_str().unwrap());
        let answer = send(&server, "GET", &path).await;
        if item["error"].is_object() {
            assert_eq!(answer.status, 404, "{path}");
            gone += 1;
        } else {
            let object = &answer.json()["data"];
            assert_eq!(
                (&object["id"], &object["type"]),
                (&item["id"], &item["type"])
            );
            assert_eq!(object.get("context_attributes"), None);
        }
    }
    assert_eq!(gone, 1);
}
