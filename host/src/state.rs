//! What is done: the one JSON object that the platform keeps for the connector.
//!
//! The checkpoint moves by the dates that the source gave, never by the clock, and only over what has been
//! delivered. It is read again from a little before its date, since the source may report late; the
//! fingerprints of what was done there keep it from being done twice.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// How far before the checkpoint a run reads again: what the source reported late, with an older date.
pub const OVERLAP_SECONDS: u64 = 600;

/// How far back a run without state begins, as in the Python connector.
pub const FIRST_RUN_SECONDS: u64 = 3 * 86_400;

/// Fingerprints that are kept: about 5 kB of state. What is older and still read again is delivered again,
/// which is harmless, since ids are deterministic.
const FINGERPRINTS: usize = 512;

/// Failed items that are kept.
const FAILED: usize = 50;

/// Items to remove at the source that are kept: more than a batch has.
const REMOVALS: usize = 200;

/// Works whose errors are still read.
const WORKS: usize = 10;

/// Characters of a failed item's id that are kept: the longest id. An element without one is told by all its bytes.
const FAILED_ID: usize = 128;

/// Characters of a failure's reason that are kept.
const REASON: usize = 200;

/// The state of the connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Version of this shape.
    version: u32,
    /// The Python connector's key, kept true so that one can go back to it: where its next run begins.
    latest_run_timestamp: u64,
    /// What has been delivered.
    checkpoint: Checkpoint,
    /// Items that could not be mapped, newest last.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    failed: VecDeque<FailedItem>,
    /// Ids of items that are done and to be removed at the source, newest last.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    removals: VecDeque<String>,
    /// Works of earlier runs that workers may still add errors to, newest last.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    works: VecDeque<PastWork>,
}

/// A work whose errors are read until its workers are done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastWork {
    /// OpenCTI's id of it.
    pub id: String,
    /// When it was opened, in seconds since the epoch.
    pub opened: u64,
    /// How many of its errors were told.
    pub told: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Checkpoint {
    /// Latest date of what has been delivered.
    date: u64,
    /// Fingerprints of the items done last, newest last.
    #[serde(default)]
    done: VecDeque<Fingerprint>,
}

/// 48 bits of a hash of id and date: among the fingerprints kept, the chance of taking a new item for a done one
/// is about one in 5 * 10^11. The date belongs to it, since what the source changed it reports again, under the
/// same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fingerprint(String);

impl Fingerprint {
    fn of(id: &str, observed: u64) -> Self {
        use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
        use sha2::{Digest, Sha256};
        let hash = Sha256::new()
            .chain_update(observed.to_be_bytes())
            .chain_update(id)
            .finalize();
        Self(BASE64_URL_SAFE_NO_PAD.encode(&hash[..6]))
    }
}

/// An item that could not be mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedItem {
    /// Id of the notification; the beginning of an element that has none.
    pub id: String,
    /// When the source reported it; 0 where it did not say.
    pub date: u64,
    /// Why it failed, shortened.
    pub reason: String,
    /// How often it was tried.
    pub tries: u32,
}

/// Why a stored state is not used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the stored state cannot be read ({reason})")]
pub struct Unreadable {
    reason: String,
}

impl State {
    /// The state of a connector that has never run: everything since `first` is still to do.
    #[must_use]
    pub fn starting_at(first: u64) -> Self {
        Self {
            version: 1,
            latest_run_timestamp: first,
            checkpoint: Checkpoint {
                date: first,
                done: VecDeque::new(),
            },
            failed: VecDeque::new(),
            removals: VecDeque::new(),
            works: VecDeque::new(),
        }
    }

