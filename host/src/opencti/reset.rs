//! Whether the state was reset in the user interface: the decision, as a pure function of what the
//! platform answers to a ping (protocol section 4, "a safe client").

/// What a ping's answer says about the state that the platform keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Echo<'a> {
    pub(super) state: Option<&'a str>,
    /// Since 6.7.0.
    pub(super) timestamp: Option<&'a str>,
}

/// What is remembered from one answer to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResetWatch {
    timestamp: Option<String>,
    /// Below 6.7.0 an empty state is all that tells of a reset. An answer may lag behind what was stored,
    /// so once a reset is known, further empty answers mean the same one, until another state was seen.
    empty_is_known: bool,
}

impl ResetWatch {
    /// From the answer to the registration.
    pub(super) fn new(timestamp: Option<String>, state_is_reset: bool) -> Self {
        Self {
            timestamp,
            empty_is_known: state_is_reset,
        }
    }

    /// Takes a registration that was made anew, after the platform had forgotten the connector: no reset,
    /// since nobody asked for one.
    pub(super) fn registered_again(&mut self, timestamp: Option<String>, state_is_reset: bool) {
        *self = Self::new(timestamp, state_is_reset);
    }

    /// Whether this answer tells of a reset that was not known.
    pub(super) fn is_reset(&mut self, echo: Echo<'_>) -> bool {
        let empty = echo.state.is_none_or(str::is_empty);
        match echo.timestamp {
            Some(timestamp) => {
                let changed = self.timestamp.as_deref() != Some(timestamp);
                if changed {
                    self.timestamp = Some(timestamp.to_owned());
                }
                changed && empty
            }
            None => {
                // A connector that never stored a state has null here, which is no reset.
                let reset = echo.state == Some("");
                let news = reset && !self.empty_is_known;
                self.empty_is_known = reset;
                news
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo<'a>(state: Option<&'a str>, timestamp: Option<&'a str>) -> Echo<'a> {
        Echo { state, timestamp }
    }

    /// Answers in order, each with whether it tells of a reset.
    fn check(name: &str, mut watch: ResetWatch, answers: &[(Option<&str>, Option<&str>, bool)]) {
        for (index, (state, timestamp, reset)) in answers.iter().enumerate() {
            assert_eq!(
                watch.is_reset(echo(*state, *timestamp)),
                *reset,
                "{name}: answer {index}"
            );
        }
    }

    #[test]
    fn with_timestamp() {
        let started = || ResetWatch::new(Some("t1".to_owned()), false);
        check(
            "nothing happens",
            started(),
            &[(Some("{}"), Some("t1"), false)],
        );
        check(
            "a stale echo of an empty state is no reset",
            started(),
            &[(Some(""), Some("t1"), false), (None, Some("t1"), false)],
        );
        check(
            "a reset is told once, however often the empty echo comes",
            started(),
            &[
                (Some(""), Some("t2"), true),
                (Some(""), Some("t2"), false),
                (Some("{}"), Some("t2"), false),
                (Some(""), Some("t3"), true),
            ],
        );
        check(
            "a migration changes the timestamp and keeps the state",
            started(),
            &[
                (Some("{}"), Some("t2"), false),
                (Some(""), Some("t2"), false),
            ],
        );
        check(
            "the platform is upgraded to 6.7.0 while the connector runs",
            ResetWatch::new(None, false),
            &[(Some("{}"), None, false), (Some("{}"), Some("t1"), false)],
        );
    }

    #[test]
    fn without_timestamp() {
        check(
            "a connector that never stored a state",
            ResetWatch::new(None, false),
            &[(None, None, false), (Some("null"), None, false)],
        );
        check(
            "a reset, a stale echo of it, and another reset",
            ResetWatch::new(None, false),
            &[
                (Some("{}"), None, false),
                (Some(""), None, true),
                (Some(""), None, false),
                (Some("{}"), None, false),
                (Some(""), None, true),
            ],
        );
        check(
            "the reset was before the start: the registration told it",
            ResetWatch::new(None, true),
            &[(Some(""), None, false), (Some("{}"), None, false)],
        );
    }

    #[test]
    fn a_new_registration_is_no_reset() {
        let mut watch = ResetWatch::new(Some("t1".to_owned()), false);
        watch.registered_again(Some("t2".to_owned()), false);
        assert!(!watch.is_reset(echo(None, Some("t2"))));
        assert!(watch.is_reset(echo(Some(""), Some("t3"))));
    }
}
