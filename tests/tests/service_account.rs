//! The connector makes an account of its own, and works as that.

use anyhow::{Context as _, Result};
use connector_tests::fault::{Fault, field};
use connector_tests::fixtures::Scenario;
use connector_tests::host::Host;
use connector_tests::opencti::{Account, Options, error_body};
use connector_tests::{opencti, virustotal};
use serde_json::json;

struct Stage {
    virustotal: virustotal::Server,
    platform: opencti::Server,
}

impl Stage {
    async fn new(options: Options) -> Result<Self> {
        let scenario = Scenario {
            mixed: false,
            ..Scenario::of_today(3)
        };
        Ok(Self {
            virustotal: virustotal::Server::start(scenario.world()).await?,
            platform: opencti::Server::start(options).await?,
        })
    }

    fn host(&self) -> Result<Host> {
        Ok(Host::new(&self.virustotal, &self.platform)?
            .variable("CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT", "true"))
    }

    /// The one account.
    fn account(&self) -> Result<Account> {
        let mut accounts = self.platform.read(|platform| platform.accounts.clone());
        let account = accounts.pop().context("no account")?;
        assert!(accounts.is_empty(), "{} more", accounts.len());
        Ok(account)
    }
}

#[tokio::test]
async fn the_first_start_makes_the_account_and_works_as_it() -> Result<()> {
    let stage = Stage::new(Options::default().administrator()).await?;
    let run = stage
        .host()?
        .variable(
            "CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT_CONFIDENCE_LEVEL",
            "80",
        )
        .run_once()
        .await?;
    assert!(run.success, "{}", run.log);
    assert!(
        run.summary()
            .starts_with("3 notifications read: 3 delivered"),
        "{}",
        run.log
    );
    let account = stage.account()?;
    let groups = account.input["groups"].clone();
    assert_eq!(
        account.input,
        json!({
            "name": "[C] VirusTotal Livehunt Notifications",
            "user_email": "virustotal-livehunt-notifications@connector.octi.filigran.io",
            "user_service_account": true, "groups": groups,
            "user_confidence_level": {"max_confidence": 80, "overrides": []},
        })
    );
    let [(_, name, token)] = account.tokens.as_slice() else {
        panic!("{:?}", account.tokens);
    };
    assert_eq!(name, "Connector auto generated token");
    // All that follows is done as that account.
    let bearer = format!("Bearer {token}");
    let registered = stage
        .platform
        .requests()
        .iter()
        .position(|it| it.fields == ["registerConnector"])
        .context("not registered")?;
    for request in &stage.platform.requests()[registered..] {
        let authorization = request.http.header("authorization");
        assert_eq!(authorization, Some(bearer.as_str()), "{:?}", request.fields);
    }
    for delivery in stage.platform.deliveries() {
        assert_eq!(delivery.applicant_id, Some(account.id.clone()));
    }
    for request in stage.virustotal.requests() {
        assert!(request.headers.values().all(|value| !value.contains(token)));
    }
    Ok(())
}

#[tokio::test]
async fn a_second_start_renews_the_token_of_the_same_account() -> Result<()> {
    let stage = Stage::new(Options::default().administrator()).await?;
    let run = stage.host()?.run_once().await?;
    assert!(run.success, "{}", run.log);
    let first = stage.account()?;
    // A token that somebody else made for the account stays.
    stage.platform.edit(|platform| {
        let of_another = ("id".to_owned(), "mine".to_owned(), "another".to_owned());
        platform.accounts[0].tokens.push(of_another);
    });
    let run = stage.host()?.run_once().await?;
    assert!(run.success, "{}", run.log);
    let second = stage.account()?;
    assert_eq!(second.id, first.id);
    let names: Vec<_> = second.tokens.iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["mine", "Connector auto generated token"]);
    assert_ne!(second.tokens[1].2, first.tokens[0].2);
    // The state is that of the connector, whoever it works as.
    assert!(
        run.summary().starts_with("0 notifications read"),
        "{}",
        run.summary()
    );
    Ok(())
}

#[tokio::test]
async fn what_fails_on_the_way_is_tried_again_and_makes_no_second_account() -> Result<()> {
    let stage = Stage::new(Options::default().administrator()).await?;
    let busy = Fault::Status(200, error_body("LOCK_ERROR", "busy"));
    stage.platform.fault(field("groups"), busy);
    // Has its effect, and the connector does not learn of it.
    stage.platform.fault(field("userAdd"), Fault::CutBody);
    stage
        .platform
        .fault(field("userAdminTokenAdd"), Fault::CutBody);
    let run = stage.host()?.run_once().await?;
    assert!(run.success, "{}", run.log);
    let account = stage.account()?;
    assert_eq!(account.tokens.len(), 1);
    assert_eq!(stage.platform.read(|platform| platform.faults.left()), 0);
    Ok(())
}

#[tokio::test]
async fn what_a_human_must_change_is_told_and_waited_for() -> Result<()> {
    // The role of connectors, which OPENCTI_TOKEN usually has.
    let stage = Stage::new(Options::default()).await?;
    let mut running = stage.host()?.start(&["run", "--once"])?;
    running
        .until_logged(
            "OPENCTI_TOKEN must be the token of an administrator (capability SETTINGS_SETACCESSES)",
        )
        .await?;
    running.end().await?;
    assert!(stage.platform.requests_of("registerConnector").is_empty());

    let stage = Stage::new(Options::default().administrator()).await?;
    let groups = stage
        .platform
        .edit(|platform| std::mem::take(&mut platform.groups));
    let mut running = stage.host()?.start(&["run", "--once"])?;
    running
        .until_logged("OpenCTI has no group \\\"Connectors\\\"")
        .await?;
    stage.platform.edit(|platform| platform.groups = groups);
    let run = running.finish().await?;
    assert!(run.success, "{}", run.log);
    stage.account()?;
    Ok(())
}

#[tokio::test]
async fn a_second_start_beside_the_first_is_told_to_the_first() -> Result<()> {
    let stage = Stage::new(Options::default().administrator()).await?;
    let host = stage.host()?.setting("INTERVAL_SEC", "1");
    let mut first = host.start(&["run"])?;
    first.until_logged("3 notifications read").await?;
    let second = host.run_once().await?;
    assert!(second.success, "{}", second.log);
    first
        .until_logged("is not accepted any more: restart it")
        .await?;
    assert!(
        !first.log().contains("set OPENCTI_TOKEN"),
        "{}",
        first.log()
    );
    first.kill().await
}

#[tokio::test]
async fn a_release_without_tokens_of_accounts_is_refused_by_the_setting() -> Result<()> {
    let stage = Stage::new(Options::version("6.9.22")?.administrator()).await?;
    let run = stage.host()?.run_once().await?;
    assert!(!run.success, "{}", run.log);
    assert_eq!(
        run.messages("ERROR"),
        [
            "CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT: this needs OpenCTI 7.260224.0 or newer, and this is 6.9.22"
        ]
    );
    Ok(())
}
