//! STIX 2.1 as OpenCTI reads it: objects, deterministic ids, patterns, dates.

pub(crate) mod date;
pub(crate) mod id;
mod object;
pub(crate) mod pattern;
mod tlp;

pub(crate) use date::Date;
pub(crate) use object::{
    Artifact, ExternalReference, File, Hashes, Head, Identity, Incident, Indicator,
    MarkingDefinition, NetworkValue, Note, Object, ObservableHead, Relationship, Statement,
    Version,
};
pub(crate) use tlp::Tlp;
