//! The command line.

mod connect;
mod guest;
mod items;
mod map;
mod retry;
mod run;
mod start;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::guest_source::GuestSource;

/// Turns what VirusTotal reports into knowledge on an OpenCTI platform, by means of a WebAssembly guest.
#[derive(Debug, Parser)]
#[command(name = "connector-host", version, max_term_width = 100)]
pub struct Arguments {
    /// The guest: a component's file, a folder of them, or an OCI reference; wins over CONNECTOR_GUEST.
    #[arg(long, global = true, value_name = "SOURCE")]
    guest: Option<GuestSource>,

    /// Settings that the environment does not give; need not exist.
    #[arg(long, global = true, value_name = "FILE", default_value = "config.yml")]
    config: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads from VirusTotal and delivers to OpenCTI, again and again.
    Run(run::RunArguments),
    /// Reads what failed again, and delivers it; the connector is not to run meanwhile.
    Retry(retry::RetryArguments),
    /// Maps VirusTotal responses to a STIX bundle, with neither VirusTotal nor OpenCTI.
    Map(map::MapArguments),
    /// Tools for who writes a guest.
    #[command(subcommand)]
    Guest(Box<guest::Command>),
}

impl Arguments {
    /// Does what the command line says.
    ///
    /// # Errors
    /// With all that a user needs to know, in the order from what failed to why.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let setup = |guest| start::Setup::read(&self.config, guest);
        match self.command {
            Command::Run(arguments) => run::run(&setup(self.guest)?, &arguments),
            Command::Retry(arguments) => retry::retry(&setup(self.guest)?, &arguments),
            Command::Map(arguments) => map::map(&setup(self.guest)?, &arguments),
            Command::Guest(command) => command.run(setup),
        }
    }
}
