//! Words that the specification gives a meaning to, and those that OpenCTI adds.

use super::required::Category;

/// Properties of all objects of a category (3.2).
pub(super) fn common_properties(category: Category) -> &'static [&'static str] {
    match category {
        Category::Domain => &[
            "type",
            "spec_version",
            "id",
            "created_by_ref",
            "created",
            "modified",
            "revoked",
            "labels",
            "confidence",
            "lang",
            "external_references",
            "object_marking_refs",
            "granular_markings",
            "extensions",
        ],
        Category::Observable => &[
            "type",
            "spec_version",
            "id",
            "object_marking_refs",
            "granular_markings",
            "defanged",
            "extensions",
        ],
        Category::Marking => &[
            "type",
            "spec_version",
            "id",
            "created_by_ref",
            "created",
            "external_references",
            "object_marking_refs",
            "granular_markings",
            "extensions",
        ],
    }
}

/// A type's own properties; `None` for types that no guest makes, which may have any.
///
/// The last six of an incident, which the specification leaves as a stub (4.8), are read by OpenCTI without `x_`.
pub(super) fn own_properties(kind: &str) -> Option<&'static [&'static str]> {
    Some(match kind {
        "identity" => &[
            "name",
            "description",
            "roles",
            "identity_class",
            "sectors",
            "contact_information",
        ],
        "incident" => &[
            "name",
            "description",
            "incident_type",
            "severity",
            "source",
            "objective",
            "first_seen",
            "last_seen",
        ],
        "indicator" => &[
            "name",
            "description",
            "indicator_types",
            "pattern",
            "pattern_type",
            "pattern_version",
            "valid_from",
            "valid_until",
            "kill_chain_phases",
        ],
        "note" => &["abstract", "content", "authors", "object_refs"],
        "relationship" => &[
            "relationship_type",
            "description",
            "source_ref",
            "target_ref",
            "start_time",
            "stop_time",
        ],
        "marking-definition" => &["name", "definition_type", "definition"],
        "file" => &[
            "hashes",
            "size",
            "name",
            "name_enc",
            "magic_number_hex",
            "mime_type",
            "ctime",
            "mtime",
            "atime",
            "parent_directory_ref",
            "contains_refs",
            "content_ref",
        ],
        "artifact" => &[
            "mime_type",
            "payload_bin",
            "url",
            "hashes",
            "encryption_algorithm",
            "decryption_key",
        ],
        "domain-name" => &["value", "resolves_to_refs"],
        "ipv4-addr" | "ipv6-addr" => &["value", "resolves_to_refs", "belongs_to_refs"],
        "url" => &["value"],
        _ => return None,
    })
}

/// Properties that hold a text, of whichever type.
pub(super) const TEXTS: &[&str] = &[
    "name",
    "description",
    "abstract",
    "content",
    "pattern",
    "value",
    "source",
    "incident_type",
    "x_opencti_description",
    "x_opencti_main_observable_type",
];

/// Properties that hold a list of texts, of whichever type.
pub(super) const LISTS_OF_TEXTS: &[&str] = &[
    "labels",
    "x_opencti_labels",
    "x_opencti_additional_names",
    "indicator_types",
    "authors",
];

/// Properties whose value is of a vocabulary, and its words: patterns (10.24), identities (10.9), and the
/// observables that OpenCTI says an indicator is about.
///
/// The vocabularies of the specification are open: a new word is a slip here until it is added.
pub(super) const VOCABULARIES: &[(&str, &[&str])] = &[
    (
        "pattern_type",
        &["stix", "pcre", "sigma", "snort", "suricata", "yara"],
    ),
    (
        "identity_class",
        &[
            "individual",
            "group",
            "system",
            "organization",
            "class",
            "unknown",
        ],
    ),
    (
        "x_opencti_main_observable_type",
        &[
            "Artifact",
            "Domain-Name",
            "IPv4-Addr",
            "IPv6-Addr",
            "StixFile",
            "Url",
        ],
    ),
    ("relationship_type", RELATIONSHIPS),
];

/// The relationships of the specification (appendix B).
const RELATIONSHIPS: &[&str] = &[
    "analysis-of",
    "attributed-to",
    "authored-by",
    "av-analysis-of",
    "based-on",
    "beacons-to",
    "belongs-to",
    "characterizes",
    "communicates-with",
    "compromises",
    "consists-of",
    "controls",
    "delivers",
    "derived-from",
    "downloads",
    "drops",
    "duplicate-of",
    "dynamic-analysis-of",
    "exfiltrates-to",
    "exploits",
    "has",
    "hosts",
    "impersonates",
    "indicates",
    "investigates",
    "located-at",
    "mitigates",
    "originates-from",
    "owns",
    "related-to",
    "remediates",
    "resolves-to",
    "static-analysis-of",
    "targets",
    "uses",
    "variant-of",
];

/// The markings of the Traffic Light Protocol, whose ids are fixed (7.2.1.4 for version 1; version 2 has the levels
/// CLEAR, which takes the id of WHITE, and AMBER+STRICT, whose id is OpenCTI's).
pub(super) const TLP: &[(&str, &[&str])] = &[
    ("613f2e26-407d-48c7-9eca-b8e91df99dc9", &["CLEAR", "WHITE"]),
    ("34098fce-860f-48ae-8e50-ebd3cc5e41da", &["GREEN"]),
    ("f88d31f6-486f-44da-b317-01333bde0b82", &["AMBER"]),
    ("826578e1-40ad-459f-bc73-ede076f81f37", &["AMBER+STRICT"]),
    ("5e57c739-391a-4eb3-b6be-7d15ca92d5ed", &["RED"]),
];

/// Digits of each hash in the hash algorithm vocabulary (10.7); `None`: no fixed length.
pub(super) fn hash_length(algorithm: &str) -> Option<Option<usize>> {
    Some(match algorithm {
        "MD5" => Some(32),
        "SHA-1" => Some(40),
        "SHA-256" | "SHA3-256" => Some(64),
        "SHA-512" | "SHA3-512" => Some(128),
        "SSDEEP" | "TLSH" => None,
        _ => return None,
    })
}
