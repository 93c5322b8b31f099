//! Files in a directory (protocol section 9).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::bundle_file::{BundleFile, oldest};
use super::{Batch, Error};
use crate::config::{Connector, Directory as Settings};

/// What a name that is taken is later by.
const LATER: Duration = Duration::from_micros(1);

/// Writes batches as files.
#[derive(Clone)]
pub(super) struct Directory {
    settings: Settings,
    file: BundleFile,
}

impl Directory {
    pub(super) fn new(settings: Settings, connector: &Connector, applicant_id: String) -> Self {
        Self {
            settings,
            file: BundleFile::new("DIRECTORY_BUNDLE", connector, applicant_id),
        }
    }

    /// Returns once the file has its name and is on disk.
    pub(super) async fn deliver(&self, batch: &Batch) -> Result<(), Error> {
        let content = self.file.content(batch)?;
        let this = self.clone();
        let written = tokio::task::spawn_blocking(move || this.write(&content, Timestamp::now()));
        match written.await {
            Ok(result) => result.map(|path| tracing::debug!(?path, "bundle written")),
            Err(error) => Err(failed(&self.settings.path, io::Error::other(error))),
        }
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

    /// A taken name gets the next microsecond.
    fn free_path(&self, now: Timestamp) -> PathBuf {
        let mut date = now;
        loop {
            let path = self.settings.path.join(self.file.name(date));
            if !path.exists() {
                return path;
            }
            date += LATER;
        }
    }

    /// Removes files of this connector that are too old. Others may share the folder.
    fn remove_old_files(&self, now: Timestamp) {
        let Some(days) = self.settings.retention_days else {
            return;
        };
        let Some(oldest) = oldest(now, days.get()) else {
            return;
        };
        if let Err(error) = remove_older(&self.settings.path, &self.file, oldest) {
            tracing::warn!(path = %self.settings.path.display(), %error, "cannot remove old bundles");
        }
    }
}

fn remove_older(folder: &Path, file: &BundleFile, oldest: SystemTime) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| file.is_named_by_us(name));
        if is_ours && entry.metadata()?.modified()? < oldest {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
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

    use super::super::testing::object;
    use super::*;
    use crate::opencti::testing::connector;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

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
    async fn a_file_is_whole_when_it_has_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/on/demand");
        let mut batch = Batch::default();
        batch.extend([object("a", 1)]);
        let sink = sink(&path, None);
        sink.deliver(&batch).await.unwrap();
        let names = names(&path);
        assert_eq!(names.len(), 1, "no temporary file is left: {names:?}");
        assert!(sink.file.is_named_by_us(&names[0]), "{names:?}");
        let content = fs::read(path.join(&names[0])).unwrap();
        assert_eq!(content, sink.file.content(&batch).unwrap());
        assert!(content.starts_with(br#"{"bundle_type":"DIRECTORY_BUNDLE""#));
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
                "some_connector_1-20261124-082426-1795508666.000000.json",
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
    async fn a_document_that_is_not_json_is_no_fault_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let mut batch = Batch::default();
        let mut broken = object("a", 1);
        broken.document.pop();
        batch.extend([broken]);
        let error = sink(folder.path(), None).deliver(&batch).await.unwrap_err();
        assert!(matches!(error, Error::NotJson(_)), "{error}");
        assert_eq!((error.setting(), error.is_transient()), (None, false));
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
