//! Answers to a guest's questions, from the source and the platform.

use moka::future::Cache;

use super::decide::Answers;
use super::stop::Stop;
use crate::guest_source::Digest;
use crate::runtime::{Answer, Pool, Question};
use crate::{opencti, virustotal};

/// Digests that are kept in a run, in bytes.
const DIGESTS: u64 = 16_000_000;

/// Answers from the source and the platform, each asked for once.
pub struct LiveAnswers {
    source: virustotal::Client,
    platform: opencti::Client,
    digests: Cache<Wanted, Answer>,
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
    #[must_use]
    pub fn new(source: virustotal::Client, platform: opencti::Client) -> Self {
        let weight = |wanted: &Wanted, answer: &Answer| {
            let wanted = size_of::<Wanted>() + wanted.subject.len() + wanted.part.len();
            u32::try_from(wanted + answer.bytes()).unwrap_or(u32::MAX)
        };
        Self {
            source,
            platform,
            digests: Cache::builder()
                .max_capacity(DIGESTS)
                .weigher(weight)
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
        match self.platform.artifact_known(sha256).await {
            Ok(Some(id)) => Ok(Answer::Found(serde_json::json!({ "id": id }).to_string())),
            Ok(None) => Ok(Answer::Absent),
            Err(error) if error.is_about_this_alone() => Ok(Answer::Refused(error.to_string())),
            Err(error) => Err(error.into()),
        }
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
            other => Ok(Answer::Refused(format!(
                "this host answers no question of the kind {other:?}"
            ))),
        }
    }
}
