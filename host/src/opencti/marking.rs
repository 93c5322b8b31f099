//! Markings: whether the account may use them, and those of an object (platform.md P21, P22).

use std::collections::HashSet;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::client::{Client, Retry};
use super::error::Error;
use super::operations::{
    ACCOUNT_GROUPS, ACCOUNT_MARKINGS, MARKING, MARKING_REMOVE, OBJECT_MARKINGS,
};

/// Whether the account may use a marking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// It may.
    Seen,
    /// It may not: OpenCTI refuses each object that the account brings with it.
    Hidden {
        /// What OpenCTI calls the marking.
        marking: String,
        /// Name of the account.
        account: String,
        /// Names of its groups; none where that cannot be asked.
        groups: Vec<String>,
    },
    /// OpenCTI has no such marking yet.
    Unknown,
}

/// A marking of an object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ObjectMarking {
    /// OpenCTI's own id of it.
    id: String,
    /// Its STIX id.
    pub standard_id: String,
    /// What OpenCTI calls it.
    #[serde(default, rename = "definition")]
    name: Option<String>,
}

impl ObjectMarking {
    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.standard_id)
    }
}

#[derive(Serialize)]
struct IdVariables<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct RemoveVariables<'a> {
    id: &'a str,
    marking: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MarkingAnswer {
    marking_definition: Option<Marking>,
}

#[derive(Deserialize)]
struct Marking {
    id: String,
    #[serde(default)]
    definition: Option<String>,
}

#[derive(Deserialize)]
struct AllowedAnswer {
    me: Allowed,
}

#[derive(Deserialize)]
struct Allowed {
    name: String,
    #[serde(default)]
    allowed_marking: Option<Vec<Marking>>,
}

#[derive(Deserialize)]
struct GroupsAnswer {
    me: Grouped,
}

#[derive(Deserialize)]
struct Grouped {
    groups: Option<Groups>,
}

#[derive(Deserialize)]
struct Groups {
    edges: Vec<GroupEdge>,
}

#[derive(Deserialize)]
struct GroupEdge {
    node: Group,
}

#[derive(Deserialize)]
struct Group {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectAnswer {
    stix_core_object: Option<Marked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marked {
    #[serde(default)]
    object_marking: Option<Vec<ObjectMarking>>,
}

impl Client {
    /// Whether the account may use the marking with this STIX id. What it may use is remembered; all else is asked
    /// each time, since it is mended on the platform.
    ///
    /// # Errors
    /// When the platform does not answer after retries, or refuses (the role lacks KNOWLEDGE).
    pub async fn sight(&self, marking: &str) -> Result<Sight, Error> {
        if self.has_seen(marking) {
            return Ok(Sight::Seen);
        }
        let known: MarkingAnswer = self
            .call(&MARKING, Retry::Transient, |_| IdVariables { id: marking })
            .await?;
        let Some(known) = known.marking_definition else {
            return Ok(Sight::Unknown);
        };
        let AllowedAnswer { me } = self
            .call(&ACCOUNT_MARKINGS, Retry::Transient, |_| Map::new())
            .await?;
        // Where the platform does not tell, nothing can be held against the account.
        let allowed: Option<HashSet<String>> = me
            .allowed_marking
            .map(|allowed| allowed.into_iter().map(|it| it.id).collect());
        if allowed.is_none_or(|allowed| allowed.contains(&known.id)) {
            self.note_seen(marking);
            return Ok(Sight::Seen);
        }
        Ok(Sight::Hidden {
            marking: known.definition.unwrap_or_else(|| marking.to_owned()),
            account: me.name,
            groups: self.groups().await,
        })
    }

    /// Names of the account's groups, for the words of a refusal: that they cannot be asked is none of its own.
    async fn groups(&self) -> Vec<String> {
        let answer: Result<GroupsAnswer, Error> = self
            .call(&ACCOUNT_GROUPS, Retry::Transient, |_| Map::new())
            .await;
        let groups = answer.ok().and_then(|answer| answer.me.groups);
        let edges = groups.map_or_else(Vec::new, |groups| groups.edges);
        edges.into_iter().map(|edge| edge.node.name).collect()
    }

    /// The markings of an object of the platform's knowledge; `None` where it is not there, or hidden from the account.
    ///
    /// # Errors
    /// When the platform does not answer after retries, or refuses.
    pub async fn object_markings(&self, id: &str) -> Result<Option<Vec<ObjectMarking>>, Error> {
        let answer: ObjectAnswer = self
            .call(&OBJECT_MARKINGS, Retry::Transient, |_| IdVariables { id })
            .await?;
        let object = answer.stix_core_object;
        Ok(object.map(|object| object.object_marking.unwrap_or_default()))
    }

    /// Takes a marking off an object. Repeated without harm.
    ///
    /// # Errors
    /// When the platform does not answer after retries, or refuses (the role lacks `KNOWLEDGE_KNUPDATE`).
    pub async fn remove_marking(&self, id: &str, marking: &ObjectMarking) -> Result<(), Error> {
        let _: IgnoredAny = self
            .call(&MARKING_REMOVE, Retry::Transient, |_| RemoveVariables {
                id,
                marking: &marking.id,
            })
            .await?;
        Ok(())
    }
}
