//! `guest diff`.

use std::process::ExitCode;

use super::bench::cases;
use crate::cli::items::ItemArguments;
use crate::cli::start::Setup;
use crate::guest_source::GuestSource;
use crate::runtime::rehearse;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The guest at work.
    #[arg(value_name = "OLD")]
    pub(in crate::cli) old: GuestSource,

    /// The guest that is to take over.
    #[arg(value_name = "NEW")]
    pub(in crate::cli) new: GuestSource,

    #[command(flatten)]
    items: ItemArguments,
}

pub(super) fn run(old: &Setup, new: &Setup, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut pools = Vec::new();
    for setup in [old, new] {
        let (guest, chooser) = setup.guest()?;
        pools.push(chooser.workshop().open(&guest)?);
    }
    let cases = cases(&pools[0], &arguments.items)?;
    let comparison = rehearse(&pools[0], &pools[1], &cases)?;
    let rows = [
        ("same", comparison.same),
        ("changed", comparison.changed),
        ("now skipped", comparison.now_skipped),
        ("now kept", comparison.now_kept),
        ("now failing", comparison.now_failing),
        ("with new questions", comparison.now_asking),
    ];
    println!(
        "{} → {}: {} items\n",
        pools[0].guest(),
        pools[1].guest(),
        cases.len()
    );
    for (name, count) in rows {
        println!("  {name:<20} {count:>6}");
    }
    if !comparison.examples.is_empty() {
        println!("\nThe first changes:");
    }
    for example in &comparison.examples {
        println!("  {example}");
    }
    Ok(if comparison.same == cases.len() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}
