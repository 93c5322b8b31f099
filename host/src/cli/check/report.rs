//! What came of a check, as a line and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    /// The connector runs, but a part of it may not, or not for long.
    Warning,
    Failed,
    /// Not made, because one before failed.
    Skipped,
}

/// How states are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// For eyes.
    Signs,
    /// For what is not a terminal: plain ASCII that can be searched for, and the same words as in JSON.
    Words,
}

impl Marks {
    fn of(self, state: State) -> &'static str {
        match (self, state) {
            (Self::Signs, State::Ok) => "✓",
            (Self::Signs, State::Warning) => "!",
            (Self::Signs, State::Failed) => "✗",
            (Self::Signs, State::Skipped) => "–",
            (Self::Words, State::Ok) => "ok     ",
            (Self::Words, State::Warning) => "warning",
            (Self::Words, State::Failed) => "failed ",
            (Self::Words, State::Skipped) => "skipped",
        }
    }
}

/// One check that was made, or skipped.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    name: &'static str,
    state: State,
    /// On one line.
    message: String,
    /// The setting to change.
    setting: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, message: impl ToString) -> Self {
        Self::new(name, State::Ok, None, message)
    }

    pub(super) fn warning(
        name: &'static str,
        setting: Option<&str>,
        message: impl ToString,
    ) -> Self {
        Self::new(name, State::Warning, setting, message)
    }

    pub(super) fn failed(
        name: &'static str,
        setting: Option<&str>,
        message: impl ToString,
    ) -> Self {
        Self::new(name, State::Failed, setting, message)
    }

    pub(super) fn skipped(name: &'static str, reason: impl ToString) -> Self {
        Self::new(name, State::Skipped, None, reason)
    }

    fn new(
        name: &'static str,
        state: State,
        setting: Option<&str>,
        message: impl ToString,
    ) -> Self {
        let message = message.to_string();
        let words: Vec<&str> = message.split_whitespace().collect();
        let message = words.join(" ");
        // Some errors begin with their setting already.
        let named = setting.map(|setting| format!("{setting}: "));
        let message = named
            .and_then(|named| message.strip_prefix(&named).map(str::to_owned))
            .unwrap_or(message);
        Self {
            name,
            state,
            message,
            setting: setting.map(str::to_owned),
        }
    }
}

/// All checks, in their order.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    ok: bool,
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn new(checks: Vec<Check>) -> Self {
        Self {
            ok: checks.iter().all(|check| check.state != State::Failed),
            checks,
        }
    }

    /// Whether nothing failed.
    pub(super) fn is_ok(&self) -> bool {
        self.ok
    }

    /// A line a check.
    pub(super) fn lines(&self, marks: Marks) -> String {
        let names = self.checks.iter().map(|check| check.name.len());
        let width = names.max().unwrap_or_default();
        let mut text = String::new();
        for check in &self.checks {
            let Check {
                name,
                state,
                message,
                setting,
            } = check;
            let setting = setting.as_ref().map(|setting| format!("{setting}: "));
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{} {name:<width$}  {}{message}",
                marks.of(*state),
                setting.unwrap_or_default()
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report() -> Report {
        Report::new(vec![
            Check::ok("guest", "a\n  guest"),
            Check::warning("quota-left", None, "little"),
            Check::failed("settings", Some("A_B"), "A_B: found\n\"x\""),
            Check::skipped("queue", "no platform"),
        ])
    }

    #[test]
    fn lines_for_eyes_and_for_programs() {
        for (marks, expected) in [
            (
                Marks::Signs,
                "✓ guest       a guest\n! quota-left  little\n✗ settings    A_B: found \"x\"\n– queue       no platform\n",
            ),
            (
                Marks::Words,
                "ok      guest       a guest\nwarning quota-left  little\n\
                 failed  settings    A_B: found \"x\"\nskipped queue       no platform\n",
            ),
        ] {
            assert_eq!(report().lines(marks), expected);
        }
    }

    #[test]
    fn json_has_all_parts_apart() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["ok"], false);
        assert_eq!(
            json["checks"][2],
            json!({"name": "settings", "state": "failed", "message": "found \"x\"", "setting": "A_B"})
        );
        assert_eq!(
            json["checks"][3],
            json!({"name": "queue", "state": "skipped", "message": "no platform", "setting": null})
        );
    }

    #[test]
    fn only_what_failed_is_not_well() {
        let well = vec![
            Check::ok("a", ""),
            Check::warning("b", None, ""),
            Check::skipped("c", ""),
        ];
        assert!(Report::new(well).is_ok());
        assert!(!report().is_ok());
    }
}
