//! One element of a collection, read again by its id.
//!
//! Most collections answer for one element as for a page of them. Those of the IoC stream are made of two objects,
//! which are read one after the other and put together as the stream does (API v3, "IoC Stream notifications").

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::Client;
use super::document::Document;
use super::error::Error;
use super::feed::{FeedRequest, Item};
use super::lookup::Lookup;
use super::path::{ItemId, LookupPath};

/// The collection whose elements are made of a notification and its object.
const STREAM: &str = "ioc_stream";

/// Where elements of the stream carry the id that their notification is read by.
const NOTIFICATION_ID: &str = "/context_attributes/notification_id";

/// The collection whose elements have an id of their own but no address.
const WITHOUT_ADDRESS: &str = "intelligence/hunting_notification_files";

/// "Notifications are deleted automatically after 7 days" (VirusTotal's documentation, "IoC Stream").
const RETENTION: Duration = Duration::from_secs(7 * 86_400);

/// What VirusTotal answered to the question for one element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    /// It is as good as from a page of the collection.
    Found(Item),
    /// VirusTotal does not have it any more. Words for the log.
    Gone(String),
    /// VirusTotal does not show it to us, or it is not what it should be. Words for the log.
    Refused(String),
}

/// The members of an object, by name.
type Members<'answer> = BTreeMap<Cow<'answer, str>, &'answer RawValue>;

#[derive(Deserialize)]
struct Answer<'answer> {
    #[serde(borrow)]
    data: &'answer RawValue,
}

#[derive(Deserialize)]
struct Attributed<T> {
    attributes: T,
}

/// What a notification is about.
#[derive(Deserialize)]
struct Subject<'answer> {
    #[serde(borrow)]
    entity_type: Cow<'answer, str>,
    #[serde(borrow)]
    entity_id: Cow<'answer, str>,
}

impl FeedRequest {
    /// How long VirusTotal keeps the elements of the collection; `None` where it does not forget them by itself.
    #[must_use]
    pub fn retention(&self) -> Option<Duration> {
        (self.path.as_str() == STREAM).then_some(RETENTION)
    }
}

impl Client {
    /// Reads one element of a collection, with the same fields as on a page of it.
    ///
    /// # Errors
    /// What stops more than this element: quota, key, network, and VirusTotal out of order after all tries.
    pub async fn element(&self, feed: &FeedRequest, id: &ItemId) -> Result<Element, Error> {
        match self.item(feed, id).await {
            Ok(item) => Ok(Element::Found(item)),
            Err(Miss::Gone(words)) => Ok(Element::Gone(words)),
            Err(Miss::Refused(words)) => Ok(Element::Refused(words)),
            Err(Miss::Failed(error)) => Err(error),
        }
    }

    async fn item(&self, feed: &FeedRequest, id: &ItemId) -> Result<Item, Miss> {
        let document = match feed.path.as_str() {
            STREAM if feed.item_id.to_string() != NOTIFICATION_ID => {
                return Err(Miss::Refused(format!(
                    "an element of {STREAM} is read by {NOTIFICATION_ID}, not by {}",
                    feed.item_id
                )));
            }
            STREAM => self.of_the_stream(id).await?,
            WITHOUT_ADDRESS => {
                return Err(Miss::Refused(format!(
                    "VirusTotal does not give out single elements of {WITHOUT_ADDRESS}"
                )));
            }
            path => {
                let path = format!("{path}/{id}");
                data(&path, self.ask(&path).await?)?
            }
        };
        let (found, observed) = feed.identify(document.as_str()).map_err(Miss::Refused)?;
        if found != *id {
            return Err(Miss::Refused(format!("VirusTotal answered with {found}")));
        }
        Ok(Item {
            id: found,
            observed,
            damage: None,
            document,
        })
    }

