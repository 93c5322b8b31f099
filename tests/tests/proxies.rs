//! The way out through a real proxy.

use anyhow::Result;
use connector_tests::certificates::Authority;
use connector_tests::fixtures::Scenario;
use connector_tests::host::{Finished, Host};
use connector_tests::secrets::Secrets;
use connector_tests::tinyproxy::Tinyproxy;
use connector_tests::tls::Https;
use connector_tests::virustotal::World;
use connector_tests::{opencti, virustotal};

const USER: &str = "user-of-the-proxy";
const PASSWORD: &str = "password-of-the-proxy";

/// Three notifications of files.
fn world() -> World {
    let scenario = Scenario {
        mixed: false,
        ..Scenario::of_today(3)
    };
    scenario.world()
}

struct Stage {
    virustotal: virustotal::Server,
    platform: opencti::Server,
}

impl Stage {
    async fn new() -> Result<Self> {
        Ok(Self {
            virustotal: virustotal::Server::start(world()).await?,
            platform: opencti::Server::start(opencti::Options::default()).await?,
        })
    }

    fn host(&self) -> Result<Host> {
        Host::new(&self.virustotal, &self.platform)
    }

    /// Addresses of both peers as they are.
    fn addresses(&self) -> [String; 2] {
        [self.virustotal.api_url(), self.platform.url()]
    }

    /// How many requests came with what a proxy adds, to VirusTotal and to the platform, of how many.
    fn through_a_proxy(&self) -> [(usize, usize); 2] {
        let of_virustotal = self.virustotal.requests();
        let of_platform = self.platform.requests();
        let via =
            |header: Option<&str>| usize::from(header.is_some_and(|it| it.contains("tinyproxy")));
        [
            (
                of_virustotal.iter().map(|it| via(it.header("via"))).sum(),
                of_virustotal.len(),
            ),
            (
                of_platform
                    .iter()
                    .map(|it| via(it.http.header("via")))
                    .sum(),
                of_platform.len(),
            ),
        ]
    }
}

fn assert_delivered(run: &Finished, case: &str) {
    assert!(run.success, "{case}: {}", run.log);
    assert!(
        run.summary()
            .starts_with("3 notifications read: 3 delivered"),
        "{case}: {}",
        run.log
    );
}

fn with_login(proxy: &Tinyproxy, password: &str) -> String {
    format!("http://{USER}:{password}@{}", proxy.address())
}

#[tokio::test]
async fn plain_addresses_are_asked_through_the_proxy_of_http_proxy() -> Result<()> {
    let Some(proxy) = Tinyproxy::start(None).await? else {
        return Ok(());
    };
    // The second is how pycti's users write it, and how curl does.
    for (name, scheme) in [("HTTP_PROXY", "http://"), ("http_proxy", "")] {
        let stage = Stage::new().await?;
        let address = format!("{scheme}{}", proxy.address());
        let run = stage.host()?.variable(name, address).run_once().await?;
        assert_delivered(&run, name);
        for (through, all) in stage.through_a_proxy() {
            assert!(all > 0 && through == all, "{name}: {through} of {all}");
        }
        for address in stage.addresses() {
            let asked = proxy.requests().into_iter();
            let asked = asked
                .filter(|it| it.contains(&format!(" {address}")))
                .count();
            assert!(asked > 0, "{name}: {address} in {:?}", proxy.requests());
        }
    }
    Ok(())
}

#[tokio::test]
async fn https_goes_through_a_tunnel_in_which_alone_the_secrets_are() -> Result<()> {
    let Some(proxy) = Tinyproxy::start(Some((USER, PASSWORD))).await? else {
        return Ok(());
    };
    let stage = Stage::new().await?;
    let authority = Authority::new()?;
    let identity = authority.sign("localhost")?;
    let before_virustotal = Https::before(&stage.virustotal.api_url(), &identity).await?;
    let before_platform = Https::before(&stage.platform.url(), &identity).await?;
    let host = stage
        .host()?
        .setting("API_URL", before_virustotal.url())
        .variable("OPENCTI_URL", before_platform.url())
        .variable("HTTPS_CA_CERTIFICATES", authority.certificate());
    for name in ["HTTPS_PROXY", "https_proxy"] {
        let deliveries = stage.platform.requests().len();
        let address = with_login(&proxy, PASSWORD);
        let run = host.clone().variable(name, address).run_once().await?;
        assert!(run.success, "{name}: {}", run.log);
        assert!(stage.platform.requests().len() > deliveries, "{name}");
    }
    let mut tunnels = proxy.requests();
    tunnels.sort_unstable();
    tunnels.dedup();
    let mut expected = [&before_virustotal, &before_platform].map(|it| {
        let address = it.url().replace("https://", "").replace("/api/v3", "");
        format!("CONNECT {address}")
    });
    expected.sort_unstable();
    assert_eq!(tunnels, expected);

    let mut secrets = Secrets::default();
    secrets.add("key", stage.virustotal.api_key());
    secrets.add("token", stage.platform.token());
    assert!(secrets.shown_in(&proxy.wire()).is_empty());
    // The search works: what the proxy itself is told is found.
    secrets.add("login", &format!("{USER}:{PASSWORD}"));
    assert_eq!(secrets.shown_in(&proxy.wire()), ["login"]);
    Ok(())
}

