//! Bundles in an S3 bucket, on a real S3 server.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use connector_tests::certificates::Authority;
use connector_tests::host::Host;
use connector_tests::proxy::{Link, Proxy};
use connector_tests::s3::{self, ACCESS_KEY, BUCKET, SECRET_KEY};
use connector_tests::tinyproxy::Tinyproxy;
use connector_tests::tls::Https;
use connector_tests::trial::Trial;
use connector_tests::{opencti, written};
use serde_json::Value;

/// A connector that sends to the platform's workers and to S3.
struct Stage {
    s3: s3::Server,
    trial: Trial,
}

impl Stage {
    async fn new() -> Result<Self> {
        let stage = Self {
            s3: s3::Server::start().await?,
            trial: Trial::new(5).await?,
        };
        let told = stage.s3.connection();
        stage.trial.platform.tell_s3(|s3| *s3 = told);
        Ok(stage)
    }

    fn host(&self) -> Host {
        self.trial
            .host
            .clone()
            .variable("CONNECTOR_SEND_TO_S3", "true")
    }

    /// What is in the bucket's folder: every file of ours.
    fn files(&self, folder: &str) -> Result<Vec<Value>> {
        written::files(&self.s3.objects(folder), "S3_BUNDLE")
    }

    /// Ids of the objects in the files.
    fn ids(&self, folder: &str) -> Result<BTreeSet<String>> {
        let files = self.files(folder)?;
        let objects = files
            .iter()
            .filter_map(|file| file["bundle"]["objects"].as_array());
        Ok(objects.flatten().map(id).collect())
    }

    /// Ids of what the workers have imported.
    fn imported(&self) -> BTreeSet<String> {
        self.trial.platform.objects().iter().map(id).collect()
    }
}

fn id(object: &Value) -> String {
    object["id"].as_str().unwrap_or_default().to_owned()
}

/// Settings that say all about the storage.
fn with_storage(host: Host, s3: &s3::Server) -> Host {
    host.variable("CONNECTOR_SEND_TO_S3", "true")
        .variable("CONNECTOR_SEND_TO_S3_BUCKET", BUCKET)
        .variable("S3_ENDPOINT", "127.0.0.1")
        .variable("S3_PORT", s3.port().to_string())
        .variable("S3_USE_SSL", "false")
        .variable("S3_ACCESS_KEY", ACCESS_KEY)
        .variable("S3_SECRET_KEY", SECRET_KEY)
}

#[tokio::test]
async fn bundles_go_to_the_bucket_that_the_platform_tells() -> Result<()> {
    let stage = Stage::new().await?;
    let run = stage.host().run_once().await?;
    assert!(run.success, "{}", run.log);
    let ids = stage.ids("connectors")?;
    assert!(!ids.is_empty());
    assert_eq!(ids, stage.imported());
    for file in stage.files("connectors")? {
        assert_eq!(
            file["connector"]["name"],
            "VirusTotal Livehunt Notifications"
        );
        assert_eq!(file["connector"]["validate_before_import"], false);
        let user = stage
            .trial
            .platform
            .read(|it| it.connectors.values().next().map(|it| it.user_id.clone()));
        assert_eq!(file["applicant_id"].as_str(), user.as_deref());
    }
    let requests = stage.s3.requests();
    let put = requests.iter().find(|it| it.method == "PUT");
    let content_type = put.and_then(|it| it.header("content-type"));
    assert_eq!(content_type, Some("application/json"));
    let key = stage.s3.keys()?.pop_first().unwrap_or_default();
    assert!(
        key.starts_with("connectors/virustotal_livehunt_notifications-20"),
        "{key}"
    );
    Ok(())
}

#[tokio::test]
async fn who_does_not_send_to_s3_is_not_told_its_keys() -> Result<()> {
    let stage = Stage::new().await?;
    let run = stage.trial.host.run_once().await?;
    assert!(run.success, "{}", run.log);
    let registrations = stage.trial.platform.requests_of("registerConnector");
    assert!(registrations.iter().all(|it| !it.query.contains("s3")));
    assert!(stage.s3.requests().is_empty());

    // Neither is who knows all of it.
    let run = with_storage(stage.trial.host.clone(), &stage.s3)
        .variable("S3_BUCKET_REGION", "us-east-1")
        .run_once()
        .await?;
    assert!(run.success, "{}", run.log);
    let registrations = stage.trial.platform.requests_of("registerConnector");
    assert_eq!(registrations.len(), 2);
    assert!(registrations.iter().all(|it| !it.query.contains("s3")));
    Ok(())
}

