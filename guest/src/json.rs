//! JSON objects whose members may be anything: what is not of the wanted type counts as missing.
//!
//! One reader for all objects, in place of a derived one for each: it is lenient by construction, reads only
//! what is asked for, and keeps the component small.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{MapAccess, Visitor};
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
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
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
        }
    }
}
