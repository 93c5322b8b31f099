//! Copying a file from the source to the platform, streamed.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::TryStreamExt as _;

use super::run::Run;
use super::stop::Stop;
use crate::delivery::{Batch, Object};
use crate::opencti::{self, ArtifactUpload, Code, Sight};
use crate::runtime::Artifact;
use crate::step::Step;
use crate::virustotal::{self, DownloadRequest};

/// Tries of one file after the first: each is a download in the source's quota.
const RETRIES: usize = 2;

/// How long the platform's workers may take to create the author.
const AUTHOR_TIMEOUT: Duration = Duration::from_secs(120);

const NO_QUEUE: &str = "files go to OpenCTI only, and CONNECTOR_SEND_TO_QUEUE is false";

/// Told by who copies a file although the settings were not refused at the start: the guest did not announce it.
const IN_DRAFT: &str = "OpenCTI cannot validate a draft that holds a file: set CONNECTOR_FILES_OUTSIDE_DRAFT to true, or have no files copied";

/// Why a file is not on the platform, while the run goes on.
#[derive(Debug)]
pub(super) struct NotCopied {
    /// Words for the user.
    pub(super) reason: String,
    /// Whether the source does not have it, so that no other try will find it.
    pub(super) is_gone: bool,
}

impl NotCopied {
    fn for_now(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            is_gone: false,
        }
    }
}

/// What one try came to, when the run can go on.
enum Try {
    /// The file is on the platform.
    Copied,
    /// It cannot be had, or is not wanted by the platform.
    Refused(NotCopied),
    /// Worth another try; after the last, the run cannot go on.
    NotYet(Stop),
    /// Worth another try; after the last, the file is given up: others may still be had.
    Spoilt(String),
}

impl Run<'_> {
    /// Copies a file, unless that was done in this run. `objects` are those of the same emission.
    pub(super) async fn copy(
        &mut self,
        artifact: &Artifact,
        objects: &[Object],
    ) -> Result<Result<(), NotCopied>, Stop> {
        if self.copied.contains(&artifact.sha256) {
            return Ok(Ok(()));
        }
        let copied = self.copy_in_tries(artifact, objects).await?;
        match &copied {
            Ok(()) => {
                self.copied.insert(artifact.sha256.clone());
                self.report.artifacts += 1;
                Step::FileCopied.reached();
            }
            Err(NotCopied { reason, .. }) => self.give_up(artifact, reason).await,
        }
        Ok(copied)
    }

    async fn copy_in_tries(
        &self,
        artifact: &Artifact,
        objects: &[Object],
    ) -> Result<Result<(), NotCopied>, Stop> {
        let request =
            match DownloadRequest::parse(&artifact.source, &artifact.sha256, artifact.size) {
                Ok(request) => request,
                Err(refused) => return Ok(Err(NotCopied::for_now(refused.to_string()))),
            };
        if !self.pipeline.deliverer.has_queue() {
            return Ok(Err(NotCopied::for_now(NO_QUEUE)));
        }
        if self.pipeline.validate_before_import && !self.pipeline.files_outside_draft {
            return Ok(Err(NotCopied::for_now(IN_DRAFT)));
        }
        let backoff = self.pipeline.platform.backoff();
        let mut pauses = backoff.with_max_times(RETRIES).build();
        loop {
            self.ensure_references(artifact, objects).await?;
            let (reason, at_last) = match self.try_copy(artifact, &request).await? {
                Try::Copied => return Ok(Ok(())),
                Try::Refused(not_copied) => return Ok(Err(not_copied)),
                Try::NotYet(stop) => (stop.to_string(), Err(stop)),
                Try::Spoilt(reason) => (reason.clone(), Ok(Err(NotCopied::for_now(reason)))),
            };
            let Some(pause) = pauses.next() else {
                return at_last;
            };
            tracing::debug!(sha256 = artifact.sha256, reason, "copying a file again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_copy(&self, artifact: &Artifact, request: &DownloadRequest) -> Result<Try, Stop> {
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
        };
        // The platform only sees an upload that breaks off, whoever broke it.
        let broken = Arc::new(OnceLock::new());
        let noted = Arc::clone(&broken);
        let stream = download.stream.inspect_err(move |error| {
            let _ = noted.set(error.clone());
        });
        let body = reqwest::Body::wrap_stream(stream);
        match self.pipeline.platform.artifact_import(upload, body).await {
            Ok(_) => Ok(Try::Copied),
            Err(error) => match broken.get() {
                // The storage host was reached. What breaks this file off may do so for ever, as a scanner on the
                // way does that knows the file.
                Some(broken) => Ok(Try::Spoilt(broken.to_string())),
                None => not_imported(error),
            },
        }
    }

    /// A file names its author and markings, and the platform refuses those it does not have. They are sent ahead
    /// where they are missing, and awaited.
    async fn ensure_references(&self, artifact: &Artifact, objects: &[Object]) -> Result<(), Stop> {
        if !self.copied.is_empty() || !self.lacks_references(artifact).await? {
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
            if !self.lacks_references(artifact).await? {
                return Ok(());
            }
            if begun.elapsed() > AUTHOR_TIMEOUT {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        Err(Stop::Platform(format!(
            "the workers have not created the author {} and the marking within {AUTHOR_TIMEOUT:?}, and files need them; are workers running?",
            artifact.author
        )))
    }

    async fn lacks_references(&self, artifact: &Artifact) -> Result<bool, Stop> {
        let platform = &self.pipeline.platform;
        for marking in &artifact.markings {
            if platform.sight(marking).await? == Sight::Unknown {
                return Ok(true);
            }
        }
        Ok(!platform.object_known(&artifact.author).await?)
    }

    async fn give_up(&mut self, artifact: &Artifact, reason: &str) {
        self.report.artifacts_failed += 1;
        tracing::error!(
            sha256 = artifact.sha256,
            reason,
            "cannot copy a file: its notification is delivered without it, and written down as failed"
        );
        if self.pipeline.deliverer.has_queue()
            && let Err(error) = self.work.report_error(reason, &artifact.sha256).await
        {
            tracing::warn!(%error, "cannot report a file on the work");
        }
    }
}

fn not_offered(error: virustotal::Error) -> Result<Try, Stop> {
    match error {
        error if error.is_transient() => Ok(Try::NotYet(error.into())),
        error @ (virustotal::Error::Malformed { .. } | virustotal::Error::NotText { .. }) => {
            Ok(Try::Spoilt(error.to_string()))
        }
        error if error.is_about_this_alone() => Ok(Try::Refused(NotCopied {
            is_gone: matches!(error, virustotal::Error::NotFound { .. }),
            reason: error.to_string(),
        })),
        error => Err(error.into()),
    }
}

fn not_imported(error: opencti::Error) -> Result<Try, Stop> {
    match error {
        error if error.is_transient() => Ok(Try::NotYet(error.into())),
        // An older form of the operation is tried next.
        error if error.code() == Some(&Code::ValidationFailed) => {
            Ok(Try::Spoilt(error.to_string()))
        }
        error if error.is_about_this_alone() => {
            Ok(Try::Refused(NotCopied::for_now(error.to_string())))
        }
        error => Err(error.into()),
    }
}
