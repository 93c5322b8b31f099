//! The client against a small platform over a real socket.

mod artifacts;
mod state;
mod works;

use axum::http::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::testing::{Instead, Platform, client, client_with, connector};
use super::*;
use crate::config::{OpenCti, Verify};

const LOCK: Instead = Instead::Error("LOCK_ERROR", "Execution timeout");

#[tokio::test]
async fn headers() {
    let platform = Platform::start("7.260817.0").await;
    platform.client().read_version().await.unwrap();
    let custom = client_with(OpenCti {
        url: platform.url.parse().unwrap(),
        token: "secret-token".into(),
        verify: Verify::Yes,
        custom_headers: vec![
            (
                HeaderName::from_static("user-agent"),
                HeaderValue::from_static("other"),
            ),
            (
                HeaderName::from_static("x-proxy"),
                HeaderValue::from_static("yes"),
            ),
        ],
    });
    custom.read_version().await.unwrap();
    let requests = platform.received("about");
    let header = |index: usize, name: &str| requests[index].headers.get(name).cloned();
    assert_eq!(header(0, "user-agent").unwrap(), "test-connector/1.0");
    assert_eq!(header(0, "authorization").unwrap(), "Bearer secret-token");
    assert_eq!(header(0, "opencti-draft-id").unwrap(), "");
    assert_eq!(header(1, "user-agent").unwrap(), "other");
    assert_eq!(header(1, "x-proxy").unwrap(), "yes");
    assert!(!format!("{custom:?}").contains("secret-token"));
}

#[tokio::test]
async fn retries() {
    let busy = || Instead::Http(StatusCode::SERVICE_UNAVAILABLE, &[("retry-after", "0")], "");
    let gone = || Instead::Http(StatusCode::BAD_GATEWAY, &[], "<html>");
    let cases: [(&str, Vec<Instead>, usize, bool); 5] = [
        (
            "busy, locked, then fine",
            vec![busy(), LOCK, gone()],
            4,
            true,
        ),
        (
            "a bad token is not tried again",
            vec![Instead::Error("AUTH_REQUIRED", "You must be logged in")],
            1,
            false,
        ),
        (
            "a Retry-After beyond patience ends it",
            vec![Instead::Http(
                StatusCode::TOO_MANY_REQUESTS,
                &[("retry-after", "3600")],
                r#"{"message": "Too many requests"}"#,
            )],
            1,
            false,
        ),
        ("eight tries", (0..8).map(|_| LOCK).collect(), 8, false),
        (
            "a page is not GraphQL",
            vec![Instead::Http(StatusCode::OK, &[], "<html>login</html>")],
            1,
            false,
        ),
    ];
    for (name, answers, requests, succeeds) in cases {
        let platform = Platform::start("7.260817.0").await;
        platform.instead("stixCyberObservables", answers);
        let result = platform.client().artifact_known("00").await;
        assert_eq!(result.is_ok(), succeeds, "{name}: {result:?}");
        let received = platform.received("stixCyberObservables");
        assert_eq!(received.len(), requests, "{name}");
    }
}

/// A platform whose search is overloaded says so of a valid token, for some seconds.
#[tokio::test]
async fn a_token_that_has_worked_is_doubted_for_a_while_before_its_refusal_is_believed() {
    let refusals = |number| (0..number).map(|_| Instead::Error("AUTH_REQUIRED", "log in"));
    let platform = Platform::start("7.260817.0").await;
    let client = platform.client();
    let asked = async |number, works: bool, requests: usize| {
        let before = platform.received("stixCyberObservables").len();
        platform.instead("stixCyberObservables", refusals(number));
        let result = client.artifact_known("00").await;
        assert_eq!(result.is_ok(), works, "{number} refusals: {result:?}");
        if let Err(error) = result {
            assert!(error.is_configuration(), "{error}");
        }
        let received = platform.received("stixCyberObservables").len() - before;
        assert_eq!(received, requests, "{number} refusals");
    };
    // The version is told to everybody, so that it says nothing about the token.
    client.read_version().await.unwrap();
    asked(1, false, 1).await;
    asked(0, true, 1).await;
    asked(5, true, 6).await;
    asked(6, false, 6).await;
    // Believed by now.
    asked(1, false, 1).await;
    asked(0, true, 1).await;
    asked(1, true, 2).await;
}

