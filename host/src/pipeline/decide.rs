//! From an item to a decision: the conversation between host and guest.

use std::sync::Arc;

use crate::runtime::{Answer, CallError, Emission, Item, Outcome, Pool, Question, Remark};

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

/// Asks the guest about an item, and answers its questions, until it has decided.
///
/// # Errors
/// When the run must stop.
pub async fn decide<A: Answers>(
    pool: &Pool,
    item: Arc<Item>,
    now: u64,
    answers: &A,
) -> Result<(Decision, Vec<Remark>), A::Stop> {
    let mut known = Vec::new();
    let mut remarks = Vec::new();
    for _ in 0..=ROUNDS {
        let (returned, verdict) = pool.map(Arc::clone(&item), known, now).await;
        known = returned;
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(error) => return Ok((failure(&error), remarks)),
        };
        remarks.extend(verdict.remarks);
        let questions = match verdict.outcome {
            Outcome::Skip { filter, reason } => {
                return Ok((Decision::Skip { filter, reason }, remarks));
            }
            Outcome::Emit(emission) => return Ok((Decision::Emit(emission), remarks)),
            Outcome::Ask(questions) => questions,
        };
        for question in questions {
            let answer = answers.answer(pool, &question).await?;
            known.push((question, answer));
        }
    }
    let reason = format!("the guest still asked questions after {ROUNDS} rounds of answers");
    Ok((Decision::Fail(reason), remarks))
}

fn failure(error: &CallError) -> Decision {
    Decision::Fail(error.to_string())
}
