//! `guest inspect`.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::start::Setup;
use crate::guest_source::GuestSource;
use crate::runtime::{CONTRACT, Guest, SettingDescription};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The guest: a component's file, a folder of them, or an OCI reference.
    #[arg(value_name = "GUEST")]
    pub(in crate::cli) source: GuestSource,

    /// The same as a JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(setup: &Setup, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (guest, _) = setup.guest()?;
    if arguments.json {
        let json = json!({
            "description": guest.description(),
            "digest": format!("sha256:{}", guest.digest()),
            "size": guest.size(),
            "contract": guest.contract(),
            "exports": guest.exports(),
            "imports": [],
        });
        println!("{json:#}");
    } else {
        print!("{}", text(&guest)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn text(guest: &Guest) -> Result<String, std::fmt::Error> {
    let description = guest.description();
    let connector = &description.connector;
    let mut text = String::new();
    writeln!(text, "{guest}\n")?;
    let rows = [
        ("digest", format!("sha256:{}", guest.digest())),
        ("size", format!("{} bytes", guest.size())),
        (
            "contract",
            format!("{} (this host serves {CONTRACT})", guest.contract()),
        ),
        ("exports", guest.exports().join(", ")),
        ("imports", "nothing, as a guest must".to_owned()),
        ("connector", connector.name.clone()),
        ("scope", connector.scope.join(", ")),
        ("prefix", connector.environment_prefix.clone()),
        ("sections", connector.config_sections.join(", ")),
    ];
    for (name, value) in rows {
        writeln!(text, "  {name:<10} {value}")?;
    }
    writeln!(text, "\nSettings\n")?;
    let widest = description.settings.iter().map(|it| it.name.len()).max();
    let width = widest.unwrap_or_default();
    for setting in &description.settings {
        let SettingDescription {
            name,
            kind,
            default,
            choices,
            help,
        } = setting;
        let kind = format!("{kind:?}").to_lowercase();
        let default = if default.is_empty() {
            "no default".to_owned()
        } else {
            format!("default {default:?}")
        };
        write!(text, "  {name:<width$}  {kind}, {default}")?;
        if !choices.is_empty() {
            write!(text, ", one of {}", choices.join(", "))?;
        }
        writeln!(text, "\n  {:width$}  {help}", "")?;
    }
    Ok(text)
}
