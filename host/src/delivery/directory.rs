//! Files in a directory (protocol section 9), in the shape that OpenCTI's `diode-import` connector reads.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Batch, Error};
use crate::config::{Connector, Directory as Settings};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes batches as files.
#[derive(Clone)]
pub(super) struct Directory {
    settings: Settings,
    connector: ConnectorInFile,
    applicant_id: String,
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

impl Directory {
    pub(super) fn new(settings: Settings, connector: &Connector, applicant_id: String) -> Self {
        Self {
            settings,
            connector: ConnectorInFile {
                id: connector.id.clone(),
                name: connector.name.clone(),
                r#type: "EXTERNAL_IMPORT",
                scope: connector.scope.join(","),
                auto: false,
                validate_before_import: false,
            },
            applicant_id,
        }
    }

    /// Returns once the file has its name and is on disk.
    pub(super) async fn deliver(&self, batch: &Batch) -> Result<(), Error> {
        let content = self
            .content(batch)
            .map_err(|error| failed(&self.settings.path, error.into()))?;
        let this = self.clone();
        let written = tokio::task::spawn_blocking(move || this.write(&content, Timestamp::now()));
        match written.await {
            Ok(result) => result.map(|path| tracing::debug!(?path, "bundle written")),
            Err(error) => Err(failed(&self.settings.path, io::Error::other(error))),
        }
    }

    fn content(&self, batch: &Batch) -> serde_json::Result<Vec<u8>> {
        let bundle = RawValue::from_string(batch.to_bundle_json())?;
        serde_json::to_vec(&Content {
            bundle_type: "DIRECTORY_BUNDLE",
            applicant_id: &self.applicant_id,
            connector: &self.connector,
            entities_types: [],
            bundle: &bundle,
            update: false,
        })
    }

    fn write(&self, content: &[u8], now: Timestamp) -> Result<PathBuf, Error> {
        let folder = &self.settings.path;
        fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        self.remove_old_files(now);
        let path = self.free_path(now);
        let temporary = path.with_added_extension("tmp");
        write_to_disk(&temporary, content).map_err(|error| failed(&temporary, error))?;
        fs::rename(&temporary, &path).map_err(|error| failed(&path, error))?;
        // The name is on disk only once the folder is.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| failed(folder, error))?;
        Ok(path)
    }

    /// `<connector>-<date>-<time>-<seconds since the epoch>.json`, as pycti names it; a taken name gets the
    /// next microsecond.
    fn free_path(&self, now: Timestamp) -> PathBuf {
        let prefix = self.prefix();
        let mut micros = now.as_microsecond();
        loop {
            let name = format!(
                "{prefix}{}-{}.{:06}.json",
                now.strftime("%Y%m%d-%H%M%S"),
                micros.div_euclid(1_000_000),
                micros.rem_euclid(1_000_000),
            );
            let path = self.settings.path.join(name);
            if !path.exists() {
                return path;
            }
            micros += 1;
        }
    }

    fn prefix(&self) -> String {
        let mut prefix: String = self
            .connector
            .name
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

    /// Removes files of this connector that are too old. Others may share the folder.
    fn remove_old_files(&self, now: Timestamp) {
        let Some(days) = self.settings.retention_days else {
            return;
        };
        let age = u32::try_from(days.get()).map_or(Duration::MAX, |days| DAY.saturating_mul(days));
        let Some(oldest) = SystemTime::from(now).checked_sub(age) else {
            return;
        };
        if let Err(error) = remove_older(&self.settings.path, &self.prefix(), oldest) {
            tracing::warn!(path = %self.settings.path.display(), %error, "cannot remove old bundles");
        }
    }
}

fn remove_older(folder: &Path, prefix: &str, oldest: SystemTime) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| is_our_name(name, prefix));
        if is_ours && entry.metadata()?.modified()? < oldest {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a file name is one that we (or pycti for the same connector) gave.
fn is_our_name(name: &str, prefix: &str) -> bool {
    let Some(rest) = name
        .strip_prefix(prefix)
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

fn write_to_disk(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn failed(path: &Path, source: io::Error) -> Error {
    Error::Directory {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use serde_json::{Value, json};

    use super::super::testing::object;
    use super::*;
    use crate::opencti::testing::connector;

    fn sink(path: &Path, retention_days: Option<u64>) -> Directory {
        let settings = Settings {
            path: path.to_owned(),
            retention_days: retention_days.and_then(NonZeroU64::new),
        };
        Directory::new(settings, &connector(), "user".to_owned())
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_file_as_diode_import_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/on/demand");
        let mut batch = Batch::default();
        batch.extend([object("a", 1)]);
        sink(&path, None).deliver(&batch).await.unwrap();
        let names = names(&path);
        assert_eq!(names.len(), 1, "no temporary file is left: {names:?}");
        assert!(is_our_name(&names[0], "some_connector_1-"), "{names:?}");
        let text = fs::read_to_string(path.join(&names[0])).unwrap();
        let content: Value = serde_json::from_str(&text).unwrap();
        let bundle: Value = serde_json::from_str(&batch.to_bundle_json()).unwrap();
        assert_eq!(
            content,
            json!({
                "bundle_type": "DIRECTORY_BUNDLE", "applicant_id": "user",
                "connector": {
                    "id": "c", "name": "Some Connector/1", "type": "EXTERNAL_IMPORT",
                    "scope": "a,b", "auto": false, "validate_before_import": false,
                },
                "entities_types": [], "bundle": bundle, "update": false,
            })
        );
    }

    #[test]
    fn names_do_not_collide() {
        let folder = tempfile::tempdir().unwrap();
        let sink = sink(folder.path(), None);
        let now: Timestamp = "2026-11-24T08:24:25.999999Z".parse().unwrap();
        sink.write(b"1", now).unwrap();
        sink.write(b"2", now).unwrap();
        assert_eq!(
            names(folder.path()),
            [
                "some_connector_1-20261124-082425-1795508665.999999.json",
                "some_connector_1-20261124-082425-1795508666.000000.json",
            ]
        );
    }

    #[test]
    fn retention_touches_only_own_files() {
        let folder = tempfile::tempdir().unwrap();
        let ours = "some_connector_1-20200101-000000-1577836800.5.json";
        let others = [
            "other-20200101-000000-1577836800.5.json",
            "some_connector_1-notes.json",
            "some_connector_1-20200101-000000-1577836800.5.json.tmp",
            "some_connector_1-extra-20200101-000000-1577836800.5.json",
        ];
        let old = SystemTime::now() - 3 * DAY;
        for name in others.iter().chain([&ours]) {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(old).unwrap();
        }
        for (retention, ours_stays) in [(None, true), (Some(4), true), (Some(2), false)] {
            sink(folder.path(), retention).remove_old_files(Timestamp::now());
            let names = names(folder.path());
            assert_eq!(
                names.iter().any(|name| name == ours),
                ours_stays,
                "{retention:?}"
            );
            assert_eq!(names.len(), others.len() + usize::from(ours_stays));
        }
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let mut batch = Batch::default();
        batch.extend([object("a", 1)]);
        let error = sink(&file, None).deliver(&batch).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("CONNECTOR_SEND_TO_DIRECTORY_PATH"), "{text}");
        assert!(text.contains(file.to_str().unwrap()), "{text}");
    }
}
