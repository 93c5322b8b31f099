//! `guest test`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;
use similar::TextDiff;

use super::case::Case;
use crate::cli::start::Setup;
use crate::guest_source::GuestSource;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The guest: a component's file, a folder of them, or an OCI reference.
    #[arg(value_name = "GUEST")]
    pub(in crate::cli) source: GuestSource,

    /// Cases: folders of settings.json, item.json, answers.json, now.json and expected.json, or files of one
    /// JSON object with these members.
    #[arg(required = true, value_name = "CASE")]
    cases: Vec<PathBuf>,

    /// Write down what comes out as what is expected.
    #[arg(long)]
    bless: bool,
}

pub(super) fn run(setup: &Setup, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (guest, _) = setup.guest()?;
    let mut failed = 0;
    for path in &arguments.cases {
        let case = Case::read(path);
        let found = case.and_then(|case| Ok((case.run(&guest)?, case.expected)));
        let path_shown = path.display();
        match found {
            Err(error) => {
                failed += 1;
                println!("FAILED   {path_shown}: {error:#}");
            }
            Ok((found, Some(expected))) if found == expected => println!("passed   {path_shown}"),
            Ok((found, _)) if arguments.bless => {
                Case::bless(path, &found)?;
                println!("blessed  {path_shown}");
            }
            Ok((found, Some(expected))) => {
                failed += 1;
                println!("FAILED   {path_shown}\n{}", difference(&expected, &found));
            }
            Ok((_, None)) => {
                failed += 1;
                println!(
                    "FAILED   {path_shown}: it says not what is expected; --bless writes it down"
                );
            }
        }
    }
    println!(
        "\n{} of {} cases passed with {guest}",
        arguments.cases.len() - failed,
        arguments.cases.len()
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn difference(expected: &Value, found: &Value) -> String {
    let (expected, found) = (format!("{expected:#}\n"), format!("{found:#}\n"));
    let diff = TextDiff::from_lines(&expected, &found);
    let diff = diff.unified_diff().header("expected", "found").to_string();
    diff.lines().map(|line| format!("    {line}\n")).collect()
}
