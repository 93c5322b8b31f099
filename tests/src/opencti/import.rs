//! What the worker does with a bundle (protocol sections 7, 8 and 13).

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::error::PlatformError;
use super::judge::Judged;
use super::pace::Cost;
use super::platform::Platform;
use super::report::Finding;
use super::upsert;
use crate::stix::{problems, references};

/// Says why an object is refused, or lets it pass.
pub(crate) type Refusal = Box<dyn Fn(&Value) -> Option<String> + Send + Sync>;

/// The decay manager looks at all indicators so often.
const DECAY_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

/// The worker keeps the source of an error only below this length.
const MAX_SOURCE: usize = 50_000;

/// The way by which a bundle came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// RabbitMQ.
    Queue,
    /// `stixBundlePush`.
    Api,
}

/// AMQP properties that the protocol asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// 2: persistent.
    pub delivery_mode: Option<u8>,
    /// `utf-8`.
    pub content_encoding: Option<String>,
    /// None.
    pub content_type: Option<String>,
}

/// A message that reached the worker.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Which connector's queue.
    pub connector_id: String,
    /// See [`Via`].
    pub via: Via,
    /// To which work its objects are reported.
    pub work_id: Option<String>,
    /// To whom its objects are attributed.
    pub applicant_id: Option<String>,
    /// As sent.
    pub no_split: bool,
    /// As sent.
    pub update: bool,
    /// As sent.
    pub draft_id: Option<String>,
    /// Ids of the objects of its bundle, in the order sent.
    pub ids: Vec<String>,
    /// Bytes of the message (queue) or of the bundle (API).
    pub bytes: usize,
    /// Of the AMQP message.
    pub properties: Option<Properties>,
    /// Why the worker dropped it unread; its expectations are never reported.
    pub lost: Option<String>,
    /// One worker imports all of it.
    pub in_one_piece: bool,
    /// What each object cost the worker, in the order of their import.
    pub costs: Vec<Cost>,
}

/// How an object was taken.
enum Taken {
    Whole,
    /// Without references that were waited for in vain.
    WithoutSome,
}

/// A bundle on its way to the worker.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) connector_id: String,
    pub(crate) via: Via,
    pub(crate) work_id: Option<String>,
    pub(crate) applicant_id: Option<String>,
    pub(crate) no_split: bool,
    pub(crate) update: bool,
    pub(crate) draft_id: Option<String>,
    pub(crate) bundle: Value,
    pub(crate) bytes: usize,
    pub(crate) properties: Option<Properties>,
    /// The expectations stand already: the server split the bundle itself.
    pub(crate) expected: bool,
}

impl Platform {
    /// `stixBundlePush`.
    pub(crate) fn push_bundle(
        &mut self,
        user_id: &str,
        connector_id: &str,
        text: &str,
        work_id: Option<&str>,
    ) -> Result<(), PlatformError> {
        let invalid = || PlatformError::new("UNSUPPORTED_ERROR", "Invalid bundle");
        let bundle: Value = serde_json::from_str(text).map_err(|_| invalid())?;
        let number = bundle["objects"].as_array().map_or(0, Vec::len);
        if bundle["type"] != "bundle" || number == 0 {
            return Err(invalid());
        }
        let connector = self.connector(connector_id)?;
        let work_id = match work_id.filter(|it| !it.is_empty()) {
            Some(id) => id.to_owned(),
            None => {
                let name = connector["name"].as_str().unwrap_or_default();
                let name = format!("{name} run @ {}", self.instant());
                let work = self.add_work(connector_id, &name, false)?;
                work["id"].as_str().unwrap_or_default().to_owned()
            }
        };
        let expected = self.version.splits_on_server();
        if expected {
            self.expect(&work_id, i64::try_from(number).unwrap_or(i64::MAX));
        }
        self.waiting.push_back(Message {
            connector_id: connector_id.to_owned(),
            via: Via::Api,
            work_id: Some(work_id),
            applicant_id: Some(user_id.to_owned()),
            no_split: false,
            update: true,
            draft_id: None,
            bundle,
            bytes: text.len(),
            properties: None,
            expected,
        });
        self.work_off();
        Ok(())
    }

