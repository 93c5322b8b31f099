//! `guest …`: how a guest's author works, without OpenCTI, VirusTotal or this program's source.

mod bench;
mod case;
mod diff;
mod inspect;
mod test;

use std::process::ExitCode;

use clap::Subcommand;

use super::start::Setup;
use crate::guest_source::GuestSource;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Shows what a guest is: version, contract, settings, size, exports.
    Inspect(inspect::Arguments),
    /// Runs cases through a guest and compares what comes out with what is expected.
    Test(test::Arguments),
    /// Measures calls of a guest.
    Bench(bench::Arguments),
    /// Shows what another guest would decide differently, as the rehearsal before an exchange does.
    Diff(diff::Arguments),
}

impl Command {
    /// `setup` reads the settings, with the guest's source in place of theirs.
    pub(super) fn run(
        self,
        setup: impl Fn(Option<GuestSource>) -> anyhow::Result<Setup>,
    ) -> anyhow::Result<ExitCode> {
        let of = |source: &GuestSource| setup(Some(source.clone()));
        match self {
            Self::Inspect(arguments) => inspect::run(&of(&arguments.source)?, &arguments),
            Self::Test(arguments) => test::run(&of(&arguments.source)?, &arguments),
            Self::Bench(arguments) => bench::run(&of(&arguments.source)?, &arguments),
            Self::Diff(arguments) => {
                diff::run(&of(&arguments.old)?, &of(&arguments.new)?, &arguments)
            }
        }
    }
}
