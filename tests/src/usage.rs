//! What a process holds: memory, files, threads.

use std::fmt;

use anyhow::{Context as _, Result};

/// Read from `/proc` (proc_pid_status(5)).
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Resident memory, in bytes.
    pub resident: u64,
    /// The most resident memory so far, in bytes.
    pub peak: u64,
    /// Open files, sockets among them.
    pub files: u64,
    /// Threads.
    pub threads: u64,
}

impl Usage {
    /// Of the process with this id.
    ///
    /// # Errors
    /// When there is none, or the system has no `/proc`.
    pub fn of(process: u32) -> Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        let number = |name: &str| -> Result<u64> {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .with_context(|| format!("the status has no {name}"))?;
            let number = line.split_whitespace().next().unwrap_or_default();
            Ok(number.parse()?)
        };
        Ok(Self {
            resident: number("VmRSS:")? * 1024,
            peak: number("VmHWM:")? * 1024,
            files: std::fs::read_dir(format!("/proc/{process}/fd"))?.count() as u64,
            threads: number("Threads:")?,
        })
    }

    /// The larger of each.
    #[must_use]
    pub fn most(self, other: Self) -> Self {
        Self {
            resident: self.resident.max(other.resident),
            peak: self.peak.max(other.peak),
            files: self.files.max(other.files),
            threads: self.threads.max(other.threads),
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        write!(
            formatter,
            "{:.1} MB resident, {:.1} MB at most, {} files, {} threads",
            megabytes(self.resident),
            megabytes(self.peak),
            self.files,
            self.threads,
        )
    }
}
