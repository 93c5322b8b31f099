//! Paths of the API, parsed once into types that cannot be wrong.
//!
//! The guest names them, and the guest is not trusted: a path must stay under the API root, on the
//! list of what a connector may read, and away from what spends the download quota.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// What a guest may look up: these beginnings, with at least one more segment.
const LOOKUPS: &[&[&str]] = &[
    &["intelligence", "hunting_rulesets"],
    &["files"],
    &["urls"],
    &["domains"],
    &["ip_addresses"],
    &["collections"],
];

/// Which collections a guest may read as its feed: exactly these.
const FEEDS: &[&str] = &[
    "ioc_stream",
    "intelligence/hunting_rulesets",
    "intelligence/hunting_notifications",
    "intelligence/hunting_notification_files",
];

/// Longest path, in bytes.
const MAX_PATH: usize = 512;

/// Longest id of an item, in bytes.
const MAX_ITEM_ID: usize = 128;

/// A path, id or pointer that is refused before anything is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is refused: {reason}")]
pub struct Refused {
    found: String,
    reason: &'static str,
}

impl Refused {
    pub(super) fn new(found: &str, reason: &'static str) -> Self {
        Self {
            found: found.chars().take(MAX_PATH).collect(),
            reason,
        }
    }
}

/// A path that a guest may look up: `files/<sha256>`, `intelligence/hunting_rulesets/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LookupPath(String);

impl LookupPath {
    /// Parses a path relative to the API root.
    ///
    /// # Errors
    /// When it is not relative and plain, not on the list of what may be looked up, or a download.
    pub fn parse(path: &str) -> Result<Self, Refused> {
        let segments = segments(path)?;
        let listed = LOOKUPS
            .iter()
            .any(|start| segments.len() > start.len() && segments.starts_with(start));
        if !listed {
            return Err(Refused::new(
                path,
                "not among what a connector may look up (rulesets, files, urls, domains, ip_addresses, collections)",
            ));
        }
        if segments.iter().any(|segment| is_download(segment)) {
            return Err(Refused::new(path, "a download is not a lookup"));
        }
        Ok(Self(path.to_owned()))
    }

    /// The path, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A collection that a guest may read page by page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPath(&'static str);

impl FeedPath {
    /// Parses a path relative to the API root.
    ///
    /// # Errors
    /// When it is not one of the collections that a connector may read.
    pub fn parse(path: &str) -> Result<Self, Refused> {
        FEEDS
            .iter()
            .find(|feed| **feed == path)
            .map(|feed| Self(feed))
            .ok_or_else(|| Refused::new(path, "not a collection that a connector may read"))
    }

    /// The path, without a leading slash.
    pub fn as_str(&self) -> &str {
        self.0
    }
}

/// A file to download: which one, and how to know that it is the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadRequest {
    sha256: String,
    size: Option<u64>,
}

impl DownloadRequest {
    /// Takes the path that names the signed URL, the SHA-256 in lower-case hexadecimal, and the size in
    /// bytes where it is known.
    ///
    /// # Errors
    /// When the path is not `files/<sha256>/download_url` of the same SHA-256.
    pub fn parse(path: &str, sha256: &str, size: Option<u64>) -> Result<Self, Refused> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if sha256.len() != 64 || !sha256.bytes().all(is_hex) {
            return Err(Refused::new(
                sha256,
                "not a SHA-256 in lower-case hexadecimal",
            ));
        }
        let named = path
            .strip_prefix("files/")
            .and_then(|rest| rest.strip_suffix("/download_url"));
        if named != Some(sha256) {
            return Err(Refused::new(
                path,
                "not files/<sha256>/download_url of the file's own SHA-256",
            ));
        }
        Ok(Self {
            sha256: sha256.to_owned(),
            size,
        })
    }

    /// SHA-256 of the file, lower-case hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Size of the file in bytes, where it is known.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    pub(super) fn path(&self) -> String {
        format!("files/{}/download_url", self.sha256)
    }
}

/// Id of an item: what the checkpoint remembers, and what is removed at the source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(Box<str>);

