//! Old guest and new one on the same items: what would change.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::checked::{Emission, Outcome};
use super::contract::{Answer, Item, Question};
use super::error::CallError;
use super::pool::Pool;

/// Items that are remembered.
const CASES: usize = 50;

/// Bytes of items and answers that are remembered; what goes beyond drives out the oldest.
const BYTES: usize = 2 << 20;

/// Changes that are told one by one.
const EXAMPLES: usize = 5;

/// An item with all that was answered about it.
#[derive(Debug, Clone)]
pub struct Case {
    /// The item.
    pub item: Arc<Item>,
    /// The answers to all questions about it.
    pub answers: Vec<(Question, Answer)>,
    /// The time it was mapped at, in seconds since the epoch.
    pub now: u64,
}

impl Case {
    fn bytes(&self) -> usize {
        let answers = self.answers.iter().map(|(question, answer)| {
            question.subject.len() + question.part.len() + answer.bytes()
        });
        self.item.document.len() + answers.sum::<usize>()
    }
}

/// The last items that were decided on.
#[derive(Debug, Default)]
pub(super) struct Ring {
    cases: VecDeque<Case>,
    bytes: usize,
}

impl Ring {
    pub(super) fn push(&mut self, case: Case) {
        self.bytes += case.bytes();
        self.cases.push_back(case);
        while self.cases.len() > CASES || self.bytes > BYTES {
            let Some(oldest) = self.cases.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes();
        }
    }

    pub(super) fn cases(&self) -> Vec<Case> {
        self.cases.iter().cloned().collect()
    }
}

/// What a rehearsal showed, in numbers of items.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Both decide the same, byte for byte.
    pub same: usize,
    /// Both keep the item, or both skip it, in different words.
    pub changed: usize,
    /// The old guest kept it, the new one skips it.
    pub now_skipped: usize,
    /// The old guest skipped it, or failed on it; the new one keeps it.
    pub now_kept: usize,
    /// The new guest calls it malformed or unsupported; the old one did not.
    pub now_failing: usize,
    /// The new guest asks what the old one did not: nothing can be said.
    pub now_asking: usize,
    /// The first changes, each with the item's id.
    pub examples: Vec<String>,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} the same, {} changed, {} now skipped, {} now kept, {} now failing, {} with new questions",
            self.same,
            self.changed,
            self.now_skipped,
            self.now_kept,
            self.now_failing,
            self.now_asking
        )?;
        for example in &self.examples {
            write!(f, "; {example}")?;
        }
        Ok(())
    }
}

/// The new guest broke a limit or trapped on an item that the old one decided on.
#[derive(Debug, thiserror::Error)]
#[error("in the rehearsal of item {item}, {error}")]
pub struct Refused {
    /// The item's id.
    pub item: String,
    /// What happened.
    pub error: CallError,
}

/// Lets both guests decide on each case.
///
/// # Errors
/// With the first case on which the new guest, and not the old one, traps, hits a limit or returns what the
/// contract does not allow.
pub fn rehearse(old: &Pool, new: &Pool, cases: &[Case]) -> Result<Comparison, Refused> {
    let mut comparison = Comparison::default();
    for case in cases {
        let decide = |pool: &Pool| {
            pool.with(|mapper| mapper.map(&case.item, &case.answers, case.now))
                .map(|verdict| verdict.outcome)
        };
        let before = decide(old);
        match decide(new) {
            Err(error) if !error.leaves_instance_sound() && before.is_ok() => {
                return Err(Refused {
                    item: case.item.id.clone(),
                    error,
                });
            }
            after => comparison.count(&case.item.id, &before, &after),
        }
    }
    Ok(comparison)
}

type Decided = Result<Outcome, CallError>;

impl Comparison {
    fn count(&mut self, id: &str, before: &Decided, after: &Decided) {
        use Outcome::{Ask, Emit, Skip};
        let (number, example) = match (before, after) {
            (Ok(Emit(before)), Ok(Emit(after))) => match difference(before, after) {
                None => return self.same += 1,
                Some(difference) => (&mut self.changed, difference),
            },
            (
                Ok(Skip { filter, reason }),
                Ok(Skip {
                    filter: new_filter,
                    reason: new_reason,
                }),
            ) => {
                if (filter, reason) == (new_filter, new_reason) {
                    return self.same += 1;
                }
                let change = format!("skipped by {new_filter} ({new_reason}), before by {filter}");
                (&mut self.changed, change)
            }
            (Ok(Ask(before)), Ok(Ask(after))) if before == after => return self.same += 1,
            (_, Ok(Ask(questions))) => (
                &mut self.now_asking,
                format!("{} new questions", questions.len()),
            ),
            (Err(_), Err(_)) => return self.same += 1,
            (_, Err(error)) => (&mut self.now_failing, error.to_string()),
            (_, Ok(Skip { filter, reason })) => (
                &mut self.now_skipped,
                format!("now skipped by {filter}: {reason}"),
            ),
            (_, Ok(Emit(_))) => (&mut self.now_kept, "now kept".to_owned()),
        };
        *number += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{id}: {example}"));
        }
    }
}

