//! The STIX objects that the mapping makes, as they are serialised.
//!
//! Observables (STIX 2.1 chapter 6) have no author, labels or external references in STIX: OpenCTI reads those
//! from `x_opencti_…` properties, so that an observable stays valid STIX with custom properties.

use serde::Serialize;

use super::Date;

/// One object. The variants' names are the values of `type`.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Object<'a> {
    Identity(Identity<'a>),
    MarkingDefinition(MarkingDefinition<'a>),
    Incident(Incident<'a>),
    Indicator(Indicator<'a>),
    Note(Note<'a>),
    Relationship(Relationship<'a>),
    Artifact(Artifact<'a>),
    File(File<'a>),
    DomainName(NetworkValue<'a>),
    #[serde(rename = "ipv4-addr")]
    Ipv4Addr(NetworkValue<'a>),
    #[serde(rename = "ipv6-addr")]
    Ipv6Addr(NetworkValue<'a>),
    Url(NetworkValue<'a>),
}

impl Object<'_> {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Identity(Identity { id, .. })
            | Self::MarkingDefinition(MarkingDefinition { id, .. }) => id,
            Self::Incident(Incident { head, .. })
            | Self::Indicator(Indicator { head, .. })
            | Self::Note(Note { head, .. })
            | Self::Relationship(Relationship { head, .. }) => head.id,
            Self::Artifact(Artifact { head, .. })
            | Self::File(File { head, .. })
            | Self::DomainName(NetworkValue { head, .. })
            | Self::Ipv4Addr(NetworkValue { head, .. })
            | Self::Ipv6Addr(NetworkValue { head, .. })
            | Self::Url(NetworkValue { head, .. }) => head.id,
        }
    }
}

/// The version of STIX.
#[derive(Serialize)]
pub(crate) enum Version {
    #[serde(rename = "2.1")]
    V2_1,
}

/// What domain and relationship objects have in common.
#[derive(Serialize)]
pub(crate) struct Head<'a> {
    pub spec_version: Version,
    pub id: &'a str,
    pub created_by_ref: &'a str,
    pub created: Date,
    pub modified: Date,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub labels: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_references: Vec<ExternalReference<'a>>,
    pub object_marking_refs: &'static [&'static str],
    /// 0 to 100; none where the platform shall take that of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<u8>,
}

/// What observables have in common.
#[derive(Serialize)]
pub(crate) struct ObservableHead<'a> {
    pub spec_version: Version,
    pub id: &'a str,
    pub object_marking_refs: &'static [&'static str],
    pub x_opencti_created_by_ref: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub x_opencti_labels: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x_opencti_score: Option<u8>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub x_opencti_description: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub x_opencti_external_references: Vec<ExternalReference<'a>>,
}

#[derive(Serialize)]
pub(crate) struct ExternalReference<'a> {
    pub source_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub url: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub external_id: &'a str,
}

/// Without a marking: an author that carries one is refused to every account that may not see it, and all that it
/// writes then stands without an author.
#[derive(Serialize)]
pub(crate) struct Identity<'a> {
    pub spec_version: Version,
    pub id: &'a str,
    pub created: &'a str,
    pub modified: &'a str,
    pub name: &'a str,
    pub identity_class: &'a str,
    pub description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<u8>,
}

/// A TLP marking in the form in which OpenCTI takes all levels, those that STIX 2.1 does not know included.
#[derive(Serialize)]
pub(crate) struct MarkingDefinition<'a> {
    pub spec_version: Version,
    pub id: &'a str,
    pub created: &'a str,
    pub definition_type: &'a str,
    pub definition: Statement<'a>,
    pub x_opencti_definition_type: &'a str,
    pub x_opencti_definition: &'a str,
}

#[derive(Serialize)]
pub(crate) struct Statement<'a> {
    pub statement: &'a str,
}

#[derive(Serialize)]
pub(crate) struct Incident<'a> {
    #[serde(flatten)]
    pub head: Head<'a>,
    pub name: &'a str,
    pub description: &'a str,
    pub incident_type: &'a str,
    pub first_seen: Date,
    pub source: &'a str,
}

#[derive(Serialize)]
pub(crate) struct Indicator<'a> {
    #[serde(flatten)]
    pub head: Head<'a>,
    pub name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: &'a str,
    pub pattern: &'a str,
    pub pattern_type: &'a str,
    pub valid_from: Date,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x_opencti_score: Option<u8>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub x_opencti_main_observable_type: &'a str,
    /// Only where it shall be revoked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
}

#[derive(Serialize)]
pub(crate) struct Note<'a> {
    #[serde(flatten)]
    pub head: Head<'a>,
    #[serde(rename = "abstract")]
    pub abstract_: &'a str,
    pub content: &'a str,
    pub object_refs: &'a [&'a str],
}

#[derive(Serialize)]
pub(crate) struct Relationship<'a> {
    #[serde(flatten)]
    pub head: Head<'a>,
    pub relationship_type: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub description: &'a str,
    pub source_ref: &'a str,
    pub target_ref: &'a str,
}

#[derive(Serialize)]
pub(crate) struct File<'a> {
    #[serde(flatten)]
    pub head: ObservableHead<'a>,
    pub hashes: &'a Hashes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub x_opencti_additional_names: &'a [String],
}

/// The content of a file, which the platform keeps. The bytes are uploaded on their own: this tells of them.
#[derive(Serialize)]
pub(crate) struct Artifact<'a> {
    #[serde(flatten)]
    pub head: ObservableHead<'a>,
    pub hashes: &'a Hashes,
    /// Where the content is: STIX wants this or the content (6.1).
    pub url: &'a str,
}

/// Lower-case hexadecimal of the right length, as the platform checks it.
///
/// Fuzzy hashes (SSDEEP, TLSH) are no part of it: the platform makes an id of each hash, and two variants of a family
/// that share one would become one file.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Hashes {
    #[serde(rename = "MD5", skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    #[serde(rename = "SHA-1", skip_serializing_if = "Option::is_none")]
    pub sha1: Option<String>,
    #[serde(rename = "SHA-256")]
    pub sha256: String,
}

/// A domain name, an IP address or a URL.
#[derive(Serialize)]
pub(crate) struct NetworkValue<'a> {
    #[serde(flatten)]
    pub head: ObservableHead<'a>,
    pub value: &'a str,
}
