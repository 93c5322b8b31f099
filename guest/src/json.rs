//! JSON objects whose members may be anything: what is not of the wanted type counts as missing.
//!
//! One reader for all objects, in place of a derived one for each: it is lenient by construction, reads only
//! what is asked for, and keeps the component small.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The members of a JSON object, in the order of the text, their values not yet read.
pub(crate) struct Members<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// # Errors
    /// When `json` is not one JSON object.
    pub(crate) fn parse(json: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// Reads an object and, in the same pass, those of its members that are named in `nested` and are objects:
    /// most of a long document stands in them, and would otherwise be read twice.
    ///
    /// # Errors
    /// When `json` is not one JSON object.
    pub(crate) fn parse_nested<const N: usize>(
        json: &'a str,
        nested: [&str; N],
    ) -> Result<(Self, [Option<Self>; N]), serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let parsed = Nested(nested).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(parsed)
    }

    pub(crate) fn text(&self, name: &str) -> Option<Text<'a>> {
        self.read(name)
    }

    /// A whole number, 0 or more.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.read(name)
    }

    pub(crate) fn boolean(&self, name: &str) -> Option<bool> {
        self.read(name)
    }

    pub(crate) fn object(&self, name: &str) -> Option<Members<'a>> {
        self.read(name)
    }

    /// The texts of a list; its other elements are left out.
    pub(crate) fn texts(&self, name: &str) -> Vec<Text<'a>> {
        self.list(name)
    }

    /// The objects of a list; its other elements are left out.
    pub(crate) fn objects(&self, name: &str) -> Vec<Members<'a>> {
        self.list(name)
    }

    /// The member as it is written.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let mut latest_first = self.0.iter().rev();
        latest_first
            .find(|(it, _)| **it == *name)
            .map(|(_, raw)| *raw)
    }

    /// All members that are objects.
    pub(crate) fn into_objects(self) -> impl Iterator<Item = (Text<'a>, Members<'a>)> {
        self.0
            .into_iter()
            .filter_map(|(name, raw)| Some((name, Members::parse(raw.get()).ok()?)))
    }

    fn read<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    fn list<T: Deserialize<'a>>(&self, name: &str) -> Vec<T> {
        let elements: Vec<&'a RawValue> = self.read(name).unwrap_or_default();
        elements
            .into_iter()
            .filter_map(|raw| serde_json::from_str(raw.get()).ok())
            .collect()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (members, []) = Nested([]).deserialize(deserializer)?;
        Ok(members)
    }
}

struct Nested<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Nested<'_, N> {
    type Value = (Members<'de>, [Option<Members<'de>>; N]);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Nested<'_, N> {
    type Value = (Members<'de>, [Option<Members<'de>>; N]);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        let mut objects = [const { None }; N];
        while let Some(name) = map.next_key::<Text<'de>>()? {
            match self.0.iter().position(|it| **it == *name) {
                Some(place) => objects[place] = map.next_value::<ObjectOrNothing<'de>>()?.0,
                None => members.push((name, map.next_value()?)),
            }
        }
        Ok((Members(members), objects))
    }
}

/// An object; whatever else it may be counts as missing.
struct ObjectOrNothing<'a>(Option<Members<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for ObjectOrNothing<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Look;

        impl<'de> Visitor<'de> for Look {
            type Value = ObjectOrNothing<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Members::deserialize(MapAccessDeserializer::new(map))
                    .map(|it| ObjectOrNothing(Some(it)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(ObjectOrNothing(None))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(ObjectOrNothing(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(ObjectOrNothing(None))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(ObjectOrNothing(None))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(ObjectOrNothing(None))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(ObjectOrNothing(None))
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(ObjectOrNothing(None))
            }
        }

        deserializer.deserialize_any(Look)
    }
}

/// A text, borrowed from the document where it holds no escapes.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_another_type_are_missing() {
        let json = r#" {"text":"a\u0041","number":7,"list":["a",1,null,"\ud800",{},"b"],"object":{"x":1},
            "negative":-1,"real":1.5,"null":null,"twice":1,"twice":2} "#;
        let members = Members::parse(json).unwrap();
        assert_eq!(members.text("text").as_deref(), Some("aA"));
        assert_eq!(members.number("number"), Some(7));
        assert_eq!(members.number("twice"), Some(2));
        let texts = members.texts("list");
        assert!(texts.iter().map(|it| &**it).eq(["a", "b"]));
        assert_eq!(members.objects("list").len(), 1);
        assert_eq!(members.object("object").unwrap().number("x"), Some(1));
        for name in ["text", "list", "object", "negative", "real", "null", "none"] {
            assert_eq!(members.number(name), None, "{name}");
        }
        for name in ["number", "list", "object", "null", "none"] {
            assert_eq!(members.text(name), None, "{name}");
        }
        assert!(members.object("list").is_none() && members.texts("object").is_empty());
        for no_object in ["", "[]", "{", "{}{}", "1"] {
            assert!(Members::parse(no_object).is_err(), "{no_object}");
            assert!(
                Members::parse_nested(no_object, ["a"]).is_err(),
                "{no_object}"
            );
        }
    }

    #[test]
    fn nested_objects_are_read_in_the_same_pass_and_nothing_else_is_one() {
        let json = r#"{"a":{"x":1,"y":{"z":[1]}},"b":2}"#;
        let (members, [a, missing]) = Members::parse_nested(json, ["a", "missing"]).unwrap();
        assert_eq!(members.number("b"), Some(2));
        assert_eq!(a.unwrap().number("x"), Some(1));
        assert!(missing.is_none() && members.raw("a").is_none());
        for other in ["null", "true", "-1", "1", "1.5", "\"text\"", "[{\"x\":1}]"] {
            let json = format!(r#"{{"a":{other},"b":2}}"#);
            let (members, [a]) = Members::parse_nested(&json, ["a"]).unwrap();
            assert!(a.is_none() && members.number("b") == Some(2), "{other}");
        }
    }
}