#[tokio::test]
async fn a_key_that_may_only_write_is_enough() -> Result<()> {
    let stage = Stage::new().await?;
    stage.s3.allow_writing_alone();
    let run = stage.host().run_once().await?;
    assert!(run.success, "{}", run.log);
    assert_eq!(stage.ids("connectors")?, stage.imported());
    let warnings = run.messages("WARNING").join("\n");
    assert!(
        warnings.contains("cannot remove old bundles")
            && warnings.contains("are accepted and lack a right"),
        "{warnings}"
    );
    Ok(())
}

#[tokio::test]
async fn settings_say_where_an_older_platform_does_not() -> Result<()> {
    let stage = Stage::new().await?;
    let older = opencti::Server::start(opencti::Options::version("6.9.9")?).await?;
    let host = Host::new(&stage.trial.virustotal, &older)?
        .variable("CONNECTOR_SEND_TO_S3", "true")
        .variable("CONNECTOR_SEND_TO_QUEUE", "false");
    let run = host.run_once().await?;
    assert!(!run.success, "{}", run.log);
    let missing = "S3_ENDPOINT, S3_PORT, S3_USE_SSL, S3_ACCESS_KEY, S3_SECRET_KEY, CONNECTOR_SEND_TO_S3_BUCKET";
    let expected = format!(
        "CONNECTOR_SEND_TO_S3: {missing} must be set: OpenCTI tells about its S3 storage from 6.9.10 on, and this is 6.9.9"
    );
    assert_eq!(run.messages("ERROR"), [expected]);

    let run = with_storage(host, &stage.s3)
        .variable("CONNECTOR_SEND_TO_S3_FOLDER", "for/the diode/")
        .run_once()
        .await?;
    assert!(run.success, "{}", run.log);
    assert!(!stage.ids("for/the diode")?.is_empty());
    assert!(older.objects().is_empty() && older.works().is_empty());
    Ok(())
}

