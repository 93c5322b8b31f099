//! The platform's version, and what depends on it.

use std::fmt;

/// A release of the platform: `6.9.22`, `7.260817.0`. A long-term-support suffix (`-lts.1`) changes nothing
/// about the API and is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u64,
    minor: u64,
    patch: u64,
}

impl Version {
    /// The first release that this connector supports.
    pub const FIRST_SUPPORTED: Self = Self::new(6, 0, 0);

    /// Newer than every release: what a platform counts as whose version text is not understood.
    pub const NEWEST: Self = Self::new(u64::MAX, 0, 0);

    /// A release.
    #[must_use]
    pub const fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// Reads the text of `about.version`; `None` where it is not three numbers.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let version = semver::Version::parse(text.trim()).ok()?;
        Some(Self::new(version.major, version.minor, version.patch))
    }

    /// Whether this release has the feature.
    #[must_use]
    pub fn has(self, feature: Feature) -> bool {
        match feature.bounds() {
            Bounds::Since(first) => self >= first,
            Bounds::After(last) => self > last,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEWEST {
            return formatter.write_str("unknown (taken as the newest)");
        }
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Behaviour of the platform that its API does not show. What its API does show is in the table of
/// [operations](super::OPERATIONS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Workers import a message marked `no_split` as it is and report one expectation an object.
    NoSplit,
    /// `stixBundlePush` splits the bundle on the server, which adds all expectations.
    SplitOnServer,
}

enum Bounds {
    Since(Version),
    After(Version),
}

impl Feature {
    fn bounds(self) -> Bounds {
        match self {
            Self::NoSplit => Bounds::Since(Version::new(6, 7, 0)),
            Self::SplitOnServer => Bounds::After(Version::new(7, 260_817, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_about_version() {
        for (text, version) in [
            ("6.9.22", Some(Version::new(6, 9, 22))),
            ("7.260817.0", Some(Version::new(7, 260_817, 0))),
            ("7.260817.0-lts.3", Some(Version::new(7, 260_817, 0))),
            (" 6.0.0\n", Some(Version::new(6, 0, 0))),
            ("6.9", None),
            ("master", None),
            ("", None),
        ] {
            assert_eq!(Version::parse(text), version, "{text:?}");
        }
    }

    #[test]
    fn features_by_version() {
        for (version, no_split, split_on_server) in [
            ("6.6.18", false, false),
            ("6.7.0", true, false),
            ("6.9.22", true, false),
            ("7.260817.0", true, false),
            ("7.260817.0-lts.1", true, false),
            ("7.260817.1", true, true),
            ("7.260901.0", true, true),
        ] {
            let parsed = Version::parse(version).unwrap();
            assert_eq!(parsed.has(Feature::NoSplit), no_split, "{version}");
            assert_eq!(
                parsed.has(Feature::SplitOnServer),
                split_on_server,
                "{version}"
            );
        }
        assert!(Version::NEWEST.has(Feature::SplitOnServer));
    }
}
