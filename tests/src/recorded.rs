//! What a simulator remembers of a request.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::secrets::Watch;

/// One request, as it arrived. A simulator keeps them in the order of arrival.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// `GET`, `DELETE`, …
    pub method: String,
    /// Percent-decoded path; for VirusTotal without the `/api/v3` in front.
    pub path: String,
    /// Decoded query parameters in the order sent.
    pub query: Vec<(String, String)>,
    /// All headers, names in lower case. Of a repeated header the last value.
    pub headers: BTreeMap<String, String>,
}

impl Recorded {
    pub(crate) fn new(parts: &Parts, prefix: &str) -> Self {
        let path = decode(parts.uri.path());
        Self {
            method: parts.method.to_string(),
            path: path.strip_prefix(prefix).unwrap_or(&path).to_owned(),
            query: parse_query(parts.uri.query().unwrap_or_default()),
            headers: headers(&parts.headers),
        }
    }

    /// Looks for secrets, other than those whose names may stand in headers or in the address.
    pub(crate) fn look_for_secrets(
        &self,
        watch: &Watch,
        in_headers: impl Fn(&str) -> bool,
        in_address: impl Fn(&str) -> bool,
    ) {
        for (name, value) in &self.headers {
            let place = format!("the header {name} of {} {}", self.method, self.path);
            watch.look(&place, value.as_bytes(), &in_headers);
        }
        let texts = self
            .query
            .iter()
            .flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        for text in texts.chain([self.path.as_str()]) {
            watch.look("the address of a request", text.as_bytes(), &in_address);
        }
    }

    /// A header's value, the name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first value of a query parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

fn headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect()
}

/// `application/x-www-form-urlencoded`, as VirusTotal reads a query: a bare `+` is a blank.
pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (
                decode(&name.replace('+', " ")),
                decode(&value.replace('+', " ")),
            )
        })
        .collect()
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}
