//! HTTPS to VirusTotal and to the platform: who is believed, and who is not.

use std::path::Path;

use anyhow::Result;
use connector_tests::certificates::{Authority, Identity};
use connector_tests::fixtures::Scenario;
use connector_tests::host::{Finished, Host};
use connector_tests::tls::Https;
use connector_tests::virustotal::World;
use connector_tests::{opencti, virustotal};
use tempfile::TempDir;

/// The name under which both peers are asked.
const NAME: &str = "localhost";

/// Three notifications of files.
fn world() -> World {
    let scenario = Scenario {
        mixed: false,
        ..Scenario::of_today(3)
    };
    scenario.world()
}

/// Both peers, each behind HTTPS.
struct Stage {
    virustotal: virustotal::Server,
    platform: opencti::Server,
    before_virustotal: Https,
    before_platform: Https,
    folder: TempDir,
}

impl Stage {
    async fn new(virustotals: &Identity, platforms: &Identity) -> Result<Self> {
        let virustotal = virustotal::Server::start(world()).await?;
        let platform = opencti::Server::start(opencti::Options::default()).await?;
        Ok(Self {
            before_virustotal: Https::before(&virustotal.api_url(), virustotals).await?,
            before_platform: Https::before(&platform.url(), platforms).await?,
            virustotal,
            platform,
            folder: tempfile::tempdir()?,
        })
    }

    fn host(&self) -> Result<Host> {
        Ok(Host::new(&self.virustotal, &self.platform)?
            .setting("API_URL", self.before_virustotal.url())
            .variable("OPENCTI_URL", self.before_platform.url()))
    }

    fn file(&self, authority: &Authority) -> Result<String> {
        let path = self.folder.path().join("authority.pem");
        std::fs::write(&path, authority.certificate())?;
        Ok(text(&path))
    }

