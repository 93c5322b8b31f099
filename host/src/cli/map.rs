//! `map`: from files to a bundle, without any network.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::start::Setup;
use crate::delivery::{Batch, Object};
use crate::pipeline::{Answers, Decided, Decision, decide};
use crate::runtime::{Answer, Item, Pool, Question, Severity};
use crate::virustotal::{LookupPath, Pointer};

#[derive(Debug, clap::Args)]
pub(super) struct MapArguments {
    /// VirusTotal responses, single objects, or one object a line; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Folder of answers to lookups: what a GET of `a/b` answers stands in `a/b.json`.
    #[arg(long, value_name = "DIR")]
    lookups: Option<PathBuf>,

    /// The time to map at, RFC 3339; now where it is not given.
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
}

pub(super) fn map(setup: &Setup, arguments: &MapArguments) -> anyhow::Result<ExitCode> {
    let (guest, chooser) = setup.first_guest(&setup.source()?)?;
    let pool = chooser.workshop().open(&guest)?;
    let now = arguments.now.unwrap_or_else(Timestamp::now).as_second();
    let now = u64::try_from(now).context("--now is before 1970")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut mapping = Mapping {
        feed: pool.with(|mapper| mapper.feed(now, now))?,
        answers: Folder(arguments.lookups.clone()),
        batch: Batch::default(),
        failed: 0,
        pool,
        now,
    };
    for file in &arguments.files {
        let text = read(file)?;
        for document in documents(&text).with_context(|| file.display().to_string())? {
            runtime.block_on(mapping.map(document));
        }
    }
    let mut output = std::io::stdout().lock();
    if !mapping.batch.is_empty() {
        writeln!(output, "{}", mapping.batch.to_bundle_json())?;
    }
    Ok(if mapping.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Mapping {
    pool: Pool,
    feed: crate::runtime::Feed,
    answers: Folder,
    batch: Batch,
    failed: usize,
    now: u64,
}

impl Mapping {
    async fn map(&mut self, document: &RawValue) {
        let item = match self.identify(document.get()) {
            Ok(item) => item,
            Err(error) => {
                self.failed += 1;
                eprintln!("failed: an object that is no item of the feed: {error:#}");
                return;
            }
        };
        let id = item.id.clone();
        let Ok(Decided {
            decision, remarks, ..
        }) = decide(&self.pool, Arc::new(item), self.now, &self.answers).await;
        for remark in remarks {
            eprintln!("{id}: {}: {}", severity(remark.severity), remark.message);
        }
        match decision {
            Decision::Skip { filter, reason } => {
                eprintln!("{id}: skipped by the filter {filter}: {reason}")
            }
            Decision::Fail(reason) => {
                self.failed += 1;
                eprintln!("{id}: failed: {reason}");
            }
            Decision::Emit(emission) => {
                for artifact in &emission.artifacts {
                    eprintln!(
                        "{id}: the file {} ({}) would be copied",
                        artifact.sha256, artifact.name
                    );
                }
                self.batch
                    .extend(emission.objects.into_iter().map(Object::from));
            }
        }
    }

    fn identify(&self, document: &str) -> anyhow::Result<Item> {
        let find = |pointer: &str| -> anyhow::Result<&RawValue> {
            pointer
                .parse::<Pointer>()?
                .find(document)?
                .with_context(|| format!("{pointer} is missing"))
        };
        Ok(Item {
            id: serde_json::from_str(find(&self.feed.item_id)?.get())?,
            observed: serde_json::from_str(find(&self.feed.item_date)?.get())?,
            document: document.to_owned(),
        })
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Debug => "debug",
        Severity::Info => "info",
        Severity::Warn => "warning",
        Severity::Error => "error",
    }
}

/// Answers from files.
struct Folder(Option<PathBuf>);

impl Answers for Folder {
    type Stop = Infallible;

    async fn answer(&self, pool: &Pool, question: &Question) -> Result<Answer, Infallible> {
        Ok(match (question.kind.as_str(), &self.0) {
            ("lookup", Some(folder)) => look_up(folder, pool, question).await,
            ("lookup", None) => Answer::Refused("no --lookups folder is given".to_owned()),
            // Nothing is known to a platform that is not there.
            ("artifact-known", _) => Answer::Absent,
            (other, _) => Answer::Refused(format!("map answers no question of the kind {other:?}")),
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

fn read(file: &Path) -> anyhow::Result<String> {
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
