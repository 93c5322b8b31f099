//! Draft workspaces: what is in one is seen by nobody who does not work in it, until a human validates it (protocol
//! section 10).

use serde_json::{Value, json};

use super::error::PlatformError;
use super::ids::internal_id;
use super::platform::Platform;
use super::store::{Imported, Origin, Store, Stored};

/// A draft workspace.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The platform's id.
    pub id: String,
    /// What the UI shows.
    pub name: String,
    /// Nothing is taken any more.
    pub validated: bool,
    /// What was imported into it.
    pub store: Store,
}

impl Draft {
    fn to_json(&self) -> Value {
        json!({
            "id": self.id, "name": self.name,
            "draft_status": if self.validated { "validated" } else { "open" },
        })
    }
}

impl Platform {
    /// `draftWorkspaceAdd`.
    pub(crate) fn add_draft(&mut self, name: &str) -> Value {
        let draft = Draft {
            id: internal_id(&format!("draft {}", self.instant())),
            name: name.to_owned(),
            validated: false,
            store: Store::default(),
        };
        let json = draft.to_json();
        self.drafts.push(draft);
        json
    }

    /// `draftWorkspace`.
    pub(crate) fn draft_json(&self, id: &str) -> Value {
        self.draft(id).map_or(Value::Null, Draft::to_json)
    }

    /// The draft with this id, unless it was deleted.
    #[must_use]
    pub fn draft(&self, id: &str) -> Option<&Draft> {
        self.drafts.iter().find(|draft| draft.id == id)
    }

    /// Refuses a draft that is closed or gone.
    pub(crate) fn check_draft(&self, draft: Option<&str>) -> Result<(), PlatformError> {
        let Some(id) = draft else {
            return Ok(());
        };
        match self.draft(id) {
            Some(draft) if !draft.validated => Ok(()),
            _ => Err(PlatformError::new(
                "DRAFT_LOCKED",
                "Can not use a draft that is not open",
            )),
        }
    }

    /// `draftWorkspaceValidate`, and the button in the user interface. What the draft brings is of the account that
    /// validates it. A draft with an artifact cannot be validated: its file is looked for in the wrong place.
    pub(crate) fn validate_draft(&mut self, id: &str, user_id: &str) -> Result<(), PlatformError> {
        self.check_draft(Some(id))?;
        let Some(draft) = self.drafts.iter_mut().find(|draft| draft.id == id) else {
            return Ok(());
        };
        // The file of an artifact is looked for outside of the draft.
        let is_outside = |it: &Stored| {
            let outside = self.store.get(&it.internal_id);
            outside.is_some_and(|it| it.size.is_some())
        };
        if draft
            .store
            .iter()
            .any(|it| it.size.is_some() && !is_outside(it))
        {
            return Err(PlatformError::new(
                "UNKNOWN_ERROR",
                "The specified key does not exist",
            ));
        }
        draft.validated = true;
        let objects: Vec<Stored> = draft.store.iter().cloned().collect();
        for mut stored in objects {
            user_id.clone_into(&mut stored.applicant_id);
            stored.draft_id = None;
            self.store.put(stored);
        }
        Ok(())
    }

    /// An object as one sees it who works in the draft.
    pub(crate) fn find(&self, draft: Option<&str>, id: &str) -> Option<&Stored> {
        let draft = draft.and_then(|draft| self.draft(draft));
        draft
            .and_then(|draft| draft.store.get(id))
            .or_else(|| self.store.get(id))
    }

    /// Whether a reference can be resolved by one who works in the draft.
    pub(crate) fn knows(&self, draft: Option<&str>, id: &str) -> bool {
        self.store.knows(id) || self.find(draft, id).is_some()
    }

    /// All that one sees who works in the draft.
    pub(crate) fn visible(&self, draft: Option<&str>) -> impl Iterator<Item = &Stored> {
        let draft = draft.and_then(|draft| self.draft(draft));
        let drafted = draft.into_iter().flat_map(|draft| draft.store.iter());
        drafted.chain(self.store.iter())
    }

    pub(crate) fn find_mut(&mut self, draft: Option<&str>, id: &str) -> Option<&mut Stored> {
        let draft = draft.and_then(|draft| self.drafts.iter_mut().find(|it| it.id == draft));
        draft
            .and_then(|draft| draft.store.get_mut(id))
            .or_else(|| self.store.get_mut(id))
    }

    /// Creates or merges an object, in the draft or in the platform's knowledge. A draft has a copy of what it
    /// changes.
    pub(crate) fn upsert(
        &mut self,
        draft: Option<&str>,
        object: &Value,
        origin: &Origin,
    ) -> Result<Imported, PlatformError> {
        let draft = draft.and_then(|id| self.drafts.iter_mut().find(|draft| draft.id == id));
        let Some(draft) = draft else {
            return self.store.upsert(object, origin);
        };
        for copied in self.store.alike(object, &origin.version) {
            if draft.store.get(&copied.internal_id).is_none() {
                draft.store.put(copied);
            }
        }
        draft.store.upsert(object, origin)
    }
}
