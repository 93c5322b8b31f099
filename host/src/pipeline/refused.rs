//! What the platform refused of what was delivered: read from the works of this run and of earlier ones, since workers
//! import long after a run has ended (platform.md P25, P26).

use std::collections::{BTreeMap, VecDeque};

use super::run::Run;
use super::stop::Stop;
use crate::opencti::{MAX_ERRORS, WorkError};
use crate::state::PastWork;

/// How long the errors of a work are read.
const READ_FOR_SECONDS: u64 = 7 * 86_400;

/// How long the errors of a work are read at least, although it counts as complete.
const READ_AT_LEAST_SECONDS: u64 = 600;

/// Kinds that are told apart in one reading.
const KINDS: usize = 20;

/// Characters of a text that comes from the platform.
const WORDS: usize = 200;

/// One kind of refusal: objects of one type, refused for one reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Refusal {
    /// Objects refused.
    count: u64,
    /// Objects refused only because they refer to one of those.
    dependants: u64,
    /// One of the objects.
    example: String,
    /// What the platform said of it.
    reason: String,
}

/// What all works together have that was not told before.
#[derive(Debug, Default, PartialEq, Eq)]
struct Refusals {
    /// By type of the object and reason.
    kinds: BTreeMap<(String, String), Refusal>,
    /// Whether a work has so many errors that OpenCTI keeps no more.
    more: bool,
}

impl Refusals {
    /// Counts errors of one work.
    fn count(&mut self, errors: &[WorkError]) {
        // By id: the kind of each object that is refused for its own sake.
        let mut roots: BTreeMap<&str, (String, String)> = BTreeMap::new();
        let errors = errors.iter().filter(|error| !error.is_own);
        for error in errors.clone().filter(|error| !lacks_reference(error)) {
            let kind = self.add(error);
            if let Some(object) = &error.object {
                roots.insert(&object.id, kind);
            }
        }
        for error in errors.filter(|error| lacks_reference(error)) {
            let refers_to = error.object.iter().flat_map(|object| &object.refers_to);
            let root = refers_to.into_iter().find_map(|id| roots.get(id.as_str()));
            match root.and_then(|kind| self.kinds.get_mut(kind)) {
                Some(refusal) => refusal.dependants += 1,
                None => {
                    self.add(error);
                }
            }
        }
    }

    fn add(&mut self, error: &WorkError) -> (String, String) {
        let id = error
            .object
            .as_ref()
            .map_or("", |object| object.id.as_str());
        let object_type = id.split_once("--").map_or("object", |(kind, _)| kind);
        let mut kind = (shortened(object_type), alike(&error.message));
        if self.kinds.len() >= KINDS && !self.kinds.contains_key(&kind) {
            kind = ("object".to_owned(), "other reasons".to_owned());
        }
        let refusal = self.kinds.entry(kind.clone()).or_default();
        refusal.count += 1;
        if refusal.example.is_empty() {
            let name = error
                .object
                .as_ref()
                .map_or("", |object| object.name.as_str());
            refusal.example = shortened(format!("{id} {name}").trim());
            let words = match error.code.as_str() {
                "" => error.message.clone(),
                code => format!("{code}: {}", error.message),
            };
            refusal.reason = shortened(&words);
        }
        kind
    }

    fn objects(&self) -> u64 {
        let counts = self.kinds.values();
        counts
            .map(|refusal| refusal.count + refusal.dependants)
            .sum()
    }

    /// One line a kind.
    fn tell(&self) {
        for ((object_type, _), refusal) in &self.kinds {
            tracing::error!(
                object_type,
                count = refusal.count,
                dependants = refusal.dependants,
                example = refusal.example,
                reason = refusal.reason,
                "OpenCTI refused objects that were delivered"
            );
        }
        if self.more {
            tracing::error!(
                "OpenCTI refused {MAX_ERRORS} objects of one work or more: it keeps no more errors than that"
            );
        }
    }
}

/// Whether an object was refused for what it refers to.
fn lacks_reference(error: &WorkError) -> bool {
    error.code == "MISSING_REFERENCE_ERROR"
}

/// The reason with what differs from object to object taken out, so that equal ones are counted together.
fn alike(message: &str) -> String {
    let words = message.split_whitespace().map(|word| {
        let differs = word.contains("--") || word.chars().any(|it| it.is_ascii_digit());
        if differs { "…" } else { word }
    });
    shortened(&words.collect::<Vec<_>>().join(" "))
}

fn shortened(text: &str) -> String {
    text.chars().take(WORDS).collect()
}

