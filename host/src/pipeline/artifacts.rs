//! Copying a file from the source to the platform, streamed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::TryStreamExt as _;

use super::run::Run;
use super::stop::Stop;
use crate::delivery::{Batch, Object};
use crate::opencti::{self, ArtifactUpload, Code};
use crate::runtime::Artifact;
use crate::step::Step;
use crate::virustotal::{self, DownloadRequest};

/// Tries of one file after the first: each is a download in the source's quota.
const RETRIES: usize = 2;

/// How long the platform's workers may take to create the author.
const AUTHOR_TIMEOUT: Duration = Duration::from_secs(120);

/// Told by who copies a file although the settings were not refused at the start: the guest did not announce it.
const IN_DRAFT: &str = "OpenCTI cannot validate a draft that holds a file: set CONNECTOR_FILES_OUTSIDE_DRAFT to true, or have no files copied";

/// What copying a file came to, when the run can go on.
enum Copied {
    /// It is on the platform.
    Yes,
    /// It cannot be had, or is not wanted by the platform.
    No(String),
    /// Worth another try; after the last, the run cannot go on.
    NotYet(Stop),
    /// Worth another try; after the last, the file is given up: others may still be had.
    Spoilt(String),
}

impl Run<'_> {
    /// Copies a file; answers whether it is on the platform. `objects` are those of the same emission.
    pub(super) async fn copy(
        &mut self,
        artifact: &Artifact,
        objects: &[Object],
    ) -> Result<bool, Stop> {
        let request =
            match DownloadRequest::parse(&artifact.source, &artifact.sha256, artifact.size) {
                Ok(request) => request,
                Err(refused) => return Ok(self.give_up(artifact, &refused.to_string()).await),
            };
        if !self.pipeline.deliverer.has_queue() {
            let reason = "files go to the platform only, and CONNECTOR_SEND_TO_QUEUE is false";
            return Ok(self.give_up(artifact, reason).await);
        }
        if self.pipeline.validate_before_import && !self.pipeline.files_outside_draft {
            return Ok(self.give_up(artifact, IN_DRAFT).await);
        }
        if self.copied.contains(&artifact.sha256) {
            return Ok(true);
        }
        let backoff = self.pipeline.platform.backoff();
        let mut pauses = backoff.with_max_times(RETRIES).build();
        loop {
            self.ensure_author(artifact, objects).await?;
            let copied = self.try_copy(artifact, &request).await?;
            let reason = match &copied {
                Copied::Yes => {
                    self.copied.insert(artifact.sha256.clone());
                    self.report.artifacts += 1;
                    Step::FileCopied.reached();
                    return Ok(true);
                }
                Copied::No(reason) => return Ok(self.give_up(artifact, reason).await),
                Copied::NotYet(stop) => stop.to_string(),
                Copied::Spoilt(reason) => reason.clone(),
            };
            let Some(pause) = pauses.next() else {
                return match copied {
                    Copied::NotYet(stop) => Err(stop),
                    _ => Ok(self.give_up(artifact, &reason).await),
                };
            };
            tracing::debug!(sha256 = artifact.sha256, reason, "copying a file again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_copy(
        &self,
        artifact: &Artifact,
        request: &DownloadRequest,
    ) -> Result<Copied, Stop> {
        let download = match self.pipeline.source.download(request).await {
            Ok(download) => download,
            Err(error) => return not_offered(error),
        };
        let upload = ArtifactUpload {
            name: &artifact.name,
            mime_type: "application/octet-stream",
            size: Some(download.size),
            description: &artifact.description,
            author: &artifact.author,
            markings: &artifact.markings,
            labels: &artifact.labels,
        };
        // The platform only sees an upload that breaks off, whoever broke it.
        let broken = Arc::new(OnceLock::new());
        let noted = Arc::clone(&broken);
        let stream = download.stream.inspect_err(move |error| {
            let _ = noted.set(error.clone());
        });
        let body = reqwest::Body::wrap_stream(stream);
        match self.pipeline.platform.artifact_import(upload, body).await {
            Ok(_) => Ok(Copied::Yes),
            Err(error) => match broken.get() {
                // The storage host was reached. What breaks this file off may do so for ever, as a scanner on the
                // way does that knows the file.
                Some(broken) => Ok(Copied::Spoilt(broken.to_string())),
                None => not_imported(error),
            },
        }
    }

    /// A file names its author and markings, and the platform refuses those it does not have. Before the
    /// first file they are sent ahead, and awaited.
    async fn ensure_author(&self, artifact: &Artifact, objects: &[Object]) -> Result<(), Stop> {
        if !self.copied.is_empty() {
            return Ok(());
        }
        let platform = &self.pipeline.platform;
        if platform.object_known(&artifact.author).await? {
            return Ok(());
        }
        let mut ahead = Batch::default();
        let named = |object: &&Object| {
            object.id == artifact.author || artifact.markings.contains(&object.id)
        };
        ahead.extend(objects.iter().filter(named).cloned());
        // Without the work it goes past the work's draft, as the files do.
        let work = (!self.pipeline.validate_before_import).then_some(&self.work);
        self.pipeline.deliverer.deliver(&ahead, work).await?;
        Step::AuthorSent.reached();
        let begun = tokio::time::Instant::now();
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5))
            .without_max_times()
            .build();
        for pause in pauses {
            if platform.object_known(&artifact.author).await? {
                return Ok(());
            }
            if begun.elapsed() > AUTHOR_TIMEOUT {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        Err(Stop::Platform(format!(
            "the workers have not created the author {} within {AUTHOR_TIMEOUT:?}, and files need it; are workers running?",
            artifact.author
        )))
    }

    async fn give_up(&mut self, artifact: &Artifact, reason: &str) -> bool {
        self.report.artifacts_failed += 1;
        tracing::warn!(sha256 = artifact.sha256, reason, "cannot copy a file");
        if self.pipeline.deliverer.has_queue()
            && let Err(error) = self.work.report_error(reason, &artifact.sha256).await
        {
            tracing::warn!(%error, "cannot report a file on the work");
        }
        false
    }
}

fn not_offered(error: virustotal::Error) -> Result<Copied, Stop> {
    match error {
        error if error.is_transient() => Ok(Copied::NotYet(error.into())),
        error if error.is_about_this_alone() => Ok(Copied::No(error.to_string())),
        error @ virustotal::Error::Malformed { .. } => Ok(Copied::Spoilt(error.to_string())),
        error => Err(error.into()),
    }
}

fn not_imported(error: opencti::Error) -> Result<Copied, Stop> {
    match error {
        error if error.is_transient() => Ok(Copied::NotYet(error.into())),
        // Author and markings may still be on their way; an older form of the operation is tried next.
        error if error.is_missing_reference() || error.code() == Some(&Code::ValidationFailed) => {
            Ok(Copied::Spoilt(error.to_string()))
        }
        error if error.is_about_this_alone() => Ok(Copied::No(error.to_string())),
        error => Err(error.into()),
    }
}
