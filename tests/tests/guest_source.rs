//! Guests from a registry, and the signal that makes the host look for them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connector_host::config::{Http, Raw};
use connector_host::guest_source::{Cause, Digest, Finder, Registry, Watcher};
use connector_tests::fault::{self, Fault};
use connector_tests::registry::{self, Access, Layer, PASSWORD, Server, USER};
use serde_json::{Value, json};
use tempfile::TempDir;

const REPOSITORY: &str = "acme/guest";

async fn start(access: Access) -> Server {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Server::start(access).await.unwrap()
}

fn reference(server: &Server, version: &str) -> String {
    format!("oci://{}/{REPOSITORY}{version}", server.host())
}

fn finder(source: &str, pin: Option<Digest>, docker_config: Option<&Path>) -> Finder {
    let http = Http::new(&Raw::default()).unwrap();
    let registry = Registry::new(http.authorities(), docker_config.map(Path::to_owned));
    Finder::new(source.parse().unwrap(), pin, registry)
}

/// The bytes of the candidate, or why it was refused; none where nothing has changed.
async fn look(finder: &mut Finder) -> Result<Option<String>, String> {
    let found = finder.look().await.map_err(|error| error.to_string())?;
    Ok(found.map(|found| {
        let candidates = found.candidates.iter().map(|candidate| {
            assert_eq!(candidate.digest, Digest::of(&candidate.bytes));
            assert_eq!(candidate.origin, finder.source().to_string());
            String::from_utf8_lossy(&candidate.bytes).into_owned()
        });
        let refused = found.refused.iter().map(|refused| {
            let text = refused.to_string();
            let origin = format!("{}: ", finder.source());
            text.strip_prefix(&origin).unwrap().to_owned()
        });
        let all: Vec<String> = candidates.chain(refused).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        all.concat()
    }))
}

fn some(text: &str) -> Result<Option<String>, String> {
    Ok(Some(text.to_owned()))
}

#[tokio::test]
async fn a_tag_is_pulled_when_it_is_new_or_moved() {
    for access in [Access::Open, Access::OpenToken] {
        let server = start(access).await;
        let mut finder = finder(&reference(&server, ":1"), None, None);
        server.push(REPOSITORY, "1", &[Layer::component("one")]);
        assert_eq!(look(&mut finder).await, some("one"));
        let head = format!("HEAD /v2/{REPOSITORY}/manifests/1");
        let manifest = format!("GET /v2/{REPOSITORY}/manifests/1");
        let blob = |bytes: &[u8]| format!("GET /v2/{REPOSITORY}/blobs/{}", registry::digest(bytes));
        let pull = [head.clone(), manifest.clone(), blob(b"one")];
        assert_eq!(server.take_requests(), pull, "{access:?}");

        assert_eq!(look(&mut finder).await, Ok(None));
        assert_eq!(server.take_requests(), [head.as_str()], "{access:?}");

        server.push(REPOSITORY, "1", &[Layer::component("two")]);
        assert_eq!(look(&mut finder).await, some("two"));
        let pull = [head, manifest, blob(b"two")];
        assert_eq!(server.take_requests(), pull, "{access:?}");
    }
}

#[tokio::test]
async fn a_digest_is_pulled_once_and_never_asked_for_again() {
    let server = start(Access::Open).await;
    let digest = server.push(REPOSITORY, "1", &[Layer::component("one")]);
    server.push(REPOSITORY, "1", &[Layer::component("two")]);
    for version in [format!("@{digest}"), format!(":1@{digest}")] {
        let mut finder = finder(&reference(&server, &version), None, None);
        assert_eq!(look(&mut finder).await, some("one"));
        server.take_requests();
        assert_eq!(look(&mut finder).await, Ok(None));
        assert_eq!(server.take_requests(), [""; 0]);
        finder.forget();
        assert_eq!(look(&mut finder).await, some("one"));
    }
}

