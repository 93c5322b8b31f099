//! Answers to a guest's questions, from the source and the platform.

use std::collections::BTreeSet;

use moka::future::Cache;
use serde_json::json;

use super::decide::Answers;
use super::stop::Stop;
use crate::guest_source::Digest;
use crate::opencti::MAX_IDS;
use crate::runtime::{Answer, Pool, Question};
use crate::{opencti, virustotal};

/// Digests that are kept in a run, in bytes.
const DIGESTS: u64 = 16_000_000;

/// What the platform said of its objects in a run, in bytes.
const HELD: u64 = 4_000_000;

/// Answers from the source and the platform, each asked for once.
pub struct LiveAnswers {
    source: virustotal::Client,
    platform: opencti::Client,
    tells_held: bool,
    digests: Cache<Wanted, Answer>,
    held: Cache<Question, Answer>,
}

/// A part of a document, in the words of one guest: another may want other things under the same name.
#[derive(PartialEq, Eq, Hash)]
struct Wanted {
    guest: Digest,
    subject: String,
    part: String,
}

impl LiveAnswers {
    /// Nothing is known yet; made anew for each run, so that no answer outlives it.
    ///
    /// Without `tells_held` the platform counts as empty: what goes elsewhere too must be complete without it.
    #[must_use]
    pub fn new(source: virustotal::Client, platform: opencti::Client, tells_held: bool) -> Self {
        let weight = |wanted: &Wanted, answer: &Answer| {
            let wanted = size_of::<Wanted>() + wanted.subject.len() + wanted.part.len();
            u32::try_from(wanted + answer.bytes()).unwrap_or(u32::MAX)
        };
        let weight_of_held = |asked: &Question, answer: &Answer| {
            let asked = size_of::<Question>() + asked.subject.len() + asked.part.len();
            u32::try_from(asked + answer.bytes()).unwrap_or(u32::MAX)
        };
        Self {
            source,
            platform,
            tells_held,
            digests: Cache::builder()
                .max_capacity(DIGESTS)
                .weigher(weight)
                .build(),
            held: Cache::builder()
                .max_capacity(HELD)
                .weigher(weight_of_held)
                .build(),
        }
    }

    async fn look_up(&self, pool: &Pool, question: &Question) -> Result<Answer, Stop> {
        let path = match virustotal::LookupPath::parse(&question.subject) {
            Ok(path) => path,
            Err(refused) => return Ok(Answer::Refused(refused.to_string())),
        };
        let document = match self.source.lookup(&path).await? {
            virustotal::Lookup::Found(document) => document,
            virustotal::Lookup::Absent => return Ok(Answer::Absent),
            virustotal::Lookup::Refused(reason) => return Ok(Answer::Refused(reason)),
        };
        let digest = pool
            .digest(question.clone(), document.as_str().to_owned())
            .await;
        Ok(digest.map_or_else(|error| Answer::Refused(error.to_string()), Answer::Found))
    }

    async fn artifact_known(&self, sha256: &str) -> Result<Answer, Stop> {
        let found = self.platform.artifact_known(sha256).await;
        answer(found.map(|id| id.map(|id| json!({ "id": id }))))
    }

    /// Asks the platform for objects, by one request for each hundred, and keeps the answers.
    async fn ask_for_objects(&self, questions: &[&Question]) -> Result<(), Stop> {
        for questions in questions.chunks(MAX_IDS) {
            let ids: Vec<&str> = questions.iter().map(|it| it.subject.as_str()).collect();
            let found = match self.platform.objects_known(&ids).await {
                Ok(found) => Ok(found),
                Err(error) if error.is_about_this_alone() => Err(error.to_string()),
                Err(error) => return Err(error.into()),
            };
            for question in questions {
                let answer = match &found {
                    Err(reason) => Answer::Refused(reason.clone()),
                    Ok(objects) => objects
                        .iter()
                        .find(|object| object.is_called(&question.subject))
                        .map_or(Answer::Absent, |object| {
                            Answer::Found(object.to_json().to_string())
                        }),
                };
                self.held.insert((*question).clone(), answer).await;
            }
        }
        Ok(())
    }

    async fn object_known(&self, question: &Question) -> Result<Answer, Stop> {
        if let Some(answer) = self.held.get(question).await {
            return Ok(answer);
        }
        self.ask_for_objects(&[question]).await?;
        let answer = self.held.get(question).await;
        Ok(answer.unwrap_or_else(|| Answer::Refused("the answer is too large to keep".to_owned())))
    }

    async fn objects_named(&self, question: &Question) -> Result<Answer, Stop> {
        let Question { subject, part, .. } = question;
        let found = self.platform.objects_named(subject, part).await;
        answer(found.map(|objects| {
            let objects: Vec<_> = objects.iter().map(opencti::HeldObject::to_json).collect();
            (!objects.is_empty()).then(|| json!({ "objects": objects }))
        }))
    }
}

/// What the platform found, as an answer: that it refuses one question stops no run.
fn answer(found: Result<Option<serde_json::Value>, opencti::Error>) -> Result<Answer, Stop> {
    match found {
        Ok(Some(found)) => Ok(Answer::Found(found.to_string())),
        Ok(None) => Ok(Answer::Absent),
        Err(error) if error.is_about_this_alone() => Ok(Answer::Refused(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

impl Answers for LiveAnswers {
    type Stop = Stop;

    async fn answer(&self, pool: &Pool, question: &Question) -> Result<Answer, Stop> {
        match question.kind.as_str() {
            "lookup" => {
                let wanted = Wanted {
                    guest: pool.guest().digest(),
                    subject: question.subject.clone(),
                    part: question.part.clone(),
                };
                self.digests
                    .try_get_with(wanted, self.look_up(pool, question))
                    .await
                    .map_err(|stop| Stop::clone(&stop))
            }
            "artifact-known" => self.artifact_known(&question.subject).await,
            "known" | "named" if !self.tells_held => Ok(Answer::Absent),
            "known" => self.object_known(question).await,
            "named" => self
                .held
                .try_get_with(question.clone(), self.objects_named(question))
                .await
                .map_err(|stop| Stop::clone(&stop)),
            other => Ok(Answer::Refused(format!(
                "this host answers no question of the kind {other:?}"
            ))),
        }
    }

    async fn prepare(&self, questions: &[&Question]) -> Result<(), Stop> {
        if !self.tells_held {
            return Ok(());
        }
        let is_new =
            |question: &&&Question| question.kind == "known" && !self.held.contains_key(**question);
        let mut subjects = BTreeSet::new();
        let wanted: Vec<&Question> = questions
            .iter()
            .filter(is_new)
            .filter(|question| subjects.insert(&question.subject))
            .copied()
            .collect();
        self.ask_for_objects(&wanted).await
    }
}
