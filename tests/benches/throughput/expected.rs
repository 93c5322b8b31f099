//! What must come out, by the guest compiled natively.

use anyhow::{Result, anyhow, bail};
use connector_tests::virustotal::{Notification, World};
use livehunt::Mapper;
use livehunt::contract::{Answer, Emission, Item, Outcome, Question, Setting};

/// Settings with which no filter skips a file.
pub const NO_FILTERS: &[(&str, &str)] = &[("MAX_AGE_DAYS", "0"), ("MAX_FILE_SIZE", "0")];

/// A mapper with [`NO_FILTERS`].
///
/// # Errors
/// When it refuses them.
pub fn mapper() -> Result<Mapper> {
    let settings: Vec<Setting> = NO_FILTERS
        .iter()
        .map(|(name, value)| Setting {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        })
        .collect();
    Mapper::open(&settings).map_err(|problems| anyhow!("{problems:?}"))
}

/// The notification as an item of the feed.
pub fn item(notification: &Notification) -> Item {
    Item {
        id: notification.id.clone(),
        observed: notification.date,
        document: notification.document.to_string(),
    }
}

/// Answers the mapper's questions about an item out of the world, until it has decided. Returns all answers,
/// and what it emits.
///
/// # Errors
/// When it fails, or does not emit.
pub fn decide(
    mapper: &Mapper,
    world: &World,
    item: &Item,
    now: u64,
) -> Result<(Vec<(Question, Answer)>, Emission)> {
    let mut answers = Vec::new();
    loop {
        let verdict = mapper
            .map(item, &answers, now)
            .map_err(|it| anyhow!("{it:?}"))?;
        match verdict.outcome {
            Outcome::Emit(emission) => return Ok((answers, emission)),
            Outcome::Skip(skip) => bail!("{} is skipped: {}", item.id, skip.reason),
            Outcome::Ask(questions) if questions.iter().all(|it| is_answered(&answers, it)) => {
                bail!("{} is asked about again and again", item.id)
            }
            Outcome::Ask(questions) => {
                for question in questions {
                    let answer = answer(mapper, world, &question)?;
                    answers.push((question, answer));
                }
            }
        }
    }
}

fn is_answered(answers: &[(Question, Answer)], question: &Question) -> bool {
    answers.iter().any(|(answered, _)| answered == question)
}

fn answer(mapper: &Mapper, world: &World, question: &Question) -> Result<Answer> {
    let id = question.subject.rsplit('/').next().unwrap_or_default();
    let Some(ruleset) = world.rulesets.get(id) else {
        return Ok(Answer::Absent);
    };
    let document = serde_json::json!({ "data": ruleset }).to_string();
    let digest = mapper
        .digest(question, &document)
        .map_err(|it| anyhow!("{it:?}"))?;
    Ok(Answer::Found(digest))
}
