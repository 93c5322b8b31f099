//! Releases of the platform, and what changed between them.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, anyhow};

/// A release: `6.9.22`, `7.260817.0`, with or without a suffix such as `-lts.2`.
/// They are ordered by their numbers, so 6.9.22 comes before 7.260817.0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    numbers: [u32; 3],
    text: String,
}

impl Version {
    /// Is this release at or after the one named?
    pub(crate) fn has(&self, since: [u32; 3]) -> bool {
        self.numbers >= since
    }

    pub(crate) fn numbers(&self) -> [u32; 3] {
        self.numbers
    }

    /// Workers before 6.7.0 split every bundle, whatever the message says (protocol section 7).
    pub(crate) fn worker_honours_no_split(&self) -> bool {
        self.has([6, 7, 0])
    }

    /// Multipart works and their completion rule (section 6).
    pub(crate) fn has_multipart_works(&self) -> bool {
        self.has([7, 260_422, 0])
    }

    /// After this release the server itself splits a pushed bundle and adds the expectations
    /// (section 8).
    pub(crate) fn splits_on_server(&self) -> bool {
        self.numbers > [7, 260_817, 0]
    }

    /// A reset in the UI purges the queues (section 4).
    pub(crate) fn purges_on_reset(&self) -> bool {
        self.has([6, 1, 12])
    }

    /// `GET /schema` (section 1).
    pub(crate) fn serves_schema(&self) -> bool {
        self.has([6, 8, 0])
    }

    /// One document may name a mutation only once (section 1, batching).
    pub(crate) fn refuses_aliases(&self) -> bool {
        self.has([6, 1, 0])
    }

    /// Draft workspaces, and the header `opencti-draft-id` (section 12).
    pub(crate) fn has_drafts(&self) -> bool {
        self.has([6, 4, 0])
    }

    /// SSDEEP and TLSH give a file an id, as any hash does. 6.2.18 has no such ids, 6.7.5 has.
    pub(crate) fn knows_files_by_fuzzy_hashes(&self) -> bool {
        self.has([6, 3, 0])
    }

    /// A file with a TLSH is refused: there are ids of single hashes, but none of that one. 6.7.5 refuses it, 6.2.18
    /// and 7.260817.0 do not; what lies between them is taken for the worse.
    pub(crate) fn refuses_tlsh(&self) -> bool {
        self.has([6, 3, 0]) && !self.has([7, 0, 0])
    }

    /// A registration without `enrichment_resolution` writes null over what another client left there, which is
    /// refused (section 3). The field is as old as that.
    pub(crate) fn has_enrichment_resolution(&self) -> bool {
        self.has([6, 8, 9])
    }

    /// `opencti-work-id` of a work that is gone refuses the request (section 1).
    pub(crate) fn checks_work_header(&self) -> bool {
        self.has([6, 9, 19])
    }
}

impl Default for Version {
    /// The newest release that the project knows.
    fn default() -> Self {
        Self {
            numbers: [7, 260_817, 0],
            text: "7.260817.0".to_owned(),
        }
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let numbers: Vec<u32> = text
            .split('-')
            .next()
            .unwrap_or_default()
            .split('.')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| anyhow!("\"{text}\" is not a version such as 6.9.22"))?;
        let numbers = <[u32; 3]>::try_from(numbers)
            .map_err(|_| anyhow!("\"{text}\" is not a version of three numbers"))?;
        Ok(Self {
            numbers,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let texts = [
            "6.0.0",
            "6.2.6",
            "6.2.12",
            "6.9.22",
            "7.260224.0",
            "7.260817.0",
            "7.260817.1",
        ];
        let versions: Vec<Version> = texts.iter().map(|it| it.parse().unwrap()).collect();
        assert!(versions.is_sorted());
        assert!("6.9.22-lts.2".parse::<Version>().unwrap().has([6, 9, 22]));
        assert_eq!(Version::default(), "7.260817.0".parse().unwrap());
        for text in ["", "7", "6.x.0", "6.9.22.1"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }
}