    /// Imports what was pushed by API, unless the worker is paused.
    pub(crate) fn work_off(&mut self) {
        while !self.paused
            && let Some(message) = self.waiting.pop_front()
        {
            self.import(message);
        }
    }

    /// Notes a message that the worker cannot read.
    pub(crate) fn lose(&mut self, mut delivery: Delivery, reason: String) {
        delivery.lost = Some(reason);
        self.deliveries.push(delivery);
    }

    /// Imports a bundle. Returns whether the worker could read the message.
    pub(crate) fn import(&mut self, message: Message) -> bool {
        let objects = message.bundle["objects"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let one_piece = message.no_split && self.version.worker_honours_no_split();
        let mut delivery = delivery(&message, &objects);
        delivery.in_one_piece = one_piece || objects.len() < 2;
        let applicant = message.applicant_id.as_deref().unwrap_or_default();
        let unreadable = if objects.is_empty() {
            Some("content without objects".to_owned())
        } else if !self.is_user(applicant) {
            Some(format!("applicant_id \"{applicant}\" is not a user"))
        } else {
            None
        };
        if let Some(reason) = unreadable {
            self.lose(delivery, reason);
            return false;
        }
        self.validity_problems.extend(problems(&message.bundle));
        if objects.len() > 1 && !one_piece && !message.expected {
            let number = i64::try_from(objects.len()).unwrap_or(i64::MAX);
            message
                .work_id
                .iter()
                .for_each(|work| self.expect(work, number));
        }
        for object in in_dependency_order(&objects) {
            delivery.costs.push(self.import_one(object, &message));
        }
        self.deliveries.push(delivery);
        true
    }

    fn import_one(&mut self, object: &Value, message: &Message) -> Cost {
        let work = message.work_id.as_deref();
        let draft = message.draft_id.as_deref();
        // The worker's requests carry the work's id, and newer platforms refuse those of a deleted one.
        if self.version.checks_work_header() && work.is_some_and(|id| self.work(id).is_none()) {
            return Cost::Once;
        }
        let taken = self
            .check_draft(draft)
            .and_then(|()| self.take(object, message));
        let cost = match &taken {
            Err(error) if !error.unresolved.is_empty() => Cost::Retried,
            Ok(Taken::WithoutSome) => Cost::Retried,
            _ => Cost::Once,
        };
        let failure = taken.err().map(|error| {
            let id = object["id"].as_str().unwrap_or_default();
            self.find_out(Finding::Refused, format!("{id}: {error}"));
            let source = object.to_string();
            let source = if error.code == "DRAFT_LOCKED" {
                "Draft in read only".to_owned()
            } else if source.len() < MAX_SOURCE {
                source
            } else {
                "Bundle too large".to_owned()
            };
            (error.as_the_worker_tells_it(), Some(source))
        });
        if let Some(work) = work {
            self.report(work, failure);
        }
        cost
    }

    /// Takes an object into the knowledge, or into a draft.
    fn take(&mut self, object: &Value, message: &Message) -> Result<Taken, PlatformError> {
        let draft = message.draft_id.as_deref();
        let mut origin = self.origin(message.applicant_id.as_deref().unwrap_or_default());
        origin.draft_id.clone_from(&message.draft_id);
        let sent = object["id"].as_str().unwrap_or_default();
        // The markings of the protocol are there, for those who see them.
        if !origin.sight.sees(sent) {
            return Ok(Taken::Whole);
        }
        let Judged { object, lost } = self.judge(object, draft, origin.sight)?;
        let imported = self.upsert(draft, &object, &origin)?;
        let taken = if lost.is_empty() {
            Taken::Whole
        } else {
            Taken::WithoutSome
        };
        for lost in lost {
            self.find_out(Finding::LostReference, format!("{sent}: {lost}"));
        }
        if let Some(merged) = imported.merged {
            self.find_out(Finding::MergedFiles, format!("{sent}: {merged}"));
        }
        self.labels.extend(upsert::labels(&object));
        let next_pass = origin.now() + DECAY_INTERVAL;
        let died = match self.find_mut(draft, &imported.standard_id) {
            Some(stored) => stored.pass(next_pass),
            None => false,
        };
        if imported.revoked {
            self.find_out(Finding::RevokedOnArrival, format!("{sent}: too old"));
        } else if died {
            self.find_out(Finding::RevokedOnArrival, format!("{sent}: worn out"));
        }
        Ok(taken)
    }
}

fn delivery(message: &Message, objects: &[Value]) -> Delivery {
    Delivery {
        connector_id: message.connector_id.clone(),
        via: message.via,
        work_id: message.work_id.clone(),
        applicant_id: message.applicant_id.clone(),
        no_split: message.no_split,
        update: message.update,
        draft_id: message.draft_id.clone(),
        ids: objects
            .iter()
            .filter_map(|it| it["id"].as_str().map(str::to_owned))
            .collect(),
        bytes: message.bytes,
        properties: message.properties.clone(),
        lost: None,
        in_one_piece: message.no_split || objects.len() < 2,
        costs: Vec::new(),
    }
}

/// As the worker splits: each object after those of the bundle that it refers to; what refers to
/// itself in a circle comes last.
fn in_dependency_order(objects: &[Value]) -> Vec<&Value> {
    let bundle: BTreeSet<&str> = objects.iter().filter_map(|it| it["id"].as_str()).collect();
    let mut waiting: Vec<(&Value, BTreeSet<&str>)> = objects
        .iter()
        .map(|it| {
            (
                it,
                references(it)
                    .map(|(_, id)| id)
                    .filter(|id| bundle.contains(id))
                    .collect(),
            )
        })
        .collect();
    let mut done: BTreeMap<&str, ()> = BTreeMap::new();
    let mut ordered = Vec::with_capacity(objects.len());
    loop {
        let (ready, blocked): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|(_, needs)| needs.iter().all(|need| done.contains_key(need)));
        if ready.is_empty() {
            ordered.extend(blocked.into_iter().map(|(object, _)| object));
            return ordered;
        }
        for (object, _) in ready {
            done.insert(object["id"].as_str().unwrap_or_default(), ());
            ordered.push(object);
        }
        waiting = blocked;
    }
}

/// Reads the body of a queue message (section 7).
pub(crate) fn read_message(
    connector_id: &str,
    bytes: &[u8],
    properties: Properties,
) -> Result<Message, (Box<Delivery>, String)> {
    use base64::Engine as _;
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let mut message = Message {
        connector_id: connector_id.to_owned(),
        via: Via::Queue,
        work_id: text("work_id"),
        applicant_id: text("applicant_id"),
        no_split: body["no_split"] == Value::Bool(true),
        update: body["update"] == Value::Bool(true),
        draft_id: text("draft_id"),
        bundle: json!({}),
        bytes: bytes.len(),
        properties: Some(properties),
        expected: false,
    };
    let content = body["content"].as_str().unwrap_or_default();
    let bundle = base64::engine::general_purpose::STANDARD
        .decode(content)
        .ok()
        .and_then(|it| serde_json::from_slice(&it).ok());
    match bundle {
        _ if !body.is_object() => Err((Box::new(delivery(&message, &[])), "not JSON".to_owned())),
        Some(bundle) => {
            message.bundle = bundle;
            Ok(message)
        }
        None => Err((
            Box::new(delivery(&message, &[])),
            "content is not base64 of JSON".to_owned(),
        )),
    }
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
