//! The life of an indicator: how long it is valid, how its score decays, and what a further delivery changes.
//!
//! Read in the sources of 6.2.18, 6.7.5 and 7.260817.0. Between which releases the rules changed is not known; here
//! they change with 6.3.0 and 7.0.0.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::error::PlatformError;
use super::version::Version;

/// What an indicator has that is delivered without a score.
const DEFAULT_SCORE: i64 = 50;

/// A score that has fallen so far is worn out.
const REVOKE_SCORE: i64 = 20;

/// How long an indicator without a decay rule lives that an analyst un-revokes, in days.
const DAYS_WITHOUT_RULE: f64 = 90.0;

/// How long an indicator lives, and the scores at which the decay manager stops on the way down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Days until the score is 0.
    pub lifetime: f64,
    pound: f64,
    points: &'static [i64],
}

const FILE: Rule = Rule {
    lifetime: 460.0,
    pound: 0.3,
    points: &[80],
};
const ADDRESS: Rule = Rule {
    lifetime: 47.0,
    pound: 0.55,
    points: &[80, 50],
};
const DOMAIN: Rule = Rule {
    lifetime: 300.0,
    pound: 0.7,
    points: &[80, 50],
};
const FALLBACK: Rule = Rule {
    lifetime: 470.0,
    pound: 0.35,
    points: &[80, 50],
};

impl Rule {
    /// The rule for an indicator, by its main observable type.
    pub(crate) fn of(indicator: &Value, generation: Generation) -> Self {
        let main = indicator["x_opencti_main_observable_type"].as_str();
        let is_yara = indicator["pattern_type"] == "yara" && generation != Generation::Oldest;
        match main.unwrap_or("Unknown") {
            "File" | "StixFile" | "Artifact" => FILE,
            "Unknown" if is_yara => FILE,
            "IPv4-Addr" | "IPv6-Addr" | "Url" => ADDRESS,
            "Domain-Name" => DOMAIN,
            _ => FALLBACK,
        }
    }

    /// Days until a score has fallen to another. 0 where it is there already.
    fn days(&self, from: i64, to: i64) -> f64 {
        if from <= to {
            return 0.0;
        }
        (1.0 - number(to) / number(from)).powf(3.0 * self.pound) * self.lifetime
    }

    /// The next score at which the decay manager stops.
    fn next_point(&self, score: i64) -> i64 {
        let point = self.points.iter().find(|point| **point < score);
        point.copied().unwrap_or(REVOKE_SCORE)
    }
}

/// How a release treats an indicator that it has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Generation {
    /// 6.2.18: kept while the score is the first one or the present one.
    Oldest,
    /// 6.7.5: kept while it is not revoked and its score was never changed.
    Middle,
    /// 7.260817.0: kept while the score is the present one, or one that the same account has sent before.
    #[default]
    Newest,
}

impl Generation {
    pub(crate) fn of(version: &Version) -> Self {
        match version {
            it if it.has([7, 0, 0]) => Self::Newest,
            it if it.has([6, 3, 0]) => Self::Middle,
            _ => Self::Oldest,
        }
    }
}

/// How the score of an indicator falls.
#[derive(Clone, Debug, PartialEq)]
pub struct Decay {
    /// See [`Rule`].
    pub rule: Rule,
    /// The score from which it falls.
    pub base_score: i64,
    /// Scores so far, and the account that set each.
    pub history: Vec<(i64, String)>,
    /// When the decay manager lowers the score next.
    next: Timestamp,
}

/// The life of an indicator.
#[derive(Clone, Debug, PartialEq)]
pub struct Life {
    /// From when it is valid.
    pub valid_from: Timestamp,
    /// Until when.
    pub valid_until: Timestamp,
    /// Whether it is dead.
    pub revoked: bool,
    /// From 0 to 100.
    pub score: i64,
    /// Whether systems of detection are to use it.
    pub detection: bool,
    /// None on what was created revoked.
    pub decay: Option<Decay>,
}

impl Life {
    /// The life that a delivery alone would give.
    pub(crate) fn new(
        indicator: &Value,
        generation: Generation,
        account: &str,
        now: Timestamp,
    ) -> Result<Self, PlatformError> {
        let time = |name: &str| -> Option<Timestamp> { indicator[name].as_str()?.parse().ok() };
        let valid_from = time("valid_from").or(time("created")).unwrap_or(now);
        let rule = Rule::of(indicator, generation);
        let second = SignedDuration::from_secs(1);
        let valid_until = match time("valid_until") {
            Some(until) if until < valid_from => {
                let message = "The valid until date must be greater than the valid from date";
                return Err(PlatformError::new("VALIDATION_ERROR", message));
            }
            Some(until) if until == valid_from => until + second,
            Some(until) => until,
            // What is sent as revoked lives for one second; the field itself is not looked at.
            None if indicator["revoked"] == true => valid_from + second,
            None => after(valid_from, rule.lifetime),
        };
        let mut life = Self {
            valid_from,
            valid_until,
            revoked: valid_until <= now,
            score: indicator["x_opencti_score"]
                .as_i64()
                .unwrap_or(DEFAULT_SCORE),
            detection: indicator["x_opencti_detection"] == true,
            decay: None,
        };
        if !life.revoked {
            life.valid_until = after(valid_from, rule.days(life.score, REVOKE_SCORE));
            life.decay = Some(Decay {
                rule,
                base_score: life.score,
                history: vec![(life.score, account.to_owned())],
                next: after(
                    valid_from,
                    rule.days(life.score, rule.next_point(life.score)),
                ),
            });
        }
        Ok(life)
    }

