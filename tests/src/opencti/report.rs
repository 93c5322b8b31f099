//! What the end of every test looks at: what arrived otherwise than it was meant.

use serde_json::Value;

use super::platform::Platform;
use super::server::Server;
use super::store::Stored;

/// What can be found about what arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Finding {
    /// An object that the platform did not take.
    Refused,
    /// An indicator that was dead when it arrived, or that the next pass of the decay manager revoked.
    RevokedOnArrival,
    /// Two files that became one.
    MergedFiles,
    /// A reference, other than an end of a relationship, that could not be resolved and was dropped.
    LostReference,
    /// An object without an author. Identities and markings need none.
    WithoutAuthor,
    /// An object without a marking. Identities and markings need none.
    WithoutMarking,
}

/// What was found at the end, a line each: the object's id, and what there is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// See [`Finding::Refused`].
    pub refused: Vec<String>,
    /// See [`Finding::RevokedOnArrival`].
    pub revoked_on_arrival: Vec<String>,
    /// See [`Finding::MergedFiles`].
    pub merged_files: Vec<String>,
    /// See [`Finding::LostReference`].
    pub lost_references: Vec<String>,
    /// See [`Finding::WithoutAuthor`].
    pub without_author: Vec<String>,
    /// See [`Finding::WithoutMarking`].
    pub without_marking: Vec<String>,
}

impl Report {
    /// The lines of one finding.
    #[must_use]
    pub fn of(&self, finding: Finding) -> &[String] {
        match finding {
            Finding::Refused => &self.refused,
            Finding::RevokedOnArrival => &self.revoked_on_arrival,
            Finding::MergedFiles => &self.merged_files,
            Finding::LostReference => &self.lost_references,
            Finding::WithoutAuthor => &self.without_author,
            Finding::WithoutMarking => &self.without_marking,
        }
    }

    fn of_mut(&mut self, finding: Finding) -> &mut Vec<String> {
        match finding {
            Finding::Refused => &mut self.refused,
            Finding::RevokedOnArrival => &mut self.revoked_on_arrival,
            Finding::MergedFiles => &mut self.merged_files,
            Finding::LostReference => &mut self.lost_references,
            Finding::WithoutAuthor => &mut self.without_author,
            Finding::WithoutMarking => &mut self.without_marking,
        }
    }

    /// All findings that there are.
    const ALL: [Finding; 6] = [
        Finding::Refused,
        Finding::RevokedOnArrival,
        Finding::MergedFiles,
        Finding::LostReference,
        Finding::WithoutAuthor,
        Finding::WithoutMarking,
    ];

    /// All lines, each with its finding.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.surprises(&[])
    }

    /// What was found and not expected, and what was expected and not found.
    fn surprises(&self, expected: &[(Finding, String)]) -> Vec<String> {
        let mut surprises = Vec::new();
        for finding in Self::ALL {
            let parts = || expected.iter().filter(|(it, _)| *it == finding);
            let is_expected = |line: &String| parts().any(|(_, part)| line.contains(part));
            let lines = self.of(finding).iter().filter(|line| !is_expected(line));
            surprises.extend(lines.map(|line| format!("{finding:?}: {line}")));
            let is_missing = |part: &str| !self.of(finding).iter().any(|it| it.contains(part));
            let missing = parts().filter(|(_, part)| is_missing(part));
            surprises.extend(missing.map(|(_, part)| format!("no {finding:?} with \"{part}\"")));
        }
        surprises
    }
}

impl Platform {
    /// Notes what an import showed.
    pub(crate) fn find_out(&mut self, finding: Finding, line: String) {
        // A second delivery may show the same again.
        self.findings.insert((finding, line));
    }

    /// What is to be said of all that arrived.
    #[must_use]
    pub fn arrivals(&self) -> Report {
        let mut report = Report::default();
        for (finding, line) in &self.findings {
            report.of_mut(*finding).push(line.clone());
        }
        let drafted = self.drafts.iter().flat_map(|draft| draft.store.iter());
        let needs = |stored: &&Stored| {
            let kinds = ["identity", "marking-definition"];
            stored.imported && !kinds.iter().any(|kind| stored.object["type"] == *kind)
        };
        for stored in self.store.iter().chain(drafted).filter(needs) {
            let has = |name: &str| {
                let value = &stored.object[name];
                value.is_string() || value.as_array().is_some_and(|it| !it.is_empty())
            };
            let line = described(&stored.object);
            if !has("created_by_ref") && !has("x_opencti_created_by_ref") {
                report.without_author.push(line.clone());
            }
            if !has("object_marking_refs") {
                report.without_marking.push(line);
            }
        }
        report
    }

    /// What the report has that no test expects, and the other way round.
    pub(crate) fn surprises(&self) -> Vec<String> {
        if self.anything_is_expected {
            return Vec::new();
        }
        self.arrivals().surprises(&self.expected)
    }
}

fn described(object: &Value) -> String {
    let words = ["relationship_type", "name", "value"];
    let words = words.iter().find_map(|name| object[*name].as_str());
    let id = object["id"].as_str().unwrap_or_default();
    format!("{id} {}", words.unwrap_or_default())
}

impl Server {
    /// What is to be said of all that arrived so far. When the server ends, nothing may be found but what the test
    /// expects.
    #[must_use]
    pub fn report(&self) -> Report {
        self.read(Platform::arrivals)
    }

    /// Whatever is found is right: for who looks at the report instead.
    pub fn expect_anything(&self) {
        self.edit(|platform| platform.anything_is_expected = true);
    }

    /// The test expects this finding: at least one line that holds the text, and any number of such lines.
    pub fn expect(&self, finding: Finding, part: &str) {
        self.edit(|platform| platform.expected.push((finding, part.to_owned())));
    }

    /// The test expects that the platform refuses an object; the text is a part of `<id>: <code>: <message>`.
    pub fn expect_refused(&self, part: &str) {
        self.expect(Finding::Refused, part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_expected_is_a_surprise_and_what_does_not_come_too() {
        let report = Report {
            refused: vec!["file--1: no".to_owned(), "file--2: never".to_owned()],
            ..Report::default()
        };
        for (expected, surprises) in [
            (
                vec![],
                vec!["Refused: file--1: no", "Refused: file--2: never"],
            ),
            (vec![(Finding::Refused, "file--")], vec![]),
            (
                vec![(Finding::Refused, "no"), (Finding::MergedFiles, "")],
                vec!["Refused: file--2: never", "no MergedFiles with \"\""],
            ),
        ] {
            let expected: Vec<(Finding, String)> = expected
                .into_iter()
                .map(|(finding, part)| (finding, part.to_owned()))
                .collect();
            assert_eq!(report.surprises(&expected), surprises);
        }
    }
}
