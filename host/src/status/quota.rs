//! What is left of the source's quota, asked now and then.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::virustotal::{Allowance, Client, Quotas};

/// Time between two questions. They cost nothing of the quota, and a day's is not used up in it unseen.
const INTERVAL: Duration = Duration::from_secs(15 * 60);

/// One kind of quota.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Quota {
    /// As VirusTotal calls it.
    pub(super) name: &'static str,
    #[serde(flatten)]
    pub(super) allowance: Allowance,
    asked: Timestamp,
}

/// The quotas as last told. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Told(Arc<Mutex<Vec<Quota>>>);

impl Told {
    pub(super) fn latest(&self) -> Vec<Quota> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Asks now, and again and again until stopped. What cannot be told leaves what was told before.
    pub(super) async fn keep_asking(self, source: Client, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(INTERVAL);
        let asking = async {
            loop {
                ticks.tick().await;
                match source.quotas().await {
                    Ok(quotas) => self.note(quotas),
                    Err(error) => tracing::debug!(%error, "cannot ask for the quota"),
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = asking => {}
        }
    }

    fn note(&self, quotas: Quotas) {
        let asked = Timestamp::now();
        let named = [
            ("api_requests_hourly", quotas.hour),
            ("api_requests_daily", quotas.day),
            ("api_requests_monthly", quotas.month),
        ];
        let told = named.into_iter().filter_map(|(name, allowance)| {
            Some(Quota {
                name,
                allowance: allowance?,
                asked,
            })
        });
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = told.collect();
    }
}