    /// Reads what the platform stored: this shape, or the Python connector's
    /// `{"latest_run_timestamp": 1700000000}`. `None` when nothing is stored (`""`, `null`, `{}`).
    ///
    /// # Errors
    /// When something is stored that is neither.
    pub fn parse(stored: &str) -> Result<Option<Self>, Unreadable> {
        #[derive(Deserialize)]
        struct Python {
            latest_run_timestamp: Option<u64>,
        }
        if stored.trim().is_empty() {
            return Ok(None);
        }
        let unreadable = |error: serde_json::Error| Unreadable {
            reason: error.to_string(),
        };
        let value: serde_json::Value = serde_json::from_str(stored).map_err(unreadable)?;
        if value.is_null() {
            return Ok(None);
        }
        if !value.is_object() {
            return Err(Unreadable {
                reason: format!("it is {value}, not a JSON object"),
            });
        }
        if value.get("version").is_some() {
            let state: Self = serde_json::from_value(value).map_err(unreadable)?;
            if state.version != 1 {
                return Err(Unreadable {
                    reason: format!("its version is {}, not 1", state.version),
                });
            }
            return Ok(Some(state));
        }
        let python: Python = serde_json::from_value(value).map_err(unreadable)?;
        Ok(python.latest_run_timestamp.map(Self::starting_at))
    }

    /// The text that the platform keeps.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "cannot panic")]
    pub fn to_json(&self) -> String {
        #[expect(clippy::expect_used, reason = "texts and numbers always serialise")]
        serde_json::to_string(self).expect("a state is JSON")
    }

    /// From when a run reads.
    #[must_use]
    pub fn since(&self) -> u64 {
        self.checkpoint.date.saturating_sub(OVERLAP_SECONDS)
    }

    /// Date of the latest item that is done.
    #[must_use]
    pub fn checkpoint_date(&self) -> u64 {
        self.checkpoint.date
    }

    /// Whether an item is done, as the source reported it at that time.
    #[must_use]
    pub fn is_done(&self, id: &str, observed: u64) -> bool {
        self.checkpoint
            .done
            .contains(&Fingerprint::of(id, observed))
    }

    /// Moves the checkpoint over an item that is done: delivered or skipped. Had it failed as the source reported it
    /// before, it has not any more.
    pub fn mark_done(&mut self, id: &str, observed: u64) {
        self.forget_failed(id);
        self.pass_over(id, observed);
    }

    fn pass_over(&mut self, id: &str, observed: u64) {
        let checkpoint = &mut self.checkpoint;
        checkpoint.date = checkpoint.date.max(observed);
        self.latest_run_timestamp = checkpoint.date;
        let fingerprint = Fingerprint::of(id, observed);
        // A back-fill does again what is done.
        if checkpoint.done.contains(&fingerprint) {
            return;
        }
        checkpoint.done.push_back(fingerprint);
        if checkpoint.done.len() > FINGERPRINTS {
            checkpoint.done.pop_front();
        }
    }

    /// Moves the checkpoint over an item that could not be mapped, and writes it down. Answers the item that fell off a
    /// full list.
    pub fn mark_failed(&mut self, id: &str, observed: u64, reason: &str) -> Option<FailedItem> {
        self.pass_over(id, observed);
        self.write_down_failed(id, observed, reason)
    }

    /// Writes an item down that could not be mapped, and that no run reads again. Answers the item that fell off a full
    /// list.
    pub fn write_down_failed(
        &mut self,
        id: &str,
        observed: u64,
        reason: &str,
    ) -> Option<FailedItem> {
        let earlier = self.forget_failed(id);
        self.failed.push_back(FailedItem {
            id: shortened(id, FAILED_ID),
            date: observed,
            reason: shortened(reason, REASON),
            tries: earlier.map_or(0, |earlier| earlier.tries) + 1,
        });
        if self.failed.len() > FAILED {
            self.failed.pop_front()
        } else {
            None
        }
    }

    /// Notes an item that is to be removed at the source. Answers the one that fell off a full list.
    pub fn mark_for_removal(&mut self, id: &str) -> Option<String> {
        if !self.removals.iter().any(|other| other == id) {
            self.removals.push_back(id.to_owned());
        }
        if self.removals.len() > REMOVALS {
            self.removals.pop_front()
        } else {
            None
        }
    }

    /// Notes a work whose errors are to be read. The oldest falls off a full list.
    pub fn remember_work(&mut self, id: &str, opened: u64) {
        if self.works.iter().any(|work| work.id == id) {
            return;
        }
        self.works.push_back(PastWork {
            id: id.to_owned(),
            opened,
            told: 0,
        });
        if self.works.len() > WORKS {
            self.works.pop_front();
        }
    }

    /// Works whose errors are to be read, oldest first.
    #[must_use]
    pub fn works(&self) -> &VecDeque<PastWork> {
        &self.works
    }

