//! `run --since`: how far back, and how far it is.

use std::io::IsTerminal;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::date::{date, seconds};
use crate::pipeline::{self, End, Observer, Report, Stop};
use crate::runtime::Pool;
use crate::telemetry::bars;

/// A line of progress is due after so many notifications,
const NOTIFICATIONS_A_LINE: u64 = 200;

/// or after so much time.
const TIME_A_LINE: Duration = Duration::from_secs(30);

/// Reads a time as users write it, in seconds since the epoch.
pub(super) fn since(text: &str) -> Result<u64, String> {
    let time = text.parse::<Timestamp>().or_else(|_| {
        // What jiff parses as a date may have a time of day, which would be dropped.
        let date = Date::strptime("%Y-%m-%d", text)?;
        Ok(date.to_zoned(TimeZone::UTC)?.timestamp())
    });
    let time = time.map_err(|_: jiff::Error| {
        "expected a time such as 2026-11-20T00:00:00Z, or a date, which begins at midnight in UTC"
            .to_owned()
    })?;
    if time > Timestamp::now() {
        return Err("it is in the future; expected a time that is over".to_owned());
    }
    u64::try_from(time.as_second())
        .map_err(|_| "it is before 1970, which is before all that is kept".to_owned())
}

/// No further back than the source keeps what the guest reads; says so where that is less than was asked for.
pub(super) fn within_retention(since: u64, pool: &Pool) -> Result<u64, Stop> {
    let now = now();
    let Some(retention) = pipeline::retention(pool, now)? else {
        return Ok(since);
    };
    let oldest = now.saturating_sub(retention.as_secs());
    if since < oldest {
        tracing::warn!(
            asked = date(since),
            "VirusTotal keeps notifications for {} days only: what is read begins at {}",
            retention.as_secs() / 86_400,
            date(oldest)
        );
    }
    Ok(since.max(oldest))
}

fn now() -> u64 {
    seconds(Timestamp::now())
}

/// How far a back-fill is, by the dates of what it has decided on: a bar on a terminal, and else lines in the log.
pub(super) struct Progress {
    /// From when the first run reads, which a checkpoint may put before what was asked for.
    from: OnceLock<u64>,
    until: u64,
    bar: Option<ProgressBar>,
    /// Time of the last line, and how many notifications were read then; `None` once the back-fill is over.
    last_line: Mutex<Option<(Instant, u64)>>,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = bars().add(ProgressBar::new(100));
            let style = "{bar:30} {percent:>3} %  {msg}  ({elapsed})";
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar
        });
        Self {
            from: OnceLock::new(),
            until: now(),
            bar,
            last_line: Mutex::new(Some((Instant::now(), 0))),
        }
    }

    /// How much of the time is filled, in percent.
    fn percent(&self, report: &Report) -> u64 {
        let from = *self.from.get_or_init(|| report.read_from);
        let until = self.until.max(from + 1);
        (report.decided_to.clamp(from, until) - from) * 100 / (until - from)
    }

    fn line(&self, report: &Report) {
        tracing::info!(
            to = date(report.decided_to),
            percent = self.percent(report),
            read = report.read,
            skipped = report.skipped_in_all(),
            delivered = report.delivered,
            "the back-fill goes on"
        );
    }
}

impl Observer for Progress {
    fn progress(&self, report: &Report) {
        let mut last = self
            .last_line
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some((time, read)) = *last else {
            return;
        };
        if let Some(bar) = &self.bar {
            bar.set_position(self.percent(report));
            bar.set_message(format!(
                "{}: {} read, {} skipped, {} delivered",
                date(report.decided_to),
                report.read,
                report.skipped_in_all(),
                report.delivered
            ));
            return;
        }
        if report.read >= read + NOTIFICATIONS_A_LINE || time.elapsed() >= TIME_A_LINE {
            self.line(report);
            *last = Some((Instant::now(), report.read));
        }
    }

    fn ended(&self, report: &Report) {
        let mut last = self
            .last_line
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if matches!(report.end, End::Drained | End::Reset) {
            *last = None;
            if let Some(bar) = &self.bar {
                bar.finish_and_clear();
            }
        } else if last.is_some() {
            // The next run goes on, and counts from zero.
            *last = Some((Instant::now(), 0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_users_write_them() {
        for (text, expected) in [
            ("2026-01-01T10:00:00Z", Ok(1_767_261_600)),
            ("2026-01-01T11:00:00+01:00", Ok(1_767_261_600)),
            ("2026-01-01", Ok(1_767_225_600)),
            // Which time is meant, nobody could say.
            ("2026-01-01T10:00", Err("expected a time such as")),
            ("2026-01-01 10:00:00", Err("expected a time such as")),
            ("yesterday", Err("expected a time such as")),
            ("", Err("expected a time such as")),
            ("1969-12-31", Err("before 1970")),
            ("9000-01-01", Err("in the future")),
        ] {
            match (since(text), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn progress_goes_by_the_dates() {
        let progress = Progress {
            from: OnceLock::new(),
            until: 2_000,
            bar: None,
            last_line: Mutex::new(None),
        };
        // The run that goes on from 1,500 fills what the first has left.
        for (read_from, decided_to, expected) in [
            (1_000, 0, 0),
            (1_000, 1_000, 0),
            (1_000, 1_250, 25),
            (1_500, 1_750, 75),
            (1_500, 5_000, 100),
        ] {
            let report = Report {
                read_from,
                decided_to,
                ..Report::default()
            };
            assert_eq!(progress.percent(&report), expected, "{decided_to}");
        }
    }
}
