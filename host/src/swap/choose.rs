//! Which of several components shall be at work: of those that are guests, the one of the highest version.

use std::collections::HashMap;

use super::prepare::Workshop;
use crate::guest_source::{Candidate, Digest};
use crate::runtime::{Guest, LoadError};

/// Chooses among the candidates of a source.
pub struct Chooser {
    workshop: Workshop,
    /// What became of components, by digest, so that none is compiled twice to learn the same.
    known: HashMap<Digest, Known>,
}

enum Known {
    Version(semver::Version),
    Refused,
}

/// A candidate that cannot serve.
pub struct NoGuest {
    /// SHA-256 of the component.
    pub digest: Digest,
    /// Where it came from.
    pub origin: String,
    /// Why.
    pub error: LoadError,
}

impl Chooser {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(workshop: Workshop) -> Self {
        Self {
            workshop,
            known: HashMap::new(),
        }
    }

    /// What guests are made ready with.
    #[must_use]
    pub fn workshop(&self) -> &Workshop {
        &self.workshop
    }

    /// Takes a component for one that cannot serve.
    pub fn refuse(&mut self, digest: Digest) {
        self.known.insert(digest, Known::Refused);
    }

    /// The guest of the highest version; none where that is `present`, or nothing can serve. And the candidates
    /// that turned out not to be guests. Compiles those that it does not know.
    pub fn choose(
        &mut self,
        candidates: &[Candidate],
        present: Option<&Guest>,
        is_excluded: impl Fn(Digest) -> bool,
    ) -> (Option<Guest>, Vec<NoGuest>) {
        if let Some(present) = present {
            let version = present.description().version.clone();
            self.known.insert(present.digest(), Known::Version(version));
        }
        let is_present = |digest: Digest| present.is_some_and(|it| it.digest() == digest);
        let mut refused = Vec::new();
        let mut best: Option<Choice<'_>> = None;
        for candidate in candidates {
            let digest = candidate.digest;
            if is_excluded(digest) {
                continue;
            }
            match self.look_at(candidate) {
                Ok(Some(choice)) => {
                    let is_better = best.as_ref().is_none_or(|best| {
                        choice.version > best.version
                            || (choice.version == best.version && is_present(digest))
                    });
                    if is_better {
                        best = Some(choice);
                    }
                }
                Ok(None) => {}
                Err(error) => refused.push(NoGuest {
                    digest,
                    origin: candidate.origin.clone(),
                    error,
                }),
            }
        }
        let chosen = best
            .filter(|best| !is_present(best.candidate.digest))
            .and_then(
                |Choice {
                     candidate, guest, ..
                 }| match guest {
                    Some(guest) => Some(guest),
                    // It was known to be a guest when its version was learnt.
                    None => self.workshop.load(&candidate.bytes, &candidate.origin).ok(),
                },
            );
        (chosen, refused)
    }

    /// The version of a candidate, if it is a guest.
    fn look_at<'a>(&mut self, candidate: &'a Candidate) -> Result<Option<Choice<'a>>, LoadError> {
        let (version, guest) = match self.known.get(&candidate.digest) {
            Some(Known::Refused) => return Ok(None),
            Some(Known::Version(version)) => (version.clone(), None),
            None => match self.workshop.load(&candidate.bytes, &candidate.origin) {
                Ok(guest) => (guest.description().version.clone(), Some(guest)),
                Err(error) => {
                    self.refuse(candidate.digest);
                    return Err(error);
                }
            },
        };
        let known = Known::Version(version.clone());
        self.known.insert(candidate.digest, known);
        Ok(Some(Choice {
            version,
            candidate,
            guest,
        }))
    }
}

struct Choice<'a> {
    version: semver::Version,
    candidate: &'a Candidate,
    /// Where it had to be loaded to learn its version.
    guest: Option<Guest>,
}
