//! Whether the platform has an object.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::client::{Client, Retry};
use super::error::Error;
use super::operations::OBJECT_KNOWN;

#[derive(Serialize)]
struct Variables<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    stix_core_object: Option<IgnoredAny>,
}

impl Client {
    /// Whether the platform has the object with this id (its own, the standard one, or any STIX id).
    ///
    /// # Errors
    /// When the platform does not answer after retries, or refuses.
    pub async fn object_known(&self, id: &str) -> Result<bool, Error> {
        let answer: Answer = self
            .call(&OBJECT_KNOWN, Retry::Transient, |_| Variables { id })
            .await?;
        Ok(answer.stix_core_object.is_some())
    }
}
