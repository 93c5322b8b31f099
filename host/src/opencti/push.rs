//! Sending a bundle through the API (protocol section 8).

use serde::Serialize;
use serde::de::IgnoredAny;

use super::client::{Client, Retry};
use super::error::Error;
use super::operations::{BUNDLE_PUSH, Variant};

#[derive(Serialize)]
struct Variables<'a> {
    #[serde(rename = "connectorId")]
    connector_id: &'a str,
    bundle: &'a str,
    #[serde(rename = "workId", skip_serializing_if = "Option::is_none")]
    work_id: Option<&'a str>,
}

impl Client {
    /// Whether the platform puts a pushed bundle on a given work (since 6.5.7); below, it opens a work of
    /// its own for each bundle.
    #[must_use]
    pub fn pushes_with_work(&self) -> bool {
        self.variant(&BUNDLE_PUSH)
            .is_ok_and(|variant| Some(variant) == newest())
    }

    /// Hands a bundle to the platform, which queues it for its workers.
    ///
    /// # Errors
    /// When the platform does not answer after retries, refuses, or is older than 6.2.6.
    pub async fn push_bundle(
        &self,
        connector_id: &str,
        bundle: &str,
        work_id: Option<&str>,
    ) -> Result<(), Error> {
        // Repeated without harm: ids are deterministic.
        let _: IgnoredAny = self
            .call(&BUNDLE_PUSH, Retry::Transient, |variant| Variables {
                connector_id,
                bundle,
                work_id: work_id.filter(|_| Some(variant) == newest()),
            })
            .await?;
        Ok(())
    }
}

fn newest() -> Option<&'static Variant> {
    BUNDLE_PUSH.variants().first()
}
