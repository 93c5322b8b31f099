//! One notification of the IoC stream: the bytes that are served, and what filters look at.

use std::sync::Arc;

use serde_json::{Value, json};

/// An element of `/ioc_stream`'s `data`, with the fields that the filter grammar knows.
#[derive(Clone, Debug)]
pub struct Notification {
    /// `context_attributes.notification_id`; empty in an item that lacks it.
    pub id: String,
    /// `context_attributes.notification_date`, seconds since the Unix epoch.
    pub date: u64,
    /// The item, compact JSON.
    pub document: Arc<str>,
    /// The item without its attributes (`descriptors_only`).
    pub(super) descriptor: Arc<str>,
    pub(super) entity_type: String,
    pub(super) entity_id: String,
    pub(super) origin: String,
    /// Type and id of each source.
    pub(super) sources: Vec<(String, String)>,
    pub(super) tags: Vec<String>,
    /// MD5, SHA-1 and SHA-256 of a file, as far as the item has them.
    pub(super) hashes: Vec<String>,
}

impl Notification {
    /// The same, such that nobody can map it: its rule is not named.
    #[must_use]
    pub fn without_rule(&self) -> Self {
        let mut item = self.item();
        item["context_attributes"]["hunting_info"] = json!({});
        item["context_attributes"]["sources"] = json!([{"type": "hunting_ruleset", "id": "1"}]);
        Self::new(&item)
    }

    /// Takes an item as the API documents it.
    #[must_use]
    pub fn new(item: &Value) -> Self {
        let context = &item["context_attributes"];
        let mut descriptor = item.clone();
        if let Some(members) = descriptor.as_object_mut() {
            members.remove("attributes");
            members.remove("links");
        }
        Self {
            id: text(&context["notification_id"]),
            date: context["notification_date"].as_u64().unwrap_or_default(),
            document: item.to_string().into(),
            descriptor: descriptor.to_string().into(),
            entity_type: text(&item["type"]),
            entity_id: text(&item["id"]),
            origin: text(&context["origin"]),
            sources: list(&context["sources"])
                .map(|source| (text(&source["type"]), text(&source["id"])))
                .collect(),
            tags: list(&context["tags"]).map(text).collect(),
            hashes: ["sha256", "sha1", "md5"]
                .into_iter()
                .filter_map(|name| item["attributes"][name].as_str().map(str::to_owned))
                .collect(),
        }
    }

    /// Gives the notification another date, in its document too.
    #[must_use]
    pub fn dated(&self, date: u64) -> Self {
        let mut item = self.item();
        item["context_attributes"]["notification_date"] = json!(date);
        Self::new(&item)
    }

    /// The item.
    #[must_use]
    pub fn item(&self) -> Value {
        serde_json::from_str(&self.document).unwrap_or_default()
    }

    /// The answer of `/ioc_stream_notifications/{id}`.
    pub(super) fn object(&self, root: &str) -> Value {
        let mut item = self.item();
        let context = &mut item["context_attributes"];
        // The documented example has no labels.
        for source in context["sources"].as_array_mut().into_iter().flatten() {
            if let Some(members) = source.as_object_mut() {
                members.remove("label");
            }
        }
        json!({
            "id": self.id,
            "type": "ioc_stream_notification",
            "links": {"self": format!("{root}/ioc_stream_notifications/{}", self.id)},
            "attributes": {
                "date": self.date,
                "origin": self.origin,
                "entity_type": self.entity_type,
                "entity_id": self.entity_id,
                "hunting_info": context["hunting_info"],
                "sources": context["sources"],
                "tags": context["tags"],
            },
        })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
