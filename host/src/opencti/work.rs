//! A work: how the user interface shows a run, its progress and its errors (protocol section 6).

use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::client::{Client, Retry};
use super::draft::Draft;
use super::error::Error;
use super::operations::{
    WORK_ADD, WORK_ADD_DRAFT_CONTEXT, WORK_ADD_EXPECTATIONS, WORK_IS_ALIVE,
    WORK_REPORT_EXPECTATION, WORK_TO_PROCESSED,
};
use super::work_errors::OWN_SOURCE;

/// The worker drops the source of an error from this length on; so does the platform's list of errors.
const MAX_SOURCE: usize = 49_000;

/// One run as the platform shows it. It is opened on the platform with the first thing to report, so that a
/// run without news leaves no trace. A user may delete it at any time: then the run goes on without it.
#[derive(Debug)]
pub struct Work {
    client: Client,
    connector_id: String,
    name: String,
    opened: Mutex<Option<Opened>>,
    gone: AtomicBool,
    in_draft: bool,
    draft: Mutex<Option<Draft>>,
}

#[derive(Debug, Clone)]
struct Opened {
    id: String,
    completion: Completion,
}

/// What keeps the platform from showing the work as complete while more is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Completion {
    /// The platform knows that parts follow (since 7.260422.0).
    Multipart,
    /// One expectation of our own, which is met when the work is closed.
    Held,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AddAnswer {
    work_add: Added,
}

#[derive(Deserialize)]
struct Added {
    id: String,
}

#[derive(Serialize)]
struct AddVariables<'a> {
    #[serde(rename = "connectorId")]
    connector_id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    multipart: Option<bool>,
}

#[derive(Serialize)]
struct ExpectationsVariables<'a> {
    id: &'a str,
    expectations: i64,
}

#[derive(Serialize)]
struct ReportVariables<'a> {
    id: &'a str,
    error: Option<ReportedError<'a>>,
}

#[derive(Serialize, Clone, Copy)]
struct ReportedError<'a> {
    error: &'a str,
    source: &'a str,
}

#[derive(Serialize)]
struct ProcessedVariables<'a> {
    id: &'a str,
    message: &'a str,
    #[serde(rename = "inError")]
    in_error: bool,
}

#[derive(Serialize)]
struct DraftVariables<'a> {
    id: &'a str,
    draft: &'a str,
}

#[derive(Serialize)]
struct IdVariables<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AliveAnswer {
    is_work_alive: Option<bool>,
}

impl Work {
    /// A work that is not yet opened on the platform.
    #[must_use]
    pub fn new(client: Client, connector_id: String, name: String) -> Self {
        Self {
            client,
            connector_id,
            name,
            opened: Mutex::new(None),
            gone: AtomicBool::new(false),
            in_draft: false,
            draft: Mutex::new(None),
        }
    }

    /// The same work, whose objects wait in a draft until a human has validated it, if so.
    #[must_use]
    pub fn in_draft(self, in_draft: bool) -> Self {
        Self { in_draft, ..self }
    }

    /// The draft that all of the run goes to, made with the first thing to bring; none where nothing waits. A human
    /// may close it at any time: what follows goes to another one, since workers drop what is for a closed draft
    /// (protocol section 13.4). What waits in the queue then is lost to it: nobody tells before the work shows errors.
    ///
    /// # Errors
    /// When the platform does not answer after retries, refuses, or is older than 6.4.0.
    pub async fn draft(&self) -> Result<Option<Draft>, Error> {
        if !self.in_draft {
            return Ok(None);
        }
        let mut draft = self.draft.lock().await;
        if let Some(open) = draft.as_ref() {
            if self.client.draft_is_open(open).await? {
                return Ok(Some(open.clone()));
            }
            tracing::warn!(
                draft = open.id(),
                "the draft was closed while the run goes on: what the workers have not imported yet is dropped by them, and what follows goes to another one"
            );
        }
        let work = self.opened().await?.map(|opened| opened.id);
        // As pycti names it.
        let name = format!("{}.json", work.as_deref().unwrap_or(&self.name));
        let new = self.client.add_draft(&name).await?;
        if let Some(work) = &work {
            self.show_draft(work, &new).await?;
        }
        Ok(Some(draft.insert(new).clone()))
    }

    /// The id to put on messages, once checked that the work is still there: workers silently drop the
    /// messages of a deleted work. `None` where there is no work (any more): then messages go without.
    ///
    /// # Errors
    /// When the platform does not answer after retries.
    pub async fn id(&self) -> Result<Option<String>, Error> {
        let Some(Opened { id, .. }) = self.opened().await? else {
            return Ok(None);
        };
        if self.client.variant(&WORK_IS_ALIVE).is_err() {
            return Ok(Some(id));
        }
        let alive = self
            .client
            .call(&WORK_IS_ALIVE, Retry::Transient, |_| IdVariables {
                id: &id,
            })
            .await;
        match alive {
            Ok(AliveAnswer {
                is_work_alive: Some(false),
            }) => {
                self.go_on_without("it was deleted");
                Ok(None)
            }
            Ok(_) => Ok(Some(id)),
            Err(error) if error.is_transient() => Err(error),
            // Whether it lives cannot be asked (a role without MODULES): as below 6.8.7.
            Err(error) => {
                tracing::debug!(%error, "cannot ask whether the work is alive");
                Ok(Some(id))
            }
        }
    }

    /// Announces objects, before they are sent. Negative to take back what could not be sent.
    ///
    /// # Errors
    /// When the platform does not answer after retries.
    pub async fn add_expectations(&self, objects: i64) -> Result<(), Error> {
        let Some(Opened { id, .. }) = self.opened().await? else {
            return Ok(());
        };
        let result = self.expect(&id, objects).await;
        self.tolerate(result)
    }

