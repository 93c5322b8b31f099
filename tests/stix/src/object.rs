//! Checks of one object.

use jiff::Timestamp;
use serde_json::Value;

use super::pattern::pattern_problem;
use super::references;
use super::required::{self, Category};
use super::values;
use super::vocabulary::TLP;

/// Everything that is wrong with one object, each line beginning with its id.
#[must_use]
pub fn object_problems(object: &Value) -> Vec<String> {
    let Some(members) = object.as_object() else {
        return vec![format!("not an object: {object}")];
    };
    let kind = object["type"].as_str().unwrap_or_default();
    let Some((category, properties)) = required::of(kind) else {
        return vec![format!(
            "{}: type \"{kind}\" is not in STIX 2.1",
            object["id"]
        )];
    };
    let mut problems = Vec::new();
    problems.extend(id_problem(&object["id"], kind));
    problems.extend(common(object, category));
    for property in properties {
        match &object[*property] {
            Value::Null => problems.push(format!("{property} is missing")),
            Value::String(text) if text.is_empty() => problems.push(format!("{property} is empty")),
            _ => {}
        }
    }
    problems.extend(values::values(members));
    problems.extend(values::unknown_properties(members, kind, category));
    problems.extend(values::typed(object));
    problems.extend(times(object));
    problems.extend(references(object).filter_map(|(name, id)| reference_problem(name, id)));
    problems.extend(values::hashes(&object["hashes"]));
    for name in ["external_references", "x_opencti_external_references"] {
        problems.extend(values::external_references(&object[name]));
    }
    problems.extend(special(object, kind));
    let id = object["id"].as_str().unwrap_or(kind);
    problems
        .into_iter()
        .map(|problem| format!("{id}: {problem}"))
        .collect()
}

/// `type--UUID` in lower-case RFC 4122 form (2.9).
pub(super) fn id_problem(id: &Value, kind: &str) -> Option<String> {
    let Some(id) = id.as_str() else {
        return Some(format!("id is {id}, not a text"));
    };
    match id.split_once("--") {
        Some((prefix, _)) if prefix != kind => {
            Some(format!("id {id} does not begin with {kind}--"))
        }
        Some((_, uuid)) if is_uuid(uuid) => None,
        _ => Some(format!("id {id} does not end in a UUID")),
    }
}

fn is_uuid(text: &str) -> bool {
    let is_rfc_4122 = |it: uuid::Uuid| it.get_variant() == uuid::Variant::RFC4122;
    text.len() == 36
        && uuid::Uuid::parse_str(text).is_ok_and(is_rfc_4122)
        && text == text.to_lowercase()
}

/// 3.2: which of the common properties each kind of object must have.
fn common(object: &Value, category: Category) -> Vec<String> {
    let mut problems = Vec::new();
    let version = &object["spec_version"];
    let optional = category == Category::Observable && version.is_null();
    if version != "2.1" && !optional {
        problems.push(format!("spec_version is {version}, not \"2.1\""));
    }
    let dates: &[&str] = match category {
        Category::Domain => &["created", "modified"],
        Category::Marking => &["created"],
        Category::Observable => &[],
    };
    for date in dates.iter().filter(|date| object[**date].is_null()) {
        problems.push(format!("{date} is missing"));
    }
    problems
}

fn times(object: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for name in required::TIMESTAMPS {
        let value = &object[*name];
        if !value.is_null() && timestamp(value).is_none() {
            problems.push(format!(
                "{name} {value} is not a timestamp (RFC 3339, UTC, ending in Z)"
            ));
        }
    }
    for (first, second, equal) in required::ORDERED {
        let pair = timestamp(&object[*first]).zip(timestamp(&object[*second]));
        if pair.is_some_and(|(first, second)| second < first || (second == first && !equal)) {
            problems.push(format!(
                "{second} {} is before {first} {}",
                object[*second], object[*first]
            ));
        }
    }
    problems
}

/// 2.10: `YYYY-MM-DDTHH:MM:SS[.s+]Z`.
fn timestamp(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?;
    let bytes = text.as_bytes();
    let form = bytes.len() >= 20 && bytes[10] == b'T' && bytes.ends_with(b"Z");
    form.then(|| text.parse().ok()).flatten()
}

