//! VirusTotal: whether it answers, takes the key, has quota left, and shows what the guest reads.

use std::time::Duration;

use jiff::Timestamp;

use super::local::Basis;
use super::report::Check;
use super::{NO_NETWORK, Patience, REFUSED};
use crate::config::Source;
use crate::date::seconds;
use crate::pipeline;
use crate::runtime::Pool;
use crate::virustotal::{Allowance, Client, Error, Quotas};

const REACHED: &str = "virustotal";
const KEY: &str = "virustotal-key";
const QUOTA: &str = "virustotal-quota";
const FEED: &str = "virustotal-feed";

/// Less than this part of a quota is little.
const LITTLE: u64 = 10;

/// How far back a connector that starts now might read.
const BACK: Duration = Duration::from_secs(600);

/// Four lines.
pub(super) async fn check(basis: &Basis) -> Vec<Check> {
    let source = match (&basis.parts.source, &basis.prefix) {
        (Some(source), _) => source,
        (None, Some(_)) => return skipped(&[REACHED, KEY, QUOTA, FEED], REFUSED),
        (None, None) => {
            let reason = "the names of its settings are not known without the guest";
            return skipped(&[REACHED, KEY, QUOTA, FEED], reason);
        }
    };
    let Some(http) = &basis.http else {
        return skipped(&[REACHED, KEY, QUOTA, FEED], NO_NETWORK);
    };
    // Two requests are no burden, and are not to wait a minute for each other.
    let source = Source {
        requests_per_minute: None,
        ..source.clone()
    };
    match Client::new(&source, http) {
        Ok(client) => ask(basis, &source, &client).await,
        Err(error) => {
            let setting = error.setting().map(|name| basis.setting_of_source(name));
            let mut checks = vec![Check::failed(REACHED, setting.as_deref(), error)];
            checks.extend(skipped(&[KEY, QUOTA, FEED], REFUSED));
            checks
        }
    }
}

async fn ask(basis: &Basis, source: &Source, client: &Client) -> Vec<Check> {
    let patience = Patience::begin();
    let host = source.api_url.host_str().unwrap_or_default();
    let no_answer = |failed: Check| {
        let rest = skipped(&[KEY, QUOTA, FEED], "VirusTotal does not answer");
        [failed].into_iter().chain(rest).collect()
    };
    let answer = match patience.wait(client.quotas()).await {
        Ok(Err(error)) if !error.is_answer() => return no_answer(failed(basis, REACHED, &error)),
        Ok(answer) => answer,
        Err(late) => {
            let setting = basis.setting_of_source("API_URL");
            return no_answer(Check::failed(REACHED, Some(&setting), late));
        }
    };
    let mut checks = vec![Check::ok(REACHED, format!("{host} answers"))];
    let key = match &answer {
        Err(error) if error.is_transient() => {
            Check::skipped(KEY, "VirusTotal is out of order, and did not look at it")
        }
        // Whatever else VirusTotal refuses, it looks at the key first.
        _ => Check::ok(KEY, "accepted"),
    };
    let (quota, is_empty) = match answer {
        Ok(quotas) => quota_line(basis, quotas),
        Err(error @ Error::Unauthorized { .. }) => {
            checks.push(failed(basis, KEY, &error));
            checks.extend(skipped(&[QUOTA, FEED], "the key is not accepted"));
            return checks;
        }
        Err(error @ Error::QuotaExceeded { .. }) => (failed(basis, QUOTA, &error), true),
        Err(error) => {
            let words = format!("VirusTotal does not tell what is left: {error}");
            (Check::warning(QUOTA, None, words), false)
        }
    };
    checks.push(key);
    checks.push(quota);
    checks.push(match (&basis.guest, is_empty) {
        (_, true) => Check::skipped(FEED, "the quota is used up"),
        (None, _) => Check::skipped(FEED, "the guest, which names it, is not ready"),
        (Some(guest), _) => read_feed(basis, guest, client, patience).await,
    });
    checks
}

/// The line, and whether nothing is left.
fn quota_line(basis: &Basis, quotas: Quotas) -> (Check, bool) {
    let told: Vec<(&str, Allowance)> = [
        ("this hour", quotas.hour),
        ("today (UTC)", quotas.day),
        ("this month", quotas.month),
    ]
    .into_iter()
    .filter_map(|(time, allowance)| Some((time, allowance?)))
    .collect();
    if told.is_empty() {
        let words = "VirusTotal does not tell what is left";
        return (Check::warning(QUOTA, None, words), false);
    }
    let parts: Vec<String> = told
        .iter()
        .map(|(time, quota)| format!("{} of {} {time}", quota.left(), quota.allowed))
        .collect();
    let words = format!("requests left: {}", parts.join(", "));
    let key = basis.setting_of_source("API_KEY");
    let is_empty = told.iter().any(|(_, quota)| quota.left() == 0);
    let is_little = told
        .iter()
        .any(|(_, quota)| quota.left() < quota.allowed / LITTLE);
    let check = match (is_empty, is_little) {
        (true, _) => Check::failed(QUOTA, Some(&key), words),
        (false, true) => Check::warning(QUOTA, Some(&key), words),
        (false, false) => Check::ok(QUOTA, words),
    };
    (check, is_empty)
}

/// The right to what the guest reads shows only when that is read.
async fn read_feed(basis: &Basis, guest: &Pool, client: &Client, patience: Patience) -> Check {
    let now = seconds(Timestamp::now());
    let since = now.saturating_sub(BACK.as_secs());
    let request = match pipeline::feed_request(guest, since, now) {
        Ok(request) => request,
        Err(error) => return Check::failed(FEED, Some("CONNECTOR_GUEST"), error),
    };
    let path = request.path().as_str();
    match patience.wait(client.try_feed(&request)).await {
        Ok(Ok(())) => Check::ok(FEED, format!("{path} can be read")),
        Ok(Err(error)) => {
            let setting = error.setting().map(|name| basis.setting_of_source(name));
            let words = format!("{path} cannot be read: {error}");
            Check::failed(FEED, setting.as_deref(), words)
        }
        Err(late) => Check::failed(FEED, None, format!("{path} cannot be read: {late}")),
    }
}

fn failed(basis: &Basis, name: &'static str, error: &Error) -> Check {
    let setting = error.setting().map(|name| basis.setting_of_source(name));
    Check::failed(name, setting.as_deref(), error)
}

fn skipped(names: &[&'static str], reason: &str) -> Vec<Check> {
    let checks = names.iter().map(|name| Check::skipped(name, reason));
    checks.collect()
}