    /// Shows an error on the work: of one item, while the run goes on. `source` is what it is about.
    ///
    /// # Errors
    /// When the platform does not answer after retries.
    pub async fn report_error(&self, error: &str, source: &str) -> Result<(), Error> {
        let Some(Opened { id, .. }) = self.opened().await? else {
            return Ok(());
        };
        // A report counts as one processed object, so one must be expected.
        let result = match self.expect(&id, 1).await {
            Ok(()) => {
                let source = format!("{OWN_SOURCE}{}", truncated(source, MAX_SOURCE));
                let source = source.as_str();
                self.report(&id, Some(ReportedError { error, source }))
                    .await
            }
            Err(error) => Err(error),
        };
        self.tolerate(result)
    }

    /// The id of the work, where it is open on the platform.
    pub async fn open_id(&self) -> Option<String> {
        let opened = self.opened.lock().await;
        opened.as_ref().map(|opened| opened.id.clone())
    }

    /// Closes the work, if it was opened. To be called on every path out of a run.
    ///
    /// # Errors
    /// When the platform does not answer after retries.
    pub async fn close(&self, message: &str, in_error: bool) -> Result<(), Error> {
        let Some(Opened { id, completion }) = self.opened.lock().await.take() else {
            return Ok(());
        };
        // Nothing opens it a second time.
        let gone = self.gone.swap(true, Ordering::Relaxed);
        if gone {
            return Ok(());
        }
        let result = self.processed(&id, message, in_error).await;
        let result = match (result, completion) {
            (Ok(()), Completion::Held) => self.report(&id, None).await,
            (result, _) => result,
        };
        match result {
            Err(error) if !error.is_transient() => {
                tracing::warn!(%error, work = id, "cannot close the work");
                Ok(())
            }
            result => result,
        }
    }

    /// The work, opened on the platform if it is not yet; `None` where it is gone.
    async fn opened(&self) -> Result<Option<Opened>, Error> {
        let mut opened = self.opened.lock().await;
        if self.gone.load(Ordering::Relaxed) {
            return Ok(None);
        }
        if let Some(opened) = opened.as_ref() {
            return Ok(Some(opened.clone()));
        }
        match self.open().await {
            Ok(new) => Ok(Some(opened.insert(new).clone())),
            Err(error) if error.is_transient() => Err(error),
            Err(error) => {
                self.go_on_without(&error.to_string());
                Ok(None)
            }
        }
    }

    async fn open(&self) -> Result<Opened, Error> {
        let newest = WORK_ADD.variants().first();
        // A second work may come of it; the first one would also be left over if the run ended here.
        let answer: AddAnswer = self
            .client
            .call(&WORK_ADD, Retry::Transient, |variant| AddVariables {
                connector_id: &self.connector_id,
                name: &self.name,
                multipart: (Some(variant) == newest).then_some(true),
            })
            .await?;
        let id = answer.work_add.id;
        // The variant may have changed in the call.
        if Some(self.client.variant(&WORK_ADD)?) == newest {
            return Ok(Opened {
                id,
                completion: Completion::Multipart,
            });
        }
        self.expect(&id, 1).await?;
        Ok(Opened {
            id,
            completion: Completion::Held,
        })
    }

    /// The work shows where its objects are, where the platform can (since 6.5.0).
    async fn show_draft(&self, work: &str, draft: &Draft) -> Result<(), Error> {
        if self.client.variant(&WORK_ADD_DRAFT_CONTEXT).is_err() {
            return Ok(());
        }
        let variables = DraftVariables {
            id: work,
            draft: draft.id(),
        };
        let result: Result<IgnoredAny, Error> = self
            .client
            .call(&WORK_ADD_DRAFT_CONTEXT, Retry::Transient, |_| &variables)
            .await;
        self.tolerate(result.map(|_| ()))
    }

    async fn expect(&self, id: &str, expectations: i64) -> Result<(), Error> {
        self.edit(
            &WORK_ADD_EXPECTATIONS,
            &ExpectationsVariables { id, expectations },
        )
        .await
    }

    async fn report(&self, id: &str, error: Option<ReportedError<'_>>) -> Result<(), Error> {
        self.edit(&WORK_REPORT_EXPECTATION, &ReportVariables { id, error })
            .await
    }

    async fn processed(&self, id: &str, message: &str, in_error: bool) -> Result<(), Error> {
        let variables = ProcessedVariables {
            id,
            message,
            in_error,
        };
        let _: IgnoredAny = self
            .client
            .call(&WORK_TO_PROCESSED, Retry::Transient, |_| &variables)
            .await?;
        Ok(())
    }

    /// Counts on the platform: must not be repeated where it may have had an effect.
    async fn edit(
        &self,
        operation: &'static super::Operation,
        variables: &impl Serialize,
    ) -> Result<(), Error> {
        let _: IgnoredAny = self
            .client
            .call(operation, Retry::WithoutEffect, |_| variables)
            .await?;
        Ok(())
    }

    /// A work only reports: what the platform refuses about it must not stop the data.
    fn tolerate(&self, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Err(error) if !error.is_transient() => {
                self.go_on_without(&error.to_string());
                Ok(())
            }
            result => result,
        }
    }

    fn go_on_without(&self, reason: &str) {
        if !self.gone.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                work = self.name,
                reason,
                "the run goes on without its work in OpenCTI"
            );
        }
    }
}

/// The longest start of a text within a number of bytes.
fn truncated(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
