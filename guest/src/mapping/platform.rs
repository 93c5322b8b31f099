//! What the platform holds already, and what is therefore not said again: an analyst may have changed it since.

use crate::contract::{Answer, Question};
use crate::json::{Members, Text};
use crate::stix::Date;

/// Objects of one notification that are asked about; the host takes 64 questions. More come of a malware configuration
/// with dozens of addresses only.
pub(super) const MAX_KNOWN: usize = 50;

/// Score up to which the platform takes an indicator for worn out, and revokes it.
pub(super) const WORN_OUT: u8 = 20;

/// What the platform gives an indicator without a score.
const DEFAULT_SCORE: u8 = 50;

/// The question for an object on the platform.
pub(super) fn question(id: &str) -> Question {
    Question {
        kind: "known".to_owned(),
        subject: id.to_owned(),
        part: String::new(),
    }
}

/// An object as the platform holds it, as far as it told; nothing where it has no such object.
///
/// What this connector has said once, it does not say again: description, name and labels are the analyst's from then
/// on. What another source left empty is filled.
#[derive(Default)]
pub(super) struct OnPlatform<'a> {
    exists: bool,
    /// Whether this connector made it.
    is_ours: bool,
    name: Option<Text<'a>>,
    has_description: bool,
    has_labels: bool,
    score: Option<u8>,
    is_revoked: bool,
    created_at: Option<Text<'a>>,
    valid_from: Option<Text<'a>>,
    valid_until: Option<Text<'a>>,
}

impl<'a> OnPlatform<'a> {
    /// Reads the answer to a question; all but an object is as good as none.
    pub(super) fn read(answer: &'a Answer, author: &str) -> Self {
        let Answer::Found(json) = answer else {
            return Self::default();
        };
        let Ok(members) = Members::parse(json) else {
            return Self::default();
        };
        let text = |name: &str| members.text(name).filter(|it| !it.trim().is_empty());
        let score = members.number("score");
        Self {
            exists: true,
            is_ours: text("created_by").as_deref() == Some(author),
            name: text("name"),
            has_description: text("description").is_some(),
            has_labels: !members.texts("labels").is_empty(),
            score: score.and_then(|it| u8::try_from(it).ok()),
            is_revoked: members.boolean("revoked") == Some(true),
            created_at: text("created_at"),
            valid_from: text("valid_from"),
            valid_until: text("valid_until"),
        }
    }

    /// What is said of a new object only.
    pub(super) fn if_new<T>(&self, value: T) -> Option<T> {
        (!self.exists).then_some(value)
    }

    pub(super) fn description<'b>(&self, ours: &'b str) -> &'b str {
        if self.is_ours || self.has_description {
            ""
        } else {
            ours
        }
    }

    pub(super) fn labels<'b>(&self, ours: &'b [String]) -> &'b [String] {
        if self.is_ours {
            &[]
        } else {
            self.missing_labels(ours)
        }
    }

    /// Labels of what this connector may have made without any.
    pub(super) fn missing_labels<'b>(&self, ours: &'b [String]) -> &'b [String] {
        if self.has_labels { &[] } else { ours }
    }

    /// A name that must be said: the platform's, where it has one.
    pub(super) fn name<'b>(&'b self, ours: &'b str) -> &'b str {
        self.name.as_deref().unwrap_or(ours)
    }

    /// A name that need not be said.
    pub(super) fn missing_name<'b>(&self, ours: Option<&'b str>) -> Option<&'b str> {
        ours.filter(|_| self.name.is_none())
    }

    /// The score of an observable, which is never lowered.
    pub(super) fn raised_score(&self, ours: Option<u8>) -> Option<u8> {
        ours.filter(|ours| self.score.is_none_or(|held| held < *ours))
    }

    /// From when an indicator is valid, and its score: so that a new one lives, one that never lived does from now on,
    /// and a revoked one stays revoked.
    pub(super) fn life(&self, notified: Date, score: Option<u8>) -> (Date, Option<u8>) {
        if !self.exists {
            return (notified, score);
        }
        if self.was_dead_on_arrival() {
            let is_worn_out = self.score.is_some_and(|it| it <= WORN_OUT);
            return (notified, score.or(is_worn_out.then_some(DEFAULT_SCORE)));
        }
        let held = self.valid_from.as_deref().and_then(Date::parse);
        match held {
            Some(held) if self.is_revoked => (held, None),
            _ => (notified, None),
        }
    }

    /// Whether its end was past when the platform made it. Version 1.0.0 of this connector dated indicators by their
    /// rules, and gave scores that the platform takes for worn out.
    fn was_dead_on_arrival(&self) -> bool {
        match (&self.valid_until, &self.created_at) {
            (Some(end), Some(made)) => self.is_revoked && **end <= **made,
            _ => false,
        }
    }
}
