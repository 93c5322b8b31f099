//! The command line.

mod back_fill;
mod check;
mod connect;
mod explain;
mod explanation;
mod guest;
mod health;
mod items;
mod manual;
mod map;
mod metadata;
mod retry;
mod run;
mod start;
mod steps;
mod summary;
mod tree;
mod version;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser, Subcommand};

use crate::guest_source::GuestSource;

/// Turns what VirusTotal reports into knowledge on an OpenCTI platform, by means of a WebAssembly guest.
#[derive(Debug, Parser)]
#[command(
    name = "connector-host",
    version,
    disable_version_flag = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Arguments {
    /// The guest: a component's file, a folder of them, or an OCI reference; wins over CONNECTOR_GUEST.
    #[arg(long, global = true, value_name = "SOURCE")]
    guest: Option<GuestSource>,

    /// Settings that the environment does not give; need not exist.
    #[arg(long, global = true, value_name = "FILE", default_value = "config.yml")]
    config: PathBuf,

    /// Show the versions of this program, of wasmtime, of the contract and of the guest.
    #[arg(long)]
    version: bool,

    /// Show the version of this program.
    #[arg(short = 'V', action = ArgAction::Version)]
    short_version: Option<bool>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads from VirusTotal and delivers to OpenCTI, again and again.
    Run(run::RunArguments),
    /// Tries settings and peers once, as far as that changes nothing, and says what is to be set otherwise.
    Check(check::Arguments),
    /// Reads what failed again, and delivers it; the connector is not to run meanwhile.
    Retry(retry::RetryArguments),
    /// Tells what becomes of a notification, and why; delivers nothing and changes nothing.
    Explain(explain::ExplainArguments),
    /// Maps VirusTotal responses to a STIX bundle, with neither VirusTotal nor OpenCTI.
    Map(map::MapArguments),
    /// Tools for who writes a guest.
    #[command(subcommand)]
    Guest(Box<guest::Command>),
    /// Asks a connector that runs on this machine how it is.
    Health(health::Arguments),
    /// Writes what OpenCTI's integration manager needs, from the settings of this program and its guest.
    Metadata(metadata::Arguments),
    /// Writes completions for a shell to standard output.
    Completions(manual::CompletionsArguments),
    /// Writes a manual page to standard output.
    Man(manual::ManArguments),
}

impl Arguments {
    /// Does what the command line says.
    ///
    /// # Errors
    /// With all that a user needs to know, in the order from what failed to why.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let setup = |guest| start::Setup::read(&self.config, guest);
        if self.version {
            return Ok(version::show(|| setup(self.guest)));
        }
        let Some(command) = self.command else {
            let message = "a command is missing; --help names them";
            Self::command()
                .error(ErrorKind::MissingSubcommand, message)
                .exit();
        };
        match command {
            Command::Run(arguments) => run::run(&setup(self.guest)?, &arguments),
            Command::Check(arguments) => check::run(&self.config, self.guest, &arguments),
            Command::Retry(arguments) => retry::retry(&setup(self.guest)?, &arguments),
            Command::Explain(arguments) => explain::explain(&setup(self.guest)?, &arguments),
            Command::Map(arguments) => map::map(&setup(self.guest)?, &arguments),
            Command::Guest(command) => command.run(setup),
            Command::Health(arguments) => health::run(&setup(self.guest)?, &arguments),
            Command::Metadata(arguments) => metadata::run(&setup(self.guest)?, &arguments),
            Command::Completions(arguments) => Ok(manual::completions(&arguments)),
            Command::Man(arguments) => manual::man(&arguments),
        }
    }
}
