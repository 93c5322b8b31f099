//! `retry`: what failed, once more.

use std::process::ExitCode;

use anyhow::{bail, ensure};
use tokio_util::sync::CancellationToken;

use super::connect::{self, Peers};
use super::start::Setup;
use crate::config::{Http, Settings};
use crate::date::date;
use crate::opencti::{SIGN_OF_LIFE, Seen};
use crate::pipeline::{End, Pipeline};
use crate::state::{FailedItem, State, Unreadable};
use crate::telemetry::Level;

#[derive(Debug, clap::Args)]
pub(super) struct RetryArguments {
    /// Notifications to try again, of those that failed; without any, all of them.
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// Only show what failed.
    #[arg(long)]
    list: bool,

    /// With --list: as JSON.
    #[arg(long, requires = "list")]
    json: bool,

    /// Do not look whether the connector runs. If it does, it puts its own list of failures back.
    #[arg(long, conflicts_with = "list")]
    force: bool,
}

pub(super) fn retry(setup: &Setup, arguments: &RetryArguments) -> anyhow::Result<ExitCode> {
    // Somebody waits for it, so it says what it does.
    setup.init_logs("connector-host", Level::Info)?;
    let http = Http::new(&setup.raw)?;
    let (guest, chooser) = setup.guest()?;
    let settings = setup.settings(&guest)?;
    let guests = Setup::live(&settings.connector, &guest, &chooser)?;
    connect::runtime()?.block_on(async {
        let peers = Peers::new(&settings, &http)?;
        peers.platform.read_version().await?;
        if arguments.list {
            let seen = peers.platform.seen(&settings.connector.id).await?;
            return list(seen.as_ref(), arguments);
        }
        if !arguments.force && !may_begin(&peers, &settings, arguments).await? {
            return Ok(nothing_failed());
        }
        let stop = connect::stop_on_signals()?;
        let peers = peers.with_service_account(&settings, &http, &stop).await?;
        peers.platform.read_version().await?;
        peers.platform.check_release(&settings.connector)?;
        let registration = peers.platform.register(&settings.connector).await?;
        let pipeline = peers.pipeline(&settings, &http, guests, &registration)?;
        let code = retry_failed(&pipeline, arguments, &stop).await;
        pipeline.keeper.stop().await;
        code
    })
}

/// Whether there is anything to do. A connector that runs would put back what is taken off its list, so that it must
/// not run.
async fn may_begin(
    peers: &Peers,
    settings: &Settings,
    arguments: &RetryArguments,
) -> anyhow::Result<bool> {
    let id = &settings.connector.id;
    let seen = match peers.platform.seen(id).await {
        Ok(seen) => seen,
        Err(error) if error.is_transient() => return Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "cannot ask whether the connector runs: if it does, it puts its own list back");
            return Ok(true);
        }
    };
    if chosen(stored_state(seen.as_ref())?.as_ref(), &arguments.ids)?.is_empty() {
        return Ok(false);
    }
    let Some(seen) = seen.filter(Seen::may_run) else {
        return Ok(true);
    };
    tracing::info!(
        "OpenCTI heard of the connector lately: waiting {SIGN_OF_LIFE:?} for a sign that it runs (--force does not)"
    );
    ensure!(
        !peers.platform.is_heard_again(id, &seen).await?,
        "the connector runs, and would put its own list of failures back: stop it first, or go on with --force"
    );
    Ok(true)
}

async fn retry_failed(
    pipeline: &Pipeline,
    arguments: &RetryArguments,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let (generation, stored) = pipeline.keeper.current();
    let state = State::parse(stored.as_deref().unwrap_or_default())?;
    let items = chosen(state.as_ref(), &arguments.ids)?;
    let Some(state) = state.filter(|_| !items.is_empty()) else {
        return Ok(nothing_failed());
    };
    let retry = pipeline.retry(generation, state, &items, stop);
    let Some(report) = connect::within_grace(stop, retry).await else {
        return Ok(ExitCode::FAILURE);
    };
    println!("{}", report.summary());
    let (_, stored) = pipeline.keeper.current();
    let state = State::parse(stored.as_deref().unwrap_or_default())?;
    let mut left = failed(state.as_ref());
    left.retain(|left| items.iter().any(|item| item.id == left.id));
    if !left.is_empty() {
        print!("{}", table(&left));
    }
    Ok(if report.end == End::Drained && left.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn nothing_failed() -> ExitCode {
    println!("nothing failed");
    ExitCode::SUCCESS
}

fn list(seen: Option<&Seen>, arguments: &RetryArguments) -> anyhow::Result<ExitCode> {
    let items = chosen(stored_state(seen)?.as_ref(), &arguments.ids)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&items)?);
    } else if items.is_empty() {
        return Ok(nothing_failed());
    } else {
        print!("{}", table(&items));
    }
    Ok(ExitCode::SUCCESS)
}

fn stored_state(seen: Option<&Seen>) -> Result<Option<State>, Unreadable> {
    let stored = seen.and_then(|seen| seen.state.as_deref());
    State::parse(stored.unwrap_or_default())
}

fn failed(state: Option<&State>) -> Vec<FailedItem> {
    let failed = state.into_iter().flat_map(State::failed);
    failed.cloned().collect()
}

/// The failed items with these ids; without any, all.
fn chosen(state: Option<&State>, ids: &[String]) -> anyhow::Result<Vec<FailedItem>> {
    let mut items = failed(state);
    if let Some(unknown) = ids.iter().find(|id| !items.iter().any(|it| it.id == **id)) {
        bail!("{unknown} is not among the failed notifications; --list shows them");
    }
    if !ids.is_empty() {
        items.retain(|item| ids.contains(&item.id));
    }
    Ok(items)
}

/// One line an item, oldest first.
fn table(items: &[FailedItem]) -> String {
    let width = items
        .iter()
        .map(|item| one_line(&item.id).chars().count())
        .max();
    let width = width.unwrap_or_default().max("notification".len());
    let mut text = format!(
        "{:<width$}  {:<20}  tries  reason\n",
        "notification", "reported"
    );
    for item in items {
        text += &format!(
            "{:<width$}  {:<20}  {:>5}  {}\n",
            one_line(&item.id),
            date(item.date),
            item.tries,
            one_line(&item.reason)
        );
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let mut state = State::starting_at(0);
        state.mark_failed("7", 1_767_261_600, "no file");
        state.mark_failed("a-longer-one", 0, "a\ntrap");
        state.mark_failed("7", 1_767_261_600, "no hash");
        state
    }

    #[test]
    fn only_what_failed_can_be_chosen() {
        let state = state();
        for (ids, expected) in [
            (&[][..], Some(&["a-longer-one", "7"][..])),
            (&["7"], Some(&["7"])),
            (&["7", "a-longer-one", "7"], Some(&["a-longer-one", "7"])),
            (&["7", "8"], None),
        ] {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            let found = chosen(Some(&state), &ids);
            let found = found.map(|items| items.into_iter().map(|it| it.id).collect::<Vec<_>>());
            match (found, expected) {
                (Ok(found), Some(expected)) => assert_eq!(found, expected),
                (Err(error), None) => assert!(error.to_string().starts_with("8 is not among")),
                (found, expected) => panic!("{found:?} instead of {expected:?}"),
            }
        }
        assert!(chosen(None, &[]).unwrap().is_empty());
    }

    #[test]
    fn the_table_has_a_line_an_item() {
        assert_eq!(
            table(&failed(Some(&state()))),
            "notification  reported              tries  reason\n\
             a-longer-one  unknown                   1  a trap\n\
             7             2026-01-01T10:00:00Z      2  no hash\n"
        );
    }
}