#[tokio::test]
async fn no_proxy_names_who_is_asked_directly() -> Result<()> {
    let Some(proxy) = Tinyproxy::start(None).await? else {
        return Ok(());
    };
    for (name, value, host, direct) in [
        ("NO_PROXY", "localhost", "localhost", true),
        (
            "no_proxy",
            "elsewhere.example, localhost",
            "localhost",
            true,
        ),
        ("NO_PROXY", ".localhost", "localhost", true),
        ("NO_PROXY", "host", "localhost", false),
        ("NO_PROXY", "127.0.0.1", "127.0.0.1", true),
        ("NO_PROXY", "127.0.0.0/8", "127.0.0.1", true),
        ("NO_PROXY", "10.0.0.0/8,localhost", "127.0.0.1", false),
        ("NO_PROXY", "*", "127.0.0.1", true),
    ] {
        let stage = Stage::new().await?;
        let before = proxy.requests().len();
        let [virustotal, platform] = stage.addresses().map(|it| it.replace("127.0.0.1", host));
        let run = stage
            .host()?
            .setting("API_URL", virustotal)
            .variable("OPENCTI_URL", platform)
            .variable("HTTP_PROXY", format!("http://{}", proxy.address()))
            .variable(name, value)
            .run_once()
            .await?;
        assert_delivered(&run, value);
        for (through, all) in stage.through_a_proxy() {
            let expected = if direct { 0 } else { all };
            assert_eq!(through, expected, "{name}={value} for {host}");
        }
        assert_eq!(proxy.requests().len() == before, direct, "{value}");
    }
    Ok(())
}

#[tokio::test]
async fn a_proxy_gets_its_login_and_says_no_without() -> Result<()> {
    let Some(proxy) = Tinyproxy::start(Some((USER, PASSWORD))).await? else {
        return Ok(());
    };
    let stage = Stage::new().await?;
    let authority = Authority::new()?;
    let identity = authority.sign("localhost")?;
    let before_virustotal = Https::before(&stage.virustotal.api_url(), &identity).await?;
    let host = stage
        .host()?
        .variable("HTTPS_CA_CERTIFICATES", authority.certificate());
    let run = host
        .clone()
        .variable("HTTP_PROXY", with_login(&proxy, PASSWORD))
        .run_once()
        .await?;
    assert_delivered(&run, "with the login");

    let wrong = with_login(&proxy, "a-wrong-password-of-it");
    let tunnel = host
        .clone()
        .variable("NO_PROXY", "127.0.0.1")
        .setting("API_URL", before_virustotal.url());
    for (host, name, words) in [
        (host, "HTTP_PROXY", "a proxy wants a login: check"),
        (
            tunnel,
            "HTTPS_PROXY",
            "cannot reach localhost: the proxy refuses",
        ),
    ] {
        let mut running = host.variable(name, &wrong).start(&["run", "--once"])?;
        running.until_logged(words).await?;
        running.terminate()?;
        let run = running.finish().await?;
        let told = [run.messages("WARNING"), run.messages("ERROR")].concat();
        assert!(told.join("\n").contains(name), "{told:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_proxy_that_is_down_is_named_by_its_setting_and_without_its_login() -> Result<()> {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{USER}:{PASSWORD}@{}", free.local_addr()?);
    drop(free);
    let stage = Stage::new().await?;
    let host = stage.host()?;
    let https = "https://platform.invalid";
    for (name, url) in [
        ("HTTP_PROXY", stage.platform.url()),
        ("HTTPS_PROXY", https.to_owned()),
    ] {
        let host = host
            .clone()
            .variable("OPENCTI_URL", url)
            .variable(name, &address);
        let mut running = host.start(&["run", "--once"])?;
        running
            .until_logged("waiting for OpenCTI: cannot reach OpenCTI: connection refused")
            .await?;
        running.terminate()?;
        let run = running.finish().await?;
        let warnings = run.messages("WARNING").join("\n");
        assert!(warnings.contains(name), "{warnings}");
    }
    assert_eq!(stage.platform.requests().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_refused_and_not_passed_over() -> Result<()> {
    let stage = Stage::new().await?;
    for (name, value) in [
        ("HTTP_PROXY", "http://user:password-of-it@proxy:port"),
        ("HTTPS_PROXY", "socks5://user:password-of-it@proxy:1080"),
        ("all_proxy", "ftp://proxy:21"),
    ] {
        let run = stage.host()?.variable(name, value).run_once().await?;
        assert!(!run.success, "{name}");
        let errors = run.messages("ERROR").join("\n");
        let expected = format!(
            "{}: the text is not the address of a proxy",
            name.to_uppercase()
        );
        assert!(errors.starts_with(&expected), "{errors}");
    }
    assert_eq!(stage.through_a_proxy(), [(0, 0), (0, 0)]);
    Ok(())
}
