//! From an item to a decision: the conversation between host and guest.

use std::sync::Arc;

use futures::stream::{self, StreamExt};

use crate::runtime::{
    Answer, Case, Emission, Guest, Item, Live, Outcome, Pool, Question, Remark, Shift, Verdict,
};

/// Rounds of questions before the host gives up.
const ROUNDS: usize = 4;

/// Items that are decided on at a time.
const CONCURRENCY: usize = 4;

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

    /// Hears of questions before they are asked, so that one request can answer many of them.
    fn prepare(
        &self,
        _questions: &[&Question],
    ) -> impl Future<Output = Result<(), Self::Stop>> + Send {
        async { Ok(()) }
    }
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

/// The conversation about one item: rounds of questions and answers, until the guest has decided.
struct Conversation {
    item: Arc<Item>,
    now: u64,
    /// Asked in the last round, and not answered yet.
    questions: Vec<Question>,
    answers: Vec<(Question, Answer)>,
    remarks: Vec<Remark>,
    rounds: usize,
    decision: Option<Decision>,
}

impl Conversation {
    fn new(item: Arc<Item>, now: u64) -> Self {
        Self {
            item,
            now,
            questions: Vec::new(),
            answers: Vec::new(),
            remarks: Vec::new(),
            rounds: 0,
            decision: None,
        }
    }

    /// Answers what the guest asked, and asks the guest again.
    async fn round<A: Answers>(&mut self, pool: &Pool, answers: &A) -> Result<(), A::Stop> {
        for question in std::mem::take(&mut self.questions) {
            let answer = answers.answer(pool, &question).await?;
            self.answers.push((question, answer));
        }
        let known = std::mem::take(&mut self.answers);
        let (known, verdict) = pool.map(Arc::clone(&self.item), known, self.now).await;
        self.answers = known;
        match verdict {
            Err(error) => self.decision = Some(Decision::Fail(error.to_string())),
            Ok(verdict) => self.hear(verdict),
        }
        Ok(())
    }

    fn hear(&mut self, verdict: Verdict) {
        self.remarks.extend(verdict.remarks);
        self.decision = Some(match verdict.outcome {
            Outcome::Skip { filter, reason } => Decision::Skip { filter, reason },
            Outcome::Emit(emission) => Decision::Emit(emission),
            Outcome::Ask(questions) if self.rounds < ROUNDS => {
                self.rounds += 1;
                self.questions = questions;
                return;
            }
            Outcome::Ask(_) => Decision::Fail(format!(
                "the guest still asked questions after {ROUNDS} rounds of answers"
            )),
        });
    }
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
    let mut conversation = Conversation::new(item, now);
    loop {
        conversation.round(pool, answers).await?;
        if let Some(decision) = conversation.decision {
            return Ok(Decided {
                decision,
                remarks: conversation.remarks,
                answers: conversation.answers,
            });
        }
    }
}

/// What the active guest, or the one before it, decided on an item of a page.
pub struct LiveDecision {
    /// The outcome.
    pub decision: Decision,
    /// For the log.
    pub remarks: Vec<Remark>,
    /// Who decided.
    pub guest: Guest,
}

/// Decides on the items of a page, by the active guest; where it fails, by the guest before, if that one does not.
///
/// The items go through their rounds of questions together, so that what one request can answer is asked once a page.
/// An item keeps the guest that it began with.
///
/// The decisions stand in the order of the items, up to the first that could not be made because the run must stop.
pub async fn decide_page<A: Answers>(
    live: &Live,
    items: Vec<Arc<Item>>,
    now: u64,
    answers: &A,
) -> (Vec<LiveDecision>, Result<(), A::Stop>) {
    let begin = |item| (live.shift(), Conversation::new(item, now));
    let mut page: Vec<_> = items.into_iter().map(begin).collect();
    let mut stopped = Ok(());
    while page.iter().any(|(_, it)| it.decision.is_none()) {
        let asked: Vec<&Question> = page.iter().flat_map(|(_, it)| &it.questions).collect();
        if let Err(stop) = answers.prepare(&asked).await {
            // What stands before the first that asks is decided.
            stopped = Err(stop);
            break;
        }
        let (rest, round) = next_round(page, answers).await;
        page = rest;
        stopped = stopped.and(round);
    }
    let mut decisions = Vec::with_capacity(page.len());
    for (shift, mut conversation) in page {
        let Some(decision) = conversation.decision.take() else {
            break;
        };
        match settle(live, &shift, conversation, decision, answers).await {
            Ok(decision) => decisions.push(decision),
            Err(stop) => return (decisions, Err(stop)),
        }
    }
    (decisions, stopped)
}

/// A round for each item that is not decided on. The items in order, up to the first whose questions cannot be answered.
async fn next_round<A: Answers>(
    page: Vec<(Arc<Shift>, Conversation)>,
    answers: &A,
) -> (Vec<(Arc<Shift>, Conversation)>, Result<(), A::Stop>) {
    let mut rest = Vec::with_capacity(page.len());
    let mut rounds = stream::iter(page)
        .map(|(shift, mut it)| async move {
            let round = match it.decision {
                Some(_) => Ok(()),
                None => it.round(&shift.pool, answers).await,
            };
            (shift, it, round)
        })
        .buffered(CONCURRENCY);
    while let Some((shift, conversation, round)) = rounds.next().await {
        if let Err(stop) = round {
            return (rest, Err(stop));
        }
        rest.push((shift, conversation));
    }
    (rest, Ok(()))
}

/// What comes of a conversation with the active guest: where it failed, the guest before decides.
async fn settle<A: Answers>(
    live: &Live,
    shift: &Arc<Shift>,
    conversation: Conversation,
    decision: Decision,
    answers: &A,
) -> Result<LiveDecision, A::Stop> {
    let Conversation {
        item,
        now,
        remarks,
        answers: known,
        ..
    } = conversation;
    let guest = shift.pool.guest().clone();
    let Decision::Fail(reason) = decision else {
        live.note_success(shift);
        live.remember(Case {
            item,
            answers: known,
            now,
        });
        return Ok(LiveDecision {
            decision,
            remarks,
            guest,
        });
    };
    let failed = LiveDecision {
        decision: Decision::Fail(reason.clone()),
        remarks,
        guest: guest.clone(),
    };
    let Some(before) = &shift.before else {
        return Ok(failed);
    };
    let again = decide(before, Arc::clone(&item), now, answers).await?;
    if let Decision::Fail(_) = again.decision {
        return Ok(failed);
    }
    tracing::warn!(
        notification = item.id,
        reason,
        "guest {guest} failed; {} decides instead",
        before.guest()
    );
    if live.note_failure(shift, &reason) {
        tracing::error!(
            digest = %guest.digest(),
            reason,
            "guest {guest} failed again and again: {} is back, and this digest is not taken again",
            before.guest()
        );
    }
    Ok(LiveDecision {
        decision: again.decision,
        remarks: again.remarks,
        guest: before.guest().clone(),
    })
}
