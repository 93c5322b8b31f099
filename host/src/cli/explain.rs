//! `explain`: one notification through filters and mapping, and nothing comes of it.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};

use super::connect::{self, Peers};
use super::explanation::Explanation;
use super::items::{self, KnownArguments, identify};
use super::start::Setup;
use crate::config::{self, Http};
use crate::pipeline::{self, Answers, LiveAnswers};
use crate::runtime::{Item, Pool};
use crate::swap::defaults;
use crate::telemetry::Level;
use crate::virustotal::{Element, ItemId};

#[derive(Debug, clap::Args)]
pub(super) struct ExplainArguments {
    /// Notifications: ids, which are read from VirusTotal; files as for `map`; `-` is standard input.
    #[arg(required = true, value_name = "ID|FILE")]
    notifications: Vec<String>,

    /// As JSON, one object a notification.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    known: KnownArguments,
}

pub(super) fn explain(setup: &Setup, arguments: &ExplainArguments) -> anyhow::Result<ExitCode> {
    setup.init_logs("connector-host", Level::Warn)?;
    let (guest, chooser) = setup.guest()?;
    let explaining = Explaining {
        setup,
        arguments,
        pool: chooser.workshop().open(&guest)?,
        now: arguments.known.now()?,
    };
    connect::runtime()?.block_on(explaining.explain())?;
    Ok(ExitCode::SUCCESS)
}

struct Explaining<'a> {
    setup: &'a Setup,
    arguments: &'a ExplainArguments,
    pool: Pool,
    now: u64,
}

impl Explaining<'_> {
    async fn explain(&self) -> anyhow::Result<()> {
        let (ids, files): (Vec<&String>, Vec<&String>) = self
            .arguments
            .notifications
            .iter()
            .partition(|it| is_id(it));
        self.explain_files(&files).await?;
        if ids.is_empty() {
            return Ok(());
        }
        ensure!(
            self.arguments.known.lookups.is_none(),
            "--lookups is for files: what a notification with an id needs to know is asked for at VirusTotal"
        );
        self.explain_ids(&ids).await
    }

    /// Without a network.
    async fn explain_files(&self, files: &[&String]) -> anyhow::Result<()> {
        let feed = self.pool.with(|mapper| mapper.feed(self.now, self.now))?;
        let answers = self.arguments.known.answers();
        let files: Vec<_> = files.iter().map(Into::into).collect();
        for text in items::read(&files)? {
            for document in text.documents()? {
                let item = identify(&feed, document.get())
                    .context("an object that is no item of the feed")?;
                self.tell(item, &answers).await?;
            }
        }
        Ok(())
    }

    async fn explain_ids(&self, ids: &[&String]) -> anyhow::Result<()> {
        let http = Http::new(&self.setup.raw)?;
        let defaults = defaults(self.pool.guest().description());
        let (opencti, source) = config::load_peers(&self.setup.raw, &defaults)?;
        let Peers { platform, source } = Peers::of(&opencti, &source, &http)?;
        let connector = config::load_parts(&self.setup.raw, Some(&defaults)).connector;
        let tells_held = connector.is_none_or(|it| it.sinks.is_queue_alone());
        let answers = LiveAnswers::new(source.clone(), platform, tells_held);
        for id in ids {
            let id: ItemId = id.parse()?;
            let item = match pipeline::read_element(&source, &self.pool, &id, self.now).await? {
                Element::Found(item) => item,
                Element::Gone(words) | Element::Refused(words) => bail!("{id}: {words}"),
            };
            self.tell(Item::from(&item), &answers).await?;
        }
        Ok(())
    }

    async fn tell<A>(&self, item: Item, answers: &A) -> anyhow::Result<()>
    where
        A: Answers<Stop: std::error::Error + Send + Sync + 'static>,
    {
        let item = Arc::new(item);
        let explained = pipeline::explain(&self.pool, Arc::clone(&item), self.now, answers).await?;
        let explanation = Explanation::new(self.pool.guest(), &item, self.now, explained);
        if self.arguments.json {
            println!("{}", serde_json::to_string_pretty(&explanation)?);
        } else {
            print!("{}", explanation.tree().text());
        }
        Ok(())
    }
}

/// A file of the same name comes first. An id of a notification has no dot, which the name of a file has.
fn is_id(text: &str) -> bool {
    text != "-"
        && !text.contains('.')
        && !Path::new(text).exists()
        && text.parse::<ItemId>().is_ok()
}
