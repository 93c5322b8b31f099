//! OpenCTI: whether it answers, takes the token, is new enough, and lets the account do what a connector does.

use super::local::Basis;
use super::report::Check;
use super::{NO_NETWORK, Patience, REFUSED};
use crate::cli::connect::USER_AGENT;
use crate::opencti::{Account, Client, Error, Purpose, Registration, Sight, Version};
use crate::pipeline::hidden_marking;

const REACHED: &str = "opencti";
const TOKEN: &str = "opencti-token";
const VERSION: &str = "opencti-version";
const CAPABILITIES: &str = "opencti-capabilities";
const REGISTRATION: &str = "opencti-registration";
const MARKINGS: &str = "opencti-markings";

const NO_ACCOUNT: &str = "the account of the token is not known";

/// The platform would be told a name that is not known without the guest.
const NO_NAME: &str = "the connector has no name without the guest";

/// The platform would take the administrator of OPENCTI_TOKEN for the connector's account.
const ONLY_RUN: &str = "the connector must be registered, which with CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT only `run` does";

/// A platform that a connector can work with, or why this is none.
pub(super) type Usable = Result<Platform, &'static str>;

pub(super) struct Platform {
    pub(super) client: Client,
    /// The rest of it.
    pub(super) patience: Patience,
    /// What it told when it registered the connector, or why it did not.
    pub(super) registration: Result<Registration, &'static str>,
}

/// Six lines.
pub(super) async fn check(basis: &Basis) -> (Vec<Check>, Usable) {
    let unusable = |first: Vec<Check>, reason| (skip_rest(first, reason), Err(reason));
    let Some(settings) = &basis.parts.opencti else {
        return unusable(Vec::new(), REFUSED);
    };
    let Some(http) = &basis.http else {
        return unusable(Vec::new(), NO_NETWORK);
    };
    let client = match Client::new(settings, http, USER_AGENT) {
        Ok(client) => client,
        Err(error) => {
            let failed = Check::failed(REACHED, error.setting(), &error);
            return unusable(vec![failed], REFUSED);
        }
    };
    let patience = Patience::begin();
    // Its answer shows all that a first request can: address, network, GraphQL and, on newer releases, the token.
    let version = match patience.wait(client.read_version()).await {
        Ok(Err(error)) if error.is_about_account() => Err(error),
        Ok(Err(error)) => {
            let failed = Check::failed(REACHED, error.setting(), error);
            return unusable(vec![failed], "OpenCTI does not answer");
        }
        Ok(version) => version,
        Err(late) => {
            let failed = Check::failed(REACHED, Some("OPENCTI_URL"), late);
            return unusable(vec![failed], "OpenCTI does not answer");
        }
    };
    let address = settings.url.as_str().trim_end_matches('/');
    let mut checks = vec![Check::ok(REACHED, format!("{address} answers"))];
    let version = match version {
        Ok(version) if version < Version::FIRST_SUPPORTED => {
            let reason = "OpenCTI is too old";
            checks.push(Check::skipped(TOKEN, reason));
            checks.push(too_old(version));
            return unusable(checks, reason);
        }
        version => version,
    };
    let account = async {
        let version = version?;
        Ok((version, client.account().await?))
    };
    let (version, account) = match patience.wait(account).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            checks.push(failed_token(&error));
            let reason = match error.is_about_account() {
                true => "the token is not accepted",
                false => NO_ACCOUNT,
            };
            return unusable(checks, reason);
        }
        Err(late) => {
            checks.push(Check::failed(TOKEN, None, late));
            return unusable(checks, NO_ACCOUNT);
        }
    };
    checks.push(Check::ok(TOKEN, format!("account {:?}", account.name)));
    if let Some(connector) = &basis.parts.connector
        && let Err(error) = client.check_release(connector)
    {
        checks.push(Check::failed(VERSION, error.setting(), error));
        return unusable(checks, "OpenCTI is too old");
    }
    checks.push(Check::ok(VERSION, version));
    checks.push(capabilities(&account, basis));
    if !account.lacks(Purpose::Connector).is_empty() {
        return unusable(checks, "the account lacks a capability");
    }
    let (check, registration) = register(&client, patience, basis).await;
    checks.push(check);
    checks.push(markings(&client, patience, basis).await);
    let platform = Platform {
        client,
        patience,
        registration,
    };
    (checks, Ok(platform))
}

/// Registers the connector with the call that `run` makes, which changes nothing where it is registered already.
async fn register(
    client: &Client,
    patience: Patience,
    basis: &Basis,
) -> (Check, Result<Registration, &'static str>) {
    let skipped = |reason| (Check::skipped(REGISTRATION, reason), Err(reason));
    let Some(connector) = &basis.parts.connector else {
        return skipped(REFUSED);
    };
    if basis.prefix.is_none() {
        return skipped(NO_NAME);
    }
    if connector.service_account.is_some() {
        return skipped(ONLY_RUN);
    }
    let words = match patience.wait(client.register_once(connector)).await {
        Ok(Ok(registration)) => {
            let words = format!("registered as {:?}", connector.name);
            return (Check::ok(REGISTRATION, words), Ok(registration));
        }
        Ok(Err(error)) => Check::failed(REGISTRATION, error.setting(), error),
        Err(late) => Check::failed(REGISTRATION, None, late),
    };
    (words, Err("OpenCTI does not register the connector"))
}