    /// Puts in place what is still to be read.
    pub fn set_works(&mut self, works: VecDeque<PastWork>) {
        self.works = works;
    }

    /// What is to be removed at the source, oldest first.
    pub fn removals(&self) -> impl Iterator<Item = &str> {
        self.removals.iter().map(String::as_str)
    }

    /// The item that is to be removed at the source next.
    #[must_use]
    pub fn next_removal(&self) -> Option<&str> {
        self.removals.front().map(String::as_str)
    }

    /// The next removal is over.
    pub fn end_removal(&mut self) {
        self.removals.pop_front();
    }

    /// Writes down that an item on the list of failures failed once more. The checkpoint has passed it before.
    pub fn mark_failed_again(&mut self, id: &str, reason: &str) {
        if let Some(failed) = self.failed.iter_mut().find(|failed| failed.id == id) {
            failed.tries += 1;
            failed.reason = shortened(reason, REASON);
        }
    }

    /// Takes an item off the list of failures.
    pub fn forget_failed(&mut self, id: &str) -> Option<FailedItem> {
        let id = shortened(id, FAILED_ID);
        let position = self.failed.iter().position(|failed| failed.id == id)?;
        self.failed.remove(position)
    }

    /// Items that could not be mapped, newest last.
    pub fn failed(&self) -> impl Iterator<Item = &FailedItem> {
        self.failed.iter()
    }
}