    /// What a further delivery by an account leaves of this life.
    pub(crate) fn deliver(
        &mut self,
        sent: Self,
        detection: Option<bool>,
        generation: Generation,
        account: &str,
    ) {
        let before = self.detection;
        if !self.is_kept(&sent, generation, account) {
            let decay = self.decay.take();
            *self = sent;
            match (&mut self.decay, decay) {
                (Some(now), Some(before)) => {
                    now.history.splice(0..0, before.history);
                }
                (now @ None, before) => *now = before,
                (Some(_), None) => {}
            }
        }
        // Older releases take what is not sent for false.
        let missing = generation == Generation::Newest && before;
        self.detection = detection.unwrap_or(missing);
    }

    fn is_kept(&self, sent: &Self, generation: Generation, account: &str) -> bool {
        let base = self.decay.as_ref().map(|it| it.base_score);
        let sent_base = sent.decay.as_ref().map(|it| it.base_score);
        match generation {
            Generation::Oldest => {
                sent_base.is_some() && (sent_base == base || sent_base == Some(self.score))
            }
            Generation::Middle => {
                !self.revoked
                    && sent_base.is_some()
                    && sent_base == base
                    && base == Some(self.score)
            }
            Generation::Newest => self.decay.as_ref().is_some_and(|decay| {
                sent.score == self.score
                    || decay
                        .history
                        .iter()
                        .any(|(score, by)| *score == sent.score && by == account)
            }),
        }
    }

    /// The decay manager's pass at a time. Whether it revoked the indicator.
    pub(crate) fn pass(&mut self, at: Timestamp, manager: &str) -> bool {
        let Some(decay) = &mut self.decay else {
            return false;
        };
        let was_revoked = self.revoked;
        while !self.revoked && decay.next < at {
            self.score = decay.rule.next_point(self.score);
            decay.history.push((self.score, manager.to_owned()));
            if self.score <= REVOKE_SCORE {
                self.revoked = true;
                self.detection = false;
            } else {
                let days = decay
                    .rule
                    .days(decay.base_score, decay.rule.next_point(self.score));
                decay.next = after(self.valid_from, days);
            }
        }
        self.revoked && !was_revoked
    }

    /// An analyst revokes the indicator, or takes that back.
    pub(crate) fn set_revoked(
        &mut self,
        revoked: bool,
        generation: Generation,
        analyst: &str,
        now: Timestamp,
    ) {
        if generation == Generation::Oldest || self.revoked == revoked {
            self.revoked = revoked;
            return;
        }
        self.revoked = revoked;
        match (&mut self.decay, revoked) {
            (Some(decay), true) => {
                self.score = REVOKE_SCORE;
                decay.history.push((REVOKE_SCORE, analyst.to_owned()));
            }
            (Some(decay), false) => {
                let score = decay.base_score;
                self.set_score(score, generation, analyst, now);
                return;
            }
            (None, true) => self.score = 0,
            (None, false) => {
                self.score = DEFAULT_SCORE;
                self.valid_from = now;
                self.valid_until = after(now, DAYS_WITHOUT_RULE);
                return;
            }
        }
        self.detection = false;
        self.valid_until = now;
    }

    /// An analyst sets the score, from which it falls then.
    pub(crate) fn set_score(
        &mut self,
        score: i64,
        generation: Generation,
        analyst: &str,
        now: Timestamp,
    ) {
        self.score = score;
        if let Some(decay) = &mut self.decay {
            decay.base_score = score;
            decay.history.push((score, analyst.to_owned()));
            let point = decay.rule.next_point(score);
            decay.next = after(now, decay.rule.days(score, point));
            self.valid_until = match generation {
                Generation::Oldest => after(now, decay.rule.days(score, REVOKE_SCORE)),
                _ => after(now, decay.rule.lifetime),
            };
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "scores are small")]
fn number(score: i64) -> f64 {
    score as f64
}

fn after(time: Timestamp, days: f64) -> Timestamp {
    let lasts = SignedDuration::from_secs_f64(days * 24.0 * 3600.0);
    time.checked_add(lasts).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[path = "decay_tests.rs"]
mod tests;