#[tokio::test]
async fn the_pin_is_of_the_component() {
    let server = start(Access::Open).await;
    server.push(REPOSITORY, "1", &[Layer::component("one")]);
    let (found, expected) = (Digest::of(b"one"), Digest::of(b"two"));
    let refused = format!(
        "its bytes have the SHA-256 {found}; CONNECTOR_GUEST_DIGEST allows {expected} only"
    );
    for (pin, expected) in [(found, "one"), (expected, &refused)] {
        let mut finder = finder(&reference(&server, ":1"), Some(pin), None);
        assert_eq!(look(&mut finder).await, some(expected));
        assert_eq!(look(&mut finder).await, Ok(None));
    }
}

#[tokio::test]
async fn a_guest_is_exactly_one_layer_of_webassembly() {
    const EXPECTED: &str =
        "a guest is one layer of the media type application/wasm, as `wkg oci push` makes it";
    let wasm = Layer::component("one");
    let other = Layer {
        media_type: "text/plain",
        ..Layer::component("readme")
    };
    let large = Layer {
        size: Some((64 << 20) + 1),
        ..wasm.clone()
    };
    for (layers, expected) in [
        (vec![wasm.clone()], "one".to_owned()),
        (vec![other.clone(), wasm.clone()], "one".to_owned()),
        (vec![], format!("holds no layer; {EXPECTED}")),
        (
            vec![other],
            format!("holds 1 layer (text/plain); {EXPECTED}"),
        ),
        (
            vec![wasm.clone(), wasm],
            format!("holds 2 layers (application/wasm, application/wasm); {EXPECTED}"),
        ),
        (
            vec![large],
            "has more than 67108864 bytes, the most that a guest may have".to_owned(),
        ),
    ] {
        let server = start(Access::Open).await;
        server.push(REPOSITORY, "1", &layers);
        let mut finder = finder(&reference(&server, ":1"), None, None);
        assert_eq!(look(&mut finder).await, some(&expected));
        assert_eq!(look(&mut finder).await, Ok(None));
    }
}

/// Docker's configuration with this content for the server; `HOST` in it stands for the server's.
fn docker_config(server: &Server, content: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = content.to_string().replace("HOST", &server.host());
    std::fs::write(folder.path().join("config.json"), text).unwrap();
    folder
}

fn login(password: &str) -> Value {
    json!({"auths": {"HOST": {"auth": STANDARD.encode(format!("{USER}:{password}"))}}})
}

