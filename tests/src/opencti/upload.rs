//! Files that arrive by the GraphQL multipart request specification, and what becomes of them.

use std::collections::BTreeMap;

use axum::extract::Multipart;
use axum::extract::multipart::Field;
use serde_json::{Value, json};

use super::error::PlatformError;
use super::graphql::Body;
use super::ids::{internal_id, label_id, standard_id};
use super::platform::Platform;
use super::query::Reader;
use super::resolver::Caller;
use super::store::Origin;
use crate::body::Hashes;

/// A non-file field may be so long (graphql-upload's default).
const MAX_FIELD: usize = 1_000_000;

/// A missing reference is an error up to this try.
const LAST_STRICT_TRY: u32 = 2;

/// A received file: everything but its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    name: String,
    content_type: String,
    size: u64,
    sha256: String,
    sha1: String,
    md5: String,
}

/// Why a multipart request cannot be read.
pub(crate) enum Unreadable {
    /// It is not what the specification asks for.
    Malformed(String),
    /// It ended in the middle.
    Broken,
}

/// Reads `operations`, `map` and the files, in this order. A file's place in the variables then holds
/// the name of its part.
pub(crate) async fn read(mut parts: Multipart) -> Result<Body, Unreadable> {
    let operations = named(&mut parts, "operations").await?;
    let mut body = Body::parse(operations.as_bytes())
        .ok_or_else(|| malformed("operations is not a GraphQL request"))?;
    let map = named(&mut parts, "map").await?;
    let map: BTreeMap<String, Vec<String>> =
        serde_json::from_str(&map).map_err(|_| malformed("map is not an object of lists"))?;
    for (part, places) in &map {
        for place in places {
            let pointer = format!("/{}", place.replace('.', "/"));
            let value = pointer
                .strip_prefix("/variables")
                .and_then(|pointer| body.variables.pointer_mut(pointer))
                .filter(|value| value.is_null())
                .ok_or_else(|| malformed(&format!("{place} is not null in operations")))?;
            *value = json!(part);
        }
    }
    while let Some(field) = parts.next_field().await.map_err(|_| Unreadable::Broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if !map.contains_key(&name) {
            return Err(malformed(&format!("part {name} is not in map")));
        }
        body.uploads.insert(name, receive(field).await?);
    }
    match map.keys().find(|part| !body.uploads.contains_key(*part)) {
        Some(part) => Err(malformed(&format!("file {part} is missing in the request"))),
        None => Ok(body),
    }
}

async fn named(parts: &mut Multipart, expected: &str) -> Result<String, Unreadable> {
    let field = parts.next_field().await.map_err(|_| Unreadable::Broken)?;
    let field = field
        .filter(|field| field.name() == Some(expected))
        .ok_or_else(|| {
            malformed(&format!(
                "Misordered multipart fields; {expected} is not where it belongs"
            ))
        })?;
    let text = field.text().await.map_err(|_| Unreadable::Broken)?;
    if text.len() > MAX_FIELD {
        return Err(malformed(&format!("{expected} exceeds {MAX_FIELD} bytes")));
    }
    Ok(text)
}

/// Hashes the file as it comes; nothing of it is kept.
async fn receive(mut field: Field<'_>) -> Result<Upload, Unreadable> {
    let name = field
        .file_name()
        .ok_or_else(|| malformed("a file has no name"))?
        .to_owned();
    let content_type = field
        .content_type()
        .unwrap_or("application/octet-stream")
        .to_owned();
    let (mut hashes, mut size) = (Hashes::default(), 0);
    while let Some(chunk) = field.chunk().await.map_err(|_| Unreadable::Broken)? {
        size += chunk.len() as u64;
        hashes.update(&chunk);
    }
    let (sha256, sha1, md5) = hashes.finish();
    Ok(Upload {
        name,
        content_type,
        size,
        sha256,
        sha1,
        md5,
    })
}

fn malformed(message: &str) -> Unreadable {
    Unreadable::Malformed(message.to_owned())
}

impl Platform {
    /// `artifactImport`. With `opencti-retry-number` up to 2, a reference that is not there is an error; otherwise the
    /// platform silently creates the artifact without it (protocol section 1).
    pub(crate) fn import_artifact(
        &mut self,
        upload: &Upload,
        arguments: &Value,
        caller: &Caller,
    ) -> Result<Value, PlatformError> {
        let draft = caller.draft.as_deref();
        let texts = |name: &str| -> Vec<&str> {
            let values = &arguments[name];
            let list = values.as_array().into_iter().flatten().chain([values]);
            list.filter_map(Value::as_str).collect()
        };
        let (author, markings, labels) = (
            texts("createdBy"),
            texts("objectMarking"),
            texts("objectLabel"),
        );
        let knows = |id: &&str| self.knows(draft, id);
        let hidden = |id: &&str| knows(id) && !caller.user.sight.sees(id);
        let has_label = |label: &&str| self.label(label).is_some();
        let lacking = |ids: &[&'_ str]| -> Vec<String> {
            let lacking = ids.iter().filter(|it| !knows(it) || hidden(it));
            lacking.map(|it| (*it).to_owned()).collect()
        };
        let mut missing = [lacking(&author), lacking(&markings)].concat();
        let unlabelled = labels.iter().filter(|it| !has_label(it));
        missing.extend(unlabelled.map(|it| (*it).to_owned()));
        let is_strict = caller.retry_number.is_some_and(|it| it <= LAST_STRICT_TRY);
        if !missing.is_empty() && is_strict || markings.iter().any(hidden) {
            let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
            return Err(PlatformError::missing(&missing));
        }
        let mut object = json!({
            "type": "artifact",
            "hashes": {"MD5": upload.md5, "SHA-1": upload.sha1, "SHA-256": upload.sha256},
            "mime_type": upload.content_type,
            "x_opencti_additional_names": [upload.name],
            "x_opencti_created_by_ref": author.into_iter().find(|id| knows(id)),
            "object_marking_refs": markings.into_iter().filter(knows).collect::<Vec<_>>(),
            "x_opencti_labels": labels.iter().filter_map(|it| self.label(it)).collect::<Vec<_>>(),
            "x_opencti_description": arguments["x_opencti_description"],
        });
        object["id"] = json!(standard_id(&object, str::to_owned).unwrap_or_default());
        let origin = Origin {
            draft_id: caller.draft.clone(),
            size: Some(upload.size),
            ..self.origin(&caller.user.id)
        };
        let imported = self.upsert(draft, &object, &origin)?;
        let reader = Reader {
            draft,
            sight: caller.user.sight,
        };
        self.core_object(&reader, &imported.standard_id)
    }

    /// The label with this value or id, if there is one.
    fn label(&self, label: &str) -> Option<&String> {
        let value = label.trim().to_lowercase();
        let by_id = |it: &&String| label_id(it).is_some_and(|id| id == value);
        self.labels
            .get(&value)
            .or_else(|| self.labels.iter().find(by_id))
    }

    /// `labelAdd`.
    pub(crate) fn add_label(&mut self, value: &str) -> Value {
        let value = value.trim().to_lowercase();
        self.labels.insert(value.clone());
        let id = label_id(&value);
        json!({"id": internal_id(&value), "standard_id": id, "value": value})
    }
}