    /// What the run did, which went over HTTPS to both peers.
    fn assert_delivered(&self, run: &Finished, case: &str) {
        assert!(run.success, "{case}: {}", run.log);
        assert!(
            run.summary()
                .starts_with("3 notifications read: 3 delivered"),
            "{case}: {}",
            run.log
        );
        assert!(!self.platform.objects().is_empty(), "{case}");
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Waits for what the connector says of the platform, which it would ask for ever, and ends it.
async fn refusal_of_the_platform(host: &Host) -> Result<Finished> {
    let mut running = host.start(&["run", "--once"])?;
    running.until_logged("cannot use OpenCTI").await?;
    running.terminate()?;
    running.finish().await
}

#[tokio::test]
async fn an_authority_of_ones_own_is_given_in_any_of_the_settings() -> Result<()> {
    let authority = Authority::new()?;
    let identity = authority.sign(NAME)?;
    for (setting, is_file) in [
        ("HTTPS_CA_CERTIFICATES", true),
        ("HTTPS_CA_CERTIFICATES", false),
        ("SSL_CERT_FILE", true),
        ("REQUESTS_CA_BUNDLE", true),
    ] {
        let stage = Stage::new(&identity, &identity).await?;
        let value = if is_file {
            stage.file(&authority)?
        } else {
            // As a file of environment variables holds it.
            authority.certificate().replace('\n', "\\n")
        };
        let run = stage.host()?.variable(setting, value).run_once().await?;
        stage.assert_delivered(&run, setting);
    }
    let stage = Stage::new(&identity, &identity).await?;
    let host = stage.host()?;
    let run = host
        .variable("HTTPS_CA_CERTIFICATES", authority.certificate())
        .run_once()
        .await?;
    stage.assert_delivered(&run, "text of several lines");
    Ok(())
}

#[tokio::test]
async fn what_opencti_ssl_verify_allows_is_allowed_to_the_platform_alone() -> Result<()> {
    let (known, platforms) = (Authority::new()?, Authority::new()?);
    let (known_identity, platforms_identity) = (known.sign(NAME)?, platforms.sign(NAME)?);
    let file = |stage: &Stage| stage.file(&platforms);

    let stage = Stage::new(&known_identity, &platforms_identity).await?;
    for value in [file(&stage)?, "false".to_owned()] {
        let host = stage.host()?.variable("OPENCTI_SSL_VERIFY", &value);
        let known = host
            .clone()
            .variable("HTTPS_CA_CERTIFICATES", known.certificate());
        let run = known.run_once().await?;
        assert!(run.success, "{value}: {}", run.log);
        let warnings = run.messages("WARNING");
        let is_loud = warnings.iter().any(|warning| {
            warning.contains("OPENCTI_SSL_VERIFY is false")
                && warning.contains("the token can be read by anyone on the way")
        });
        assert_eq!(is_loud, value == "false", "{value}: {warnings:?}");

        // The authority of the platform, or none, is not enough for VirusTotal.
        let asked = stage.virustotal.requests().len();
        let run = host.run_once().await?;
        assert!(!run.success, "{value}: {}", run.log);
        let errors = run.messages("ERROR").join("\n");
        assert!(
            errors.contains("cannot reach localhost: no TLS connection"),
            "{errors}"
        );
        assert_eq!(stage.virustotal.requests().len(), asked, "{value}");
    }
    assert!(!stage.platform.objects().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_refused_and_the_message_says_what_to_do() -> Result<()>
{
    let (known, unknown) = (Authority::new()?, Authority::new()?);
    let good = known.sign(NAME)?;
    for (bad, cause) in [
        (unknown.sign(NAME)?, "UnknownIssuer"),
        (known.sign_expired(NAME)?, "certificate expired"),
        (
            known.sign("platform.example")?,
            "certificate not valid for name \"localhost\"",
        ),
    ] {
        let stage = Stage::new(&bad, &good).await?;
        let host = stage
            .host()?
            .variable("HTTPS_CA_CERTIFICATES", known.certificate());
        let run = host.run_once().await?;
        assert!(!run.success, "{cause}: {}", run.log);
        let errors = run.messages("ERROR").join("\n");
        for words in ["cannot reach localhost", cause, "HTTPS_CA_CERTIFICATES"] {
            assert!(errors.contains(words), "{words} in {errors}");
        }
        assert_eq!(stage.virustotal.requests().len(), 0, "{cause}");

        let stage = Stage::new(&good, &bad).await?;
        let host = stage
            .host()?
            .variable("HTTPS_CA_CERTIFICATES", known.certificate());
        let run = refusal_of_the_platform(&host).await?;
        let errors = run.messages("ERROR").join("\n");
        for words in [
            "cannot reach OpenCTI",
            cause,
            "HTTPS_CA_CERTIFICATES",
            "OPENCTI_SSL_VERIFY",
        ] {
            assert!(errors.contains(words), "{words} in {errors}");
        }
        assert_eq!(stage.platform.requests().len(), 0, "{cause}");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_setting_nobody_of_our_own_is_believed() -> Result<()> {
    let authority = Authority::new()?;
    let identity = authority.sign(NAME)?;
    let stage = Stage::new(&identity, &identity).await?;
    let run = refusal_of_the_platform(&stage.host()?).await?;
    assert!(run.log.contains("UnknownIssuer"), "{}", run.log);
    assert_eq!(stage.platform.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_refused_by_the_name_of_their_setting() -> Result<()> {
    let authority = Authority::new()?;
    let identity = authority.sign(NAME)?;
    let stage = Stage::new(&identity, &identity).await?;
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let two = format!("{}{broken}", authority.certificate());
    for (setting, value, reason) in [
        (
            "HTTPS_CA_CERTIFICATES",
            "/nowhere.pem",
            "cannot read certificates from /nowhere.pem",
        ),
        (
            "HTTPS_CA_CERTIFICATES",
            two.as_str(),
            "cannot read certificates from the PEM text: certificate 2: ",
        ),
        (
            "OPENCTI_SSL_VERIFY",
            "/nowhere.pem",
            "cannot read certificates from /nowhere.pem",
        ),
    ] {
        let run = stage.host()?.variable(setting, value).run_once().await?;
        assert!(!run.success, "{setting}");
        let errors = run.messages("ERROR").join("\n");
        assert!(errors.contains(&format!("{setting}: {reason}")), "{errors}");
    }
    Ok(())
}
