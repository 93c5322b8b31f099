//! TLS to RabbitMQ, with a broker of these tests' own whose authority nobody knows.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::fs;

use anyhow::{Result, anyhow};
use connector_tests::certificates::{Authority, Identity};
use connector_tests::fixtures::Scenario;
use connector_tests::host::Host;
use connector_tests::rabbitmq::{HOST, Node, PASSWORD};
use connector_tests::{opencti, virustotal};
use pkcs8::der::SecretDocument;
use pkcs8::der::pem::LineEnding;
use pkcs8::{PrivateKeyInfo, pkcs5::pbes2};
use tokio::sync::OnceCell;

const NOTIFICATIONS: usize = 3;
const PASSPHRASE: &str = "passphrase of a test";

/// A broker, and files that settings name.
struct Bench {
    node: Node,
    /// Listens there to those with a certificate of the node's authority.
    certified_port: u16,
    folder: tempfile::TempDir,
}

/// What a run comes to.
enum Expected {
    /// All is delivered, and a warning holds this text, if any.
    Delivered(Option<&'static str>),
    /// The run ends at once with an error that holds these texts; nothing is delivered.
    Refused(&'static [&'static str]),
    /// The same, not always at once: the broker speaks after the handshake of TLS 1.3, and may have closed the
    /// connection before its alert is read.
    RefusedByBroker(&'static [&'static str]),
}

use Expected::{Delivered, Refused, RefusedByBroker};

/// Name, settings, outcome.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Expected);

async fn bench() -> Result<Option<&'static Bench>> {
    static BENCH: OnceCell<Option<Bench>> = OnceCell::const_new();
    let bench = BENCH.get_or_try_init(|| async {
        let Some(node) = Node::start().await? else {
            return anyhow::Ok(None);
        };
        Ok(Some(Bench {
            certified_port: node.listen_to_certified().await?,
            node,
            folder: tempfile::tempdir()?,
        }))
    });
    Ok(bench.await?.as_ref())
}

impl Bench {
    fn file(&self, name: &str, text: &str) -> Result<String> {
        let path = self.folder.path().join(name);
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }

    /// One run of a connector that reaches the broker over TLS, with these settings beside.
    async fn check(&self, case: &str, settings: &[(&str, &str)], expected: Expected) -> Result<()> {
        let scenario = Scenario {
            mixed: false,
            ..Scenario::of_today(NOTIFICATIONS)
        };
        let virustotal = virustotal::Server::start(scenario.world()).await?;
        let platform = opencti::Server::start(opencti::Options {
            amqp_url: Some(self.node.url()),
            ..Default::default()
        })
        .await?;
        platform.tell_broker(|connection| {
            connection["use_ssl"] = true.into();
            connection["host"] = HOST.into();
            connection["port"] = self.node.tls_port.into();
        });
        let mut host =
            Host::new(&virustotal, &platform)?.variable("CONNECTOR_QUEUE_PROTOCOL", "amqp");
        for (name, value) in settings {
            host = host.variable(name, *value);
        }
        let run = host.run_once().await?;
        for secret in [PASSWORD, PASSPHRASE, "PRIVATE KEY"] {
            assert!(!run.log.contains(secret), "{case}: {}", run.log);
        }
        let at_once = matches!(expected, Refused(_));
        match expected {
            Delivered(warning) => {
                assert!(run.success, "{case}: {}", run.log);
                platform.until_works_complete().await?;
                let incidents = platform.objects_of("incident").len();
                assert_eq!(incidents, NOTIFICATIONS, "{case}");
                let warnings = run.messages("WARNING");
                assert_eq!(
                    warnings.len(),
                    warning.iter().count(),
                    "{case}: {warnings:?}"
                );
                if let Some(text) = warning {
                    assert!(warnings[0].contains(text), "{case}: {warnings:?}");
                }
            }
            Refused(texts) | RefusedByBroker(texts) => {
                assert!(!run.success, "{case}: {}", run.log);
                assert!(platform.deliveries().is_empty(), "{case}");
                let errors = run.messages("ERROR").join("\n");
                for text in texts {
                    assert!(
                        errors.contains(text),
                        "{case}: {text} is not in {}",
                        run.log
                    );
                }
                let again = run.log.contains("sent again");
                assert!(
                    !(at_once && again),
                    "{case}: time cannot mend it: {}",
                    run.log
                );
            }
        }
        platform.stop().await
    }
}

