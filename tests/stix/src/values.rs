//! Checks of values, whatever object they stand in (chapter 2).

use serde_json::{Map, Value};

use super::required::Category;
use super::vocabulary;

/// The largest number that every reader of JSON keeps exactly (2.8): 2^53 - 1.
const LARGEST_INTEGER: u64 = (1 << 53) - 1;

/// JSON null is no STIX value, and a list must not be empty (2.13); no integer may be too large (2.8).
pub(super) fn values(members: &Map<String, Value>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, value) in members {
        match value {
            Value::Null => problems.push(format!("{name} is null")),
            Value::Array(items) if items.is_empty() => {
                problems.push(format!("{name} is an empty list"));
            }
            Value::Array(items) if items.iter().any(Value::is_null) => {
                problems.push(format!("{name} holds null"));
            }
            Value::Number(number) if !is_integer(number) => {
                problems.push(format!(
                    "{name} {number} is not an integer of at most 53 bits"
                ));
            }
            _ => {}
        }
    }
    problems
}

/// No property of these objects is a fraction.
fn is_integer(number: &serde_json::Number) -> bool {
    let magnitude = number
        .as_u64()
        .or_else(|| number.as_i64().map(i64::unsigned_abs));
    magnitude.is_some_and(|it| it <= LARGEST_INTEGER)
}

/// Properties that are neither the specification's, nor custom (11.1: `x_…`), nor known to be read by OpenCTI.
pub(super) fn unknown_properties(
    members: &Map<String, Value>,
    kind: &str,
    category: Category,
) -> Vec<String> {
    let Some(own) = vocabulary::own_properties(kind) else {
        return Vec::new();
    };
    let is_custom = |name: &str| {
        let allowed = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_';
        name.starts_with("x_") && name.len() <= 250 && name.bytes().all(allowed)
    };
    members
        .keys()
        .map(String::as_str)
        .filter(|name| !own.contains(name) && !is_custom(name))
        .filter(|name| !vocabulary::common_properties(category).contains(name))
        .map(|name| format!("{name} is no property of {kind}, and no custom one"))
        .collect()
}

/// The JSON types, the ranges and the words of properties that mean the same in all objects.
pub(super) fn typed(object: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let present = |name: &str| Some(&object[name]).filter(|it| !it.is_null());
    for name in vocabulary::TEXTS {
        if let Some(value) = present(name).filter(|it| !it.is_string()) {
            problems.push(format!("{name} {value} is not a text"));
        }
    }
    for name in vocabulary::LISTS_OF_TEXTS {
        match present(name) {
            Some(Value::Array(items)) => {
                let is_text = |it: &&Value| it.as_str().is_some_and(|it| !it.is_empty());
                let odd = items.iter().filter(|it| !is_text(it));
                problems.extend(odd.map(|it| format!("{name} holds {it}, which is not a text")));
            }
            Some(value) => problems.push(format!("{name} {value} is not a list")),
            None => {}
        }
    }
    for name in ["confidence", "x_opencti_score"] {
        let in_range = |it: &&Value| it.as_u64().is_some_and(|it| it <= 100);
        if let Some(value) = present(name).filter(|it| !in_range(it)) {
            problems.push(format!("{name} {value} is not between 0 and 100"));
        }
    }
    for (name, words) in vocabulary::VOCABULARIES {
        let is_word = |it: &&Value| it.as_str().is_some_and(|it| words.contains(&it));
        if let Some(value) = present(name).filter(|it| !is_word(it)) {
            problems.push(format!("{name} {value} is not in the vocabulary"));
        }
    }
    problems
}

/// 2.7: algorithms of the vocabulary, values of their form.
pub(super) fn hashes(hashes: &Value) -> Vec<String> {
    let Some(hashes) = hashes.as_object() else {
        return Vec::new();
    };
    hashes
        .iter()
        .filter_map(|(algorithm, value)| {
            let Some(length) = vocabulary::hash_length(algorithm) else {
                return Some(format!(
                    "hash algorithm {algorithm} is not in the vocabulary"
                ));
            };
            let text = value.as_str().unwrap_or_default();
            let hexadecimal = text.bytes().all(|it| it.is_ascii_hexdigit());
            let wrong = length.map_or(text.is_empty(), |length| {
                text.len() != length || !hexadecimal
            });
            wrong.then(|| format!("{algorithm} {value} is not such a hash"))
        })
        .collect()
}

/// 2.5: a source name, and at least one thing to find it by; its URL is one of RFC 3986.
pub(super) fn external_references(list: &Value) -> Vec<String> {
    let present = |value: &Value| value.as_str().is_some_and(|it| !it.is_empty());
    let mut problems = Vec::new();
    for reference in list.as_array().into_iter().flatten() {
        let found_by = ["description", "url", "external_id"];
        if !present(&reference["source_name"])
            || !found_by.iter().any(|name| present(&reference[*name]))
        {
            problems.push(format!(
                "external reference {reference} lacks a source_name or what it refers to"
            ));
        }
        let url = &reference["url"];
        if !url.is_null() && !url.as_str().is_some_and(is_strict_url) {
            problems.push(format!("{url} of an external reference is not a URL"));
        }
    }
    problems
}

/// RFC 3986: a scheme, and none but the characters that may stand in a URL.
fn is_strict_url(text: &str) -> bool {
    let allowed = |it: u8| it.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&it);
    is_url(text) && text.bytes().all(allowed)
}

/// A scheme, something behind it, and neither blanks nor control characters.
///
/// More than RFC 3986 allows, since that is how VirusTotal reports a URL that it has seen, and a changed one would
/// be another observable.
pub(super) fn is_url(text: &str) -> bool {
    let allowed = |it: u8| it.is_ascii_alphanumeric() || b"+-.".contains(&it);
    let is_scheme =
        |it: &str| it.starts_with(|it: char| it.is_ascii_alphabetic()) && it.bytes().all(allowed);
    let unwanted = |it: char| it.is_whitespace() || it.is_control();
    !text.contains(unwanted)
        && text
            .split_once(':')
            .is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty())
}
