//! Waiting for the platform at start: a connector that starts before its platform is not an error.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::error::Error;
use super::registration::Registration;
use crate::config::Connector;

/// The same reason is repeated in the log at most this often.
const REMIND: Duration = Duration::from_secs(60);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// Waiting was given up because the process is to end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped while waiting for OpenCTI")]
pub struct Cancelled;

/// Waits until the platform answers, takes the token, and registers the connector. What stands in the way
/// is logged when it changes, and then each minute: what only time can mend as a warning, what a human must
/// change as an error. It is waited for all the same, since roles and tokens are mended on the platform.
///
/// # Errors
/// Only when cancelled.
pub async fn wait_for_platform(
    client: &Client,
    connector: &Connector,
    cancellation: &CancellationToken,
) -> Result<Registration, Cancelled> {
    let attempts = async {
        let mut delays = delays(client);
        let mut reason = LastReason::default();
        loop {
            match attempt(client, connector).await {
                Ok(registration) => return registration,
                Err(error) => reason.log(&error, Instant::now()),
            }
            tokio::time::sleep(delays.next().unwrap_or(LONGEST_DELAY)).await;
        }
    };
    tokio::select! {
        biased;
        () = cancellation.cancelled() => Err(Cancelled),
        registration = attempts => Ok(registration),
    }
}

async fn attempt(client: &Client, connector: &Connector) -> Result<Registration, Error> {
    let version = client.read_version().await?;
    let registration = client.register_once(connector).await?;
    tracing::info!(%version, "registered on OpenCTI");
    Ok(registration)
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
        if error.is_configuration() {
            tracing::error!("OpenCTI cannot be used: {text}");
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
