//! What the platform holds: whether it has an object, and what it says of it.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::client::{Client, Retry};
use super::error::Error;
use super::operations::{OBJECT_KNOWN, OBJECTS_KNOWN, OBJECTS_NAMED};

/// Ids that one request asks for: the platform's page.
pub const MAX_IDS: usize = 100;

#[derive(Serialize)]
struct IdVariables<'a> {
    id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectAnswer {
    stix_core_object: Option<IgnoredAny>,
}

#[derive(Serialize)]
struct KnownVariables<'a> {
    ids: &'a [&'a str],
}

#[derive(Serialize)]
struct NamedVariables<'a> {
    names: [&'a str; 1],
    types: [&'a str; 1],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectsAnswer {
    stix_core_objects: Option<Connection<HeldObject>>,
}

#[derive(Deserialize)]
struct Connection<T> {
    edges: Vec<Edge<T>>,
}

#[derive(Deserialize)]
struct Edge<T> {
    node: T,
}

/// An object as the platform holds it. Which members it has depends on its type.
#[derive(Debug, Deserialize)]
pub struct HeldObject {
    standard_id: String,
    x_opencti_stix_ids: Option<Vec<String>>,
    #[serde(rename = "createdBy")]
    created_by: Option<StandardId>,
    #[serde(rename = "objectLabel")]
    labels: Option<Vec<Label>>,
    #[serde(rename = "objectMarking")]
    markings: Option<Vec<StandardId>>,
    #[serde(rename = "externalReferences")]
    external_references: Option<Connection<Value>>,
    /// `name`, `description` and the like: what the operation asks for by its plain name.
    #[serde(flatten)]
    members: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct StandardId {
    standard_id: String,
}

#[derive(Debug, Deserialize)]
struct Label {
    value: String,
}

impl<T: std::fmt::Debug> std::fmt::Debug for Connection<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nodes = self.edges.iter().map(|edge| &edge.node);
        formatter.debug_list().entries(nodes).finish()
    }
}

/// Members that the platform calls otherwise where they are an observable's.
const ALIASES: [(&str, &str); 3] = [
    ("x_opencti_score", "score"),
    ("observable_description", "description"),
    ("file_name", "name"),
];

impl HeldObject {
    /// Whether the platform knows the object under this id.
    #[must_use]
    pub fn is_called(&self, id: &str) -> bool {
        let mut others = self.x_opencti_stix_ids.iter().flatten();
        self.standard_id == id || others.any(|it| it == id)
    }

    /// The object as the contract describes it (`wit/connector.wit`, `question`): members that the platform leaves empty
    /// are left out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = Map::new();
        json.insert("standard_id".to_owned(), self.standard_id.as_str().into());
        for (name, value) in self.members.iter().filter(|(_, value)| !value.is_null()) {
            let alias = ALIASES.iter().find(|(theirs, _)| theirs == name);
            let name = alias.map_or(name.as_str(), |(_, ours)| ours);
            json.insert(name.to_owned(), value.clone());
        }
        if let Some(author) = &self.created_by {
            json.insert("created_by".to_owned(), author.standard_id.as_str().into());
        }
        if let Some(labels) = &self.labels {
            let labels: Vec<&str> = labels.iter().map(|it| it.value.as_str()).collect();
            json.insert("labels".to_owned(), labels.into());
        }
        if let Some(markings) = &self.markings {
            let markings: Vec<&str> = markings.iter().map(|it| it.standard_id.as_str()).collect();
            json.insert("markings".to_owned(), markings.into());
        }
        if let Some(references) = &self.external_references {
            let references: Vec<Value> =
                references.edges.iter().map(|it| it.node.clone()).collect();
            json.insert("external_references".to_owned(), references.into());
        }
        json.into()
    }
}

impl Client {
    /// Whether the platform has the object with this id (its own, the standard one, or any STIX id).
    ///
    /// # Errors
    /// When the platform does not answer after retries, or refuses.
    pub async fn object_known(&self, id: &str) -> Result<bool, Error> {
        let answer: ObjectAnswer = self
            .call(&OBJECT_KNOWN, Retry::Transient, |_| IdVariables { id })
            .await?;
        Ok(answer.stix_core_object.is_some())
    }

    /// The objects that the platform has under these STIX ids, at most [`MAX_IDS`], in no order.
    ///
    /// # Errors
    /// When the platform does not answer after retries, or refuses.
    pub async fn objects_known(&self, ids: &[&str]) -> Result<Vec<HeldObject>, Error> {
        let answer: ObjectsAnswer = self
            .call(&OBJECTS_KNOWN, Retry::Transient, |_| KnownVariables { ids })
            .await?;
        Ok(answer.objects())
    }

    /// The objects of a type, as the platform names it, that have this name but for case: the newest twenty.
    ///
    /// # Errors
    /// When the platform does not answer after retries, or refuses.
    pub async fn objects_named(
        &self,
        name: &str,
        object_type: &str,
    ) -> Result<Vec<HeldObject>, Error> {
        let answer: ObjectsAnswer = self
            .call(&OBJECTS_NAMED, Retry::Transient, |_| NamedVariables {
                names: [name],
                types: [object_type],
            })
            .await?;
        Ok(answer.objects())
    }
}

impl ObjectsAnswer {
    fn objects(self) -> Vec<HeldObject> {
        let edges = self.stix_core_objects.map(|found| found.edges);
        edges.into_iter().flatten().map(|edge| edge.node).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_are_told_in_the_words_of_the_contract() {
        let cases = [
            (
                json!({
                    "standard_id": "file--1", "x_opencti_stix_ids": ["file--2"], "created_at": "2026-12-01T02:55:07.530Z",
                    "createdBy": {"standard_id": "identity--1"}, "objectLabel": [{"value": "one"}, {"value": "two"}],
                    "objectMarking": [{"standard_id": "marking-definition--1"}], "x_opencti_score": 70,
                    "observable_description": "desc", "file_name": "a.exe",
                }),
                json!({
                    "standard_id": "file--1", "created_at": "2026-12-01T02:55:07.530Z", "created_by": "identity--1",
                    "labels": ["one", "two"], "markings": ["marking-definition--1"], "score": 70,
                    "description": "desc", "name": "a.exe",
                }),
            ),
            (
                json!({
                    "standard_id": "indicator--1", "x_opencti_stix_ids": null, "createdBy": null, "objectLabel": [],
                    "objectMarking": null, "name": "r", "description": null, "revoked": false,
                    "externalReferences": {"edges": [{"node": {"source_name": "s", "external_id": "7"}}]},
                }),
                json!({
                    "standard_id": "indicator--1", "labels": [], "name": "r", "revoked": false,
                    "external_references": [{"source_name": "s", "external_id": "7"}],
                }),
            ),
        ];
        for (node, expected) in cases {
            let held: HeldObject = serde_json::from_value(node).unwrap();
            assert_eq!(held.to_json(), expected);
        }
    }

    #[test]
    fn an_object_is_known_by_all_its_ids() {
        let held: HeldObject = serde_json::from_value(
            json!({"standard_id": "file--1", "x_opencti_stix_ids": ["file--2", "file--3"]}),
        )
        .unwrap();
        let known = ["file--1", "file--3", "file--4"].map(|id| held.is_called(id));
        assert_eq!(known, [true, true, false]);
    }
}
