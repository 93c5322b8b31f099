//! What a terminal shows in the end, where bars, log lines and tables come to the same place.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are outside test functions"
)]

use std::num::NonZeroU16;

use anyhow::Result;
use connector_tests::fixtures::{Scenario, now};
use connector_tests::host::Host;
use connector_tests::{opencti, virustotal};

const SIZE: NonZeroU16 = NonZeroU16::new(200).unwrap();

/// Both streams are a terminal of this size; all that is sent to it comes from standard output.
const ON_A_TERMINAL: &[&str] = &[
    "sh",
    "-c",
    r#"exec script -qec "stty rows 200 cols 200; exec $*" /dev/null"#,
    "sh",
];

/// What a terminal shows after this.
fn screen(sent: &str) -> Vec<String> {
    let mut parser = vt100::Parser::new(SIZE, SIZE, 0);
    parser.process(sent.replace('\n', "\r\n").as_bytes());
    let rows = parser.screen().rows(0, SIZE.get());
    let rows = rows.map(|row| row.trim_end().to_owned());
    rows.filter(|row| !row.is_empty()).collect()
}

#[tokio::test]
async fn a_bar_leaves_neither_log_lines_nor_the_table_broken() -> Result<()> {
    let scenario = Scenario {
        mixed: false,
        bodies: false,
        ..Scenario::of_today(130)
    };
    let virustotal = virustotal::Server::start(scenario.world()).await?;
    let platform = opencti::Server::start(opencti::Options::default()).await?;
    let host = Host::new(&virustotal, &platform)?
        .variable("TERM", "xterm")
        .variable("CONNECTOR_LOG_LEVEL", "info")
        .within(ON_A_TERMINAL);
    let since = jiff::Timestamp::from_second(i64::try_from(now() - 47 * 3_600)?)?.to_string();
    // One that comes to its end takes its bar away, one that does not leaves it to the end of the process.
    for (quota, arguments) in [
        (None, &["run", "--once", "--summary"][..]),
        (None, &["run", "--once", "--summary", "--since", &since]),
        (Some(3), &["run", "--once", "--summary", "--since", &since]),
    ] {
        virustotal.edit(|world| world.quota = quota);
        let run = host.start(arguments)?.finish().await?;
        assert_eq!(run.success, quota.is_none(), "{}", run.output);
        let rows = screen(&run.output);
        let shown = rows.join("\n");
        let is_line = |row: &&String| row.starts_with("20") && row.contains("Z ");
        let (lines, table): (Vec<&String>, Vec<&String>) = rows.iter().partition(is_line);
        // Every line of the log stands on a row of its own.
        let levels = ["INFO", "WARN", "ERROR"].map(|level| format!("{level}\u{1b}[0m"));
        let logged: usize = levels
            .iter()
            .map(|level| run.output.matches(level).count())
            .sum();
        assert_eq!(lines.len(), logged, "{shown}");
        let labels: Vec<&str> = table
            .iter()
            .map(|row| row.trim().split("  ").next().unwrap())
            .collect();
        let (first, last) = (labels.first(), labels.last());
        assert_eq!(first, Some(&"Notifications read"), "{shown}");
        assert_eq!(last, Some(&"Time"), "{shown}");
    }
    Ok(())
}
