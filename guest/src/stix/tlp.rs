//! The Traffic Light Protocol, version 2.0.

use serde::{Deserialize, Serialize};

use super::{MarkingDefinition, Object, Statement, Version};

/// A level of the Traffic Light Protocol.
///
/// The later ones are the stronger: what two of them mark is shared as the stronger says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Tlp {
    Clear,
    Green,
    Amber,
    AmberStrict,
    Red,
}

/// A marking is not dated by who uses it: this is when version 2.0 of the protocol came into STIX.
const CREATED: &str = "2022-10-01T00:00:00.000Z";

impl Tlp {
    /// The marking's fixed id, the same in STIX, in OpenCTI and in the Python connector.
    pub(crate) fn id(self) -> &'static str {
        self.refs()[0]
    }

    /// The id, as `object_marking_refs` has it.
    pub(crate) fn refs(self) -> &'static [&'static str; 1] {
        match self {
            Self::Clear => &["marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"],
            Self::Green => &["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"],
            Self::Amber => &["marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"],
            Self::AmberStrict => &["marking-definition--826578e1-40ad-459f-bc73-ede076f81f37"],
            Self::Red => &["marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"],
        }
    }

    pub(crate) fn definition(self) -> &'static str {
        match self {
            Self::Clear => "TLP:CLEAR",
            Self::Green => "TLP:GREEN",
            Self::Amber => "TLP:AMBER",
            Self::AmberStrict => "TLP:AMBER+STRICT",
            Self::Red => "TLP:RED",
        }
    }

    pub(crate) fn object(self) -> Object<'static> {
        Object::MarkingDefinition(MarkingDefinition {
            spec_version: Version::V2_1,
            id: self.id(),
            created: CREATED,
            definition_type: "statement",
            definition: Statement {
                statement: "custom",
            },
            x_opencti_definition_type: "TLP",
            x_opencti_definition: self.definition(),
        })
    }
}

#[cfg(test)]
impl Tlp {
    pub(crate) fn from_definition(definition: &str) -> Option<Self> {
        [
            Self::Clear,
            Self::Green,
            Self::Amber,
            Self::AmberStrict,
            Self::Red,
        ]
        .into_iter()
        .find(|level| level.definition() == definition)
    }
}
