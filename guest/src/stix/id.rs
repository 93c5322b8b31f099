//! Deterministic ids: UUID version 5 over canonical JSON (RFC 8785) in the namespace that STIX 2.1 chapter 2.9
//! defines for observables and that OpenCTI uses for everything.
//!
//! Where the Python connector's id and the id that the platform computes itself (its standard id) differ, this
//! is what is sent:
//! - incident: the Python connector's, since it is the only key by which the platform finds an alert again;
//! - file, artifact, domain name: the platform's, since it finds those by their values anyway;
//! - all others are equal.

use serde::Serialize;
use uuid::Uuid;

use super::{Date, Hashes};

const NAMESPACE: Uuid = Uuid::from_u128(0x00ab_edb4_aa42_466c_9c01_fed2_3315_a9b7);

/// `<type>--<UUIDv5 of the identifying properties>`.
///
/// `identifying` has its fields in alphabetical order and holds only texts and whole numbers: those serde_json
/// writes in canonical form, as a test proves.
fn deterministic(object_type: &str, identifying: &impl Serialize) -> String {
    #[expect(
        clippy::expect_used,
        reason = "the identifying properties are texts and whole numbers under text keys"
    )]
    let canonical = serde_json::to_string(identifying).expect("texts and whole numbers");
    let uuid = Uuid::new_v5(&NAMESPACE, canonical.as_bytes());
    format!("{object_type}--{}", uuid.hyphenated())
}

/// What Python's `str.strip` removes: Unicode white space and the separators U+001C to U+001F.
fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

pub(crate) fn identity(name: &str, identity_class: &str) -> String {
    #[derive(Serialize)]
    struct Identifying<'a> {
        identity_class: String,
        name: &'a str,
    }
    deterministic(
        "identity",
        &Identifying {
            identity_class: identity_class.to_lowercase(),
            name: strip(&name.to_lowercase()),
        },
    )
}

/// `notified` in seconds, as a JSON number: what the Python connector passes for the creation date.
pub(crate) fn incident(name: &str, notified: u64) -> String {
    #[derive(Serialize)]
    struct Identifying<'a> {
        created: u64,
        name: &'a str,
    }
    deterministic(
        "incident",
        &Identifying {
            created: notified,
            name: strip(&name.to_lowercase()),
        },
    )
}

pub(crate) fn indicator(pattern: &str) -> String {
    #[derive(Serialize)]
    struct Identifying<'a> {
        pattern: &'a str,
    }
    deterministic(
        "indicator",
        &Identifying {
            pattern: strip(pattern),
        },
    )
}

pub(crate) fn note(created: Date, content: &str) -> String {
    #[derive(Serialize)]
    struct Identifying<'a> {
        content: &'a str,
        created: Date,
    }
    deterministic(
        "note",
        &Identifying {
            content: strip(content),
            created,
        },
    )
}

/// Of a relationship without start and stop time: only then does the platform compute the same.
pub(crate) fn relationship(relationship_type: &str, source: &str, target: &str) -> String {
    #[derive(Serialize)]
    struct Identifying<'a> {
        relationship_type: &'a str,
        source_ref: &'a str,
        target_ref: &'a str,
    }
    deterministic(
        "relationship",
        &Identifying {
            relationship_type,
            source_ref: source,
            target_ref: target,
        },
    )
}

/// Of an observable that is its value. `value` of a domain name in lower case.
pub(crate) fn value(object_type: &str, value: &str) -> String {
    #[derive(Serialize)]
    struct Identifying<'a> {
        value: &'a str,
    }
    deterministic(object_type, &Identifying { value })
}

pub(crate) fn file(hashes: &Hashes) -> String {
    deterministic("file", &FirstHash::of(hashes))
}

pub(crate) fn artifact(hashes: &Hashes) -> String {
    deterministic("artifact", &FirstHash::of(hashes))
}

/// The platform identifies a file by one hash only, without its name.
#[derive(Serialize)]
struct FirstHash<'a> {
    hashes: OneHash<'a>,
}

#[derive(Serialize)]
enum OneHash<'a> {
    #[serde(rename = "MD5")]
    Md5(&'a str),
    #[serde(rename = "SHA-1")]
    Sha1(&'a str),
    #[serde(rename = "SHA-256")]
    Sha256(&'a str),
}

impl<'a> FirstHash<'a> {
    fn of(hashes: &'a Hashes) -> Self {
        let hashes = match hashes {
            Hashes { md5: Some(md5), .. } => OneHash::Md5(md5),
            Hashes {
                sha1: Some(sha1), ..
            } => OneHash::Sha1(sha1),
            Hashes { sha256, .. } => OneHash::Sha256(sha256),
        };
        Self { hashes }
    }
}

#[cfg(test)]
mod tests;
