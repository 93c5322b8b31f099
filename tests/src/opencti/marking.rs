//! Markings of the Traffic Light Protocol, and which of them an account sees.

use serde_json::{Value, json};

use super::error::PlatformError;
use super::ids::internal_id;
use super::platform::{Platform, User};

/// A level of the Traffic Light Protocol. A stronger one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tlp {
    /// Called WHITE in version 1 of the protocol.
    Clear,
    /// See [`Tlp`].
    Green,
    /// See [`Tlp`].
    Amber,
    /// See [`Tlp`].
    AmberStrict,
    /// See [`Tlp`].
    Red,
}

impl Tlp {
    /// All levels, from the weakest.
    pub const ALL: [Self; 5] = [
        Self::Clear,
        Self::Green,
        Self::Amber,
        Self::AmberStrict,
        Self::Red,
    ];

    /// The STIX id of its marking, which every platform holds from the start.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Clear => "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
            Self::Green => "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
            Self::Amber => "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
            Self::AmberStrict => "marking-definition--826578e1-40ad-459f-bc73-ede076f81f37",
            Self::Red => "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
        }
    }

    /// What the platform calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clear => "TLP:CLEAR",
            Self::Green => "TLP:GREEN",
            Self::Amber => "TLP:AMBER",
            Self::AmberStrict => "TLP:AMBER+STRICT",
            Self::Red => "TLP:RED",
        }
    }

    /// The level with this STIX id.
    #[must_use]
    pub fn of(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.id() == id)
    }

    fn to_json(self) -> Value {
        json!({
            "id": internal_id(self.id()),
            "standard_id": self.id(),
            "entity_type": "Marking-Definition",
            "definition_type": "TLP",
            "definition": self.name(),
            "x_opencti_order": 1 + i64::from(self as u8),
        })
    }

    /// Whether it has this value under this filter key.
    fn matches(self, key: &str, value: &str) -> Result<bool, PlatformError> {
        Ok(match key {
            "ids" => [self.id(), internal_id(self.id()).as_str()].contains(&value),
            "standard_id" => self.id() == value,
            "definition" => self.name().eq_ignore_ascii_case(value),
            "definition_type" => value.eq_ignore_ascii_case("TLP"),
            _ => {
                return Err(PlatformError::new(
                    "UNSUPPORTED_ERROR",
                    format!("incorrect filter keys not existing in any schema definition: {key}"),
                ));
            }
        })
    }
}

/// The markings that an account sees: those of the protocol up to a level, and all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sight(pub(crate) Tlp);

impl Default for Sight {
    fn default() -> Self {
        Self(Tlp::Red)
    }
}

impl Sight {
    /// Whether it sees the marking with this id.
    pub(crate) fn sees(self, id: &str) -> bool {
        Tlp::of(id).is_none_or(|level| level <= self.0)
    }

    /// Whether it sees an object, of which it must see all markings.
    pub(crate) fn sees_object(self, object: &Value) -> bool {
        let markings = object["object_marking_refs"].as_array();
        markings
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .all(|id| self.sees(id))
    }
}

/// The markings of an object after others were added: of the protocol's the strongest alone stays.
pub(crate) fn united(markings: &[String]) -> Vec<String> {
    let strongest = markings.iter().filter_map(|id| Tlp::of(id)).max();
    let mut united: Vec<String> = Vec::new();
    for id in markings {
        let stays = Tlp::of(id).is_none_or(|level| Some(level) == strongest);
        if stays && !united.contains(id) {
            united.push(id.clone());
        }
    }
    united
}

impl Platform {
    /// `markingDefinitions`: those that the account sees and that the filters match.
    pub(crate) fn markings_json(
        &self,
        user: &User,
        arguments: &Value,
    ) -> Result<Value, PlatformError> {
        let first = arguments["first"].as_u64().unwrap_or(25);
        let mut found = Vec::new();
        for level in Tlp::ALL {
            if user.sight.sees(level.id()) && is_wanted(level, &arguments["filters"])? {
                found.push(level);
            }
        }
        let edges: Vec<Value> = found
            .iter()
            .take(usize::try_from(first).unwrap_or(usize::MAX))
            .map(|level| json!({"cursor": "", "node": level.to_json()}))
            .collect();
        Ok(json!({
            "pageInfo": {
                "startCursor": "", "endCursor": "", "hasNextPage": edges.len() < found.len(),
                "hasPreviousPage": false, "globalCount": found.len(),
            },
            "edges": edges,
        }))
    }
}

/// `allowed_marking` of `me`.
pub(crate) fn allowed(sight: Sight) -> Vec<Value> {
    let seen = Tlp::ALL.into_iter().filter(|level| sight.sees(level.id()));
    seen.map(Tlp::to_json).collect()
}

/// All filters of one group must match, any of their values each.
fn is_wanted(level: Tlp, group: &Value) -> Result<bool, PlatformError> {
    for filter in group["filters"].as_array().into_iter().flatten() {
        let mut matches = false;
        for key in filter["key"].as_array().into_iter().flatten() {
            for value in filter["values"].as_array().into_iter().flatten() {
                matches |= level.matches(
                    key.as_str().unwrap_or_default(),
                    value.as_str().unwrap_or_default(),
                )?;
            }
        }
        if !matches {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_level_stays_and_other_markings_beside_it() {
        let other = "marking-definition--00000000-0000-4000-8000-000000000000";
        let [clear, green, amber, _, red] = Tlp::ALL.map(Tlp::id);
        for (markings, expected) in [
            (vec![amber, red], vec![red]),
            (vec![amber, clear], vec![amber]),
            (vec![green, green], vec![green]),
            (vec![other, green, clear], vec![other, green]),
            (vec![], vec![]),
        ] {
            let markings: Vec<String> = markings.into_iter().map(str::to_owned).collect();
            assert_eq!(united(&markings), expected);
        }
    }

    #[test]
    fn an_account_sees_up_to_its_level() {
        let sight = Sight(Tlp::Green);
        for level in Tlp::ALL {
            assert_eq!(sight.sees(level.id()), level <= Tlp::Green, "{level:?}");
            let marked = json!({"object_marking_refs": [level.id()]});
            assert_eq!(sight.sees_object(&marked), level <= Tlp::Green);
        }
        assert!(sight.sees("marking-definition--00000000-0000-4000-8000-000000000000"));
        assert!(sight.sees_object(&json!({})));
        assert_eq!(allowed(sight).len(), 2);
    }
}