fn shortened(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_python_connectors_state_is_where_we_begin() {
        let state = State::parse(r#"{"latest_run_timestamp": 1767261600}"#)
            .unwrap()
            .unwrap();
        assert_eq!(state, State::starting_at(1_767_261_600));
        assert_eq!(state.since(), 1_767_261_600 - OVERLAP_SECONDS);
    }

    #[test]
    fn nothing_stored_is_no_state_and_nonsense_is_an_error() {
        for stored in ["", "null", "{}", " "] {
            assert_eq!(State::parse(stored), Ok(None), "{stored:?}");
        }
        for stored in [
            "nonsense",
            "[1]",
            r#"{"latest_run_timestamp":"x"}"#,
            r#"{"version":2}"#,
        ] {
            assert!(State::parse(stored).is_err(), "{stored:?}");
        }
    }

    fn stored() -> impl Strategy<Value = String> {
        let known = [
            "version",
            "latest_run_timestamp",
            "checkpoint",
            "failed",
            "date",
            "done",
            "id",
            "reason",
            "tries",
        ];
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("1".to_owned()),
            any::<u64>().prop_map(|number| number.to_string()),
            any::<f64>().prop_map(|number| number.to_string()),
            Just("9".repeat(400)),
            Just(r#""\ud800""#.to_owned()),
            any::<String>().prop_map(|text| serde_json::json!(text).to_string()),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            let member = (prop::sample::select(known.to_vec()), inner.clone());
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(|list| format!("[{}]", list.join(","))),
                prop::collection::vec(member, 0..6).prop_map(|members| {
                    let members: Vec<_> = members
                        .into_iter()
                        .map(|(name, value)| format!("\"{name}\":{value}"))
                        .collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    /// A run from what was read: it works on, and what it stores is read again as it was.
    fn used(stored: &str, date: u64) {
        let Ok(Some(mut state)) = State::parse(stored) else {
            return;
        };
        assert!(state.since() <= state.checkpoint_date());
        state.mark_done("a", date);
        state.mark_failed("b", date, "\u{0}\u{202e}");
        assert!(state.is_done("a", date) && state.checkpoint_date() >= date);
        assert_eq!(State::parse(&state.to_json()), Ok(Some(state)));
    }

    proptest! {
        #[test]
        fn anything_that_is_stored_is_used_or_refused(stored in stored(), text: String, date: u64) {
            used(&stored, date);
            used(&text, date);
        }

        #[test]
        fn a_state_with_characters_changed_is_used_or_refused(
            at in any::<prop::sample::Index>(), inserted in "[0-9{}\\[\\]\",:a\u{0}-]{0,3}", date: u64,
        ) {
            let mut state = State::starting_at(1_000);
            state.mark_failed("a", 2_000, "bad");
            let mut stored = state.to_json();
            let at = at.index(stored.len());
            stored.replace_range(at..=at, &inserted);
            used(&stored, date);
        }
    }

    #[test]
    fn the_checkpoint_follows_the_sources_dates_and_never_goes_back() {
        let mut state = State::starting_at(1_000);
        state.mark_done("a", 2_000);
        state.mark_done("late", 1_500);
        assert_eq!(state.checkpoint_date(), 2_000);
        assert!(state.is_done("a", 2_000) && state.is_done("late", 1_500));
        assert!(!state.is_done("b", 2_000) && !state.is_done("a", 2_001));
        assert!(state.to_json().contains(r#""latest_run_timestamp":2000"#));
        assert_eq!(State::parse(&state.to_json()), Ok(Some(state)));
    }

    #[test]
    fn the_state_stays_small() {
        let mut state = State::starting_at(0);
        for item in 0..10_000 {
            state.mark_failed(&format!("item {item}"), 2_000, &"long ".repeat(1_000));
        }
        assert!(state.is_done("item 9999", 2_000) && !state.is_done("item 0", 2_000));
        assert!(state.to_json().len() < 24_000, "{}", state.to_json().len());
        // Elements without an id are told by all that they hold.
        let element = |number: i32| format!("{number} {}", "element ".repeat(3_000));
        for number in 0..100 {
            state.mark_failed(&element(number), 0, &"long ".repeat(1_000));
        }
        assert!(state.is_done(&element(99), 0));
        assert!(state.to_json().len() < 32_000, "{}", state.to_json().len());
    }

    #[test]
    fn removals_are_kept_in_order_until_they_are_over() {
        let mut state = State::starting_at(0);
        for id in ["a", "b", "a"] {
            assert_eq!(state.mark_for_removal(id), None);
        }
        let mut state = State::parse(&state.to_json()).unwrap().unwrap();
        for id in ["a", "b"] {
            assert_eq!(state.next_removal(), Some(id));
            state.end_removal();
        }
        assert_eq!(state.next_removal(), None);
        assert_eq!(state, State::starting_at(0));
    }

    #[test]
    fn a_full_list_of_removals_drops_the_oldest_and_says_so() {
        let mut state = State::starting_at(0);
        let dropped: Vec<_> = (0..=REMOVALS)
            .filter_map(|item| state.mark_for_removal(&item.to_string()))
            .collect();
        assert_eq!(dropped, ["0"]);
        assert_eq!(state.next_removal(), Some("1"));
    }

    #[test]
    fn a_full_list_of_failures_drops_the_oldest_and_says_so() {
        let mut state = State::starting_at(0);
        let dropped: Vec<_> = (0..=FAILED)
            .filter_map(|item| state.mark_failed(&item.to_string(), 1, "bad"))
            .collect();
        assert_eq!(
            dropped
                .iter()
                .map(|item| item.id.as_str())
                .collect::<Vec<_>>(),
            ["0"]
        );
        state.mark_failed("1", 1, "bad again");
        let last = state.failed().last().unwrap();
        assert_eq!((last.id.as_str(), last.tries), ("1", 2));
    }

    #[test]
    fn another_try_leaves_the_checkpoint_alone() {
        let mut state = State::starting_at(1_000);
        for id in ["a", "b"] {
            state.mark_failed(id, 2_000, "bad");
        }
        state.mark_done("c", 3_000);
        let before = state.checkpoint.clone();
        state.mark_failed_again("b", &"still bad ".repeat(100));
        assert_eq!(state.forget_failed("a").map(|item| item.tries), Some(1));
        assert_eq!(state.forget_failed("a"), None);
        assert_eq!(state.checkpoint, before);
        let left = state
            .failed()
            .map(|item| (item.id.as_str(), item.tries, item.reason.len()));
        assert_eq!(left.collect::<Vec<_>>(), [("b", 2, REASON)]);
    }

    #[test]
    fn what_the_source_mended_is_no_failure_any_more() {
        let mut state = State::starting_at(1_000);
        state.mark_failed("a", 2_000, "bad");
        state.mark_done("a", 3_000);
        assert_eq!(state.failed().count(), 0);
        assert!(state.is_done("a", 2_000) && state.is_done("a", 3_000));
    }
}
