//! The connector's program.

use std::process::ExitCode;

use clap::Parser;
use connector_host::cli::Arguments;

fn main() -> ExitCode {
    // Only a provider that is installed already could fail this, and that one does as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match Arguments::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
