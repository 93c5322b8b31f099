//! What an element is about, and where people look at it.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// Where VirusTotal shows its objects to people.
const USER_INTERFACE: &str = "https://www.virustotal.com/gui";

/// Longest id: a file's hash, a domain (RFC 1035: 253 characters), an address.
const LONGEST_ID: usize = 256;

/// Characters that do not stand as they are in a segment of a path (RFC 3986, section 3.3).
const IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-');

/// The object of an element of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Its id: a file's or a URL's SHA-256, a domain, an IP address.
    pub id: String,
    /// Its page in VirusTotal's user interface, of an object of a type that has one.
    pub link: Option<String>,
}

/// What every object of the API begins with (API v3, "Objects").
#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

impl Subject {
    /// The object that an element of the feed is; none of what is no object.
    #[must_use]
    pub fn of(element: &str) -> Option<Self> {
        let object: Object<'_> = serde_json::from_str(element).ok()?;
        if object.id.is_empty() || object.id.len() > LONGEST_ID {
            return None;
        }
        let page = match &*object.r#type {
            "file" => Some("file"),
            "url" => Some("url"),
            "domain" => Some("domain"),
            "ip_address" => Some("ip-address"),
            _ => None,
        };
        let link = page.map(|page| {
            let id = utf8_percent_encode(&object.id, IN_SEGMENT);
            format!("{USER_INTERFACE}/{page}/{id}")
        });
        Some(Self {
            id: object.id.into_owned(),
            link,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_the_page_of_its_type() {
        for (element, expected) in [
            (
                r#"{"id":"ab01","type":"file","attributes":{}}"#,
                Some(("ab01", Some("file/ab01"))),
            ),
            (
                r#"{"type":"ip_address","id":"2001:db8::1"}"#,
                Some(("2001:db8::1", Some("ip-address/2001%3Adb8%3A%3A1"))),
            ),
            (
                r#"{"type":"domain","id":"a-b.example"}"#,
                Some(("a-b.example", Some("domain/a-b.example"))),
            ),
            (
                r#"{"type":"url","id":"../\"<a>"}"#,
                Some(("../\"<a>", Some("url/..%2F%22%3Ca%3E"))),
            ),
            (r#"{"type":"comment","id":"c"}"#, Some(("c", None))),
            (r#"{"type":"file","id":""}"#, None),
            (r#"{"type":"file"}"#, None),
            ("[]", None),
        ] {
            let expected = expected.map(|(id, page)| Subject {
                id: id.to_owned(),
                link: page.map(|page| format!("{USER_INTERFACE}/{page}")),
            });
            assert_eq!(Subject::of(element), expected, "{element}");
        }
        let long = format!(r#"{{"type":"file","id":"{}"}}"#, "a".repeat(300));
        assert_eq!(Subject::of(&long), None);
    }
}