    async fn of_the_stream(&self, id: &ItemId) -> Result<Document, Miss> {
        let path = format!("ioc_stream_notifications/{id}");
        let notification = data(&path, self.ask(&path).await?)?;
        let unlike = |error| Miss::unlike(&path, &error);
        let Attributed::<Members<'_>> { attributes } =
            serde_json::from_str(notification.as_str()).map_err(unlike)?;
        let subject: Attributed<Subject<'_>> =
            serde_json::from_str(notification.as_str()).map_err(unlike)?;
        let object_path = subject.attributes.path()?;
        let object = data(object_path.as_str(), self.lookup(&object_path).await?)?;
        let sources = match attributes.get("sources") {
            Some(sources) => self.labelled(sources).await?,
            None => None,
        };
        compose(id, &attributes, sources.as_deref(), object.as_str())
            .map(Document::whole)
            .map_err(unlike)
    }

    /// The sources with the names of rulesets, which the stream has and a notification alone has not; `None` where
    /// nothing can be added.
    async fn labelled(&self, sources: &RawValue) -> Result<Option<Box<RawValue>>, Error> {
        let Ok(mut sources) = serde_json::from_str::<Vec<Map<String, Value>>>(sources.get()) else {
            return Ok(None);
        };
        for source in &mut sources {
            if let Some(path) = unnamed_ruleset(source)
                && let Lookup::Found(ruleset) = self.lookup(&path).await?
                && let Some(name) = name_of_ruleset(ruleset.as_str())
            {
                source.insert("label".to_owned(), name.into());
            }
        }
        Ok(to_raw_value(&sources).ok())
    }
}

/// Why there is no element.
enum Miss {
    Gone(String),
    Refused(String),
    Failed(Error),
}

impl Miss {
    fn unlike(path: &str, error: &serde_json::Error) -> Self {
        Self::Refused(format!("{path} is not as documented: {error}"))
    }
}

impl From<Error> for Miss {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Subject<'_> {
    /// Where VirusTotal has the object.
    fn path(&self) -> Result<LookupPath, Miss> {
        let collection = match &*self.entity_type {
            "file" => "files",
            "url" => "urls",
            "domain" => "domains",
            "ip_address" => "ip_addresses",
            other => {
                let words =
                    format!("the notification is about an unknown type of object: {other:?}");
                return Err(Miss::Refused(words));
            }
        };
        LookupPath::parse(&format!("{collection}/{}", self.entity_id))
            .map_err(|refused| Miss::Refused(refused.to_string()))
    }
}

/// What an answer holds under `data`.
fn data(path: &str, answer: Lookup) -> Result<Document, Miss> {
    match answer {
        Lookup::Found(answer) => {
            let Answer { data } = serde_json::from_str(answer.as_str())
                .map_err(|error| Miss::unlike(path, &error))?;
            Ok(answer.part(data))
        }
        Lookup::Absent => Err(Miss::Gone(format!(
            "VirusTotal does not have {path} any more"
        ))),
        Lookup::Refused(words) => Err(Miss::Refused(format!("{path}: {words}"))),
    }
}

/// Where the ruleset stands that a source is, if its name is missing.
fn unnamed_ruleset(source: &Map<String, Value>) -> Option<LookupPath> {
    let is_ruleset = source.get("type")? == "hunting_ruleset";
    if !is_ruleset || source.contains_key("label") {
        return None;
    }
    let id = source.get("id")?.as_str()?;
    LookupPath::parse(&format!("intelligence/hunting_rulesets/{id}")).ok()
}

fn name_of_ruleset(ruleset: &str) -> Option<String> {
    let ruleset: Value = serde_json::from_str(ruleset).ok()?;
    let name = ruleset.pointer("/data/attributes/name")?;
    Some(name.as_str()?.to_owned())
}

