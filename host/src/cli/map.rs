//! `map`: from files to a bundle, without any network.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::items::{self, Folder, ItemArguments, identify};
use super::start::Setup;
use crate::delivery::{Batch, Object};
use crate::pipeline::{Decided, Decision, decide};
use crate::runtime::{Pool, Severity};

#[derive(Debug, clap::Args)]
pub(super) struct MapArguments {
    #[command(flatten)]
    items: ItemArguments,
}

pub(super) fn map(setup: &Setup, arguments: &MapArguments) -> anyhow::Result<ExitCode> {
    let (guest, chooser) = setup.guest()?;
    let pool = chooser.workshop().open(&guest)?;
    let now = arguments.items.now()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut mapping = Mapping {
        feed: pool.with(|mapper| mapper.feed(now, now))?,
        answers: arguments.items.answers(),
        batch: Batch::default(),
        failed: 0,
        pool,
        now,
    };
    for text in items::read(&arguments.items.files)? {
        for document in text.documents()? {
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
        let item = match identify(&self.feed, document.get()) {
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
}

pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Debug => "debug",
        Severity::Info => "info",
        Severity::Warn => "warning",
        Severity::Error => "error",
    }
}
