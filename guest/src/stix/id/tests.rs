//! The vectors were computed with pycti and with the platform's own code.

use serde_json::Value;

use super::*;
use crate::stix::Tlp;

struct Vector {
    kind: String,
    input: Value,
    canonical: Option<Value>,
    python: Option<String>,
    platform: Option<String>,
}

fn vectors() -> Vec<Vector> {
    let fixture = include_str!("../../../tests/fixtures/stix-ids-vectors.json");
    let mut fixture: Value = serde_json::from_str(fixture).unwrap();
    let Value::Array(vectors) = fixture["vectors"].take() else {
        panic!("no vectors");
    };
    assert_eq!(vectors.len(), 71);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    vectors
        .into_iter()
        .map(|vector| Vector {
            kind: text(&vector["kind"]).unwrap(),
            input: vector["input"].clone(),
            canonical: vector["canonical"]
                .as_str()
                .map(|canonical| serde_json::from_str(canonical).unwrap()),
            python: text(&vector["pycti_id"]),
            platform: text(&vector["platform_standard_id"]),
        })
        .collect()
}

/// Every vector, for objects that we do not make too: the same properties give the same id.
#[test]
fn identifying_properties_give_the_ids_of_pycti() {
    let mut checked = 0;
    for Vector {
        kind,
        canonical,
        python,
        ..
    } in vectors()
    {
        let (Some(canonical), Some(python)) = (canonical, python) else {
            continue;
        };
        let object_type = kind.strip_prefix("sco:").unwrap_or(&kind);
        assert_eq!(
            deterministic(object_type, &canonical),
            python,
            "{kind}: {canonical}"
        );
        checked += 1;
    }
    assert_eq!(checked, 60);
}

/// Every vector of an object that we make, through the function that makes it.
#[test]
fn objects_have_the_ids_that_the_module_promises() {
    for Vector {
        kind,
        input,
        python,
        platform,
        ..
    } in vectors()
    {
        let field = |name: &str| input[name].as_str().unwrap_or_default().to_owned();
        let (ours, expected) = match kind.as_str() {
            "identity" => (identity(&field("name"), &field("identity_class")), python),
            "incident" => {
                let Some(notified) = input["created"].as_u64() else {
                    continue;
                };
                (incident(&field("name"), notified), python)
            }
            "indicator" => (indicator(&field("pattern")), python),
            "relationship" => {
                if !input["start_time"].is_null() {
                    continue;
                }
                let (source, target) = (field("source_ref"), field("target_ref"));
                (
                    relationship(&field("relationship_type"), &source, &target),
                    python,
                )
            }
            "marking-definition" => {
                let Some(level) = Tlp::from_definition(&field("definition")) else {
                    continue;
                };
                (level.id().to_owned(), python)
            }
            "sco:domain-name" => (
                value("domain-name", &field("value").to_lowercase()),
                platform,
            ),
            "sco:ipv4-addr" | "sco:ipv6-addr" | "sco:url" => {
                (value(&kind["sco:".len()..], &field("value")), platform)
            }
            "sco:file" | "sco:artifact" => {
                let hash = |name: &str| input["hashes"][name].as_str().map(str::to_owned);
                let hashes = Hashes {
                    md5: hash("MD5"),
                    sha1: hash("SHA-1"),
                    sha256: hash("SHA-256").unwrap_or_default(),
                };
                if hashes.md5.is_none() && hashes.sha256.is_empty() {
                    continue;
                }
                let ours = if kind == "sco:file" {
                    file(&hashes)
                } else {
                    artifact(&hashes)
                };
                (ours, platform)
            }
            _ => continue,
        };
        assert_eq!(Some(ours), expected, "{kind}: {input}");
    }
}

/// The note's id is pycti's for a creation date in the platform's form.
#[test]
fn note_is_its_content_and_creation_date() {
    let created = Date::from_seconds(1_700_000_000).unwrap();
    let properties = serde_json::json!({"content": "text", "created": "2023-11-14T22:13:20.000Z"});
    assert_eq!(note(created, " text\n"), deterministic("note", &properties));
}

proptest::proptest! {
    /// What serde_json writes of properties in alphabetical order is RFC 8785's canonical form.
    #[test]
    fn properties_in_order_are_canonical(text: String, key in "[a-z_]{1,9}", number: u32) {
        let properties = std::collections::BTreeMap::from([
            (key, serde_json::json!(text)),
            ("created".to_owned(), serde_json::json!(number)),
        ]);
        let canonical = serde_json_canonicalizer::to_string(&properties).unwrap();
        proptest::prop_assert_eq!(serde_json::to_string(&properties).unwrap(), canonical);
    }
}