/// The object with the notification as its `context_attributes`, as the stream has them.
fn compose(
    id: &ItemId,
    attributes: &Members<'_>,
    sources: Option<&RawValue>,
    object: &str,
) -> Result<String, serde_json::Error> {
    let id = to_raw_value(id.as_str())?;
    let mut context = Members::from([(Cow::Borrowed("notification_id"), &*id)]);
    for (name, value) in attributes {
        let name = match &**name {
            "date" => "notification_date",
            // Of the object itself.
            "entity_type" | "entity_id" => continue,
            name => name,
        };
        context.insert(Cow::Borrowed(name), value);
    }
    if let Some(sources) = sources {
        context.insert(Cow::Borrowed("sources"), sources);
    }
    let context = to_raw_value(&context)?;
    let mut element: Members<'_> = serde_json::from_str(object)?;
    element.insert(Cow::Borrowed("context_attributes"), &context);
    serde_json::to_string(&element)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::virustotal::testing::{Reply, Server, client};

    const NOTIFICATION: &str = r#"{"data":{"id":"7","type":"ioc_stream_notification","attributes":{
        "date":17,"origin":"hunting","entity_type":"ip_address","entity_id":"2001:db8::1","hunting_info":null,
        "sources":[{"type":"hunting_ruleset","id":"5"},{"type":"collection","id":"6"},
            {"type":"hunting_ruleset","id":"8","label":"L"},{"type":"hunting_ruleset","id":"../9"}],
        "tags":["a"],"later":1.50}}}"#;

    fn feed(path: &str, item_id: &str, item_date: &str) -> FeedRequest {
        FeedRequest::parse(path, Vec::new(), item_id, item_date).unwrap()
    }

    fn stream() -> FeedRequest {
        feed(
            STREAM,
            NOTIFICATION_ID,
            "/context_attributes/notification_date",
        )
    }

    fn not_found() -> Reply {
        Reply::json(
            404,
            r#"{"error":{"code":"NotFoundError","message":"words"}}"#,
        )
    }

    async fn ask(feed: &FeedRequest, replies: Vec<Reply>) -> (Result<Element, Error>, Vec<String>) {
        let server = Server::in_turn(replies).await;
        let answer = client(&server).element(feed, &"7".parse().unwrap()).await;
        (answer, server.lines())
    }

    #[tokio::test]
    async fn an_element_of_the_stream_is_put_together() {
        let object = r#"{"data":{"type":"ip_address","id":"2001:db8::1","attributes":{"n":1e2}}}"#;
        let ruleset = r#"{"data":{"attributes":{"name":"My rules"}}}"#;
        let replies = [NOTIFICATION, object, ruleset].map(|body| Reply::json(200, body));
        let (answer, lines) = ask(&stream(), replies.into()).await;
        let Ok(Element::Found(item)) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!((item.id.as_str(), item.observed), ("7", 17));
        assert!(
            item.document.as_str().contains("1e2"),
            "numbers stay as they are"
        );
        let found: Value = serde_json::from_str(item.document.as_str()).unwrap();
        let expected = json!({
            "type": "ip_address", "id": "2001:db8::1", "attributes": {"n": 1e2},
            "context_attributes": {
                "notification_id": "7", "notification_date": 17, "origin": "hunting", "hunting_info": null,
                "sources": [
                    {"type": "hunting_ruleset", "id": "5", "label": "My rules"}, {"type": "collection", "id": "6"},
                    {"type": "hunting_ruleset", "id": "8", "label": "L"}, {"type": "hunting_ruleset", "id": "../9"},
                ],
                "tags": ["a"], "later": 1.5,
            },
        });
        assert_eq!(found, expected);
        assert_eq!(
            lines,
            [
                "GET /api/v3/ioc_stream_notifications/7",
                "GET /api/v3/ip_addresses/2001:db8::1",
                "GET /api/v3/intelligence/hunting_rulesets/5",
            ]
        );
    }

    #[tokio::test]
    async fn a_ruleset_that_is_gone_leaves_its_source_without_a_name() {
        let object = Reply::json(200, r#"{"data":{"type":"ip_address","id":"2001:db8::1"}}"#);
        let replies = vec![Reply::json(200, NOTIFICATION), object, not_found()];
        let (answer, _) = ask(&stream(), replies).await;
        let Ok(Element::Found(item)) = answer else {
            panic!("{answer:?}")
        };
        assert!(
            item.document
                .as_str()
                .contains(r#"{"id":"5","type":"hunting_ruleset"}"#)
        );
    }

    #[tokio::test]
    async fn what_concerns_one_element_is_an_answer() {
        let rulesets = feed("intelligence/hunting_rulesets", "/id", "/date");
        let forbidden = || Reply::json(403, r#"{"error":{"code":"ForbiddenError","message":"w"}}"#);
        let json = |body: &str| Reply::json(200, body);
        let unknown = NOTIFICATION.replace("ip_address", "planet");
        let elsewhere = NOTIFICATION.replace("2001:db8::1", "../users/me");
        for (feed, replies, gone, words) in [
            (
                stream(),
                vec![not_found()],
                true,
                "ioc_stream_notifications/7",
            ),
            (
                stream(),
                vec![json(NOTIFICATION), not_found()],
                true,
                "ip_addresses/2001:db8::1",
            ),
            (
                stream(),
                vec![forbidden()],
                false,
                "ioc_stream_notifications/7: VirusTotal forbids",
            ),
            (
                stream(),
                vec![json(NOTIFICATION), forbidden()],
                false,
                "VirusTotal forbids",
            ),
            (
                stream(),
                vec![json(r#"{"data":{}}"#)],
                false,
                "missing field `attributes`",
            ),
            (
                stream(),
                vec![json(r#"{"data":{"attributes":{}}}"#)],
                false,
                "missing field `entity_type`",
            ),
            (
                stream(),
                vec![json(r#"{"date":1}"#)],
                false,
                "missing field `data`",
            ),
            (
                stream(),
                vec![json(NOTIFICATION), json(r#"{"data":[]}"#), not_found()],
                false,
                "expected a map",
            ),
            (stream(), vec![json(&unknown)], false, "\"planet\""),
            (
                stream(),
                vec![json(&elsewhere)],
                false,
                "\"ip_addresses/../users/me\" is refused",
            ),
            (feed(STREAM, "/id", "/date"), vec![], false, "not by /id"),
            (
                feed(WITHOUT_ADDRESS, "/id", "/date"),
                vec![],
                false,
                "single elements",
            ),
            (
                rulesets.clone(),
                vec![not_found()],
                true,
                "intelligence/hunting_rulesets/7",
            ),
            (
                rulesets.clone(),
                vec![json(r#"{"data":{"id":"8","date":1}}"#)],
                false,
                "answered with 8",
            ),
            (
                rulesets,
                vec![json(r#"{"data":{"id":"7"}}"#)],
                false,
                "/date is missing",
            ),
        ] {
            let (answer, _) = ask(&feed, replies).await;
            let found = match &answer {
                Ok(Element::Gone(found)) if gone => found,
                Ok(Element::Refused(found)) if !gone => found,
                _ => panic!("{words}: {answer:?}"),
            };
            assert!(found.contains(words), "{words}: {found}");
        }
    }

    #[tokio::test]
    async fn what_concerns_all_elements_is_an_error() {
        let exceeded = || {
            Reply::json(
                429,
                r#"{"error":{"code":"QuotaExceededError","message":"w"}}"#,
            )
        };
        for replies in [
            vec![exceeded()],
            vec![Reply::json(200, NOTIFICATION), exceeded()],
        ] {
            let (answer, _) = ask(&stream(), replies).await;
            assert!(
                matches!(answer, Err(Error::QuotaExceeded { .. })),
                "{answer:?}"
            );
        }
    }

    #[tokio::test]
    async fn any_other_collection_gives_its_element_as_it_is() {
        let feed = feed(
            "intelligence/hunting_rulesets",
            "/id",
            "/attributes/modification_date",
        );
        let reply = Reply::json(
            200,
            r#"{"data": {"id" : "7", "attributes": {"modification_date": 3}} }"#,
        );
        let (answer, lines) = ask(&feed, vec![reply]).await;
        let Ok(Element::Found(item)) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(
            item.document.as_str(),
            r#"{"id" : "7", "attributes": {"modification_date": 3}}"#
        );
        assert_eq!(item.observed, 3);
        assert_eq!(lines, ["GET /api/v3/intelligence/hunting_rulesets/7"]);
        assert_eq!(feed.retention(), None);
        assert_eq!(stream().retention(), Some(RETENTION));
    }
}
