//! Ids that the platform computes itself (stix-ids): UUIDv5 of the canonical JSON of what identifies
//! an object. Written apart from the connector's own code, so that one checks the other.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::version::Version;

/// The namespace of all STIX ids of the platform.
const NAMESPACE: Uuid = Uuid::from_u128(0x00ab_edb4_aa42_466c_9c01_fed2_3315_a9b7);

/// The order in which the platform looks for a file's identifying hash.
const HASHES: &[&str] = &[
    "MD5", "SHA-1", "SHA-256", "SHA-512", "SHA3-256", "SHA3-512", "SSDEEP", "SDHASH", "TLSH",
    "LZJD",
];

/// The id under which the platform stores an object; `None` where this simulator leaves the id as
/// it was sent. `standard` gives the standard id of a relationship's end.
pub(crate) fn standard_id(object: &Value, standard: impl Fn(&str) -> String) -> Option<String> {
    let kind = object["type"].as_str()?;
    let text = |name: &str| object[name].as_str().unwrap_or_default().trim();
    let identifying = match kind {
        "identity" => json!({
            "identity_class": text("identity_class").to_lowercase(),
            "name": text("name").to_lowercase(),
        }),
        "incident" => json!({
            "created": milliseconds(object["created"].as_str()?)?,
            "name": text("name").to_lowercase(),
        }),
        "indicator" => json!({"pattern": text("pattern")}),
        "domain-name" => json!({"value": text("value").to_lowercase()}),
        "url" | "ipv4-addr" | "ipv6-addr" => json!({"value": text("value")}),
        "file" | "artifact" => match best_hash(&object["hashes"]) {
            Some((algorithm, hash)) => json!({"hashes": {algorithm: hash}}),
            None if kind == "file" => json!({"name": text("name")}),
            None => return None,
        },
        "relationship" => relationship(object, standard)?,
        _ => return None,
    };
    id(kind, &identifying)
}

/// Hashes that are alike for files that are alike.
const FUZZY: &[&str] = &["SSDEEP", "SDHASH", "TLSH", "LZJD"];

/// Every id by which a release knows a hashed observable: one for each single hash.
pub(crate) fn hash_ids(object: &Value, version: &Version) -> Vec<String> {
    let Some(kind) = object["type"]
        .as_str()
        .filter(|kind| ["file", "artifact"].contains(kind))
    else {
        return Vec::new();
    };
    let hashes = object["hashes"].as_object().into_iter().flatten();
    hashes
        .filter(|(name, _)| {
            version.knows_files_by_fuzzy_hashes() || !FUZZY.contains(&name.as_str())
        })
        .filter_map(|(algorithm, hash)| id(kind, &json!({"hashes": {algorithm: hash}})))
        .collect()
}

/// The id of a label.
pub(crate) fn label_id(value: &str) -> Option<String> {
    id("label", &json!({"value": value.trim().to_lowercase()}))
}

/// The platform's internal id; it says nothing, but it is stable.
pub(crate) fn internal_id(key: &str) -> String {
    Uuid::new_v5(&NAMESPACE, format!("internal {key}").as_bytes()).to_string()
}

fn id(kind: &str, identifying: &Value) -> Option<String> {
    let canonical = serde_json_canonicalizer::to_vec(identifying).ok()?;
    Some(format!("{kind}--{}", Uuid::new_v5(&NAMESPACE, &canonical)))
}

fn best_hash(hashes: &Value) -> Option<(&'static str, &Value)> {
    HASHES
        .iter()
        .find_map(|algorithm| Some((*algorithm, hashes.get(algorithm)?)))
}

fn relationship(object: &Value, standard: impl Fn(&str) -> String) -> Option<Value> {
    let mut identifying = json!({
        "relationship_type": object["relationship_type"],
        "source_ref": standard(object["source_ref"].as_str()?),
        "target_ref": standard(object["target_ref"].as_str()?),
    });
    for name in ["start_time", "stop_time"] {
        if let Some(time) = object[name].as_str() {
            identifying[name] = json!(milliseconds(time)?);
        }
    }
    Some(identifying)
}

fn milliseconds(time: &str) -> Option<String> {
    Some(format!("{:.3}", time.parse::<Timestamp>().ok()?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_ids_are_those_of_the_platform() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../shared/reference/stix-ids-vectors.json");
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("skipped: {} is not there", path.display());
            return;
        };
        let vectors: Value = serde_json::from_str(&text).unwrap();
        let mut checked = 0;
        for vector in vectors["vectors"].as_array().unwrap() {
            let kind = vector["kind"].as_str().unwrap().trim_start_matches("sco:");
            let Some(expected) = vector["platform_standard_id"].as_str() else {
                continue;
            };
            let mut object = vector["input"].clone();
            object["type"] = json!(kind);
            // Vectors of numbers show what pycti does with them; an incident that is sent has a text.
            if let Some(seconds) = object["created"].as_i64() {
                object["created"] = json!(Timestamp::from_second(seconds).unwrap().to_string());
            }
            if let Some(id) = standard_id(&object, str::to_owned) {
                assert_eq!(id, expected, "{object}");
                checked += 1;
            }
        }
        assert!(checked > 30, "only {checked} vectors");
    }

    #[test]
    fn an_artifact_has_an_id_for_each_hash_that_the_release_looks_at() {
        let object = json!({"type": "artifact",
            "hashes": {"MD5": "d4", "SHA-256": "e3", "SSDEEP": "3:a:b", "TLSH": "T1"}});
        for (version, number) in [("6.2.18", 2), ("6.9.22", 4), ("7.260817.0", 4)] {
            let version = version.parse().unwrap();
            let ids = hash_ids(&object, &version);
            assert_eq!(ids.len(), number, "{version}");
            assert!(ids.contains(&standard_id(&object, str::to_owned).unwrap()));
            let url = json!({"type": "url", "hashes": {"MD5": "d4"}});
            assert!(hash_ids(&url, &version).is_empty());
        }
    }
}
