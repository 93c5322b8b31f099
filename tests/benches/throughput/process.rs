//! A process, and what it cost.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use wait4::Wait4 as _;

/// First argument of this program when it is to start another and measure it.
pub const LAUNCH: &str = "launch";

/// What a process cost.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// From start to end.
    pub wall: Duration,
    /// In user and system mode.
    pub cpu: Duration,
    /// Largest resident memory, in bytes.
    pub peak: u64,
}

impl Cost {
    /// The least time, and the most memory, of several runs of the same thing: whatever else the machine
    /// does makes a run slower only.
    pub fn of(runs: impl IntoIterator<Item = Self>) -> Option<Self> {
        runs.into_iter().reduce(|one, other| Self {
            wall: one.wall.min(other.wall),
            cpu: one.cpu.min(other.cpu),
            peak: one.peak.max(other.peak),
        })
    }
}

/// Runs a program to its end, by way of a small copy of this one.
///
/// Linux counts the resident memory of the parent as the child's until the child has loaded its own
/// program, and this process is large: it holds both simulators.
///
/// # Errors
/// When it cannot be started, or fails; with what it wrote on standard error.
pub async fn measure(
    program: &Path,
    arguments: &[&str],
    environment: &BTreeMap<String, String>,
) -> Result<Cost> {
    let output = tokio::process::Command::new(std::env::current_exe()?)
        .arg(LAUNCH)
        .arg(program)
        .args(arguments)
        .env_clear()
        .envs(environment)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} failed:\n{log}",
        program.display()
    );
    serde_json::from_slice(&output.stdout).context("no measurement came back")
}

/// Starts the program of this command line, and prints what it cost.
///
/// # Errors
/// When it cannot be started.
pub fn launch(command: &[String]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("launch: which program?")?;
    let started = Instant::now();
    let child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()?;
    let used = child.wait4()?;
    let cost = Cost {
        wall: started.elapsed(),
        cpu: used.rusage.utime + used.rusage.stime,
        peak: used.rusage.maxrss,
    };
    println!("{}", serde_json::to_string(&cost)?);
    Ok(if used.status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
