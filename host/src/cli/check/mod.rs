//! `check`: whether a connector with these settings would work, asked of each peer once.

mod local;
mod opencti;
mod report;
mod sinks;
mod virustotal;

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use self::local::Basis;
use self::report::{Check, Marks, Report};
use super::connect;
use crate::guest_source::GuestSource;

/// Time for one peer, all its checks together: who checks does not wait as a connector does.
const PATIENCE: Duration = Duration::from_secs(15);

const REFUSED: &str = "settings that it needs are refused";
const NO_NETWORK: &str = "its certificates or its proxy cannot be used";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// As a JSON object.
    #[arg(long)]
    json: bool,
}

/// Nothing is logged: what there is to say stands in the lines.
pub(super) fn run(
    config: &Path,
    guest: Option<GuestSource>,
    arguments: &Arguments,
) -> anyhow::Result<ExitCode> {
    let runtime = connect::runtime()?;
    let (basis, mut checks) = local::check(config, guest, &runtime);
    checks.extend(runtime.block_on(check_peers(&basis)));
    let report = Report::new(checks);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        let marks = match std::io::stdout().is_terminal() {
            true => Marks::Signs,
            false => Marks::Words,
        };
        print!("{}", report.lines(marks));
    }
    Ok(match report.is_ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Both sides at a time; their lines stand in a fixed order.
async fn check_peers(basis: &Basis) -> Vec<Check> {
    let platform_and_queue = async {
        let (mut checks, platform) = opencti::check(basis).await;
        checks.extend(sinks::check_queue(basis, &platform).await);
        checks.extend(sinks::check_s3(basis, &platform).await);
        checks
    };
    let (mut checks, platform_and_queue) =
        tokio::join!(virustotal::check(basis), platform_and_queue);
    checks.extend(platform_and_queue);
    checks.extend(sinks::check_directory(basis));
    checks
}

/// The time for one peer.
#[derive(Clone, Copy)]
struct Patience {
    end: Instant,
}

/// Nothing came in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} seconds", PATIENCE.as_secs())]
struct Late;

impl Patience {
    fn begin() -> Self {
        Self {
            end: Instant::now() + PATIENCE,
        }
    }

    async fn wait<T>(self, answer: impl Future<Output = T>) -> Result<T, Late> {
        timeout_at(self.end, answer).await.map_err(|_| Late)
    }
}