fn reference_problem(property: &str, id: &str) -> Option<String> {
    let (kind, uuid) = id.split_once("--").unwrap_or((id, ""));
    if !is_uuid(uuid) {
        return Some(format!("{property} {id} is not an identifier"));
    }
    if required::target_types(property).is_some_and(|allowed| !allowed.contains(&kind)) {
        return Some(format!("{property} must not name a {kind}"));
    }
    let endpoint = matches!(property, "source_ref" | "target_ref");
    let refused = matches!(
        kind,
        "relationship" | "sighting" | "bundle" | "marking-definition"
    );
    (endpoint && refused).then(|| format!("{property} must not name a {kind}"))
}

/// Rules that only one type has.
fn special(object: &Value, kind: &str) -> Vec<String> {
    let mut problems = Vec::new();
    match kind {
        "file" if object["hashes"].is_null() && object["name"].is_null() => {
            problems.push("a file needs hashes or a name".to_owned());
        }
        // OpenCTI takes the hashes of an artifact that was uploaded for the whole of it.
        "artifact"
            if object["payload_bin"].is_null() == object["url"].is_null()
                && (!object["url"].is_null() || object["hashes"].is_null()) =>
        {
            problems
                .push("an artifact needs either payload_bin or url, or hashes alone".to_owned());
        }
        "indicator" if object["pattern_type"] == "stix" => {
            problems.extend(object["pattern"].as_str().and_then(pattern_problem));
        }
        "file" if !object["size"].is_null() && object["size"].as_u64().is_none() => {
            problems.push(format!("size {} is negative", object["size"]));
        }
        "relationship" if object["relationship_type"] == "based-on" => {
            let source = object["source_ref"].as_str().unwrap_or_default();
            if !source.starts_with("indicator--") {
                problems.push(format!(
                    "only an indicator is based-on something, not {source}"
                ));
            }
        }
        "marking-definition" => problems.extend(marking(object)),
        "domain-name" if !object["value"].as_str().is_none_or(is_domain_name) => {
            problems.push(format!("value {} is not a domain name", object["value"]));
        }
        "url" if !object["value"].as_str().is_none_or(values::is_url) => {
            problems.push(format!("value {} is not a URL", object["value"]));
        }
        "ipv4-addr" => problems.extend(address::<std::net::Ipv4Addr>(&object["value"])),
        "ipv6-addr" => problems.extend(address::<std::net::Ipv6Addr>(&object["value"])),
        _ => {}
    }
    problems
}

/// 7.2: a definition; and the level that a fixed id stands for.
///
/// OpenCTI takes the levels of version 2 of the protocol, which STIX 2.1 does not know, as `x_opencti_definition`
/// of a statement.
fn marking(object: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let is_defined = object["definition_type"].is_string() && object["definition"].is_object();
    if !is_defined && object["extensions"].is_null() {
        problems.push("a marking needs definition_type and definition".to_owned());
    }
    let level = match &object["x_opencti_definition"] {
        Value::String(text) => text.strip_prefix("TLP:").map(str::to_owned),
        _ => object["definition"]["tlp"].as_str().map(str::to_uppercase),
    };
    let id = object["id"].as_str().unwrap_or_default();
    let fixed = TLP.iter().find(|(uuid, _)| id.ends_with(uuid));
    let levels = fixed.map_or(&[][..], |(_, levels)| levels);
    let is_right = match &level {
        Some(level) => levels.contains(&level.as_str()),
        None => fixed.is_none(),
    };
    if !is_right {
        problems.push(format!(
            "{id} is the id of TLP {levels:?}, not of {level:?}"
        ));
    }
    problems
}

/// RFC 1034 and, for names in other scripts, RFC 5890, as far as length and separators go.
fn is_domain_name(text: &str) -> bool {
    let unwanted = |it: char| it.is_whitespace() || it.is_control() || "/:\\@?#[]'\"".contains(it);
    text.len() <= 253
        && !text.contains(unwanted)
        && text
            .split('.')
            .all(|label| !label.is_empty() && label.chars().count() <= 63)
}

/// An address, or a network in CIDR notation.
fn address<T: std::str::FromStr>(value: &Value) -> Option<String> {
    let text = value.as_str().unwrap_or_default();
    let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
    let right = address.parse::<T>().is_ok() && bits.parse::<u8>().is_ok();
    (!right).then(|| format!("value {value} is not an address"))
}

#[cfg(test)]
mod tests;
