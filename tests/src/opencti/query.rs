//! Reading the knowledge: one object, objects by id or name, observables by hash, incidents by id.

use serde_json::{Value, json};

use super::error::PlatformError;
use super::ids::internal_id;
use super::marking::{Sight, object_markings};
use super::platform::Platform;
use super::store::Stored;
use super::upsert;

/// The page size where none is asked for.
const DEFAULT_FIRST: u64 = 25;

/// The draft that a query reads in, and the markings that its account sees.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) draft: Option<&'a str>,
    pub(crate) sight: Sight,
}

impl Platform {
    /// `stixCoreObject`: null where the id is unknown, or names a relationship or a marking.
    pub(crate) fn core_object(
        &self,
        reader: &Reader<'_>,
        id: &str,
    ) -> Result<Value, PlatformError> {
        match self.find(reader.draft, id) {
            Some(stored) if is_core(stored) && reader.sight.sees_object(&stored.object) => {
                self.node(stored, reader)
            }
            _ => Ok(Value::Null),
        }
    }

    /// `stixCoreObjects`: the newest first, if so ordered.
    pub(crate) fn core_objects(
        &self,
        reader: &Reader<'_>,
        arguments: &Value,
    ) -> Result<Value, PlatformError> {
        self.connection(reader, arguments, is_core)
    }

    /// `stixCyberObservables`.
    pub(crate) fn observables(
        &self,
        reader: &Reader<'_>,
        arguments: &Value,
    ) -> Result<Value, PlatformError> {
        self.connection(reader, arguments, |stored| entity_type(stored).1)
    }

    /// `incidents`.
    pub(crate) fn incidents(
        &self,
        reader: &Reader<'_>,
        arguments: &Value,
    ) -> Result<Value, PlatformError> {
        self.connection(reader, arguments, |stored| kind(stored) == "incident")
    }

    /// A page of the objects that are wanted, of the types asked for, and match the filters. Its cursor is a position.
    fn connection(
        &self,
        reader: &Reader<'_>,
        arguments: &Value,
        wanted: impl Fn(&Stored) -> bool,
    ) -> Result<Value, PlatformError> {
        let mut matching = Vec::new();
        let types = arguments["types"].as_array();
        let is_asked = |it: &Stored| {
            types.is_none_or(|types| types.iter().any(|name| name == entity_type(it).0))
        };
        let seen =
            |it: &&Stored| reader.sight.sees_object(&it.object) && wanted(it) && is_asked(it);
        for stored in self.visible(reader.draft).filter(seen) {
            if arguments["filters"].is_null() || group_matches(&arguments["filters"], stored)? {
                matching.push(stored);
            }
        }
        if arguments["orderMode"] == "desc" {
            matching.reverse();
        }
        let first = arguments["first"].as_u64().unwrap_or(DEFAULT_FIRST);
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let after = arguments["after"]
            .as_str()
            .and_then(|it| it.parse().ok())
            .unwrap_or(0);
        let mut edges = Vec::new();
        for (position, stored) in matching.iter().enumerate().skip(after).take(first) {
            edges.push(
                json!({"cursor": (position + 1).to_string(), "node": self.node(stored, reader)?}),
            );
        }
        let end = after + edges.len();
        Ok(json!({
            "pageInfo": {
                "startCursor": after.to_string(), "endCursor": end.to_string(),
                "hasNextPage": end < matching.len(), "hasPreviousPage": after > 0,
                "globalCount": matching.len(),
            },
            "edges": edges,
        }))
    }

    /// An object as GraphQL shows it.
    pub(super) fn node(
        &self,
        stored: &Stored,
        reader: &Reader<'_>,
    ) -> Result<Value, PlatformError> {
        let mut shown = node(stored)?;
        let object = &stored.object;
        let author = ["created_by_ref", "x_opencti_created_by_ref"]
            .iter()
            .find_map(|name| object[*name].as_str())
            .and_then(|id| self.find(reader.draft, id))
            .filter(|author| reader.sight.sees_object(&author.object));
        shown["createdBy"] = author.map_or(
            Value::Null,
            |it| json!({"__typename": "Organization", "standard_id": it.standard_id}),
        );
        Ok(shown)
    }
}

/// Relationships and markings are no core objects.
fn is_core(stored: &Stored) -> bool {
    !["relationship", "marking-definition"].contains(&kind(stored))
}

fn group_matches(group: &Value, stored: &Stored) -> Result<bool, PlatformError> {
    let mut results = Vec::new();
    for filter in group["filters"].as_array().into_iter().flatten() {
        results.push(filter_matches(filter, stored)?);
    }
    for group in group["filterGroups"].as_array().into_iter().flatten() {
        results.push(group_matches(group, stored)?);
    }
    Ok(results.is_empty() || join(&group["mode"], &results))
}

