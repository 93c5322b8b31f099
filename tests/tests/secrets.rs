//! Keys, tokens, passwords and signed addresses stay where they belong, whatever goes wrong and whoever repeats them.
//!
//! That nothing is printed and nothing is sent elsewhere is checked in every test that starts the connector
//! (`connector_tests::secrets`); here stand the cases in which it would be easiest.

use anyhow::{Context as _, Result};
use connector_tests::fault::{Fault, any, field, path};
use connector_tests::fixtures::Scenario;
use connector_tests::host::Host;
use connector_tests::secrets::Secrets;
use connector_tests::understudy::stamped;
use connector_tests::virustotal::{Kind, error_body};
use connector_tests::{opencti, virustotal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const HEADER: &str = "value-of-a-header";
const PASSWORD: &str = "password/of+the-mirror";

struct Stage {
    virustotal: virustotal::Server,
    platform: opencti::Server,
}

impl Stage {
    async fn new() -> Result<Self> {
        let scenario = Scenario {
            mixed: false,
            ..Scenario::of_today(3)
        };
        Ok(Self {
            virustotal: virustotal::Server::start(scenario.world()).await?,
            platform: opencti::Server::start(opencti::Options::default()).await?,
        })
    }

    fn host(&self) -> Result<Host> {
        Host::new(&self.virustotal, &self.platform)
    }
}

#[tokio::test]
async fn what_others_repeat_is_struck_out() -> Result<()> {
    let stage = Stage::new().await?;
    let (key, token) = (stage.virustotal.api_key(), stage.platform.token());
    let words = |secret: &str| format!("who are you, {secret}?");
    // The platform at registration, on a page before it, and when it takes a bundle.
    let answers = [
        Fault::Status(200, opencti::error_body("LOCK_ERROR", &words(token))),
        Fault::Status(403, words(HEADER).into()),
    ];
    for answer in answers {
        stage.platform.fault(field("registerConnector"), answer);
    }
    let refused = opencti::error_body("LOCK_ERROR", &words(token));
    stage
        .platform
        .fault(field("stixBundlePush"), Fault::Status(200, refused));
    // VirusTotal, in its own form and through something on the way.
    let answers = [
        Fault::Status(503, error_body("TransientError", &words(key))),
        Fault::Status(502, words(PASSWORD).into()),
    ];
    for answer in answers {
        stage.virustotal.fault(path("/ioc_stream"), answer);
    }
    let mirror = stage.virustotal.api_url();
    let mirror = mirror.replace("http://", "http://reader:password%2Fof%2Bthe-mirror@");
    let run = stage
        .host()?
        .setting("API_URL", mirror)
        .variable("OPENCTI_CUSTOM_HEADERS", format!("x-door: {HEADER}"))
        .run_once()
        .await?;
    assert!(run.success, "{}", run.log);
    for place in ["[token]", "[header]", "[key]", "[password]"] {
        let expected = format!("who are you, {place}?");
        assert!(run.log.contains(&expected), "{expected} in {}", run.log);
    }
    let asked = stage.virustotal.requests();
    assert!(asked.iter().all(|it| it.header("authorization").is_some()));
    Ok(())
}

#[tokio::test]
async fn a_login_in_the_platforms_address_does_not_replace_the_token() -> Result<()> {
    let stage = Stage::new().await?;
    let url = stage.platform.url();
    let url = url.replace("http://", "http://reader:password-of-a-reader@");
    let run = stage
        .host()?
        .variable("OPENCTI_URL", url)
        .run_once()
        .await?;
    assert!(run.success, "{}", run.log);
    let warnings = run.messages("WARNING").join("\n");
    assert!(
        warnings.contains("OPENCTI_URL: user and password in the address are left out"),
        "{warnings}"
    );
    Ok(())
}

#[tokio::test]
async fn signed_addresses_are_not_shown_when_the_storage_fails() -> Result<()> {
    let stage = Stage::new().await?;
    stage.virustotal.edit(|world| {
        for fault in [
            Fault::Html(502),
            Fault::Status(403, "no".into()),
            Fault::CutBody,
            Fault::Corrupt,
            Fault::Redirect(
                "http://user:password-of-a-bucket@127.0.0.1:1/?Signature=other".to_owned(),
            ),
        ] {
            world.storage_faults.push(any(), fault);
        }
    });
    let run = stage
        .host()?
        .setting("UPLOAD_ARTIFACT", "true")
        .run_once()
        .await?;
    assert!(stage.virustotal.storage_requests().len() > 3, "{}", run.log);
    assert!(
        run.log.contains("the storage host 127.0.0.1 answered 403"),
        "{}",
        run.log
    );
    assert!(!run.log.contains("password-of-a-bucket"), "{}", run.log);
    let key = stage.virustotal.api_key();
    for request in stage.virustotal.storage_requests() {
        assert!(request.headers.values().all(|value| value != key));
    }
    Ok(())
}

#[tokio::test]
async fn a_redirect_takes_neither_key_nor_token_to_another_host() -> Result<()> {
    let (stage, other) = (Stage::new().await?, Stage::new().await?);
    for at in ["/ioc_stream", "/intelligence"] {
        let elsewhere = Fault::Redirect(format!("{}{at}", other.virustotal.api_url()));
        stage.virustotal.fault(path(at), elsewhere);
        let run = stage.host()?.run_once().await?;
        assert!(
            run.log.contains("127.0.0.1 redirects (302)"),
            "{at}: {}",
            run.log
        );
    }
    assert_eq!(other.virustotal.requests().len(), 0);

    let elsewhere = Fault::Redirect(format!("{}/graphql", other.platform.url()));
    stage.platform.fault(field("about"), elsewhere);
    let run = stage.host()?.run_once().await?;
    assert!(
        run.log.contains("a redirect is not followed"),
        "{}",
        run.log
    );
    assert_eq!(other.platform.requests().len(), 0);
    assert!(stage.virustotal.count(Kind::Page) > 0);
    Ok(())
}

#[tokio::test]
async fn metrics_and_status_hold_no_secret() -> Result<()> {
    let stage = Stage::new().await?;
    let folder = tempfile::tempdir()?;
    let guest = folder.path().join("guest.wasm");
    std::fs::write(&guest, stamped("1.0.0", "none")?)?;
    let prefix = "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS";
    let mut running = Host::of(&guest, prefix, &stage.virustotal, &stage.platform)
        .variable("CONNECTOR_EXPOSE_METRICS", "true")
        .variable("CONNECTOR_METRICS_PORT", "0")
        .start(&["run"])?;
    running.until_logged("notifications read").await?;
    // What is refused is told in the status.
    let next = folder.path().join("next");
    std::fs::write(&next, stamped("1.1.0", "wants the key")?)?;
    std::fs::rename(next, &guest)?;
    running.until_logged("1.1.0 does not take over").await?;
    let reason =
        "the guest asks for VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY, which is the host's";
    assert!(running.log().contains(reason), "{}", running.log());

    let mut secrets = Secrets::default();
    secrets.add("key", stage.virustotal.api_key());
    secrets.add("token", stage.platform.token());
    let log = running.log();
    let (_, rest) = log.split_once("status at http://").context("no address")?;
    let address = rest.split('/').next().context("no path")?;
    for (path, expected) in [("metrics", "connector_guest_info"), ("status.json", reason)] {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        assert!(answer.contains(expected), "{answer}");
        assert!(secrets.shown_in(answer.as_bytes()).is_empty(), "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_guest_that_asks_for_the_key_is_not_started() -> Result<()> {
    let stage = Stage::new().await?;
    let folder = tempfile::tempdir()?;
    let guest = folder.path().join("guest.wasm");
    std::fs::write(&guest, stamped("1.0.0", "wants the key")?)?;
    let prefix = "VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS";
    let run = Host::of(&guest, prefix, &stage.virustotal, &stage.platform)
        .run_once()
        .await?;
    assert!(!run.success, "{}", run.log);
    assert_eq!(
        run.messages("ERROR"),
        ["the guest asks for VIRUSTOTAL_LIVEHUNT_NOTIFICATIONS_API_KEY, which is the host's"]
    );
    assert_eq!(stage.virustotal.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn custom_headers_go_with_every_request_and_a_bad_one_is_not_shown() -> Result<()> {
    let stage = Stage::new().await?;
    let bad = "no-pair-but-a-secret; bad name:value-of-a-bad-header";
    let run = stage
        .host()?
        .setting("UPLOAD_ARTIFACT", "true")
        .variable("OPENCTI_CUSTOM_HEADERS", format!("X-Door: {HEADER};{bad}"))
        .run_once()
        .await?;
    assert!(run.success, "{}", run.log);
    assert!(!stage.platform.requests_of("artifactImport").is_empty());
    for request in stage.platform.requests() {
        assert_eq!(
            request.http.header("x-door"),
            Some(HEADER),
            "{:?}",
            request.fields
        );
    }
    let warnings = run.messages("WARNING");
    let expected = "OPENCTI_CUSTOM_HEADERS: a pair that is not `name:value` is left out";
    let warned = warnings.iter().filter(|it| it.as_str() == expected).count();
    assert_eq!(warned, 2, "{warnings:?}");
    assert!(!run.log.contains("no-pair-but-a-secret"), "{}", run.log);
    Ok(())
}
