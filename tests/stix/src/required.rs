//! What the specification requires of each type (chapters 4 to 7).

/// The kinds of objects, which differ in their common properties (3.2, table "Common Properties").
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Category {
    /// Domain and relationship objects: versioned.
    Domain,
    /// Cyber-observable objects: not versioned.
    Observable,
    /// `marking-definition`: created, never modified.
    Marking,
}

/// A type's category and its required properties beside the common ones.
pub(super) fn of(kind: &str) -> Option<(Category, &'static [&'static str])> {
    use Category::{Domain, Marking, Observable};
    Some(match kind {
        "attack-pattern" | "campaign" | "course-of-action" | "identity" | "incident"
        | "infrastructure" | "intrusion-set" | "threat-actor" | "tool" | "vulnerability" => {
            (Domain, &["name"])
        }
        "grouping" => (Domain, &["context", "object_refs"]),
        "indicator" => (Domain, &["pattern", "pattern_type", "valid_from"]),
        "location" => (Domain, &[]),
        "malware" => (Domain, &["is_family"]),
        "malware-analysis" => (Domain, &["product"]),
        "note" => (Domain, &["content", "object_refs"]),
        "observed-data" => (
            Domain,
            &["first_observed", "last_observed", "number_observed"],
        ),
        "opinion" => (Domain, &["opinion", "object_refs"]),
        "report" => (Domain, &["name", "published", "object_refs"]),
        "relationship" => (Domain, &["relationship_type", "source_ref", "target_ref"]),
        "sighting" => (Domain, &["sighting_of_ref"]),
        "marking-definition" => (Marking, &[]),
        "autonomous-system" => (Observable, &["number"]),
        "directory" => (Observable, &["path"]),
        "domain-name" | "email-addr" | "ipv4-addr" | "ipv6-addr" | "mac-addr" | "url" => {
            (Observable, &["value"])
        }
        "email-message" => (Observable, &["is_multipart"]),
        "mutex" | "software" => (Observable, &["name"]),
        "network-traffic" => (Observable, &["protocols"]),
        "artifact"
        | "file"
        | "process"
        | "user-account"
        | "windows-registry-key"
        | "x509-certificate" => (Observable, &[]),
        _ => return None,
    })
}

/// Types that a reference property may name (the part of the id before `--`); `None` where the
/// specification leaves it open.
pub(super) fn target_types(property: &str) -> Option<&'static [&'static str]> {
    Some(match property {
        "created_by_ref" | "x_opencti_created_by_ref" => &["identity"],
        "object_marking_refs" => &["marking-definition"],
        "parent_directory_ref" => &["directory"],
        "content_ref" => &["artifact"],
        _ => return None,
    })
}

/// Pairs of which the second must not be earlier than the first; equal is allowed where `true`.
pub(super) const ORDERED: &[(&str, &str, bool)] = &[
    ("created", "modified", true),
    ("first_seen", "last_seen", true),
    ("first_observed", "last_observed", true),
    ("valid_from", "valid_until", false),
    ("start_time", "stop_time", false),
];

/// Properties that hold a timestamp.
pub(super) const TIMESTAMPS: &[&str] = &[
    "created",
    "modified",
    "valid_from",
    "valid_until",
    "first_seen",
    "last_seen",
    "first_observed",
    "last_observed",
    "start_time",
    "stop_time",
    "published",
    "ctime",
    "mtime",
    "atime",
];
