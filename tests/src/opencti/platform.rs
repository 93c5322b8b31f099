//! All that the simulated platform holds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::account::{Account, GROUP};
use super::connector::Connector;
use super::draft::Draft;
use super::graphql::Request;
use super::ids::internal_id;
use super::import::{Delivery, Message, Refusal};
use super::marking::{Sight, Tlp, allowed};
use super::report::Finding;
use super::store::{Origin, Store};
use super::upsert::MAX_CONFIDENCE;
use super::version::Version;
use super::work::Work;
use crate::fault::Faults;
use crate::secrets::Watch;

/// Who calls.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) capabilities: Vec<String>,
    /// Which markings it sees.
    pub(crate) sight: Sight,
    /// The confidence of what it brings is at most this.
    pub(crate) max_confidence: i64,
}

/// Where connectors are told to publish.
pub(crate) struct Queues {
    /// The fields of `RabbitMQConnection`.
    pub(crate) connection: Value,
    /// Before every name of an exchange, queue or routing key; ends in `_`. Makes simulators that
    /// share one RabbitMQ strangers to each other.
    pub(crate) prefix: String,
}

/// The simulated platform.
pub struct Platform {
    pub(crate) version: Version,
    /// Whose token the tests know.
    pub(crate) user: User,
    /// Names of groups.
    pub groups: BTreeSet<String>,
    /// Accounts that were made, in that order.
    pub accounts: Vec<Account>,
    /// What connectors are told of the platform's S3 storage: the fields of `S3Connection`.
    pub(crate) s3: Value,
    pub(crate) queues: Queues,
    /// Registered connectors by id.
    pub connectors: BTreeMap<String, Connector>,
    /// Works in the order of their creation; a deleted work is gone.
    pub works: Vec<Work>,
    /// Everything imported.
    pub store: Store,
    /// Draft workspaces in the order of their creation; a deleted one is gone.
    pub drafts: Vec<Draft>,
    /// What reached the worker, in that order.
    pub deliveries: Vec<Delivery>,
    /// Requests to `/graphql` in the order of arrival.
    pub requests: Vec<Request>,
    /// Violations of STIX 2.1 in what was imported.
    pub validity_problems: BTreeSet<String>,
    /// Uploads that broke off, of which nothing was kept.
    pub broken_uploads: usize,
    /// Planned faults.
    pub faults: Faults,
    /// Looks for secrets in what arrives.
    pub(crate) watch: Arc<Watch>,
    /// The token is refused while this is set: it has expired, or was revoked.
    pub token_expired: bool,
    /// The worker takes nothing while this is set.
    pub(crate) paused: bool,
    /// What was pushed by API and waits for the worker.
    pub(crate) waiting: VecDeque<Message>,
    /// Queues were purged so often: a message taken before a purge is not imported after it.
    pub(crate) purges: u64,
    /// Marks put into the queues so far, see [`super::broker::Broker::mark`].
    pub(crate) marks: u64,
    /// Those that the worker met.
    pub(crate) marks_taken: BTreeSet<u64>,
    pub(crate) refusals: Vec<Refusal>,
    /// Labels that objects have brought so far, in lower case.
    pub labels: BTreeSet<String>,
    /// The strongest marking of the protocol that accounts of the group Connectors see.
    pub group_max_marking: Tlp,
    /// So many requests are still answered as if their token were none: the platform is overloaded.
    pub overloaded_answers: usize,
    /// How much later than the clock says it is.
    pub(crate) ahead: SignedDuration,
    pub(crate) findings: BTreeSet<(Finding, String)>,
    pub(crate) expected: Vec<(Finding, String)>,
    pub(crate) anything_is_expected: bool,
    last_instant: i64,
}

