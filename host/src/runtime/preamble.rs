//! What all emissions of a guest have in common; the JSON of `preamble`.

use serde::Deserialize;

use super::checked::{WORDS, is_stix_id, within};
use super::engine::Limits;
use super::error::CallError;

/// Markings of one preamble, the author's own among them.
const MARKINGS: usize = 32;

/// What all emissions of a guest have in common, as its settings have it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Preamble {
    /// The author of all objects.
    pub author: Option<Author>,
    /// The markings that objects are brought with.
    pub markings: Vec<Announced>,
    /// Whether emissions may name files to copy.
    pub files: Option<Files>,
}

/// The author of all objects.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Author {
    /// STIX id.
    pub id: String,
    /// STIX ids of the markings that it carries itself.
    pub markings: Vec<String>,
}

/// A marking that objects are brought with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Announced {
    /// STIX id.
    pub id: String,
    /// As people call it.
    pub name: String,
    /// Setting of the guest that chooses it, without the prefix.
    pub setting: Option<String>,
}

/// That emissions may name files to copy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Files {
    /// Setting of the guest that wants it, without the prefix.
    pub setting: Option<String>,
}

impl Preamble {
    /// Reads what `preamble` returned; a guest is not trusted.
    pub(super) fn parse(json: &str, limits: &Limits) -> Result<Self, CallError> {
        within("preamble", "bytes", json.len(), limits.output)?;
        let preamble: Self = serde_json::from_str(json).map_err(|error| {
            refused(
                format!("a preamble that cannot be read ({error})"),
                "the JSON object that the contract documents",
            )
        })?;
        let author = preamble.author.iter();
        let ids: Vec<&String> = author
            .flat_map(|author| author.markings.iter().chain([&author.id]))
            .chain(preamble.markings.iter().map(|marking| &marking.id))
            .collect();
        within("preamble", "markings", ids.len(), MARKINGS)?;
        if let Some(id) = ids.iter().find(|id| !is_stix_id(id)) {
            return Err(refused(format!("the id {id:?}"), "a STIX id"));
        }
        let markings = preamble.markings.iter();
        let settings = markings.clone().map(|marking| &marking.setting);
        let settings = settings.chain(preamble.files.iter().map(|files| &files.setting));
        let words = settings
            .flatten()
            .chain(markings.map(|marking| &marking.name));
        let bytes = words.map(String::len).sum();
        within("preamble", "bytes of words", bytes, WORDS)?;
        Ok(preamble)
    }
}

fn refused(found: String, allowed: &str) -> CallError {
    CallError::Output {
        call: "preamble",
        found,
        allowed: allowed.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82";

    fn parse(json: &Value) -> Result<Preamble, String> {
        Preamble::parse(&json.to_string(), &Limits::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_preamble_is_read_as_the_contract_says() {
        let nothing = parse(&json!({"author": null, "markings": [], "files": null})).unwrap();
        assert_eq!(nothing.markings, []);
        let all = parse(&json!({
            "author": {"id": ID, "markings": [ID], "more": 1},
            "markings": [{"id": ID, "name": "AMBER", "setting": "LEVEL"}, {"id": ID, "name": "x", "setting": null}],
            "files": {"setting": "COPY"}, "of a later version": true,
        }));
        let all = all.unwrap();
        assert_eq!(all.author.unwrap().markings, [ID]);
        assert_eq!(all.markings[0].setting.as_deref(), Some("LEVEL"));
        assert_eq!(all.files.unwrap().setting.as_deref(), Some("COPY"));
    }

    #[test]
    fn what_is_none_is_refused() {
        let marking = |id: &str, name: &str| json!({"id": id, "name": name, "setting": null});
        for (found, words) in [
            (json!([]), "cannot be read"),
            (json!({"markings": [marking("x", "a")]}), "the id \"x\""),
            (
                json!({"markings": vec![marking(ID, "a"); 33]}),
                "33 markings",
            ),
            (
                json!({"markings": [marking(ID, &"a".repeat(5_000))]}),
                "5000 bytes of words",
            ),
        ] {
            let error = parse(&found).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