#[tokio::test]
async fn what_s3_refuses_is_told_with_the_setting_and_delivered_once_it_is_mended() -> Result<()> {
    for (name, value, expected) in [
        (
            "S3_SECRET_KEY",
            "another-secret-key",
            [
                "SignatureDoesNotMatch",
                "check S3_ACCESS_KEY and S3_SECRET_KEY",
            ],
        ),
        (
            "S3_ACCESS_KEY",
            "another-access-key",
            ["HTTP 403", "check S3_ACCESS_KEY and S3_SECRET_KEY"],
        ),
        (
            "CONNECTOR_SEND_TO_S3_BUCKET",
            "elsewhere",
            ["NoSuchBucket", "check CONNECTOR_SEND_TO_S3_BUCKET"],
        ),
    ] {
        let stage = Stage::new().await?;
        let host = stage.host().variable("CONNECTOR_SEND_TO_QUEUE", "false");
        let run = host.clone().variable(name, value).run_once().await?;
        assert!(!run.success, "{name}: {}", run.log);
        let summary = run.summary();
        for words in expected {
            assert!(summary.contains(words), "{name}: {summary}");
        }
        assert!(stage.s3.keys()?.is_empty(), "{name}");
        // Nothing counts as delivered.
        let run = host.run_once().await?;
        assert!(
            run.summary()
                .starts_with("5 notifications read: 5 delivered"),
            "{name}: {}",
            run.log
        );
        assert!(!stage.ids("connectors")?.is_empty(), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_storage_that_comes_back_gets_everything_in_the_same_run() -> Result<()> {
    let stage = Stage::new().await?;
    let (proxy, url) = Proxy::before(&stage.s3.url()).await?;
    proxy.set(Link::Refused);
    let port = url.rsplit(':').next().unwrap_or_default();
    let mut running = stage
        .host()
        .variable("S3_PORT", port)
        .start(&["run", "--once"])?;
    running.until_logged("sent again").await?;
    assert!(
        running.log().contains("connection refused")
            && running.log().contains("check that it runs"),
        "{}",
        running.log()
    );
    proxy.set(Link::Open);
    let run = running.finish().await?;
    assert!(run.success, "{}", run.log);
    assert_eq!(stage.ids("connectors")?, stage.imported());
    Ok(())
}

#[tokio::test]
async fn keys_that_the_platform_changes_are_learned_without_a_restart() -> Result<()> {
    let stage = Stage::new().await?;
    let platform = &stage.trial.platform;
    platform.tell_s3(|s3| s3["secret_key"] = "a-key-of-yesterday".into());
    let mut running = stage.host().setting("INTERVAL_SEC", "1").start(&["run"])?;
    running.until_logged("check S3_ACCESS_KEY").await?;
    platform.tell_s3(|s3| s3["secret_key"] = SECRET_KEY.into());
    running
        .until_logged("OpenCTI tells another way to S3 now")
        .await?;
    running
        .until_logged("5 notifications read: 5 delivered")
        .await?;
    running.end().await?;
    assert_eq!(stage.ids("connectors")?, stage.imported());
    Ok(())
}

#[tokio::test]
async fn only_old_objects_of_our_own_are_removed() -> Result<()> {
    for (name, prefix) in [
        (
            "VirusTotal Livehunt Notifications",
            "virustotal_livehunt_notifications",
        ),
        ("Jäger & Sammler 狩", "jäger___sammler_狩"),
    ] {
        remove_old_objects(name, prefix)
            .await
            .with_context(|| name.to_owned())?;
    }
    Ok(())
}

/// The prefix is that of the names of a connector with this name.
async fn remove_old_objects(name: &str, prefix: &str) -> Result<()> {
    let stage = Stage::new().await?;
    let ours = format!("{prefix}-20200101-000000-1577836800");
    let old = [
        format!("connectors/{ours}.5.json"),
        format!("connectors/{ours}.json"),
    ];
    let others = [
        // Young, of another connector, without a date, deeper, higher.
        format!("connectors/{ours}.6.json"),
        "connectors/another-20200101-000000-1577836800.5.json".to_owned(),
        format!("connectors/{prefix}-notes.json"),
        format!("connectors/{prefix}-x/{ours}.5.json"),
        format!("{ours}.5.json"),
    ];
    for key in old.iter().chain(&others) {
        stage.s3.put(key, 30)?;
    }
    stage.s3.put(&others[0], 6)?;
    // Never removed with 0; and this run has something to send, the next one too.
    let held = stage
        .trial
        .virustotal
        .edit(|world| world.notifications.pop());
    let host = stage.host().variable("CONNECTOR_NAME", name);
    let keep = host.clone().variable("CONNECTOR_SEND_TO_S3_RETENTION", "0");
    let run = keep.run_once().await?;
    assert!(run.success, "{}", run.log);
    let keys = stage.s3.keys()?;
    assert!(
        old.iter().chain(&others).all(|key| keys.contains(key)),
        "{keys:?}"
    );
    let before = keys.len();

    stage
        .trial
        .virustotal
        .edit(|world| world.notifications.extend(held));
    let run = host.run_once().await?;
    assert!(run.success, "{}", run.log);
    let keys = stage.s3.keys()?;
    let named = format!("connectors/{prefix}-2");
    let written = keys.iter().filter(|key| key.starts_with(&named));
    let written = written.filter(|key| !old.contains(key) && !others.contains(key));
    assert_eq!(written.count(), 2, "one a run: {keys:?}");
    assert!(others.iter().all(|key| keys.contains(key)), "{keys:?}");
    assert!(old.iter().all(|key| !keys.contains(key)), "{keys:?}");
    assert_eq!(
        keys.len(),
        before - old.len() + 1,
        "one file more: {keys:?}"
    );
    Ok(())
}

#[tokio::test]
async fn certificates_are_verified_with_the_authorities_of_all_peers() -> Result<()> {
    let stage = Stage::new().await?;
    let authority = Authority::new()?;
    let https = Https::before(&stage.s3.url(), &authority.sign("localhost")?).await?;
    let port = https
        .url()
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .to_owned();
    let host = stage
        .host()
        .variable("S3_ENDPOINT", "localhost")
        .variable("S3_PORT", port)
        .variable("S3_USE_SSL", "true");
    let run = host.run_once().await?;
    assert!(!run.success, "{}", run.log);
    assert!(
        run.summary().contains("HTTPS_CA_CERTIFICATES"),
        "{}",
        run.log
    );
    let run = host
        .variable("HTTPS_CA_CERTIFICATES", authority.certificate())
        .run_once()
        .await?;
    assert!(run.success, "{}", run.log);
    assert_eq!(stage.ids("connectors")?, stage.imported());
    Ok(())
}

#[tokio::test]
async fn the_storage_is_reached_through_the_proxy() -> Result<()> {
    let Some(proxy) = Tinyproxy::start(None).await? else {
        return Ok(());
    };
    let stage = Stage::new().await?;
    let run = stage
        .host()
        .variable("HTTP_PROXY", format!("http://{}", proxy.address()))
        .run_once()
        .await?;
    assert!(run.success, "{}", run.log);
    let requests = stage.s3.requests();
    assert!(!requests.is_empty());
    for request in requests {
        let via = request.header("via").unwrap_or_default();
        assert!(via.contains("tinyproxy"), "{request:?}");
    }
    Ok(())
}
