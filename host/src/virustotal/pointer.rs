//! JSON Pointer (RFC 6901) into JSON text: what it points to is borrowed, all else is skipped unread.

use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::path::Refused;

/// A parsed JSON Pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    tokens: Vec<String>,
}

impl Pointer {
    /// The text of the value that this points to, or none where there is no such value.
    ///
    /// Of a name that an object holds twice, the last counts.
    ///
    /// # Errors
    /// When `document` is not JSON.
    pub fn find<'doc>(
        &self,
        document: &'doc str,
    ) -> Result<Option<&'doc RawValue>, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(document);
        let found = Descent {
            tokens: &self.tokens,
        }
        .deserialize(&mut json)?;
        json.end()?;
        Ok(found)
    }

    /// What two pointers begin with, and the rest of each.
    ///
    /// Two values that lie side by side are found by reading a long document once.
    pub(super) fn split_common(self, other: Self) -> (Self, Self, Self) {
        let shared = self
            .tokens
            .iter()
            .zip(&other.tokens)
            .take_while(|(mine, theirs)| mine == theirs)
            .count();
        let (mut common, mut other) = (self.tokens, other.tokens);
        let mine = common.split_off(shared);
        let theirs = other.split_off(shared);
        let pointer = |tokens| Self { tokens };
        (pointer(common), pointer(mine), pointer(theirs))
    }
}

impl FromStr for Pointer {
    type Err = Refused;

    /// RFC 6901, section 3 and 4.
    fn from_str(text: &str) -> Result<Self, Refused> {
        if text.is_empty() {
            return Ok(Self { tokens: Vec::new() });
        }
        let Some(tokens) = text.strip_prefix('/') else {
            return Err(Refused::new(text, "a JSON Pointer begins with `/`"));
        };
        let tokens = tokens.split('/').map(|token| {
            let stray = token
                .split('~')
                .skip(1)
                .any(|rest| !rest.starts_with(['0', '1']));
            if stray {
                return Err(Refused::new(
                    text,
                    "in a JSON Pointer `~` is followed by `0` or `1`",
                ));
            }
            Ok(token.replace("~1", "/").replace("~0", "~"))
        });
        Ok(Self {
            tokens: tokens.collect::<Result<_, _>>()?,
        })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for token in &self.tokens {
            write!(f, "/{}", token.replace('~', "~0").replace('/', "~1"))?;
        }
        Ok(())
    }
}

/// Reads one value and goes down the tokens that are left.
struct Descent<'pointer> {
    tokens: &'pointer [String],
}

impl<'de> DeserializeSeed<'de> for Descent<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<Self::Value, D::Error> {
        match self.tokens {
            [] => serde::Deserialize::deserialize(value).map(Some),
            [first, rest @ ..] => value.deserialize_any(Step { first, rest }),
        }
    }
}

struct Step<'pointer> {
    first: &'pointer str,
    rest: &'pointer [String],
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(wanted) = map.next_key_seed(Is(self.first))? {
            if wanted {
                found = map.next_value_seed(Descent { tokens: self.rest })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        // RFC 6901: no leading zeros; `-` names the element after the last, which is not there.
        let canonical = self.first == "0" || !self.first.starts_with('0');
        let digits = self.first.bytes().all(|byte| byte.is_ascii_digit());
        let index = self.first.parse().ok().filter(|_| canonical && digits);
        let mut found = None;
        let mut position = 0_usize;
        loop {
            if index == Some(position) {
                match seq.next_element_seed(Descent { tokens: self.rest })? {
                    Some(value) => found = value,
                    None => return Ok(None),
                }
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            position += 1;
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Compares a name without keeping it.
struct Is<'token>(&'token str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, name: D) -> Result<bool, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn find(pointer: &str, document: &str) -> Option<String> {
        let pointer: Pointer = pointer.parse().unwrap();
        let found = pointer.find(document).unwrap();
        found.map(|value| value.get().to_owned())
    }

    /// The examples of RFC 6901, section 5.
    const RFC: &str = r#"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4,
        "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8}"#;

    #[test]
    fn examples_of_the_rfc() {
        for (pointer, value) in [
            ("/foo", r#"["bar", "baz"]"#),
            ("/foo/0", r#""bar""#),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(find(pointer, RFC).as_deref(), Some(value), "{pointer}");
            assert_eq!(pointer.parse::<Pointer>().unwrap().to_string(), pointer);
        }
        assert_eq!(find("", RFC).as_deref(), Some(RFC));
    }

    #[test]
    fn what_is_not_there_is_none() {
        for (pointer, document) in [
            ("/foo/2", RFC),
            ("/foo/00", RFC),
            ("/foo/+1", RFC),
            ("/foo/-", RFC),
            ("/foo/bar", RFC),
            ("/bar", RFC),
            ("/a", "null"),
            ("/a", "true"),
            ("/a", "-1"),
            ("/a", "1.5"),
            ("/a", r#""text""#),
            ("/0", "[]"),
            ("/a/b", r#"{"a": null}"#),
        ] {
            assert_eq!(find(pointer, document), None, "{pointer} {document}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["a", "a/b", "/~", "/a~2", "/~~0", "#/a"] {
            assert!(text.parse::<Pointer>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        let pointer: Pointer = "/a".parse().unwrap();
        for document in ["", "{", r#"{"a": 1"#, r#"{"a": 1} x"#, r#"{"b": }"#] {
            assert!(pointer.find(document).is_err(), "{document}");
        }
    }

    #[test]
    fn neighbours_share_their_beginning() {
        let parse = |text: &str| text.parse::<Pointer>().unwrap();
        let split = |a, b| {
            let (common, a, b) = parse(a).split_common(parse(b));
            [common, a, b].map(|pointer| pointer.to_string())
        };
        assert_eq!(split("/c/id", "/c/date"), ["/c", "/id", "/date"]);
        assert_eq!(
            split("/id", "/attributes/date"),
            ["", "/id", "/attributes/date"]
        );
        assert_eq!(split("/a", "/a"), ["/a", "", ""]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            document in "\\PC{0,60}|[{}\\[\\]\",:\\\\0a ]{0,40}", pointer in "(/[a0]?){0,3}",
        ) {
            let pointer: Pointer = pointer.parse().unwrap();
            let is_json = serde_json::from_str::<IgnoredAny>(&document).is_ok();
            prop_assert_eq!(pointer.find(&document).is_ok(), is_json);
        }

        /// serde_json's own pointer, which builds the whole document, is the model.
        #[test]
        fn agrees_with_the_model(
            names in prop::collection::vec("[ab~/0-]{0,2}", 0..4),
            document in prop::sample::select(vec![
                r#"{"a":{"b":[1,{"a":2}],"":{"0":3}},"~":[[4],{"/":5}],"0":"x"}"#,
                r#"[{"a":1},[2,[3]],{"b":{"a":[4]}},"a",null]"#,
            ]),
        ) {
            let pointer: String = names
                .iter()
                .map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1")))
                .collect();
            let whole: Value = serde_json::from_str(document).unwrap();
            let found = find(&pointer, document).map(|text| serde_json::from_str::<Value>(&text).unwrap());
            prop_assert_eq!(found.as_ref(), whole.pointer(&pointer));
        }
    }
}
