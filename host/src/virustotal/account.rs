//! What the key's account has left (API v3, "Get a user's overall quotas").

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::Client;
use super::error::Error;

/// Most bytes read of an answer: a few lines a kind of quota.
const MAX_ANSWER: u64 = 1_000_000;

/// Requests to the API within a time, in whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Allowance {
    /// As many as are allowed.
    pub allowed: u64,
    /// As many as were sent.
    pub used: u64,
}

impl Allowance {
    /// As many as are left.
    #[must_use]
    pub fn left(self) -> u64 {
        self.allowed.saturating_sub(self.used)
    }
}

/// What is left of the requests to the API, in UTC; none where VirusTotal does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Of this hour.
    pub hour: Option<Allowance>,
    /// Of this day.
    pub day: Option<Allowance>,
    /// Of this month.
    pub month: Option<Allowance>,
}

#[derive(Deserialize)]
struct Answer {
    data: Overall,
}

#[derive(Deserialize)]
struct Overall {
    api_requests_hourly: Option<Shares>,
    api_requests_daily: Option<Shares>,
    api_requests_monthly: Option<Shares>,
}

#[derive(Deserialize)]
struct Shares {
    user: Option<Allowance>,
    /// Of all users of the group together.
    group: Option<Allowance>,
}

impl Shares {
    /// What ends first.
    fn scarcest(self) -> Option<Allowance> {
        let both = self.user.into_iter().chain(self.group);
        both.min_by_key(|allowance| allowance.left())
    }
}

impl Client {
    /// What is left of the key's requests, asked once; it costs none. The user is named by the key, which therefore
    /// stands in the address: VirusTotal has no other name for the user of a key.
    ///
    /// # Errors
    /// When VirusTotal does not answer, or does not accept the key.
    pub async fn quotas(&self) -> Result<Quotas, Error> {
        let path = format!(
            "users/{}/overall_quotas",
            self.inner.key_in_path.expose_secret()
        );
        let body = self
            .transport()
            .once(&Method::GET, &path, &[], MAX_ANSWER)
            .await?;
        let answer = self.json_object(body)?;
        let Answer { data } = serde_json::from_str(&answer).map_err(Error::malformed_json)?;
        let scarcest = |shares: Option<Shares>| shares.and_then(Shares::scarcest);
        Ok(Quotas {
            hour: scarcest(data.api_requests_hourly),
            day: scarcest(data.api_requests_daily),
            month: scarcest(data.api_requests_monthly),
        })
    }
}

pub(super) fn key_in_path(key: &SecretString) -> SecretString {
    utf8_percent_encode(key.expose_secret(), NON_ALPHANUMERIC)
        .to_string()
        .into()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Reply, Server, client};
    use super::*;

    fn of(allowed: u64, used: u64) -> Option<Allowance> {
        Some(Allowance { allowed, used })
    }

    #[tokio::test]
    async fn what_ends_first_counts() {
        let documented =
            include_str!("../../../tests/fixtures/virustotal/user_overall_quotas.json");
        for (body, expected) in [
            (
                documented,
                Quotas {
                    hour: of(60_000, 120),
                    day: of(500, 499),
                    month: of(15_500, 14_001),
                },
            ),
            (
                r#"{"data":{"api_requests_daily":{"user":{"allowed":9,"used":1},"group":{"allowed":9,"used":10}}}}"#,
                Quotas {
                    day: of(9, 10),
                    ..Quotas::default()
                },
            ),
            (r#"{"data":{"api_requests_monthly":{}}}"#, Quotas::default()),
        ] {
            let server = Server::always(Reply::json(200, body)).await;
            assert_eq!(client(&server).quotas().await, Ok(expected), "{body}");
            assert_eq!(
                server.lines(),
                ["GET /api/v3/users/secret%2Dkey/overall_quotas"]
            );
        }
        assert_eq!(of(9, 10).map(Allowance::left), Some(0));
    }

    #[tokio::test]
    async fn what_fails_is_asked_once_and_the_key_in_its_path_is_not_shown() {
        let told =
            r#"{"error":{"code":"NotFoundError","message":"User secret%2Dkey, secret-key"}}"#;
        for (reply, shown) in [
            (Reply::json(404, told), "(NotFoundError: User [key], [key])"),
            (Reply::html(502), "answered 502"),
            (Reply::no_answer(), "cannot reach 127.0.0.1"),
        ] {
            let server = Server::always(reply).await;
            let error = client(&server).quotas().await.unwrap_err();
            let words = format!("{error} {error:?}");
            assert!(words.contains(shown), "{words}");
            assert!(!words.contains("secret"), "{words}");
            assert_eq!(server.requests().len(), 1);
        }
    }
}
