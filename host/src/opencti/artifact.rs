//! Files on the platform (protocol section 13, the end).

use std::time::Duration;

use reqwest::Body;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::multipart::{Form, Part};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::client::{Client, Retry};
use super::error::{Code, Error};
use super::operations::{ACCOUNT, ARTIFACT_IMPORT, ARTIFACT_KNOWN};

/// The platform's own limit for a request.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(20 * 60);

/// With it, a missing author, marking or label is an error. Without it, the platform drops what it does not
/// find, and a file that must be marked would be open to all (protocol section 1).
const RETRY_NUMBER: (HeaderName, HeaderValue) = (
    HeaderName::from_static("opencti-retry-number"),
    HeaderValue::from_static("0"),
);

/// What goes with a file.
#[derive(Debug, Clone, Copy)]
pub struct ArtifactUpload<'a> {
    /// File name.
    pub name: &'a str,
    /// Media type: `application/octet-stream`.
    pub mime_type: &'a str,
    /// Bytes, where known.
    pub size: Option<u64>,
    /// Description.
    pub description: &'a str,
    /// Id of the author, which must be on the platform.
    pub author: &'a str,
    /// Ids of the markings, which must be on the platform.
    pub markings: &'a [String],
}

#[derive(Serialize)]
struct KnownVariables {
    filters: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KnownAnswer {
    stix_cyber_observables: Option<Connection>,
}

#[derive(Deserialize)]
struct Connection {
    edges: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    node: Stored,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImportAnswer {
    artifact_import: Stored,
}

#[derive(Deserialize)]
struct Stored {
    standard_id: String,
}

impl Client {
    /// The platform's id of the file with this SHA-256 (lower-case hexadecimal), where it holds the bytes;
    /// a mere observable of the hash does not count.
    ///
    /// # Errors
    /// When the platform does not answer after retries, or refuses.
    pub async fn artifact_known(&self, sha256: &str) -> Result<Option<String>, Error> {
        let filters = json!({
            "mode": "and",
            "filters": [{"key": ["hashes.SHA-256"], "values": [sha256]}],
            "filterGroups": [],
        });
        let answer: KnownAnswer = self
            .call(&ARTIFACT_KNOWN, Retry::Transient, |_| KnownVariables {
                filters: filters.clone(),
            })
            .await?;
        let edges = answer.stix_cyber_observables.map(|found| found.edges);
        Ok(edges
            .and_then(|edges| edges.into_iter().next())
            .map(|edge| edge.node.standard_id))
    }

    /// Uploads a file as it comes, without holding it, and returns the platform's id of it. Once: the
    /// bytes are gone after a failure, so the caller opens them again for another try.
    ///
    /// # Errors
    /// When the upload breaks or the platform refuses; [`Error::is_missing_reference`] where author or
    /// markings are not there.
    pub async fn artifact_import(
        &self,
        upload: ArtifactUpload<'_>,
        bytes: impl Into<Body>,
    ) -> Result<String, Error> {
        let variant = self.variant(&ARTIFACT_IMPORT)?;
        // Without labels: the platform refuses a file with one that it does not have (platform.md P9).
        let variables = json!({
            "file": null,
            "description": upload.description,
            "createdBy": upload.author,
            "markings": upload.markings,
        });
        let operations = json!({"query": variant.text, "variables": variables});
        let file = match upload.size {
            Some(size) => Part::stream_with_length(bytes, size),
            None => Part::stream(bytes),
        };
        let file = file
            .file_name(upload.name.to_owned())
            .mime_str(upload.mime_type)
            .map_err(|error| Error::Shape {
                operation: &ARTIFACT_IMPORT,
                reason: format!("{:?} is no media type: {error}", upload.mime_type),
            })?;
        let form = Form::new()
            .text("operations", operations.to_string())
            .text("map", r#"{"0":["variables.file"]}"#)
            .part("0", file);
        let result: Result<ImportAnswer, Error> = self
            .post_form(&ARTIFACT_IMPORT, form, RETRY_NUMBER, UPLOAD_TIMEOUT)
            .await;
        if let Err(error) = &result
            && error.code() == Some(&Code::ValidationFailed)
            && ARTIFACT_IMPORT.oldest() != Some(variant)
        {
            self.remember_refusal(&ARTIFACT_IMPORT, variant, error);
        }
        match result {
            Err(error) if error.refuses_token() && self.token_has_worked() => {
                Err(self.if_believed(error).await)
            }
            result => Ok(result?.artifact_import.standard_id),
        }
    }

    /// The bytes cannot be sent again here, so that a refusal of the token is doubted by another question: where the
    /// platform answers that, the upload is worth another try.
    async fn if_believed(&self, refusal: Error) -> Error {
        let asked: Result<IgnoredAny, Error> = self
            .call(&ACCOUNT, Retry::Transient, |_| serde_json::Map::new())
            .await;
        match (asked, refusal) {
            (
                Ok(_),
                Error::GraphQl {
                    operation,
                    code,
                    message,
                },
            ) => Error::GraphQl {
                operation,
                code: Code::Internal(code.to_string()),
                message,
            },
            (_, refusal) => refusal,
        }
    }
}
