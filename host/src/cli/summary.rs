//! What a run did, for people at a terminal.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::Sinks;
use crate::pipeline::{Observer, Report};
use crate::telemetry::bars;

/// A progress line while a run goes on, and a table at its end.
pub(super) struct Table {
    progress: ProgressBar,
    directory: Option<String>,
}

impl Table {
    pub(super) fn new(sinks: &Sinks, with_progress: bool) -> Self {
        let progress = if with_progress && std::io::stderr().is_terminal() {
            bars().add(ProgressBar::no_length())
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            progress.set_style(style);
        }
        progress.enable_steady_tick(Duration::from_millis(100));
        Self {
            progress,
            directory: sinks
                .directory
                .as_ref()
                .map(|directory| directory.path.display().to_string()),
        }
    }
}

impl Observer for Table {
    fn progress(&self, report: &Report) {
        self.progress.set_message(format!(
            "{} notifications read, {} skipped, {} delivered",
            report.read,
            report.skipped_in_all(),
            report.delivered
        ));
    }

    fn ended(&self, report: &Report) {
        self.progress.finish_and_clear();
        // The bar of a back-fill may still be there.
        bars().suspend(|| println!("{}", table(report, self.directory.as_deref())));
    }
}

fn table(report: &Report, directory: Option<&str>) -> String {
    let mut text = String::new();
    let mut row = |label: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {label:<34}{value:>12}");
    };
    row("Notifications read", &report.read.to_string());
    for (filter, count) in &report.skipped {
        row(
            &format!("  skipped by the filter {filter}"),
            &count.to_string(),
        );
    }
    if report.failed > 0 {
        row("  failed", &report.failed.to_string());
    }
    row("  delivered", &report.delivered.to_string());
    row("Bundles", &report.bundles.to_string());
    for (kind, count) in &report.objects {
        row(&format!("  {kind}"), &count.to_string());
    }
    if report.artifacts + report.artifacts_failed > 0 {
        row("Files copied", &report.artifacts.to_string());
        row("Files not copied", &report.artifacts_failed.to_string());
    }
    if report.refused > 0 {
        row("Objects refused by OpenCTI", &report.refused.to_string());
    }
    if report.removed > 0 {
        row("Removed at the source", &report.removed.to_string());
    }
    row(
        "Requests to VirusTotal",
        &report.source_requests.in_all().to_string(),
    );
    row("Requests to OpenCTI", &report.platform_requests.to_string());
    row("Time", &format!("{:.2} s", report.duration.as_secs_f64()));
    if let Some(directory) = directory {
        let _ = write!(text, "  Bundles written to {directory}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_what_became_of_every_notification() {
        let mut report = Report {
            read: 10,
            delivered: 6,
            failed: 1,
            ..Report::default()
        };
        report.skipped.insert("age".into(), 3);
        report.objects.insert("incident".into(), 6);
        let text = table(&report, Some("bundles"));
        for (label, value) in [
            ("Notifications read", "10"),
            ("skipped by the filter age", "3"),
            ("failed", "1"),
            ("delivered", "6"),
            ("incident", "6"),
        ] {
            assert!(
                text.lines()
                    .any(|line| line.trim().starts_with(label)
                        && line.ends_with(&format!(" {value}"))),
                "{label} {value} in\n{text}"
            );
        }
        assert!(text.ends_with("Bundles written to bundles"));
    }
}