fn too_old(version: Version) -> Check {
    let first = Version::FIRST_SUPPORTED;
    let words = format!("{version} is too old: this connector needs OpenCTI {first} or newer");
    Check::failed(VERSION, None, words)
}

fn failed_token(error: &Error) -> Check {
    Check::failed(TOKEN, error.setting(), error)
}

fn capabilities(account: &Account, basis: &Basis) -> Check {
    let connector = basis.parts.connector.as_ref();
    let has_works = connector.is_none_or(|it| it.sinks.queue.is_some());
    if connector.is_some_and(|it| it.service_account.is_some()) {
        return service_account(account);
    }
    let mut missing = account.lacks(Purpose::Connector);
    if has_works {
        missing.extend(account.lacks(Purpose::Works));
    }
    if has_works && connector.is_some_and(|it| it.validate_before_import) {
        missing.extend(account.lacks(Purpose::Drafts));
    }
    missing.sort_unstable();
    missing.dedup();
    let advice = "put the account into the group Connectors";
    if !missing.is_empty() {
        let words = format!("missing: {}; {advice}", missing.join(", "));
        return Check::failed(CAPABILITIES, Some("OPENCTI_TOKEN"), words);
    }
    let parts = [
        (
            Purpose::Watching,
            "runs are not held back while the queue is full, a deleted work is not noticed, and nothing is tried again by `retry`",
        ),
        (
            Purpose::Files,
            "no files are copied, should the guest want that",
        ),
    ];
    let lost: Vec<String> = parts
        .into_iter()
        .map(|(purpose, lost)| (account.lacks(purpose), lost))
        .filter(|(missing, _)| !missing.is_empty())
        .map(|(missing, lost)| format!("without {} {lost}", missing.join(" and ")))
        .collect();
    if lost.is_empty() {
        return Check::ok(CAPABILITIES, "all that a connector needs");
    }
    let words = format!("{}; {advice}", lost.join("; "));
    Check::warning(CAPABILITIES, Some("OPENCTI_TOKEN"), words)
}

/// Where the connector works as an account of its own, which the platform's group gives all that it needs.
fn service_account(account: &Account) -> Check {
    let missing = account.lacks(Purpose::ServiceAccount);
    if missing.is_empty() {
        return Check::ok(CAPABILITIES, "may make an account for the connector");
    }
    let words = format!(
        "missing: {}; only an administrator's token makes an account for the connector",
        missing.join(", ")
    );
    Check::failed(CAPABILITIES, Some("OPENCTI_TOKEN"), words)
}

/// Whether the account may use the markings that the guest's settings choose.
async fn markings(client: &Client, patience: Patience, basis: &Basis) -> Check {
    let Some(pool) = &basis.guest else {
        return Check::skipped(MARKINGS, "the guest, which names them, is not ready");
    };
    let connector = basis.parts.connector.as_ref();
    if connector.is_some_and(|it| it.service_account.is_some()) {
        return Check::skipped(MARKINGS, "`run` makes the account that must see them");
    }
    if connector.is_some_and(|it| it.sinks.queue.is_none()) {
        return Check::skipped(MARKINGS, "no objects go to OpenCTI");
    }
    let preamble = match pool.with(|mapper| mapper.preamble()) {
        Ok(Some(preamble)) => preamble,
        Ok(None) => return Check::skipped(MARKINGS, "the guest does not tell them before it runs"),
        Err(error) => return Check::failed(MARKINGS, Some("CONNECTOR_GUEST"), error),
    };
    let mut seen = Vec::new();
    for marking in &preamble.markings {
        let sight = match patience.wait(client.sight(&marking.id)).await {
            Ok(Ok(sight)) => sight,
            Ok(Err(error)) => return Check::failed(MARKINGS, error.setting(), error),
            Err(late) => return Check::failed(MARKINGS, None, late),
        };
        if let Some(words) = hidden_marking(&sight, marking, pool.guest()) {
            return Check::failed(MARKINGS, Some("OPENCTI_TOKEN"), words);
        }
        if sight == Sight::Unknown {
            let words = format!(
                "{} ({}) is not on OpenCTI: add it there, and allow it in a group of the account",
                marking.name, marking.id
            );
            return Check::warning(MARKINGS, None, words);
        }
        seen.push(marking.name.as_str());
    }
    Check::ok(MARKINGS, format!("the account sees {}", seen.join(", ")))
}

/// The lines that are still missing, as skipped.
fn skip_rest(mut checks: Vec<Check>, reason: &str) -> Vec<Check> {
    let names = [
        REACHED,
        TOKEN,
        VERSION,
        CAPABILITIES,
        REGISTRATION,
        MARKINGS,
    ];
    let rest = names.into_iter().skip(checks.len());
    checks.extend(rest.map(|name| Check::skipped(name, reason)));
    checks
}
