//! YARA rules, judged as the platform judges them: by libyara.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

/// A rule comes with every notification that it matches, and is judged each time; verdicts of so many are kept.
const KEPT: usize = 10_000;

static VERDICTS: LazyLock<Mutex<HashMap<String, bool>>> = LazyLock::new(Mutex::default);

/// Whether the platform's YARA compiles a rule.
pub(super) fn compiles(rule: &str) -> bool {
    let mut verdicts = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(verdict) = verdicts.get(rule) {
        return *verdict;
    }
    let verdict = yara_judge::refusal(rule).is_none();
    if verdicts.len() < KEPT {
        verdicts.insert(rule.to_owned(), verdict);
    }
    verdict
}
