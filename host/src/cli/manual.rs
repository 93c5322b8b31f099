//! `completions` and `man`: the command line as a shell and a reader want it.

use std::io;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_complete::Shell;

use super::Arguments;

#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArguments {
    /// The shell.
    shell: Shell,
}

pub(super) fn completions(arguments: &CompletionsArguments) -> ExitCode {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(arguments.shell, &mut command, name, &mut io::stdout());
    ExitCode::SUCCESS
}

#[derive(Debug, clap::Args)]
pub(super) struct ManArguments {
    /// The command that the page is about: `guest test`. None: the whole program.
    command: Vec<String>,
}

pub(super) fn man(arguments: &ManArguments) -> anyhow::Result<ExitCode> {
    let mut root = Arguments::command();
    // Gives the commands their full names.
    root.build();
    let mut command: &Command = &root;
    for name in &arguments.command {
        command = command
            .find_subcommand(name)
            .with_context(|| format!("{} has no command {name}", command.get_name()))?;
    }
    clap_mangen::Man::new(command.clone()).render(&mut io::stdout())?;
    Ok(ExitCode::SUCCESS)
}