#[tokio::test]
async fn the_login_is_that_of_docker() {
    let required = "wants a login: `docker login";
    let refused = "refuses the login of the docker configuration, or there is no such repository";
    for access in [Access::Basic, Access::Token] {
        for (config, expected) in [
            (login(PASSWORD), ""),
            (login("SECRET"), refused),
            (json!({}), required),
            (json!({"auths": {"ghcr.io": {"auth": "SECRET"}}}), required),
            (
                json!({"auths": {"HOST": {"identitytoken": "SECRET"}}}),
                "holds an identity token; log in with a password or an access token",
            ),
            (
                json!({"credHelpers": {"HOST": "of-nobody"}}),
                "Unable to communicate with credential helper",
            ),
            (json!("SECRET"), "config.json: Unable to read config"),
        ] {
            let server = start(access).await;
            server.push(REPOSITORY, "1", &[Layer::component("one")]);
            let folder = docker_config(&server, &config);
            let mut finder = finder(&reference(&server, ":1"), None, Some(folder.path()));
            let found = look(&mut finder).await;
            if expected.is_empty() {
                assert_eq!(found, some("one"), "{access:?}");
                continue;
            }
            let error = found.unwrap_err();
            assert!(error.contains(expected), "{access:?}: {error}");
            assert!(error.starts_with(&reference(&server, ":1")), "{error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_login_may_come_later() {
    let server = start(Access::Token).await;
    server.push(REPOSITORY, "1", &[Layer::component("one")]);
    let folder = docker_config(&server, &json!({}));
    std::fs::remove_file(folder.path().join("config.json")).unwrap();
    let mut finder = finder(&reference(&server, ":1"), None, Some(folder.path()));
    let error = look(&mut finder).await.unwrap_err();
    assert!(error.contains("wants a login"), "{error}");
    let text = login(PASSWORD).to_string().replace("HOST", &server.host());
    std::fs::write(folder.path().join("config.json"), text).unwrap();
    assert_eq!(look(&mut finder).await, some("one"));
}

#[tokio::test]
async fn what_a_registry_does_wrong_is_said_and_tried_again() {
    let oci_error = |code: &str| json!({"errors": [{"code": code, "message": "no"}]});
    let (blob, manifest) = ("/v2/acme/guest/blobs/", "/v2/acme/guest/manifests/");
    for (method, path, fault, expected) in [
        ("GET", blob, Fault::Corrupt, "sent bytes with the digest"),
        ("GET", blob, Fault::CutBody, "cannot be reached"),
        (
            "GET",
            blob,
            Fault::Status(404, oci_error("BLOB_UNKNOWN")),
            "has no such repository, tag or digest",
        ),
        (
            "GET",
            manifest,
            Fault::Corrupt,
            "sent bytes with the digest",
        ),
        (
            "GET",
            manifest,
            Fault::Html(502),
            "answers: HTTP status 502",
        ),
        (
            "GET",
            manifest,
            Fault::Garbage,
            "answers: Failed to parse manifest",
        ),
        (
            "GET",
            manifest,
            Fault::Status(429, oci_error("TOOMANYREQUESTS")),
            "answers: OCI API errors: [OCI API error: no]",
        ),
        (
            "GET",
            manifest,
            Fault::Status(403, oci_error("DENIED")),
            "wants a login",
        ),
    ] {
        let server = start(Access::Open).await;
        server.push(REPOSITORY, "1", &[Layer::component("one")]);
        let what = format!("{fault:?} {path}");
        server.fault(fault::method(method, path), fault);
        let mut finder = finder(&reference(&server, ":1"), None, None);
        let error = look(&mut finder).await.unwrap_err();
        let start = format!("{}: the registry {} ", finder.source(), server.host());
        assert!(error.starts_with(&start), "{what}: {error}");
        assert!(error.contains(expected), "{what}: {error}");
        assert_eq!(look(&mut finder).await, some("one"), "{what}");
    }
}

#[tokio::test]
async fn what_is_not_there_may_come() {
    let server = start(Access::OpenToken).await;
    let mut finder = finder(&reference(&server, ":1"), None, None);
    let error = look(&mut finder).await.unwrap_err();
    assert!(
        error.ends_with("has no such repository, tag or digest"),
        "{error}"
    );
    server.push(REPOSITORY, "1", &[Layer::component("one")]);
    assert_eq!(look(&mut finder).await, some("one"));
}

#[tokio::test]
async fn an_index_of_manifests_is_no_guest() {
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let server = start(Access::Open).await;
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []});
    server.push_manifest(REPOSITORY, "1", INDEX, &index);
    let mut finder = finder(&reference(&server, ":1"), None, None);
    let expected = "holds an index of manifests; a guest is one layer of the media type \
                    application/wasm, as `wkg oci push` makes it";
    assert_eq!(look(&mut finder).await, some(expected));
}

#[tokio::test]
async fn a_registry_that_is_away_is_named() {
    let server = start(Access::Open).await;
    let source = reference(&server, ":1");
    let host = server.host();
    let mut finder = finder(&source, None, None);
    drop(server);
    // The port closes a moment after its handle is gone.
    while tokio::net::TcpStream::connect(&host).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let error = look(&mut finder).await.unwrap_err();
    let expected = format!("{source}: the registry {host} cannot be reached: ");
    assert!(error.starts_with(&expected), "{error}");
    assert!(
        error.to_lowercase().contains("connection refused"),
        "{error}"
    );
}

#[tokio::test]
async fn a_hangup_is_told_at_once() {
    let source = "oci://localhost/guest:1".parse().unwrap();
    let mut watcher = Watcher::new(&source, Duration::from_secs(3_600)).unwrap();
    let status = std::process::Command::new("kill")
        .args(["-HUP", &std::process::id().to_string()])
        .status();
    assert!(status.unwrap().success());
    assert_eq!(watcher.changed().await, Cause::Hangup);
}