/// What differs between two emissions, in a few words.
fn difference(before: &Emission, after: &Emission) -> Option<String> {
    let lacks = |emission: &Emission, id: &str| !emission.objects.iter().any(|it| it.id == id);
    let count = |from: &Emission, other: &Emission| {
        let missing = from.objects.iter().filter(|it| lacks(other, &it.id));
        missing.count()
    };
    let (gone, new) = (count(before, after), count(after, before));
    if gone + new > 0 {
        return Some(format!("{new} objects more, {gone} fewer"));
    }
    let other = before.objects.iter().filter(|old| {
        let same = after.objects.iter().find(|it| it.id == old.id);
        same.is_some_and(|it| it.document != old.document)
    });
    let changed: Vec<&str> = other.map(|it| it.id.as_str()).collect();
    if !changed.is_empty() {
        return Some(format!("other content of {}", changed.join(", ")));
    }
    (before != after).then(|| "another order, other files or another wish to remove".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Object;

    fn emit(objects: &[(&str, &str)], acknowledge: bool) -> Decided {
        let objects = objects.iter().map(|(id, document)| Object {
            id: (*id).to_owned(),
            document: (*document).to_owned(),
        });
        Ok(Outcome::Emit(Emission {
            objects: objects.collect(),
            artifacts: Vec::new(),
            acknowledge,
        }))
    }

    fn skip(filter: &str, reason: &str) -> Decided {
        Ok(Outcome::Skip {
            filter: filter.to_owned(),
            reason: reason.to_owned(),
        })
    }

    fn ask(subject: &str) -> Decided {
        Ok(Outcome::Ask(vec![Question {
            kind: "lookup".to_owned(),
            subject: subject.to_owned(),
            part: String::new(),
        }]))
    }

    fn fail() -> Decided {
        Err(CallError::Failure("malformed: x".to_owned()))
    }

    #[test]
    fn each_pair_of_decisions_counts_once_with_what_changed() {
        let two = [("a", "1"), ("b", "2")];
        type Read = fn(&Comparison) -> usize;
        let cases: [(Decided, Decided, Read, &str); 14] = [
            (emit(&two, true), emit(&two, true), |it| it.same, ""),
            (skip("age", "x"), skip("age", "x"), |it| it.same, ""),
            (ask("a"), ask("a"), |it| it.same, ""),
            (fail(), fail(), |it| it.same, ""),
            (
                emit(&two, true),
                emit(&[("a", "1"), ("c", "3"), ("d", "4")], true),
                |it| it.changed,
                "2 objects more, 1 fewer",
            ),
            (
                emit(&two, true),
                emit(&[("a", "1"), ("b", "3")], true),
                |it| it.changed,
                "other content of b",
            ),
            (
                emit(&two, true),
                emit(&two, false),
                |it| it.changed,
                "another",
            ),
            (
                skip("age", "x"),
                skip("size", "y"),
                |it| it.changed,
                "skipped by size (y), before by age",
            ),
            (
                emit(&two, true),
                skip("age", "old"),
                |it| it.now_skipped,
                "now skipped by age: old",
            ),
            (
                fail(),
                skip("age", "old"),
                |it| it.now_skipped,
                "now skipped",
            ),
            (
                skip("age", "x"),
                emit(&two, true),
                |it| it.now_kept,
                "now kept",
            ),
            (fail(), emit(&two, true), |it| it.now_kept, "now kept"),
            (
                emit(&two, true),
                fail(),
                |it| it.now_failing,
                "malformed: x",
            ),
            (
                emit(&two, true),
                ask("a"),
                |it| it.now_asking,
                "1 new questions",
            ),
        ];
        for (before, after, read, example) in &cases {
            let mut comparison = Comparison::default();
            comparison.count("id", before, after);
            assert_eq!(read(&comparison), 1, "{before:?} {after:?}");
            let told = comparison.examples.concat();
            assert_eq!(told.is_empty(), example.is_empty(), "{told}");
            assert!(told.contains(example), "{told}");
        }
    }

    #[test]
    fn the_last_items_are_remembered_within_bounds() {
        let case = |id: usize, bytes: usize| Case {
            item: Arc::new(Item {
                id: id.to_string(),
                observed: 0,
                document: "x".repeat(bytes),
            }),
            answers: Vec::new(),
            now: 0,
        };
        let mut ring = Ring::default();
        for id in 0..CASES + 3 {
            ring.push(case(id, 10));
        }
        assert_eq!(ring.cases().len(), CASES);
        assert_eq!(ring.cases()[0].item.id, "3");
        ring.push(case(99, BYTES));
        let left: Vec<String> = ring.cases().iter().map(|it| it.item.id.clone()).collect();
        assert_eq!(left, ["99"]);
        ring.push(case(100, BYTES + 1));
        assert!(ring.cases().is_empty());
        assert_eq!(ring.bytes, 0);
    }
}
