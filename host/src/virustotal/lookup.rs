//! What VirusTotal knows of one object, asked once a run.

use std::sync::Arc;

use moka::future::Cache;
use moka::policy::EvictionPolicy;
use reqwest::Method;
use serde_json::value::RawValue;

use super::Client;
use super::counters::count;
use super::document::Document;
use super::error::Error;
use super::path::LookupPath;

/// Largest answer, in bytes: VirusTotal documents no text above 1 MB, escaped or not.
const MAX_LOOKUP: u64 = 8_000_000;

/// Most bytes of answers kept in one run.
const MAX_CACHE: u64 = 16_000_000;

/// What VirusTotal answered to a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The whole answer, `{"data": …}`.
    Found(Document),
    /// VirusTotal does not know it: removed, or never there.
    Absent,
    /// It exists or not: VirusTotal does not show it to us. Words for the log.
    Refused(String),
}

/// Answers by path.
pub(super) type Lookups = Cache<LookupPath, Lookup>;

pub(super) fn cache() -> Lookups {
    let weight = |path: &LookupPath, lookup: &Lookup| {
        let bytes = path.as_str().len()
            + match lookup {
                Lookup::Found(document) => document.len(),
                Lookup::Absent => 0,
                Lookup::Refused(words) => words.len(),
            };
        u32::try_from(bytes).unwrap_or(u32::MAX)
    };
    Cache::builder()
        .max_capacity(MAX_CACHE)
        .weigher(weight)
        .eviction_policy(EvictionPolicy::lru())
        .build()
}

impl Client {
    /// Asks for one object, once a run: who asks while the question is under way shares its answer.
    ///
    /// # Errors
    /// What stops more than this object: quota, key, network, and VirusTotal out of order after all tries.
    /// Errors are not kept.
    pub async fn lookup(&self, path: &LookupPath) -> Result<Lookup, Error> {
        let entry = self.inner.lookups.entry_by_ref(path);
        let answer = entry
            .or_try_insert_with(self.ask(path.as_str()))
            .await
            .map_err(|error: Arc<Error>| Error::clone(&error))?;
        if !answer.is_fresh() {
            count(&self.transport().counters.cache_hits);
        }
        Ok(answer.into_value())
    }

    /// Asks for one object now. `path` is relative to the API root and checked.
    pub(super) async fn ask(&self, path: &str) -> Result<Lookup, Error> {
        match self.ask_once(path).await {
            // It may have been spoilt on the way.
            Err(Error::NotText { .. }) => match self.ask_once(path).await {
                Err(error @ Error::NotText { .. }) => Ok(Lookup::Refused(error.to_string())),
                again => again,
            },
            answer => answer,
        }
    }

    async fn ask_once(&self, path: &str) -> Result<Lookup, Error> {
        count(&self.transport().counters.lookups);
        let answer = self
            .transport()
            .call(Method::GET, path, &[], MAX_LOOKUP)
            .await;
        match answer {
            Ok(body) => {
                let answer = self.json_object(body)?;
                let whole: &RawValue =
                    serde_json::from_str(&answer).map_err(Error::malformed_json)?;
                Ok(Lookup::Found(Document::within(&answer, whole)))
            }
            Err(Error::NotFound { .. }) => Ok(Lookup::Absent),
            Err(error) if error.is_about_this_alone() => Ok(Lookup::Refused(error.to_string())),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::virustotal::testing::{Reply, Server, client};

    use super::*;

    fn path() -> LookupPath {
        LookupPath::parse("intelligence/hunting_rulesets/1").unwrap()
    }

    fn error(code: &str) -> String {
        format!(r#"{{"error":{{"code":"{code}","message":"words"}}}}"#)
    }

    #[tokio::test]
    async fn the_same_question_is_asked_once_a_run() {
        let body = " {\"data\": {\"id\" : \"1\"}}\n";
        let server = Server::always(Reply::json(200, body)).await;
        let client = client(&server);
        let path = path();
        let (first, second) = tokio::join!(client.lookup(&path), client.lookup(&path));
        let third = client.lookup(&path).await;
        for answer in [first, second, third] {
            let Lookup::Found(document) = answer.unwrap() else {
                panic!("found")
            };
            assert_eq!(document.as_str(), body.trim());
        }
        assert_eq!(server.requests().len(), 1);
        let requests = client.requests();
        assert_eq!((requests.lookups, requests.cache_hits), (1, 2));

        client.begin_run();
        client.lookup(&path).await.unwrap();
        assert_eq!(server.requests().len(), 2);
        let requests = client.requests();
        assert_eq!((requests.lookups, requests.cache_hits), (2, 2));
    }

    #[tokio::test]
    async fn what_concerns_one_object_is_an_answer() {
        let refused = |words: &str| Lookup::Refused(words.to_owned());
        for (reply, expected) in [
            (Reply::json(404, error("NotFoundError")), Lookup::Absent),
            (
                Reply::json(403, error("ForbiddenError")),
                refused(
                    "VirusTotal forbids this to the user of API_KEY (ForbiddenError: words); \
                     the licence does not cover it, or it is not shared with the user",
                ),
            ),
            (
                Reply::json(400, error("BadRequestError")),
                refused("VirusTotal answered 400 BadRequestError: words"),
            ),
        ] {
            let server = Server::always(reply).await;
            let client = client(&server);
            assert_eq!(client.lookup(&path()).await, Ok(expected.clone()));
            assert_eq!(client.lookup(&path()).await, Ok(expected));
            assert_eq!(server.requests().len(), 1, "the answer is kept");
        }
    }

    #[tokio::test]
    async fn what_concerns_all_objects_is_an_error_and_not_kept() {
        for reply in [
            Reply::json(429, error("QuotaExceededError")),
            Reply::json(401, error("WrongCredentialsError")),
            Reply::json(503, error("TransientError")),
            Reply::html(404),
            Reply::html(200),
            Reply::text(200, "{\"data\": "),
        ] {
            let shown = format!("{reply:?}");
            let replies = std::iter::repeat_n(reply, 5).chain([Reply::json(200, "{}")]);
            let server = Server::in_turn(replies).await;
            let client = client(&server);
            assert!(client.lookup(&path()).await.is_err(), "{shown}");
            while server.requests().len() < 5 {
                assert!(client.lookup(&path()).await.is_err(), "{shown}");
            }
            assert!(client.lookup(&path()).await.is_ok(), "{shown}");
        }
    }

    #[tokio::test]
    async fn what_is_no_text_is_asked_for_once_more_and_then_concerns_one_object() {
        let spoilt = || Reply::json(200, [0x7b, 0xff, 0x7d]);
        for (replies, found) in [
            ([spoilt(), Reply::json(200, "{}")], true),
            ([spoilt(), spoilt()], false),
        ] {
            let server = Server::in_turn(replies).await;
            let answer = client(&server).lookup(&path()).await.unwrap();
            assert_eq!(matches!(answer, Lookup::Found(_)), found, "{answer:?}");
            assert_eq!(matches!(answer, Lookup::Refused(_)), !found, "{answer:?}");
            assert_eq!(server.requests().len(), 2);
        }
    }
}
