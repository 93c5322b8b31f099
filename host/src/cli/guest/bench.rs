//! `guest bench`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::cli::items::{self, ItemArguments, identify};
use crate::cli::start::Setup;
use crate::guest_source::GuestSource;
use crate::pipeline::{Decided, decide};
use crate::runtime::{Case, Pool};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The guest: a component's file, a folder of them, or an OCI reference.
    #[arg(value_name = "GUEST")]
    pub(in crate::cli) source: GuestSource,

    #[command(flatten)]
    items: ItemArguments,

    /// Calls for each item.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    rounds: u32,
}

pub(super) fn run(setup: &Setup, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (guest, chooser) = setup.guest()?;
    let pool = chooser.workshop().open(&guest)?;
    let cases = cases(&pool, &arguments.items)?;
    let mut times = Vec::new();
    let started = Instant::now();
    for _ in 0..arguments.rounds {
        for case in &cases {
            let started = Instant::now();
            let _ = pool.with(|mapper| mapper.map(&case.item, &case.answers, case.now));
            times.push(started.elapsed());
        }
    }
    let whole = started.elapsed();
    times.sort_unstable();
    let Some(slowest) = times.last() else {
        bail!("no calls were made: --rounds is 0");
    };
    let percentile = |percent: usize| shown(times[(times.len() - 1) * percent / 100]);
    println!(
        "{guest}: {} items, {} calls of map\n",
        cases.len(),
        times.len()
    );
    let rows = [
        (
            "calls per second",
            format!("{:.0}", times.len() as f64 / whole.as_secs_f64()),
        ),
        ("fastest", percentile(0)),
        ("median", percentile(50)),
        ("90 %", percentile(90)),
        ("99 %", percentile(99)),
        ("slowest", shown(*slowest)),
        (
            "memory of an instance",
            format!(
                "{:.1} MiB",
                guest.usage().memory() as f64 / f64::from(1 << 20)
            ),
        ),
        ("instances made", guest.usage().instances().to_string()),
        ("calls that trapped", guest.usage().traps().to_string()),
    ];
    for (name, value) in rows {
        println!("  {name:<22} {value:>12}");
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

/// Each item, with the answers to all that the guest asks about it.
pub(super) fn cases(pool: &Pool, arguments: &ItemArguments) -> anyhow::Result<Vec<Case>> {
    let (now, folder) = (arguments.now()?, arguments.answers());
    let feed = pool.with(|mapper| mapper.feed(now, now))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut cases = Vec::new();
    for text in items::read(&arguments.files)? {
        for document in text.documents()? {
            let item = Arc::new(
                identify(&feed, document.get()).context("an object that is no item of the feed")?,
            );
            let decided = runtime.block_on(decide(pool, Arc::clone(&item), now, &folder));
            let Ok(Decided { answers, .. }) = decided;
            cases.push(Case { item, answers, now });
        }
    }
    if cases.is_empty() {
        bail!("the files hold no item");
    }
    Ok(cases)
}