impl Platform {
    pub(crate) fn new(version: Version, capabilities: Vec<String>, queues: Queues) -> Self {
        Self {
            version,
            user: User {
                id: internal_id("user"),
                capabilities,
                sight: Sight::default(),
                max_confidence: MAX_CONFIDENCE,
            },
            groups: BTreeSet::from([GROUP.to_owned()]),
            accounts: Vec::new(),
            s3: json!({
                "endpoint": "s3.invalid", "port": 9000, "use_ssl": false,
                "bucket_name": "opencti-bucket", "bucket_region": "us-east-1",
                "access_key": "simulated", "secret_key": "simulated",
            }),
            queues,
            connectors: BTreeMap::new(),
            works: Vec::new(),
            store: Store::default(),
            drafts: Vec::new(),
            deliveries: Vec::new(),
            requests: Vec::new(),
            validity_problems: BTreeSet::new(),
            broken_uploads: 0,
            faults: Faults::default(),
            watch: Arc::default(),
            token_expired: false,
            paused: false,
            waiting: VecDeque::new(),
            purges: 0,
            marks: 0,
            marks_taken: BTreeSet::new(),
            refusals: Vec::new(),
            labels: BTreeSet::new(),
            group_max_marking: Tlp::Red,
            overloaded_answers: 0,
            ahead: SignedDuration::ZERO,
            findings: BTreeSet::new(),
            expected: Vec::new(),
            anything_is_expected: false,
            last_instant: 0,
        }
    }

    /// The time, in the platform's form. No two calls give the same, so it can tell events apart.
    pub(crate) fn instant(&mut self) -> String {
        let now = Timestamp::now() + self.ahead;
        let now = now.as_millisecond().max(self.last_instant + 1);
        self.last_instant = now;
        Timestamp::from_millisecond(now)
            .map(|it| format!("{it:.3}"))
            .unwrap_or_default()
    }

    /// Time passes, and the decay manager with it.
    pub fn pass_time(&mut self, time: SignedDuration) {
        self.ahead += time;
        let now = Timestamp::now() + self.ahead;
        for stored in self.store.iter_mut() {
            stored.pass(now);
        }
    }

    /// How what an account brings is treated.
    pub(crate) fn origin(&mut self, applicant_id: &str) -> Origin {
        let account = self.user_by_id(applicant_id);
        Origin {
            applicant_id: applicant_id.to_owned(),
            draft_id: None,
            size: None,
            now: self.instant(),
            version: self.version.clone(),
            sight: account.as_ref().map(|it| it.sight).unwrap_or_default(),
            max_confidence: account.map_or(MAX_CONFIDENCE, |it| it.max_confidence),
            imported: true,
        }
    }

    /// The worker refuses matching objects with the message returned: `CODE: message`, or a message alone.
    pub fn refuse(&mut self, refusal: impl Fn(&Value) -> Option<String> + Send + Sync + 'static) {
        self.refusals.push(Box::new(refusal));
    }

    /// The work with this id, unless it was deleted.
    #[must_use]
    pub fn work(&self, id: &str) -> Option<&Work> {
        self.works.iter().find(|work| work.id == id)
    }

    pub(crate) fn work_mut(&mut self, id: &str) -> Option<&mut Work> {
        self.works.iter_mut().find(|work| work.id == id)
    }

    /// All errors on all works, as `message`.
    #[must_use]
    pub fn work_errors(&self) -> Vec<String> {
        self.works
            .iter()
            .flat_map(|work| &work.errors)
            .map(|it| it.message.clone())
            .collect()
    }

    /// How many requests named this root field.
    #[must_use]
    pub fn count(&self, field: &str) -> usize {
        self.requests
            .iter()
            .filter(|it| it.fields.iter().any(|name| name == field))
            .count()
    }

    pub(crate) fn me(&self, user: &User) -> Value {
        let capabilities: Vec<Value> = user
            .capabilities
            .iter()
            .map(|name| json!({"id": internal_id(name), "name": name}))
            .collect();
        json!({
            "id": user.id, "name": "Connector", "user_email": "connector@simulator.example",
            "capabilities": capabilities, "allowed_marking": allowed(user.sight),
            "groups": self.groups_of_account(),
        })
    }
}
