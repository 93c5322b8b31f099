//! From an item to a decision: the conversation between host and guest.

use std::sync::Arc;

use crate::runtime::{Answer, Case, Emission, Guest, Item, Live, Outcome, Pool, Question, Remark};

/// Rounds of questions before the host gives up.
const ROUNDS: usize = 4;

/// Who answers a guest's questions.
pub trait Answers: Send + Sync {
    /// Why no answer can be given to anybody now, so that the run must stop.
    type Stop: Send;

    /// Answers one question.
    fn answer(
        &self,
        pool: &Pool,
        question: &Question,
    ) -> impl Future<Output = Result<Answer, Self::Stop>> + Send;
}

/// What became of an item.
#[derive(Debug)]
pub enum Decision {
    /// A filter said no.
    Skip {
        /// Name of the filter.
        filter: String,
        /// Words for the user.
        reason: String,
    },
    /// To be delivered.
    Emit(Emission),
    /// The guest could not decide.
    Fail(String),
}

/// How a guest decided on an item.
#[derive(Debug)]
pub struct Decided {
    /// What becomes of the item.
    pub decision: Decision,
    /// For the log.
    pub remarks: Vec<Remark>,
    /// All that was asked and answered about it.
    pub answers: Vec<(Question, Answer)>,
}

/// Asks the guest about an item, and answers its questions, until it has decided.
///
/// # Errors
/// When the run must stop.
pub async fn decide<A: Answers>(
    pool: &Pool,
    item: Arc<Item>,
    now: u64,
    answers: &A,
) -> Result<Decided, A::Stop> {
    let mut known = Vec::new();
    let mut remarks = Vec::new();
    for _ in 0..=ROUNDS {
        let (returned, verdict) = pool.map(Arc::clone(&item), known, now).await;
        known = returned;
        let decision = match verdict {
            Err(error) => Decision::Fail(error.to_string()),
            Ok(verdict) => {
                remarks.extend(verdict.remarks);
                match verdict.outcome {
                    Outcome::Skip { filter, reason } => Decision::Skip { filter, reason },
                    Outcome::Emit(emission) => Decision::Emit(emission),
                    Outcome::Ask(questions) => {
                        for question in questions {
                            let answer = answers.answer(pool, &question).await?;
                            known.push((question, answer));
                        }
                        continue;
                    }
                }
            }
        };
        return Ok(Decided {
            decision,
            remarks,
            answers: known,
        });
    }
    Ok(Decided {
        decision: Decision::Fail(format!(
            "the guest still asked questions after {ROUNDS} rounds of answers"
        )),
        remarks,
        answers: known,
    })
}

/// [`decide`] by the guest at work; where it fails, by the guest before, if that one does not. Answers what
/// became of the item, what there is to say, and who decided.
///
/// # Errors
/// When the run must stop.
pub async fn decide_live<A: Answers>(
    live: &Live,
    item: Arc<Item>,
    now: u64,
    answers: &A,
) -> Result<(Decision, Vec<Remark>, Guest), A::Stop> {
    let shift = live.shift();
    let Decided {
        decision,
        remarks,
        answers: known,
    } = decide(&shift.pool, Arc::clone(&item), now, answers).await?;
    let guest = shift.pool.guest();
    let Decision::Fail(reason) = &decision else {
        live.note_success(&shift);
        let answers = known;
        live.remember(Case { item, answers, now });
        return Ok((decision, remarks, guest.clone()));
    };
    let Some(before) = &shift.before else {
        return Ok((decision, remarks, guest.clone()));
    };
    let again = decide(before, Arc::clone(&item), now, answers).await?;
    if let Decision::Fail(_) = again.decision {
        return Ok((decision, remarks, guest.clone()));
    }
    tracing::warn!(
        notification = item.id,
        reason,
        "guest {guest} failed; {} decides instead",
        before.guest()
    );
    if live.note_failure(&shift, reason) {
        tracing::error!(
            digest = %guest.digest(),
            reason,
            "guest {guest} failed again and again: {} is back, and this digest is not taken again",
            before.guest()
        );
    }
    Ok((again.decision, again.remarks, before.guest().clone()))
}