#[tokio::test]
async fn network_failures_are_told_apart() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let platform = Platform::start("7.260817.0").await;
    let no_tls = platform.url.replace("http:", "https:");
    for (url, expected, word) in [
        (refused.as_str(), NetworkFailure::Refused, "refused"),
        ("http://platform.invalid", NetworkFailure::Dns, "DNS"),
        (no_tls.as_str(), NetworkFailure::Tls, "TLS"),
    ] {
        let error = client(url).read_version().await.unwrap_err();
        let text = error.to_string();
        let Error::Network { failure, .. } = error else {
            panic!("{text}");
        };
        assert_eq!(failure, expected, "{text}");
        assert!(
            text.contains(word) && text.contains("OPENCTI_URL"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_redirect_is_told() {
    let platform = Platform::start("7.260817.0").await;
    let moved = Instead::Http(
        StatusCode::MOVED_PERMANENTLY,
        &[("location", "https://example.org/graphql")],
        "",
    );
    platform.instead("about", [moved]);
    let error = platform.client().read_version().await.unwrap_err();
    assert!(error.to_string().contains("OPENCTI_URL"), "{error}");
    assert_eq!(platform.received("about").len(), 1);
}

#[tokio::test]
async fn a_platform_that_is_not_what_it_says_gets_an_older_form_from_then_on() {
    let platform = Platform::start("7.261008.0").await;
    platform.model().schema = Some(Version::new(6, 0, 0));
    let client = platform.client();
    client.read_version().await.unwrap();
    for _ in 0..2 {
        client.register(&connector()).await.unwrap();
    }
    let sent: Vec<_> = platform
        .received("registerConnector")
        .into_iter()
        .map(|request| {
            let input = &request.variables["input"];
            (
                request.query.contains("connector_state_timestamp"),
                input["enrichment_resolution"] == "none",
                input.get("slug").is_some(),
            )
        })
        .collect();
    let oldest = (false, false, false);
    assert_eq!(
        sent,
        [
            (true, true, true),
            (true, true, false),
            (true, false, false),
            oldest,
            oldest,
        ]
    );
}

/// The form is not what it minds then, so the words of the first refusal are what helps.
#[tokio::test]
async fn a_platform_that_refuses_every_form_is_asked_in_the_newest_again() {
    let platform = Platform::start("7.260817.0").await;
    let refusals = ["the first words", "others", "others", "others"];
    platform.instead(
        "registerConnector",
        refusals.map(|words| Instead::Error("BAD_USER_INPUT", words)),
    );
    let client = platform.client();
    client.read_version().await.unwrap();
    let error = client.register(&connector()).await.unwrap_err().to_string();
    assert!(error.contains("the first words"), "{error}");
    client.register(&connector()).await.unwrap();
    let input =
        |number: usize| platform.received("registerConnector")[number].variables["input"].clone();
    assert_eq!(input(3), input(0));
}

#[tokio::test]
async fn a_registration_says_all_that_the_release_takes() {
    let common = json!({
        "id": "c", "name": "Some Connector/1", "type": "EXTERNAL_IMPORT", "scope": ["a", "b"],
        "auto": false, "only_contextual": false, "playbook_compatible": false,
    });
    let resolution = json!({"auto_update": false, "enrichment_resolution": "none"});
    let release = json!({"version": env!("CARGO_PKG_VERSION"), "slug": "some-connector"});
    for (version, more) in [
        ("6.0.0", vec![]),
        ("6.8.8", vec![]),
        ("6.8.9", vec![&resolution]),
        ("6.9.22", vec![&resolution]),
        ("7.260817.0", vec![&resolution]),
        ("7.261008.0", vec![&resolution, &release]),
    ] {
        let mut expected = common.as_object().unwrap().clone();
        for fields in more {
            expected.extend(fields.as_object().unwrap().clone());
        }
        let platform = Platform::start(version).await;
        // A release without the field has nothing that could be left in it.
        platform.model().left_by_pycti = expected.contains_key("auto_update");
        let client = platform.client();
        client.read_version().await.unwrap();
        client.register(&connector()).await.unwrap();
        let requests = platform.received("registerConnector");
        assert_eq!(requests.len(), 1, "{version}");
        assert_eq!(requests[0].variables["input"], json!(expected), "{version}");
    }
}

#[tokio::test]
async fn an_unknown_version_is_the_newest() {
    let platform = Platform::start("master").await;
    let client = platform.client();
    assert_eq!(client.read_version().await.unwrap(), Version::NEWEST);
}

#[tokio::test]
async fn the_platform_is_waited_for() {
    let platform = Platform::start("6.9.22").await;
    platform.instead(
        "about",
        [
            Instead::Http(StatusCode::BAD_GATEWAY, &[], ""),
            Instead::Error("AUTH_REQUIRED", "You must be logged in to do this."),
        ],
    );
    platform.instead(
        "registerConnector",
        [Instead::Error(
            "FORBIDDEN_ACCESS",
            "You are not allowed to do this.",
        )],
    );
    let client = platform.client();
    let cancellation = CancellationToken::new();
    let registration = wait_for_platform(&client, &connector(), &cancellation)
        .await
        .unwrap();
    assert_eq!(registration.user_id, "user");
    assert_eq!(client.version(), Version::new(6, 9, 22));
    assert_eq!(platform.received("about").len(), 4);
    let input = &platform.received("registerConnector")[1].variables["input"];
    assert_eq!(
        *input,
        json!({
            "id": "c", "name": "Some Connector/1", "type": "EXTERNAL_IMPORT", "scope": ["a", "b"],
            "auto": false, "only_contextual": false, "playbook_compatible": false,
            "auto_update": false, "enrichment_resolution": "none",
        })
    );

    cancellation.cancel();
    let result = wait_for_platform(&client, &connector(), &cancellation).await;
    assert!(matches!(result, Err(NotReady::Cancelled)));
}

#[tokio::test]
async fn the_queue_size_by_version() {
    for (version, expected) in [
        ("6.1.11", None),
        (
            "6.1.12",
            Some(QueueSize {
                messages: 3,
                bytes: 1234,
            }),
        ),
    ] {
        let platform = Platform::start(version).await;
        let client = platform.client();
        client.read_version().await.unwrap();
        assert_eq!(client.queue_size("c").await.unwrap(), expected, "{version}");
    }
}
