//! `--version`: of the program, of what it is made with, and of the guest it would run.

use std::process::ExitCode;

use super::start::Setup;
use crate::guest_source::GuestSource;
use crate::runtime::CONTRACT;

/// `setup` reads the settings.
pub(super) fn show(setup: impl FnOnce() -> anyhow::Result<Setup>) -> ExitCode {
    println!("{} {}", env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    println!("wasmtime {}", wasmtime_environ::VERSION);
    println!("contract {CONTRACT}");
    match setup().and_then(|setup| guest(&setup)) {
        Ok(guest) => println!("{guest}"),
        Err(error) => println!("guest not known: {error:#}"),
    }
    ExitCode::SUCCESS
}

fn guest(setup: &Setup) -> anyhow::Result<String> {
    let source = &setup.guest.source;
    if matches!(source, GuestSource::Oci(_)) {
        // To tell a version is no reason to log in anywhere.
        return Ok(format!("guest of {source}, which is not asked"));
    }
    let (guest, _) = setup.guest()?;
    Ok(format!("guest {guest}, sha256:{}", guest.digest()))
}
