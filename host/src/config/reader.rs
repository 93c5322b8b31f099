//! Reads texts as users write them into typed values, and collects everything that is wrong with them.

use std::borrow::Cow;

use secrecy::SecretString;
use url::Url;

use super::load::{GuestDefaults, Problem};
use super::raw::Raw;

/// The platform's sample files hold it where a user must put a value of their own.
const PLACEHOLDER: &str = "ChangeMe";

/// A setting as it was found: its name in the environment, and its text without blanks and quotes around it.
pub(super) struct Entry<'a> {
    pub(super) name: Cow<'static, str>,
    pub(super) text: Option<&'a str>,
}

pub(super) struct Reader<'a> {
    pub(super) raw: &'a Raw,
    pub(super) guest: &'a GuestDefaults,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(raw: &'a Raw, guest: &'a GuestDefaults) -> Self {
        Self {
            raw,
            guest,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// A setting with a name of its own.
    pub(super) fn host(&mut self, name: &'static str) -> Entry<'a> {
        self.entry(name.into(), self.raw.get(name))
    }

    /// A setting under the guest's prefix.
    pub(super) fn source(&mut self, name: &str) -> Entry<'a> {
        let prefix = &self.guest.environment_prefix;
        let value = self
            .raw
            .get_prefixed(prefix, &self.guest.config_sections, name);
        self.entry(format!("{prefix}_{name}").into(), value)
    }

    /// In a list of a compose file (`- NAME="value"`) the quotes become part of the value.
    fn entry(&mut self, name: Cow<'static, str>, value: Option<&'a str>) -> Entry<'a> {
        let text = value.map(str::trim).and_then(|text| {
            let Some(inner) = within_quotes(text) else {
                return Some(text);
            };
            self.warnings
                .push(format!("{name}: the quotes around the value are left out"));
            Some(inner.trim()).filter(|inner| !inner.is_empty())
        });
        Entry { name, text }
    }

    /// `None` when it is not set, and when a problem has been noted.
    pub(super) fn parsed<T>(
        &mut self,
        entry: Entry<'_>,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = entry.text?;
        let value = parse(text);
        if value.is_none() {
            self.problem(entry.name, text, allowed);
        }
        value
    }

    pub(super) fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let entry = self.host(name);
        self.parsed(entry, "true or false", boolean)
    }

    pub(super) fn required_secret(&mut self, entry: Entry<'_>) -> Option<SecretString> {
        match entry.text {
            None => {
                self.missing(entry.name, "a value");
                None
            }
            Some(text) if is_placeholder(text) => {
                self.problem(entry.name, text, "your own");
                None
            }
            Some(text) => Some(SecretString::from(text)),
        }
    }

    pub(super) fn required_url(&mut self, entry: Entry<'_>) -> Option<Url> {
        const ALLOWED: &str = "an address such as http://opencti:8080";
        let Some(text) = entry.text else {
            self.missing(entry.name, ALLOWED);
            return None;
        };
        let url = web_address(text);
        if url.is_none() {
            // Not the text itself: an address may carry a password.
            self.problems.push(Problem {
                setting: entry.name.into_owned(),
                reason: format!("the text is not {ALLOWED}"),
            });
        }
        url
    }

    pub(super) fn missing(&mut self, name: impl Into<String>, expected: &str) {
        self.problems.push(Problem {
            setting: name.into(),
            reason: format!("not set; expected {expected}"),
        });
    }

    pub(super) fn problem(&mut self, name: impl Into<String>, found: &str, allowed: &str) {
        self.problems.push(Problem {
            setting: name.into(),
            reason: format!("found {found:?}; allowed: {allowed}"),
        });
    }
}

pub(super) fn is_placeholder(text: &str) -> bool {
    text.eq_ignore_ascii_case(PLACEHOLDER)
}

/// As pycti reads them, in any case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "1" | "on" => Some(true),
        "false" | "no" | "0" | "off" => Some(false),
        _ => None,
    }
}

pub(super) fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .map(str::to_owned)
        .collect()
}

/// An address to put paths behind: with a host, without query and fragment.
fn web_address(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim_end_matches('/')).ok()?;
    let usable = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none();
    usable.then_some(url)
}

fn within_quotes(text: &str) -> Option<&str> {
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}
