//! Drafts, in which what a run brings waits until a human has validated it (protocol section 10).

use serde::{Deserialize, Serialize};

use super::client::{Client, Retry};
use super::error::Error;
use super::operations::{DRAFT_ADD, DRAFT_STATUS};

/// A draft on the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    id: String,
}

impl Draft {
    /// The platform's id of it: `draft_id` of messages.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Serialize)]
struct AddVariables<'a> {
    input: AddInput<'a>,
}

#[derive(Serialize)]
struct AddInput<'a> {
    name: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AddAnswer {
    draft_workspace_add: Added,
}

#[derive(Deserialize)]
struct Added {
    id: String,
}

#[derive(Serialize)]
struct StatusVariables<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusAnswer {
    draft_workspace: Option<Workspace>,
}

#[derive(Deserialize)]
struct Workspace {
    draft_status: String,
}

impl Client {
    /// Makes a draft.
    ///
    /// # Errors
    /// When the platform does not answer after retries, refuses, or is older than 6.4.0.
    pub(super) async fn add_draft(&self, name: &str) -> Result<Draft, Error> {
        // A second draft may come of a repetition: an empty one, which a human can delete.
        let answer: AddAnswer = self
            .call(&DRAFT_ADD, Retry::Transient, |_| AddVariables {
                input: AddInput { name },
            })
            .await?;
        let id = answer.draft_workspace_add.id;
        Ok(Draft { id })
    }

    /// Whether the draft still takes something: it is there, and nobody has validated it. Where that cannot be asked
    /// (below 6.7.0), it counts as open.
    ///
    /// # Errors
    /// When the platform does not answer after retries, or refuses.
    pub(super) async fn draft_is_open(&self, draft: &Draft) -> Result<bool, Error> {
        if self.variant(&DRAFT_STATUS).is_err() {
            return Ok(true);
        }
        let answer: StatusAnswer = self
            .call(&DRAFT_STATUS, Retry::Transient, |_| StatusVariables {
                id: &draft.id,
            })
            .await?;
        Ok(answer
            .draft_workspace
            .is_some_and(|workspace| workspace.draft_status == "open"))
    }
}
