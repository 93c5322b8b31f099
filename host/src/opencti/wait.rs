//! Waiting for the platform at start: a connector that starts before its platform is not an error.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use secrecy::SecretString;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::error::Error;
use super::operations::{DRAFT_ADD, USER_TOKEN_ADD};
use super::registration::Registration;
use crate::config::{Connector, ServiceAccount};

/// The same reason is repeated in the log at most this often.
const REMIND: Duration = Duration::from_secs(60);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// Why waiting ended without what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum NotReady {
    /// The process is to end.
    #[error("stopped while waiting for OpenCTI")]
    Cancelled,
    /// The settings ask for what this release does not have.
    #[error(transparent)]
    Refused(Error),
}

/// Waits until the platform answers, takes the token, and registers the connector. What stands in the way
/// is logged when it changes, and then each minute: what passes by itself as a warning, what somebody must change as
/// an error. It is waited for all the same, since roles, tokens and connectors are mended on the platform.
///
/// # Errors
/// When cancelled, or refused by [`Client::check_release`].
pub async fn wait_for_platform(
    client: &Client,
    connector: &Connector,
    cancellation: &CancellationToken,
) -> Result<Registration, NotReady> {
    let register = async || {
        let version = client.read_version().await?;
        client.check_release(connector)?;
        let registration = client.register_once(connector).await?;
        tracing::info!(%version, "registered on OpenCTI");
        Ok(registration)
    };
    wait(client, cancellation, register).await
}

/// Waits in the same way until the connector has an account of its own, and returns a fresh token of it.
///
/// # Errors
/// As [`wait_for_platform`].
pub async fn wait_for_service_account(
    client: &Client,
    connector: &Connector,
    account: ServiceAccount,
    cancellation: &CancellationToken,
) -> Result<SecretString, NotReady> {
    let renew = async || {
        client.read_version().await?;
        client.check_release(connector)?;
        client
            .renew_service_account_once(&connector.name, account)
            .await
    };
    wait(client, cancellation, renew).await
}

impl Client {
    /// Whether the release that was last read has what the settings ask for.
    ///
    /// # Errors
    /// The setting that it is too old for.
    pub fn check_release(&self, connector: &Connector) -> Result<(), Error> {
        let version = self.version();
        let wanted = [
            (
                connector.service_account.is_some(),
                "CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT",
                &USER_TOKEN_ADD,
            ),
            (
                connector.validate_before_import && connector.sinks.queue.is_some(),
                "CONNECTOR_VALIDATE_BEFORE_IMPORT",
                &DRAFT_ADD,
            ),
        ];
        for (is_wanted, setting, operation) in wanted {
            let since = operation.oldest().map(|variant| variant.since);
            if let Some(since) = since.filter(|since| is_wanted && version < *since) {
                return Err(Error::TooOld {
                    setting,
                    version,
                    since,
                });
            }
        }
        Ok(())
    }
}

async fn wait<T>(
    client: &Client,
    cancellation: &CancellationToken,
    attempt: impl AsyncFn() -> Result<T, Error>,
) -> Result<T, NotReady> {
    let attempts = async {
        let mut delays = delays(client);
        let mut reason = LastReason::default();
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(error @ Error::TooOld { .. }) => return Err(NotReady::Refused(error)),
                Err(error) => reason.log(&error, Instant::now()),
            }
            tokio::time::sleep(delays.next().unwrap_or(LONGEST_DELAY)).await;
        }
    };
    tokio::select! {
        biased;
        () = cancellation.cancelled() => Err(NotReady::Cancelled),
        done = attempts => done,
    }
}

fn delays(client: &Client) -> impl Iterator<Item = Duration> {
    let endless: ExponentialBuilder = client
        .backoff()
        .with_max_delay(LONGEST_DELAY)
        .without_max_times();
    endless.build()
}

/// What was last logged, so that a log is not flooded while a platform boots.
#[derive(Debug, Default)]
struct LastReason {
    last: Option<(String, Instant)>,
}

impl LastReason {
    fn log(&mut self, error: &Error, now: Instant) {
        let text = error.to_string();
        if !self.is_news(&text, now) {
            return;
        }
        if error.needs_change() {
            tracing::error!("cannot use OpenCTI, trying again: {text}");
        } else {
            tracing::warn!("waiting for OpenCTI: {text}");
        }
        self.last = Some((text, now));
    }

    fn is_news(&self, text: &str, now: Instant) -> bool {
        self.last
            .as_ref()
            .is_none_or(|(last, at)| last != text || now.duration_since(*at) >= REMIND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_logged_when_it_changes_and_each_minute() {
        let start = Instant::now();
        let mut reason = LastReason::default();
        for (seconds, text, news) in [
            (0, "refused", true),
            (1, "refused", false),
            (59, "refused", false),
            (60, "refused", true),
            (61, "token", true),
            (62, "refused", true),
        ] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(reason.is_news(text, now), news, "{text} after {seconds} s");
            if news {
                reason.last = Some((text.to_owned(), now));
            }
        }
    }
}