fn filter_matches(filter: &Value, stored: &Stored) -> Result<bool, PlatformError> {
    let mut has: Vec<String> = Vec::new();
    for key in filter["key"].as_array().into_iter().flatten() {
        has.extend(values(key.as_str().unwrap_or_default(), stored)?);
    }
    let wanted = filter["values"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    let negated = filter["operator"] == "not_eq";
    let results: Vec<bool> = wanted
        .map(|wanted| has.iter().any(|it| it.eq_ignore_ascii_case(wanted)) != negated)
        .collect();
    // Several values of one filter are joined by "or" unless it says otherwise.
    Ok(join(&filter["mode"], &results))
}

fn join(mode: &Value, results: &[bool]) -> bool {
    if mode == "and" {
        results.iter().all(|it| *it)
    } else {
        results.contains(&true)
    }
}

/// What an object has under a filter key.
fn values(key: &str, stored: &Stored) -> Result<Vec<String>, PlatformError> {
    let property = |name: &str| {
        stored.object[name]
            .as_str()
            .map(str::to_owned)
            .into_iter()
            .collect()
    };
    Ok(match key {
        // A key of the platform's own: any id by which the object is known.
        "ids" => {
            let mut ids = stored.other_ids();
            ids.extend([stored.internal_id.clone(), stored.standard_id.clone()]);
            ids
        }
        "internal_id" => vec![stored.internal_id.clone()],
        "standard_id" => vec![stored.standard_id.clone()],
        "entity_type" => vec![entity_type(stored).0.to_owned()],
        "name" | "value" => property(key),
        _ => match key.strip_prefix("hashes.") {
            Some(algorithm) => stored.object["hashes"][algorithm]
                .as_str()
                .map(str::to_owned)
                .into_iter()
                .collect(),
            None => {
                let message =
                    format!("incorrect filter keys not existing in any schema definition: {key}");
                return Err(PlatformError::new("UNSUPPORTED_ERROR", message));
            }
        },
    })
}

fn kind(stored: &Stored) -> &str {
    stored.object["type"].as_str().unwrap_or_default()
}

/// The platform's name for an object's type, and whether it is an observable.
fn entity_type(stored: &Stored) -> (&'static str, bool) {
    match kind(stored) {
        "artifact" => ("Artifact", true),
        "file" => ("StixFile", true),
        "url" => ("Url", true),
        "domain-name" => ("Domain-Name", true),
        "ipv4-addr" => ("IPv4-Addr", true),
        "ipv6-addr" => ("IPv6-Addr", true),
        "incident" => ("Incident", false),
        "indicator" => ("Indicator", false),
        "note" => ("Note", false),
        "identity" => ("Organization", false),
        _ => ("", false),
    }
}

/// An object as GraphQL shows it, but for its author.
fn node(stored: &Stored) -> Result<Value, PlatformError> {
    let (name, _) = entity_type(stored);
    if name.is_empty() {
        let message = format!("the simulator's schema has no type for {}", kind(stored));
        return Err(PlatformError::new("INTERNAL_SERVER_ERROR", message));
    }
    let object = &stored.object;
    let hashes: Vec<Value> = object["hashes"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(algorithm, hash)| json!({"algorithm": algorithm, "hash": hash}))
        .collect();
    let shown = ["value", "name"]
        .iter()
        .find_map(|name| object[*name].as_str());
    let first_hash = hashes.first().and_then(|it| it["hash"].as_str());
    let labels: Vec<Value> = upsert::labels(object)
        .map(|label| json!({"id": internal_id(&label), "standard_id": label, "value": label}))
        .collect();
    let mut shown = json!({
        "__typename": name.replace('-', ""),
        "id": stored.internal_id,
        "standard_id": stored.standard_id,
        "entity_type": name,
        "x_opencti_stix_ids": stored.other_ids(),
        "spec_version": "2.1",
        "created_at": stored.created_at,
        "updated_at": stored.updated_at,
        "objectMarking": object_markings(object),
        "objectLabel": labels,
        "externalReferences": {"edges": references(object)},
        "description": object["description"],
        "x_opencti_description": object["x_opencti_description"],
        "confidence": stored.confidence,
        "pattern": object["pattern"],
        "pattern_type": object["pattern_type"],
        "x_opencti_score": object["x_opencti_score"],
        "observable_value": shown.or(first_hash).unwrap_or_default(),
        "hashes": hashes,
        "mime_type": object["mime_type"],
        "name": object["name"],
    });
    if let Some(life) = &stored.life {
        shown["revoked"] = json!(life.revoked);
        shown["x_opencti_score"] = json!(life.score);
        shown["valid_from"] = json!(format!("{:.3}", life.valid_from));
        shown["valid_until"] = json!(format!("{:.3}", life.valid_until));
    }
    Ok(shown)
}

/// `externalReferences`.
fn references(object: &Value) -> Vec<Value> {
    ["external_references", "x_opencti_external_references"]
        .iter()
        .filter_map(|name| object[*name].as_array())
        .flatten()
        .map(|it| {
            json!({"node": {
                "source_name": it["source_name"], "external_id": it["external_id"], "url": it["url"],
            }})
        })
        .collect()
}
