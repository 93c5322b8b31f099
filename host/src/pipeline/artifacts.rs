//! Copying a file from the source to the platform, streamed.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::run::Run;
use super::stop::Stop;
use crate::delivery::{Batch, Object};
use crate::opencti::ArtifactUpload;
use crate::runtime::Artifact;
use crate::step::Step;
use crate::virustotal::{self, DownloadRequest};

/// Tries of one file: each is a download in the source's quota.
const TRIES: u32 = 3;

/// How long the platform's workers may take to create the author.
const AUTHOR_TIMEOUT: Duration = Duration::from_secs(120);

/// What copying a file came to, when the run can go on.
enum Copied {
    /// It is on the platform.
    Yes,
    /// It cannot be had, or is not wanted by the platform.
    No(String),
    /// Worth another try.
    NotYet(Stop),
}

impl Run<'_> {
    /// Copies a file; answers whether it is on the platform. `objects` are those of the same emission.
    pub(super) async fn copy(
        &mut self,
        artifact: &Artifact,
        objects: &[Object],
    ) -> Result<bool, Stop> {
        if self.copied.contains(&artifact.sha256) {
            return Ok(true);
        }
        let request =
            match DownloadRequest::parse(&artifact.source, &artifact.sha256, artifact.size) {
                Ok(request) => request,
                Err(refused) => return Ok(self.give_up(artifact, &refused.to_string()).await),
            };
        if !self.pipeline.deliverer.has_queue() {
            let reason = "files go to the platform only, and CONNECTOR_SEND_TO_QUEUE is false";
            return Ok(self.give_up(artifact, reason).await);
        }
        self.ensure_author(artifact, objects).await?;
        let mut tries = 1;
        loop {
            match self.try_copy(artifact, &request).await? {
                Copied::Yes => {
                    self.copied.insert(artifact.sha256.clone());
                    self.report.artifacts += 1;
                    Step::FileCopied.reached();
                    return Ok(true);
                }
                Copied::No(reason) => return Ok(self.give_up(artifact, &reason).await),
                Copied::NotYet(stop) if tries == TRIES => return Err(stop),
                Copied::NotYet(stop) => {
                    tracing::debug!(sha256 = artifact.sha256, reason = %stop, "copying a file again");
                    tries += 1;
                }
            }
        }
    }

    async fn try_copy(
        &self,
        artifact: &Artifact,
        request: &DownloadRequest,
    ) -> Result<Copied, Stop> {
        let download = match self.pipeline.source.download(request).await {
            Ok(download) => download,
            Err(error @ virustotal::Error::QuotaExceeded { .. }) => return Err(error.into()),
            Err(error) if error.is_transient() => return Ok(Copied::NotYet(error.into())),
            Err(error) => return Ok(Copied::No(error.to_string())),
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
        let body = reqwest::Body::wrap_stream(download.stream);
        match self.pipeline.platform.artifact_import(upload, body).await {
            Ok(_) => Ok(Copied::Yes),
            Err(error) if error.is_transient() => Ok(Copied::NotYet(error.into())),
            Err(error) => Ok(Copied::No(error.to_string())),
        }
    }

    /// A file names its author and markings, and the platform refuses those it does not have. Before the
    /// first file they are sent ahead, and awaited.
    async fn ensure_author(&mut self, artifact: &Artifact, objects: &[Object]) -> Result<(), Stop> {
        if !self.copied.is_empty()
            || self
                .pipeline
                .platform
                .object_known(&artifact.author)
                .await?
        {
            return Ok(());
        }
        let mut ahead = Batch::default();
        let named = |object: &&Object| {
            object.id == artifact.author || artifact.markings.contains(&object.id)
        };
        ahead.extend(objects.iter().filter(named).cloned());
        self.pipeline
            .deliverer
            .deliver(&ahead, Some(&self.work))
            .await?;
        Step::AuthorSent.reached();
        let begun = tokio::time::Instant::now();
        let pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5))
            .without_max_times()
            .build();
        for pause in pauses {
            if self
                .pipeline
                .platform
                .object_known(&artifact.author)
                .await?
            {
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
