//! Reading the knowledge: one object, observables by hash, incidents by id.

use serde_json::{Value, json};

use super::error::PlatformError;
use super::platform::Platform;
use super::sight::object_markings;
use super::store::Stored;

/// The page size where none is asked for.
const DEFAULT_FIRST: u64 = 25;

impl Platform {
    /// `stixCoreObject`: null where the id is unknown, or names a relationship or a marking.
    pub(crate) fn core_object(
        &self,
        draft: Option<&str>,
        id: &str,
    ) -> Result<Value, PlatformError> {
        match self.find(draft, id) {
            None => Ok(Value::Null),
            Some(stored) if ["relationship", "marking-definition"].contains(&kind(stored)) => {
                Ok(Value::Null)
            }
            Some(stored) => node(stored),
        }
    }

    /// `stixCyberObservables`.
    pub(crate) fn observables(
        &self,
        draft: Option<&str>,
        arguments: &Value,
    ) -> Result<Value, PlatformError> {
        let types = arguments["types"].as_array();
        self.connection(draft, arguments, |stored| {
            let (name, observable) = entity_type(stored);
            observable && types.is_none_or(|types| types.iter().any(|it| it == name))
        })
    }

    /// `incidents`.
    pub(crate) fn incidents(
        &self,
        draft: Option<&str>,
        arguments: &Value,
    ) -> Result<Value, PlatformError> {
        self.connection(draft, arguments, |stored| kind(stored) == "incident")
    }

    /// A page of the objects that are wanted and match the filters. Its cursor is a position.
    fn connection(
        &self,
        draft: Option<&str>,
        arguments: &Value,
        wanted: impl Fn(&Stored) -> bool,
    ) -> Result<Value, PlatformError> {
        let mut matching = Vec::new();
        for stored in self.visible(draft).filter(|it| wanted(it)) {
            if arguments["filters"].is_null() || group_matches(&arguments["filters"], stored)? {
                matching.push(stored);
            }
        }
        let first = arguments["first"].as_u64().unwrap_or(DEFAULT_FIRST);
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let after = arguments["after"]
            .as_str()
            .and_then(|it| it.parse().ok())
            .unwrap_or(0);
        let mut edges = Vec::new();
        for (position, stored) in matching.iter().enumerate().skip(after).take(first) {
            edges.push(json!({"cursor": (position + 1).to_string(), "node": node(stored)?}));
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
            let mut ids = stored.stix_ids.clone();
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

/// An object as GraphQL shows it.
pub(super) fn node(stored: &Stored) -> Result<Value, PlatformError> {
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
    Ok(json!({
        "__typename": name.replace('-', ""),
        "id": stored.internal_id,
        "standard_id": stored.standard_id,
        "entity_type": name,
        "x_opencti_stix_ids": stored.stix_ids,
        "spec_version": "2.1",
        "created_at": stored.created_at,
        "updated_at": stored.updated_at,
        "objectMarking": object_markings(object),
        "x_opencti_score": object["x_opencti_score"],
        "observable_value": shown.or(first_hash).unwrap_or_default(),
        "hashes": hashes,
        "mime_type": object["mime_type"],
        "name": object["name"],
    }))
}