impl Run<'_> {
    /// Notes the work of this run, whose errors are read from now on.
    pub(super) async fn remember_work(&mut self) {
        if let Some(id) = self.work.open_id().await {
            self.state.remember_work(&id, self.now);
        }
    }

    /// Reads the errors of the last works, and tells those that are new. That they cannot be read is no reason to stop.
    pub(super) async fn tell_refusals(&mut self) -> Result<(), Stop> {
        let works = self.read_refusals().await;
        if works == *self.state.works() {
            return Ok(());
        }
        self.state.set_works(works);
        self.save().await
    }

    /// The works that are to be read on.
    async fn read_refusals(&mut self) -> VecDeque<PastWork> {
        let mut refusals = Refusals::default();
        let mut left = VecDeque::new();
        let mut readable = true;
        for mut work in self.state.works().clone() {
            if readable {
                match self.pipeline.platform.work_errors(&work.id).await {
                    Ok(Some(found)) => {
                        let new = found.errors.get(work.told..).unwrap_or_default();
                        refusals.count(new);
                        refusals.more |= !new.is_empty() && found.errors.len() >= MAX_ERRORS;
                        work.told = found.errors.len();
                        let is_over = work.opened.saturating_add(READ_AT_LEAST_SECONDS) <= self.now;
                        if found.complete && is_over {
                            continue;
                        }
                    }
                    // It was deleted.
                    Ok(None) => continue,
                    Err(error) => {
                        tracing::warn!(%error, "cannot read what OpenCTI refused of earlier runs");
                        readable = false;
                    }
                }
            }
            if is_read_on(&work, self.now) {
                left.push_back(work);
            }
        }
        refusals.tell();
        self.report.refused += refusals.objects();
        left
    }
}

fn is_read_on(work: &PastWork, now: u64) -> bool {
    work.told < MAX_ERRORS && work.opened.saturating_add(READ_FOR_SECONDS) > now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencti::RefusedObject;

    fn error(code: &str, message: &str, id: &str, refers_to: &[&str]) -> WorkError {
        WorkError {
            code: code.to_owned(),
            message: message.to_owned(),
            object: Some(RefusedObject {
                id: id.to_owned(),
                name: "name".to_owned(),
                refers_to: refers_to.iter().map(|&id| id.to_owned()).collect(),
            }),
            is_own: false,
        }
    }

    #[test]
    fn what_depends_on_a_refused_object_is_counted_with_it() {
        const MISSING: &str = "MISSING_REFERENCE_ERROR";
        let mut refusals = Refusals::default();
        refusals.count(&[
            error(
                MISSING,
                "not found",
                "relationship--1",
                &["file--1", "indicator--1"],
            ),
            error("FUNCTIONAL_ERROR", "rule 1 is bad", "indicator--1", &[]),
            error("FUNCTIONAL_ERROR", "rule 22 is bad", "indicator--2", &[]),
            error(MISSING, "not found", "relationship--2", &["indicator--2"]),
            error(MISSING, "not found", "relationship--3", &["file--9"]),
            WorkError {
                is_own: true,
                ..error("", "no hash", "7", &[])
            },
        ]);
        let found: Vec<_> = refusals
            .kinds
            .iter()
            .map(|((kind, _), it)| (kind.as_str(), it.count, it.dependants, it.reason.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("indicator", 2, 2, "FUNCTIONAL_ERROR: rule 1 is bad"),
                ("relationship", 1, 0, "MISSING_REFERENCE_ERROR: not found"),
            ]
        );
        assert_eq!(
            refusals.kinds.values().next().unwrap().example,
            "indicator--1 name"
        );
        assert_eq!(refusals.objects(), 5);
    }

    #[test]
    fn kinds_are_bounded() {
        let mut refusals = Refusals::default();
        for number in 0..100_u8 {
            let word = "a".repeat(usize::from(number) + 1);
            refusals.count(&[error("X", &word, "file--1", &[])]);
        }
        assert_eq!(refusals.kinds.len(), KINDS + 1);
        assert_eq!(refusals.objects(), 100);
    }

    #[test]
    fn a_work_is_read_for_a_week_and_to_its_hundredth_error() {
        for (told, now, expected) in [
            (0, 1_000, true),
            (99, 1_000 + READ_FOR_SECONDS - 1, true),
            (100, 1_000, false),
            (0, 1_000 + READ_FOR_SECONDS, false),
        ] {
            let work = PastWork {
                id: "w".to_owned(),
                opened: 1_000,
                told,
            };
            assert_eq!(is_read_on(&work, now), expected, "{told} {now}");
        }
    }
}
