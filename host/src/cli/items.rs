//! Items from files, and answers about them from a folder: what commands work on that need no network.

use std::convert::Infallible;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::pipeline::Answers;
use crate::runtime::{Answer, Feed, Item, Pool, Question};
use crate::virustotal::{LookupPath, Pointer};

/// Which items, and what is known about them.
#[derive(Debug, clap::Args)]
pub(super) struct ItemArguments {
    /// VirusTotal responses, single objects, or one object a line; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,

    #[command(flatten)]
    known: KnownArguments,
}

/// What is known when an item is decided on.
#[derive(Debug, clap::Args)]
pub(super) struct KnownArguments {
    /// Folder of answers to lookups: what a GET of `a/b` answers stands in `a/b.json`.
    #[arg(long, value_name = "DIR")]
    pub(super) lookups: Option<PathBuf>,

    /// The time to decide at, RFC 3339; now where it is not given.
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
}

impl ItemArguments {
    /// In seconds since the epoch.
    pub(super) fn now(&self) -> anyhow::Result<u64> {
        self.known.now()
    }

    pub(super) fn answers(&self) -> Folder {
        self.known.answers()
    }
}

impl KnownArguments {
    /// In seconds since the epoch.
    pub(super) fn now(&self) -> anyhow::Result<u64> {
        let now = self.now.unwrap_or_else(Timestamp::now).as_second();
        u64::try_from(now).context("--now is before 1970")
    }

    pub(super) fn answers(&self) -> Folder {
        Folder(self.lookups.clone())
    }
}

/// An object as an item of the feed.
pub(super) fn identify(feed: &Feed, document: &str) -> anyhow::Result<Item> {
    let find = |pointer: &str| -> anyhow::Result<&RawValue> {
        pointer
            .parse::<Pointer>()?
            .find(document)?
            .with_context(|| format!("{pointer} is missing"))
    };
    Ok(Item {
        id: serde_json::from_str(find(&feed.item_id)?.get())?,
        observed: serde_json::from_str(find(&feed.item_date)?.get())?,
        document: document.to_owned(),
    })
}

/// Answers from files.
pub(super) struct Folder(Option<PathBuf>);

impl Answers for Folder {
    type Stop = Infallible;

    async fn answer(&self, pool: &Pool, question: &Question) -> Result<Answer, Infallible> {
        Ok(match (question.kind.as_str(), &self.0) {
            ("lookup", Some(folder)) => look_up(folder, pool, question).await,
            ("lookup", None) => Answer::Refused("no --lookups folder is given".to_owned()),
            // Nothing is known to a platform that is not there.
            ("artifact-known" | "known" | "named", _) => Answer::Absent,
            (other, _) => Answer::Refused(format!(
                "a question of the kind {other:?} cannot be answered from files"
            )),
        })
    }
}

async fn look_up(folder: &Path, pool: &Pool, question: &Question) -> Answer {
    let path = match LookupPath::parse(&question.subject) {
        Ok(path) => path,
        Err(refused) => return Answer::Refused(refused.to_string()),
    };
    let file = folder.join(format!("{}.json", path.as_str()));
    let document = match std::fs::read_to_string(&file) {
        Ok(document) => document,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Answer::Absent,
        Err(error) => return Answer::Refused(format!("cannot read {}: {error}", file.display())),
    };
    match pool.digest(question.clone(), document).await {
        Ok(digest) => Answer::Found(digest),
        Err(error) => Answer::Refused(error.to_string()),
    }
}

/// A file's text.
pub(super) struct Text {
    name: String,
    text: String,
}

impl Text {
    /// The objects in it.
    pub(super) fn documents(&self) -> anyhow::Result<Vec<&RawValue>> {
        documents(&self.text).with_context(|| self.name.clone())
    }
}

/// Reads the files; `-` is standard input.
pub(super) fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Text>> {
    files
        .iter()
        .map(|file| {
            Ok(Text {
                name: file.display().to_string(),
                text: read_one(file)?,
            })
        })
        .collect()
}

fn read_one(file: &Path) -> anyhow::Result<String> {
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// The objects in a text: of responses (`{"data": …}`), of arrays, or as they stand, one after the other.
fn documents(text: &str) -> anyhow::Result<Vec<&RawValue>> {
    #[derive(Deserialize)]
    struct Response<'a> {
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let value = value.context("not JSON")?;
        let data = serde_json::from_str::<Response<'_>>(value.get())
            .ok()
            .and_then(|response| response.data);
        let value = data.unwrap_or(value);
        match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
            Ok(elements) => found.extend(elements),
            Err(_) => found.push(value),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_in_every_form_in_which_people_keep_them() {
        for text in [
            r#"{"data": [{"id":1},{"id":2}], "meta": {}}"#,
            r#"[{"id":1},{"id":2}]"#,
            "{\"id\":1}\n{\"id\":2}\n",
            r#"{"data":{"id":1}} {"id":2}"#,
        ] {
            let found: Vec<_> = documents(text)
                .unwrap()
                .iter()
                .map(|value| value.get().to_owned())
                .collect();
            assert_eq!(found, [r#"{"id":1}"#, r#"{"id":2}"#], "{text}");
        }
        assert!(documents("no JSON").is_err());
        assert_eq!(documents("").unwrap().len(), 0);
    }
}