#[tokio::test]
async fn the_brokers_certificate_is_verified() -> Result<()> {
    let Some(bench) = bench().await? else {
        return Ok(());
    };
    let authority = bench.node.authority.certificate();
    let in_one_line = authority.replace('\n', "\\n");
    let path = bench.file("authority.pem", &authority)?;
    let stranger = Authority::new()?.certificate();
    let unverified = ("MQ_USE_SSL_REJECT_UNAUTHORIZED", "false");
    let warning = Some("MQ_USE_SSL_REJECT_UNAUTHORIZED is false: RabbitMQ's certificate is not");
    let cases: [Case<'_>; 10] = [
        (
            "by default",
            &[],
            Refused(&["UnknownIssuer", "MQ_USE_SSL_CA"]),
        ),
        (
            "another authority",
            &[("MQ_USE_SSL_CA", &stranger)],
            Refused(&["invalid peer certificate", "MQ_USE_SSL_CA"]),
        ),
        ("a path", &[("MQ_USE_SSL_CA", &path)], Delivered(None)),
        (
            "PEM text",
            &[("MQ_USE_SSL_CA", &authority)],
            Delivered(None),
        ),
        (
            "PEM text in one line",
            &[("MQ_USE_SSL_CA", &in_one_line)],
            Delivered(None),
        ),
        (
            "for all peers",
            &[("HTTPS_CA_CERTIFICATES", &path)],
            Delivered(None),
        ),
        (
            "another host",
            &[("MQ_USE_SSL_CA", &path), ("MQ_HOST", "127.0.0.1")],
            Refused(&["not valid for name \"127.0.0.1\"", "MQ_HOST"]),
        ),
        ("not verified", &[unverified], Delivered(warning)),
        (
            "another host, not verified",
            &[unverified, ("MQ_HOST", "127.0.0.1")],
            Delivered(warning),
        ),
        (
            "no such file",
            &[("MQ_USE_SSL_CA", "/nowhere.pem")],
            Refused(&["MQ_USE_SSL_CA: cannot read /nowhere.pem"]),
        ),
    ];
    for (case, settings, expected) in cases {
        bench.check(case, settings, expected).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_client_certificate_is_shown() -> Result<()> {
    let Some(bench) = bench().await? else {
        return Ok(());
    };
    let authority = bench.node.authority.certificate();
    let port = bench.certified_port.to_string();
    let Identity { certificate, key } = bench.node.authority.sign("connector")?;
    let encrypted = encrypted(&key)?;
    let stranger = Authority::new()?.sign("connector")?;
    let paths = (
        bench.file("certificate.pem", &certificate)?,
        bench.file("key.pem", &key)?,
        bench.file("encrypted.pem", &encrypted)?,
    );
    let refused = || RefusedByBroker(&["MQ_USE_SSL_CERT and MQ_USE_SSL_KEY"]);
    let (with_certificate, with_key) = ("MQ_USE_SSL_CERT", "MQ_USE_SSL_KEY");
    let passphrase = "MQ_USE_SSL_PASSPHRASE";
    let cases: [Case<'_>; 8] = [
        ("none", &[], refused()),
        (
            "of another authority",
            &[
                (with_certificate, &stranger.certificate),
                (with_key, &stranger.key),
            ],
            refused(),
        ),
        (
            "PEM text",
            &[(with_certificate, &certificate), (with_key, &key)],
            Delivered(None),
        ),
        (
            "paths",
            &[(with_certificate, &paths.0), (with_key, &paths.1)],
            Delivered(None),
        ),
        (
            "encrypted",
            &[
                (with_certificate, &paths.0),
                (with_key, &paths.2),
                (passphrase, PASSPHRASE),
            ],
            Delivered(None),
        ),
        (
            "encrypted, PEM text",
            &[
                (with_certificate, &certificate),
                (with_key, &encrypted),
                (passphrase, PASSPHRASE),
            ],
            Delivered(None),
        ),
        (
            "encrypted, without passphrase",
            &[(with_certificate, &paths.0), (with_key, &paths.2)],
            Refused(&["MQ_USE_SSL_KEY: it is encrypted, and MQ_USE_SSL_PASSPHRASE is missing"]),
        ),
        (
            "encrypted, with another passphrase",
            &[
                (with_certificate, &paths.0),
                (with_key, &paths.2),
                (passphrase, "another"),
            ],
            Refused(&["MQ_USE_SSL_PASSPHRASE: it does not open MQ_USE_SSL_KEY"]),
        ),
    ];
    for (case, settings, expected) in cases {
        let mut all = vec![("MQ_PORT", port.as_str()), ("MQ_USE_SSL_CA", &authority)];
        all.extend(settings);
        bench.check(case, &all, expected).await?;
    }
    Ok(())
}

/// The key as `openssl pkcs8 -topk8` encrypts it.
fn encrypted(key: &str) -> Result<String> {
    let unusable = |error: &dyn std::fmt::Display| anyhow!("the key cannot be encrypted: {error}");
    let (_, document) = SecretDocument::from_pem(key).map_err(|error| unusable(&error))?;
    let (salt, iv) = ([7; 8], [9; 16]);
    let parameters = pbes2::Parameters::pbkdf2_sha256_aes256cbc(2048, &salt, &iv)
        .map_err(|error| unusable(&error))?;
    let encrypted = PrivateKeyInfo::try_from(document.as_bytes())
        .and_then(|key| key.encrypt_with_params(parameters, PASSPHRASE))
        .map_err(|error| unusable(&error))?;
    let pem = encrypted
        .to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)
        .map_err(|error| unusable(&error))?;
    Ok(pem.to_string())
}
