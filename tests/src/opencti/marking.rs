//! Markings of the Traffic Light Protocol, and which of them an account sees.

use serde_json::{Value, json};

use super::error::PlatformError;
use super::ids::internal_id;
use super::platform::Platform;
use super::query::Reader;

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
    /// `markingDefinition`: markings have none themselves, so that everybody sees them.
    pub(crate) fn marking_json(&self, id: &str) -> Value {
        match Tlp::of(id).is_some() || self.store.get(id).is_some() {
            true => marking(id),
            false => Value::Null,
        }
    }

    /// `relationDelete` of a marking.
    pub(crate) fn remove_marking(
        &mut self,
        object: &str,
        id: &str,
    ) -> Result<Value, PlatformError> {
        let Some(stored) = self.store.get_mut(object) else {
            return Err(PlatformError::functional(
                "Cannot delete the relation, Stix-Object or Stix-Relationship cannot be found.",
            ));
        };
        if let Some(markings) = stored.object["object_marking_refs"].as_array_mut() {
            markings.retain(|it| {
                it.as_str()
                    .is_none_or(|it| internal_id(it) != id && it != id)
            });
        }
        let reader = Reader {
            draft: None,
            sight: Sight::default(),
        };
        self.core_object(&reader, object)
    }

    /// `groups` of `me`.
    pub(crate) fn groups_of_account(&self) -> Value {
        let names = self.groups.iter();
        let edges: Vec<Value> = names.map(|name| json!({"node": {"name": name}})).collect();
        json!({ "edges": edges })
    }

    /// The connector's account and all others see the markings of the protocol up to this one.
    pub fn allow_markings(&mut self, up_to: Tlp) {
        self.user.sight = Sight(up_to);
        self.group_max_marking = up_to;
    }
}

/// `objectMarking` of an object, as an account sees it.
pub(crate) fn object_markings(object: &Value) -> Value {
    let ids = object["object_marking_refs"].as_array();
    let ids = ids.into_iter().flatten().filter_map(Value::as_str);
    ids.map(marking).collect()
}

fn marking(id: &str) -> Value {
    Tlp::of(id).map_or_else(
        || json!({"id": internal_id(id), "standard_id": id, "entity_type": "Marking-Definition", "x_opencti_order": 0}),
        Tlp::to_json,
    )
}

/// `allowed_marking` of `me`.
pub(crate) fn allowed(sight: Sight) -> Vec<Value> {
    let seen = Tlp::ALL.into_iter().filter(|level| sight.sees(level.id()));
    seen.map(Tlp::to_json).collect()
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