impl ItemId {
    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ItemId {
    type Err = Refused;

    /// An id becomes a segment of a path, so `.` and `..` are none.
    fn from_str(id: &str) -> Result<Self, Refused> {
        if id.is_empty() || id.len() > MAX_ITEM_ID {
            return Err(Refused::new(id, "an id has 1 to 128 characters"));
        }
        if !id.bytes().all(|byte| byte == b'_' || is_plain(byte)) || is_dots(id) {
            return Err(Refused::new(
                id,
                "an id consists of letters, digits, `_`, `.` and `-`",
            ));
        }
        Ok(Self(id.into()))
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Splits a relative path into segments that need no percent-encoding and name no other folder.
fn segments(path: &str) -> Result<Vec<&str>, Refused> {
    if path.len() > MAX_PATH {
        return Err(Refused::new(path, "longer than 512 characters"));
    }
    let segments: Vec<&str> = path.split('/').collect();
    for segment in &segments {
        if segment.is_empty() {
            return Err(Refused::new(
                path,
                "a path is relative and has no empty segment",
            ));
        }
        if is_dots(segment) {
            return Err(Refused::new(path, "a path has no segment of dots only"));
        }
        let plain = |byte| is_plain(byte) || matches!(byte, b'_' | b'=');
        // An IPv6 address is the only id with colons.
        if !segment.bytes().all(plain) && segment.parse::<IpAddr>().is_err() {
            return Err(Refused::new(
                path,
                "a segment consists of letters, digits, `_`, `.`, `=` and `-`",
            ));
        }
    }
    Ok(segments)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
}

fn is_dots(segment: &str) -> bool {
    segment.bytes().all(|byte| byte == b'.')
}

fn is_download(segment: &str) -> bool {
    segment.eq_ignore_ascii_case("download") || segment.eq_ignore_ascii_case("download_url")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn lookups_on_the_list_are_taken() {
        for path in [
            "intelligence/hunting_rulesets/4782394738",
            "files/abcDEF09",
            "files/abc/behaviours",
            "urls/aHR0cDovL2EuZXhhbXBsZS8=",
            "domains/xn--bcher-kva.example",
            "ip_addresses/192.0.2.1",
            "ip_addresses/2001:db8::1",
            "collections/malware--448e822d-8496-5021-88cb-599062f74176",
        ] {
            assert_eq!(LookupPath::parse(path).unwrap().as_str(), path);
        }
    }

    #[test]
    fn lookups_elsewhere_are_refused() {
        for path in [
            "",
            "/",
            "/files/a",
            "files",
            "files/",
            "files//a",
            "files/../users/a",
            "files/./a",
            "files/...",
            "files/a/",
            "files/%2e%2e",
            "files/a?x=y",
            "files/a#b",
            "files/a\\b",
            "files/a b",
            "files/a\n",
            "files/ä",
            "files/a:b",
            "http://evil.example/files/a",
            "//evil.example/files/a",
            "users/a/overall_quotas",
            "intelligence/hunting_rulesets",
            "intelligence/search/a",
            "ioc_stream",
            "filesystem/a",
            "files/a/download",
            "files/a/Download_URL",
            "files/a/download_url/b",
        ] {
            assert!(LookupPath::parse(path).is_err(), "{path:?}");
        }
        assert!(LookupPath::parse(&format!("files/{}", "a".repeat(600))).is_err());
    }

    #[test]
    fn a_feed_is_a_known_collection() {
        assert_eq!(
            FeedPath::parse("ioc_stream").unwrap().as_str(),
            "ioc_stream"
        );
        for path in ["", "ioc_stream/", "ioc_stream?limit=1", "users", "files/a"] {
            assert!(FeedPath::parse(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_download_names_its_own_file() {
        let path = format!("files/{SHA256}/download_url");
        let request = DownloadRequest::parse(&path, SHA256, Some(3)).unwrap();
        assert_eq!(request.path(), path);
        assert_eq!((request.sha256(), request.size()), (SHA256, Some(3)));

        let upper = SHA256.to_uppercase();
        let other = SHA256.replace('e', "f");
        for (path, sha256) in [
            (format!("files/{SHA256}/download"), SHA256),
            (format!("/{path}"), SHA256),
            (format!("{path}/"), SHA256),
            (format!("files/{other}/download_url"), SHA256),
            (format!("files/{upper}/download_url"), upper.as_str()),
            ("files//download_url".to_owned(), ""),
        ] {
            assert!(
                DownloadRequest::parse(&path, sha256, None).is_err(),
                "{path}"
            );
        }
    }

    #[test]
    fn an_id_is_one_plain_segment() {
        let longest = "a".repeat(MAX_ITEM_ID);
        for id in ["1", "18446744073709551615", "961-45_82.3c7f", &longest] {
            assert_eq!(id.parse::<ItemId>().unwrap().as_str(), id);
        }
        let too_long = "a".repeat(MAX_ITEM_ID + 1);
        for id in ["", ".", "..", "a/b", "a b", "a%", "ä", "a=", &too_long] {
            assert!(id.parse::<ItemId>().is_err(), "{id:?}");
        }
    }

    proptest! {
        /// Whatever is accepted, no parser of URLs sees anything in it but a path below the root.
        #[test]
        fn an_accepted_path_stays_below_the_root(
            rest in r"[a-zA-Z0-9_.=:/?#%\\@ -]{0,40}",
            start in prop::sample::select(vec!["", "files/", "ip_addresses/", "intelligence/hunting_rulesets/"]),
        ) {
            let path = format!("{start}{rest}");
            if LookupPath::parse(&path).is_ok() {
                let root = Url::parse("https://vt.example/api/v3/").unwrap();
                let url = root.join(&path).unwrap();
                prop_assert_eq!(url.as_str(), format!("https://vt.example/api/v3/{path}"));
            }
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,80}") {
            let _ = LookupPath::parse(&text);
            let _ = text.parse::<ItemId>();
            let _ = DownloadRequest::parse(&text, &text, None);
        }
    }
}
