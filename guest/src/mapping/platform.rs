//! What the platform holds already, and what is therefore not said again: an analyst may have changed it since.

use crate::contract::{Answer, Question};
use crate::json::{Members, Text};

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
/// What the platform holds is not said again, since an analyst may have changed it. Only what another source left empty
/// is filled, the score of an observable raised, and an indicator that never lived brought to life.
#[derive(Default)]
pub(super) struct OnPlatform<'a> {
    exists: bool,
    is_absent: bool,
    /// Whether this connector made it.
    is_ours: bool,
    has_name: bool,
    has_description: bool,
    has_labels: bool,
    score: Option<u8>,
    is_revoked: bool,
    created_at: Option<Text<'a>>,
    valid_until: Option<Text<'a>>,
}

impl<'a> OnPlatform<'a> {
    /// Reads the answer to a question; all but an object is as good as none.
    pub(super) fn read(answer: &'a Answer, author: &str) -> Self {
        let Answer::Found(json) = answer else {
            return Self {
                is_absent: matches!(answer, Answer::Absent),
                ..Self::default()
            };
        };
        let Ok(members) = Members::parse(json) else {
            return Self::default();
        };
        let text = |name: &str| members.text(name).filter(|it| !it.trim().is_empty());
        let score = members.number("score");
        Self {
            exists: true,
            is_absent: false,
            is_ours: text("created_by").as_deref() == Some(author),
            has_name: text("name").is_some(),
            has_description: text("description").is_some(),
            has_labels: !members.texts("labels").is_empty(),
            score: score.and_then(|it| u8::try_from(it).ok()),
            is_revoked: members.boolean("revoked") == Some(true),
            created_at: text("created_at"),
            valid_until: text("valid_until"),
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.exists
    }

    /// Whether the platform answered that it has no such object.
    pub(super) fn is_absent(&self) -> bool {
        self.is_absent
    }

    /// What is said of a new observable only.
    pub(super) fn if_new<T>(&self, value: T) -> Option<T> {
        (!self.exists).then_some(value)
    }

    /// A description of ours, where there is none.
    pub(super) fn description<'b>(&self, ours: &'b str) -> &'b str {
        let is_wanted = !self.is_ours && !self.has_description;
        if is_wanted { ours } else { "" }
    }

    /// Labels of ours, where there are none.
    pub(super) fn labels<'b>(&self, ours: &'b [String]) -> &'b [String] {
        if self.is_ours {
            &[]
        } else {
            self.missing_labels(ours)
        }
    }

    /// The same of what this connector may have made without any.
    pub(super) fn missing_labels<'b>(&self, ours: &'b [String]) -> &'b [String] {
        if self.has_labels { &[] } else { ours }
    }

    pub(super) fn name<'b>(&self, ours: Option<&'b str>) -> Option<&'b str> {
        ours.filter(|_| !self.is_ours && !self.has_name)
    }

    /// The score of an observable, which is never lowered.
    pub(super) fn raised_score(&self, ours: Option<u8>) -> Option<u8> {
        ours.filter(|ours| self.score.is_none_or(|held| held < *ours))
    }

    /// Whether there is something to say of an observable with this score and these labels.
    pub(super) fn lacks(&self, raised_score: Option<u8>, labels: &[String]) -> bool {
        !self.is_ours || raised_score.is_some() || !labels.is_empty()
    }

    /// The score of an indicator that shall live from now on; none of one that is left as it is. A new one has that of
    /// its rule, if any.
    pub(super) fn life(&self, score: Option<u8>) -> Option<Option<u8>> {
        if !self.exists {
            return Some(score);
        }
        // The platform leaves an indicator as it is that is delivered with a score that it had before.
        let another = score.map_or(
            DEFAULT_SCORE + 1,
            |it| if it < 100 { it + 1 } else { it - 1 },
        );
        self.was_dead_on_arrival().then_some(Some(another))
    }

    /// Whether its end was past when the platform made it. Version 1.0.0 of this connector dated indicators by their
    /// rules, and gave scores that the platform takes for worn out. What an analyst revokes ends later.
    fn was_dead_on_arrival(&self) -> bool {
        match (&self.valid_until, &self.created_at) {
            (Some(end), Some(made)) => self.is_revoked && **end <= **made,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const AUTHOR: &str = "identity--1";

    #[test]
    fn an_indicator_is_set_anew_only_if_it_never_lived() {
        let made = "2026-09-01T10:00:00.000Z";
        let held = |revoked: bool, valid_until: Option<&str>| {
            json!({"created_by": AUTHOR, "score": 20, "revoked": revoked,
            "created_at": made, "valid_until": valid_until})
        };
        #[rustfmt::skip]
        type Case = (&'static str, Value, Option<u8>, Option<Option<u8>>);
        let cases: [Case; 11] = [
            (
                "revoked by its rule's date",
                held(true, Some("2020-08-01T00:00:00.000Z")),
                None,
                Some(Some(51)),
            ),
            (
                "the same, with a score of the rule",
                held(true, Some("2020-08-01T00:00:00.000Z")),
                Some(75),
                Some(Some(76)),
            ),
            (
                "the same, with the highest score",
                held(true, Some("2020-08-01T00:00:00.000Z")),
                Some(100),
                Some(Some(99)),
            ),
            (
                "worn out at once",
                held(true, Some(made)),
                None,
                Some(Some(51)),
            ),
            (
                "revoked by an analyst",
                held(true, Some("2026-09-02T10:00:00.000Z")),
                None,
                None,
            ),
            (
                "ended after a life",
                held(true, Some("2027-09-01T10:00:00.000Z")),
                None,
                None,
            ),
            ("revoked without an end", held(true, None), None, None),
            (
                "alive",
                held(false, Some("2027-09-01T10:00:00.000Z")),
                Some(75),
                None,
            ),
            (
                "brought back by an analyst",
                held(false, Some("2020-08-01T00:00:00.000Z")),
                Some(75),
                None,
            ),
            (
                "another source's",
                json!({"created_by": "identity--2"}),
                Some(75),
                None,
            ),
            (
                "told in an odd way",
                json!({"revoked": "true", "created_at": 7, "valid_until": []}),
                None,
                None,
            ),
        ];
        for (name, held, score, expected) in cases {
            let answer = Answer::Found(held.to_string());
            assert_eq!(
                OnPlatform::read(&answer, AUTHOR).life(score),
                expected,
                "{name}"
            );
        }
        for answer in [
            Answer::Absent,
            Answer::Refused("503".to_owned()),
            Answer::Found("[]".to_owned()),
        ] {
            assert_eq!(
                OnPlatform::read(&answer, AUTHOR).life(Some(75)),
                Some(Some(75))
            );
        }
    }

    #[test]
    fn of_an_observable_only_what_is_missing_is_said() {
        let labels = ["l".to_owned()];
        let full = json!({"name": "n", "description": "d", "labels": ["x"], "score": 50});
        let with = |member: &str, value: Value| {
            let mut held = full.clone();
            held[member] = value;
            held
        };
        // Name, description, labels, score of ours, and whether the object is sent.
        #[rustfmt::skip]
        let cases = [
            (full.clone(), 60, (false, false, false, Some(60), true)),
            (full.clone(), 50, (false, false, false, None, true)),
            (full.clone(), 40, (false, false, false, None, true)),
            (with("score", json!(null)), 40, (false, false, false, Some(40), true)),
            (with("name", json!(" ")), 40, (true, false, false, None, true)),
            (with("description", json!("")), 40, (false, true, false, None, true)),
            (with("labels", json!([])), 40, (false, false, true, None, true)),
            (with("created_by", json!(AUTHOR)), 40, (false, false, false, None, false)),
            (with("created_by", json!(AUTHOR)), 60, (false, false, false, Some(60), true)),
            (json!({"created_by": AUTHOR, "score": 50}), 40, (false, false, false, None, false)),
        ];
        for (held, score, expected) in cases {
            let answer = Answer::Found(held.to_string());
            let it = OnPlatform::read(&answer, AUTHOR);
            let raised = it.raised_score(Some(score));
            let labels = it.labels(&labels);
            let found = (
                it.name(Some("ours")).is_some(),
                !it.description("ours").is_empty(),
                !labels.is_empty(),
                raised,
                it.lacks(raised, labels),
            );
            assert_eq!(found, expected, "{held}");
        }
    }
}
