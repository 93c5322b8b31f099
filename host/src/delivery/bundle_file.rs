//! A batch as a file (protocol section 9), in the shape that OpenCTI's `diode-import` connector reads: what it is
//! called, and what stands in it.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Batch;
use crate::config::Connector;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How a connector writes its files.
#[derive(Clone)]
pub(super) struct BundleFile {
    /// For which sink: `DIRECTORY_BUNDLE`, `S3_BUNDLE`.
    bundle_type: &'static str,
    applicant_id: String,
    connector: ConnectorInFile,
    /// What all names begin with.
    pub(super) prefix: String,
}

#[derive(Clone, Serialize)]
struct ConnectorInFile {
    id: String,
    name: String,
    r#type: &'static str,
    scope: String,
    auto: bool,
    validate_before_import: bool,
}

#[derive(Serialize)]
struct Content<'a> {
    bundle_type: &'static str,
    applicant_id: &'a str,
    connector: &'a ConnectorInFile,
    entities_types: [&'static str; 0],
    bundle: &'a RawValue,
    update: bool,
}

impl BundleFile {
    pub(super) fn new(
        bundle_type: &'static str,
        connector: &Connector,
        applicant_id: String,
    ) -> Self {
        Self {
            bundle_type,
            applicant_id,
            connector: ConnectorInFile {
                id: connector.id.clone(),
                name: connector.name.clone(),
                r#type: "EXTERNAL_IMPORT",
                scope: connector.scope.join(","),
                auto: false,
                validate_before_import: connector.validate_before_import,
            },
            prefix: prefix(&connector.name),
        }
    }

    /// # Errors
    /// When a document of the batch is not JSON.
    pub(super) fn content(&self, batch: &Batch) -> serde_json::Result<Vec<u8>> {
        let bundle = batch.to_bundle_json();
        serde_json::to_vec(&Content {
            bundle_type: self.bundle_type,
            applicant_id: &self.applicant_id,
            connector: &self.connector,
            entities_types: [],
            bundle: serde_json::from_str(&bundle)?,
            update: false,
        })
    }

    /// `<connector>-<date>-<time>-<seconds since the epoch>.json`, as pycti names it.
    pub(super) fn name(&self, date: Timestamp) -> String {
        let micros = date.as_microsecond();
        format!(
            "{}{}-{}.{:06}.json",
            self.prefix,
            date.strftime("%Y%m%d-%H%M%S"),
            micros.div_euclid(1_000_000),
            micros.rem_euclid(1_000_000),
        )
    }

    /// Whether a name is one that we (or pycti for the same connector) gave. Others may share the place.
    pub(super) fn is_named_by_us(&self, name: &str) -> bool {
        let Some(rest) = name
            .strip_prefix(&self.prefix)
            .and_then(|name| name.strip_suffix(".json"))
        else {
            return false;
        };
        let digits = |text: &str, count: usize| {
            text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let mut parts = rest.splitn(3, '-');
        parts.next().is_some_and(|date| digits(date, 8))
            && parts.next().is_some_and(|time| digits(time, 6))
            && parts.next().is_some_and(|seconds| {
                let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
                digits(whole, whole.len().max(1)) && digits(fraction, fraction.len().max(1))
            })
    }
}

/// Of the connector's name, what can stand in a file's.
fn prefix(connector_name: &str) -> String {
    let mut prefix: String = connector_name
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    prefix.push('-');
    prefix
}

/// Files from before this are too old, where they are kept for so many days.
pub(super) fn oldest(now: Timestamp, days: u64) -> Option<SystemTime> {
    let age = u32::try_from(days).map_or(Duration::MAX, |days| DAY.saturating_mul(days));
    SystemTime::from(now).checked_sub(age)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::object;
    use super::*;
    use crate::opencti::testing::connector;

    #[test]
    fn a_file_as_diode_import_reads_it() {
        for validates in [false, true] {
            let connector = Connector {
                validate_before_import: validates,
                ..connector()
            };
            let file = BundleFile::new("S3_BUNDLE", &connector, "user".to_owned());
            let mut batch = Batch::default();
            batch.extend([object("a", 1)]);
            let content: Value = serde_json::from_slice(&file.content(&batch).unwrap()).unwrap();
            let bundle: Value = serde_json::from_str(&batch.to_bundle_json()).unwrap();
            assert_eq!(
                content,
                json!({
                    "bundle_type": "S3_BUNDLE", "applicant_id": "user",
                    "connector": {
                        "id": "c", "name": "Some Connector/1", "type": "EXTERNAL_IMPORT",
                        "scope": "a,b", "auto": false, "validate_before_import": validates,
                    },
                    "entities_types": [], "bundle": bundle, "update": false,
                })
            );
        }
    }

    #[test]
    fn own_names_are_told_from_those_of_others() {
        let file = BundleFile::new("S3_BUNDLE", &connector(), "user".to_owned());
        let date = "2026-11-24T08:24:25.000042Z".parse().unwrap();
        let name = file.name(date);
        assert_eq!(
            name,
            "some_connector_1-20261124-082425-1795508665.000042.json"
        );
        for (name, ours) in [
            (name.as_str(), true),
            // As pycti writes them.
            ("some_connector_1-20200101-000000-1577836800.5.json", true),
            ("some_connector_1-20200101-000000-1577836800.json", true),
            ("other-20200101-000000-1577836800.5.json", false),
            ("some_connector_1-notes.json", false),
            ("some_connector_1-.json", false),
            (
                "some_connector_1-20200101-000000-1577836800.5.json.tmp",
                false,
            ),
            (
                "some_connector_1-extra-20200101-000000-1577836800.5.json",
                false,
            ),
        ] {
            assert_eq!(file.is_named_by_us(name), ours, "{name}");
        }
    }
}
