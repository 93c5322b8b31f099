//! JSON objects whose members may be anything: what is not of the wanted type counts as missing.
//!
//! One reader for all objects, in place of a derived one for each: it is lenient by construction, reads only
//! what is asked for, and keeps the component small. Serde reads what is asked for; all the rest, which is
//! most of a notification, `span` only steps over.

mod span;

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::Deserialize;

use span::Spans;

/// Members of an object that are read; one that has more counts as none. VirusTotal's have about a hundred.
const MAX_MEMBERS: usize = 20_000;

/// Elements of a list that are read; the rest is left out. VirusTotal's have about a hundred.
const MAX_ELEMENTS: usize = 20_000;

/// The members of a JSON object, in the order of the text, their values not yet read.
pub(crate) struct Members<'a>(Vec<(Text<'a>, &'a str)>);

/// A text that is not one JSON object.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a JSON object, which this ceases to be at byte {at} of {length}")]
pub(crate) struct NoObject {
    at: usize,
    length: usize,
}

impl<'a> Members<'a> {
    /// # Errors
    /// When `json` is not one JSON object, as far as that shows without reading the values.
    pub(crate) fn parse(json: &'a str) -> Result<Self, NoObject> {
        let (members, []) = Self::parse_nested(json, [])?;
        Ok(members)
    }

    /// Reads an object and, in the same pass, those of its members that are named in `nested` and are objects:
    /// most of a long document stands in them, and would otherwise be stepped over twice.
    ///
    /// # Errors
    /// Like [`Members::parse`].
    pub(crate) fn parse_nested<const N: usize>(
        json: &'a str,
        nested: [&str; N],
    ) -> Result<(Self, [Option<Self>; N]), NoObject> {
        let mut spans = Spans::new(json);
        let mut objects = [const { None }; N];
        match read(&mut spans, &nested, &mut objects) {
            Some(members) if spans.peek().is_none() => Ok((members, objects)),
            _ => Err(NoObject {
                at: spans.position(),
                length: json.len(),
            }),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<Text<'a>> {
        self.value(name)
    }

    /// A whole number, 0 or more.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.value(name)
    }

    pub(crate) fn boolean(&self, name: &str) -> Option<bool> {
        self.value(name)
    }

    pub(crate) fn object(&self, name: &str) -> Option<Members<'a>> {
        Members::parse(self.raw(name)?).ok()
    }

    /// The texts of a list; its other elements are left out.
    pub(crate) fn texts(&self, name: &str) -> Vec<Text<'a>> {
        let texts = self.elements(name).into_iter();
        texts
            .filter_map(|json| serde_json::from_str(json).ok())
            .collect()
    }

    /// The objects of a list; its other elements are left out.
    pub(crate) fn objects(&self, name: &str) -> Vec<Members<'a>> {
        let objects = self.elements(name).into_iter();
        objects
            .filter_map(|json| Members::parse(json).ok())
            .collect()
    }

    /// The member as it is written.
    pub(crate) fn raw(&self, name: &str) -> Option<&'a str> {
        let mut latest_first = self.0.iter().rev();
        latest_first
            .find(|(it, _)| **it == *name)
            .map(|(_, json)| *json)
    }

    /// All members that are objects.
    pub(crate) fn into_objects(self) -> impl Iterator<Item = (Text<'a>, Members<'a>)> {
        self.0
            .into_iter()
            .filter_map(|(name, json)| Some((name, Members::parse(json).ok()?)))
    }

    fn value<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    fn elements(&self, name: &str) -> Vec<&'a str> {
        let mut elements = Vec::new();
        let whole = self.raw(name).and_then(|json| {
            Spans::new(json).list(*b"[]", |spans| {
                let element = spans.value()?;
                if elements.len() < MAX_ELEMENTS {
                    elements.push(element);
                }
                Some(())
            })
        });
        if whole.is_none() {
            elements.clear();
        }
        elements
    }
}

/// Reads an object: those members that are named in `nested` into `objects`, if they are objects.
fn read<'a>(
    spans: &mut Spans<'a>,
    nested: &[&str],
    objects: &mut [Option<Members<'a>>],
) -> Option<Members<'a>> {
    let mut members = Vec::new();
    spans.list(*b"{}", |spans| {
        let name = name(spans.value()?)?;
        spans.step_over(b':')?;
        match nested.iter().position(|it| **it == *name) {
            Some(place) if spans.peek() == Some(b'{') => {
                objects[place] = Some(read(spans, &[], &mut [])?);
            }
            Some(place) => {
                spans.value()?;
                objects[place] = None;
            }
            None => {
                let value = spans.value()?;
                if members.len() == MAX_MEMBERS {
                    return None;
                }
                members.push((name, value));
            }
        }
        Some(())
    })?;
    Some(Members(members))
}

/// A member's name; as it is written where no text can be made of it, as of a lone surrogate: nobody asks for it.
fn name(json: &str) -> Option<Text<'_>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if span::has_escapes(inner) {
        return Some(serde_json::from_str(json).unwrap_or(Text(Cow::Borrowed(json))));
    }
    Some(Text(Cow::Borrowed(inner)))
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
    use proptest::prelude::*;
    use serde_json::Value;

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
        for no_object in [
            "",
            "[]",
            "{",
            "{}{}",
            "1",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{1:1}",
            "{\"a\":\"}",
            "{\"a\":[}",
        ] {
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

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[\\PC\"\\\\{}\\[\\],:\n]{0,30}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let name = "[a-z\"\\\\ ]{0,12}";
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(name, inner, 0..6)
                    .prop_map(|it| Value::Object(it.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn members_and_elements_are_those_that_serde_finds(value in value(), pretty in any::<bool>()) {
            let json = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let json = json.unwrap();
            let document = format!("{{\"list\":{json}}}");
            let members = Members::parse(&document).unwrap();
            prop_assert_eq!(members.raw("list").unwrap(), &json);
            let parse = |json: &str| serde_json::from_str::<Value>(json).unwrap();
            if let Value::Array(expected) = &value {
                let found: Vec<Value> = members.elements("list").into_iter().map(parse).collect();
                prop_assert_eq!(&found, expected);
            }
            prop_assert_eq!(members.object("list").is_some(), value.is_object());
            if let (Value::Object(expected), Some(object)) = (&value, members.object("list")) {
                let found: Vec<(String, Value)> =
                    object.0.iter().map(|(name, json)| (name.to_string(), parse(json))).collect();
                let expected: Vec<_> = expected.clone().into_iter().collect();
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn no_text_makes_it_panic(json in "[\\PC]{0,40}|[{}\\[\\]\",:\\\\1a ]{0,40}") {
            let members = Members::parse(&json);
            if serde_json::from_str::<serde_json::Map<String, Value>>(&json).is_ok() {
                prop_assert!(members.is_ok());
            }
            if let Ok(members) = members {
                for (name, _) in &members.0 {
                    members.objects(name);
                }
            }
        }
    }
}
