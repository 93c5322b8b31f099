//! The text of `CONNECTOR_GUEST`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use oci_client::Reference;

const SCHEME: &str = "oci://";
const EXPECTED: &str = "oci://registry/repository:tag or oci://registry/repository@sha256:…";

/// Where the guest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestSource {
    /// A file, or a folder of which the guest with the highest version counts; which of them, shows when it is
    /// looked at.
    Path(PathBuf),
    /// An artifact in a registry.
    Oci(Reference),
}

/// A text that names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSource {
    /// Nothing but blanks.
    #[error("found nothing; expected the path of a file or folder, or {EXPECTED}")]
    Empty,
    /// An address of another kind.
    #[error("found an address that begins with {0:?}; expected a path, or {EXPECTED}")]
    Scheme(String),
    /// The text is not shown: there is a password in it.
    #[error(
        "found a user name or password in the reference; expected {EXPECTED}, and the login in the docker configuration (`docker login`)"
    )]
    Login,
    /// Without a registry, docker would ask its own.
    #[error("found {0:?}, which begins with no registry; expected {EXPECTED}")]
    Registry(String),
    /// Without a tag, docker would take `latest`.
    #[error("found {0:?}, which has neither tag nor digest; expected {EXPECTED}")]
    Version(String),
    /// Not what a registry could know.
    #[error("found {text:?} ({reason}); expected {EXPECTED}")]
    Reference {
        /// The text.
        text: String,
        /// Why not.
        reason: String,
    },
}

impl FromStr for GuestSource {
    type Err = InvalidSource;

    fn from_str(text: &str) -> Result<Self, InvalidSource> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidSource::Empty);
        }
        if let Some(reference) = text.strip_prefix(SCHEME) {
            return parse_reference(text, reference).map(Self::Oci);
        }
        match text.split_once("://") {
            Some((scheme, _)) => Err(InvalidSource::Scheme(format!("{scheme}://"))),
            None => Ok(Self::Path(PathBuf::from(text))),
        }
    }
}

fn parse_reference(text: &str, reference: &str) -> Result<Reference, InvalidSource> {
    let (registry, rest) = reference.split_once('/').unwrap_or((reference, ""));
    if registry.contains('@') && !rest.is_empty() {
        return Err(InvalidSource::Login);
    }
    // As docker tells a registry from the first part of a repository.
    if rest.is_empty() || !(registry.contains(['.', ':']) || registry == "localhost") {
        return Err(InvalidSource::Registry(text.to_owned()));
    }
    if !rest.contains([':', '@']) {
        return Err(InvalidSource::Version(text.to_owned()));
    }
    reference
        .parse()
        .map_err(|error: oci_client::ParseError| InvalidSource::Reference {
            text: text.to_owned(),
            reason: error.to_string(),
        })
}

impl From<PathBuf> for GuestSource {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl fmt::Display for GuestSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(formatter),
            Self::Oci(reference) => write!(formatter, "{SCHEME}{reference}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_source_is_a_path_or_a_reference() {
        for (text, is_path) in [
            ("livehunt.wasm".to_owned(), true),
            ("/guests/livehunt.wasm".to_owned(), true),
            ("/guests/".to_owned(), true),
            ("guests:old/a@b".to_owned(), true),
            ("oci://ghcr.io/acme/livehunt:1.2.0".to_owned(), false),
            ("oci://localhost/livehunt:1".to_owned(), false),
            ("oci://127.0.0.1:5000/a/b/livehunt:1".to_owned(), false),
            (format!("oci://ghcr.io/acme/livehunt@{SHA256}"), false),
            (format!("oci://ghcr.io/acme/livehunt:1@{SHA256}"), false),
        ] {
            let source: GuestSource = format!(" {text} ").parse().unwrap();
            assert_eq!(source.to_string(), text);
            assert_eq!(matches!(source, GuestSource::Path(_)), is_path, "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_what_was_found() {
        for (text, expected) in [
            (
                "",
                "found nothing; expected the path of a file or folder, or oci:",
            ),
            (
                "https://ghcr.io/x:1",
                "found an address that begins with \"https://\"; expected a path, or oci:",
            ),
            (
                "docker://ghcr.io/x:1",
                "found an address that begins with \"docker://\"",
            ),
            ("oci://", "found \"oci://\", which begins with no registry"),
            (
                "oci://livehunt:1",
                "found \"oci://livehunt:1\", which begins with no registry",
            ),
            (
                "oci://acme/livehunt:1",
                "found \"oci://acme/livehunt:1\", which begins with no registry",
            ),
            (
                "oci://ghcr.io/livehunt",
                "found \"oci://ghcr.io/livehunt\", which has neither tag nor digest",
            ),
            (
                "oci://ghcr.io/Acme:1",
                "found \"oci://ghcr.io/Acme:1\" (invalid reference format); expected oci:",
            ),
            (
                "oci://ghcr.io/x@sha256:00",
                "found \"oci://ghcr.io/x@sha256:00\" (invalid reference format)",
            ),
            (
                "oci://me:SECRET@ghcr.io/x:1",
                "found a user name or password in the reference",
            ),
        ] {
            let error = text.parse::<GuestSource>().unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
            assert!(!error.contains("SECRET"), "{error}");
        }
    }
}
