//! The platform's API (`stixBundlePush`, protocol section 8).

use backon::Retryable;

use super::{Batch, Error};
use crate::opencti::{Client, Code, Feature, Work};

/// Hands batches to the platform, which queues them itself.
pub(super) struct Api {
    client: Client,
    connector_id: String,
}

impl Api {
    pub(super) fn new(client: Client, connector_id: String) -> Self {
        Self {
            client,
            connector_id,
        }
    }

    pub(super) async fn deliver(&self, batch: &Batch, work: Option<&Work>) -> Result<(), Error> {
        let work = work.filter(|_| self.client.pushes_with_work());
        let work_id = match work {
            Some(work) => work.id().await?,
            None => None,
        };
        let uncounted = work.filter(|_| work_id.is_some() && self.is_left_to_us(batch));
        if let Some(work) = uncounted {
            work.add_expectations(1).await?;
        }
        let bundle = batch.to_bundle_json();
        let result = (|| {
            self.client
                .push_bundle(&self.connector_id, &bundle, work_id.as_deref())
        })
        .retry(self.client.backoff())
        // Every failure inside the platform has this code here, also that its broker is away.
        .when(|error| error.code() == Some(&Code::Unsupported))
        .await;
        if let (Err(_), Some(work)) = (&result, uncounted)
            && let Err(error) = work.add_expectations(-1).await
        {
            tracing::debug!(%error, "cannot take back expectations");
        }
        Ok(result?)
    }

    /// The platform or its workers add the expectations, except for a single object up to 7.260817.0.
    fn is_left_to_us(&self, batch: &Batch) -> bool {
        batch.len() == 1 && !self.client.version().has(Feature::SplitOnServer)
    }
}
