//! What must hold at every moment, however often the connector is killed: checked when a request that could break it
//! arrives, before it takes effect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::{Context as _, Result, ensure};
use futures::future::FutureExt as _;
use serde_json::Value;

use crate::opencti::{self, Request};
use crate::{Recorded, virustotal};

/// What a run without kills delivers.
#[derive(Clone, Debug)]
pub struct Expected {
    /// All objects by id.
    pub objects: BTreeMap<String, Value>,
    /// What belongs to the notification of a date: its incident, what that is related to, and the relationships.
    /// No two notifications have the same date.
    notifications: BTreeMap<u64, BTreeSet<String>>,
}

impl Expected {
    /// Reads what the platform holds after such a run.
    ///
    /// # Errors
    /// When there is no incident, or two have the same date.
    pub fn of(platform: &opencti::Server) -> Result<Self> {
        let objects = objects(platform);
        let mut incidents: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (id, _) in objects.iter().filter(|(_, it)| it["type"] == "incident") {
            incidents.insert(id, BTreeSet::from([id.clone()]));
        }
        for (id, relationship) in &objects {
            let ends = ["source_ref", "target_ref"].map(|end| text(relationship, end));
            for end in ends {
                if let Some(ids) = incidents.get_mut(end) {
                    ids.extend(ends.map(str::to_owned));
                    ids.insert(id.clone());
                }
            }
        }
        let mut notifications = BTreeMap::new();
        for (id, ids) in incidents {
            let date: jiff::Timestamp = text(&objects[id], "first_seen").parse()?;
            let before = notifications.insert(u64::try_from(date.as_second())?, ids);
            ensure!(before.is_none(), "two notifications are of {date}");
        }
        ensure!(
            !notifications.is_empty(),
            "the run without kills delivered nothing"
        );
        Ok(Self {
            objects,
            notifications,
        })
    }

    /// Dates of the notifications that are delivered.
    #[must_use]
    pub fn dates(&self) -> BTreeSet<u64> {
        self.notifications.keys().copied().collect()
    }
}

/// All objects of the platform by id.
#[must_use]
pub fn objects(platform: &opencti::Server) -> BTreeMap<String, Value> {
    platform
        .objects()
        .into_iter()
        .map(|object| (text(&object, "id").to_owned(), object))
        .collect()
}

/// Watches two simulators.
pub struct Ledger {
    expected: Expected,
    virustotal: Weak<virustotal::Server>,
    platform: Weak<opencti::Server>,
    noted: Mutex<Noted>,
}

#[derive(Clone, Debug, Default)]
struct Noted {
    removals: usize,
    states: usize,
    violations: Vec<String>,
}

impl Ledger {
    /// Checks every removal of a notification and every state that is stored.
    #[must_use]
    pub fn watch(
        expected: Expected,
        virustotal: &Arc<virustotal::Server>,
        platform: &Arc<opencti::Server>,
    ) -> Arc<Self> {
        let ledger = Arc::new(Self {
            expected,
            virustotal: Arc::downgrade(virustotal),
            platform: Arc::downgrade(platform),
            noted: Mutex::default(),
        });
        let this = Arc::clone(&ledger);
        virustotal.check(move |request| {
            let this = Arc::clone(&this);
            async move { this.note(this.check_removal(&request).await) }.boxed()
        });
        let this = Arc::clone(&ledger);
        platform.check(move |request| {
            let this = Arc::clone(&this);
            async move { this.note(this.check_state(&request).await) }.boxed()
        });
        ledger
    }

    /// What was violated.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.noted(|noted| noted.violations.clone())
    }

    /// How many removals and states were checked.
    #[must_use]
    pub fn checked(&self) -> (usize, usize) {
        self.noted(|noted| (noted.removals, noted.states))
    }

    /// A notification is removed at the source only when all of it is delivered, for good.
    async fn check_removal(&self, request: &Recorded) -> Result<()> {
        let Some(id) = request
            .path
            .strip_prefix("/ioc_stream_notifications/")
            .filter(|_| request.method == "DELETE")
        else {
            return Ok(());
        };
        let virustotal = self.virustotal.upgrade().context("the simulator is gone")?;
        let date = virustotal.read(|world| {
            let mut notifications = world.notifications.iter();
            notifications.find(|it| it.id == id).map(|it| it.date)
        });
        // What is gone already was checked when it went.
        let Some(date) = date else {
            return Ok(());
        };
        self.noted(|noted| noted.removals += 1);
        let wanted = self.expected.notifications.get(&date).with_context(|| {
            format!("notification {id} is removed, which a run without kills does not deliver")
        })?;
        let missing = self.missing([wanted]).await?;
        ensure!(
            missing.is_empty(),
            "notification {id} is removed, and is not delivered: {missing}"
        );
        Ok(())
    }

    /// The checkpoint never moves past a notification that is not delivered.
    async fn check_state(&self, request: &Request) -> Result<()> {
        if !request.fields.iter().any(|field| field == "pingConnector") {
            return Ok(());
        }
        let state = request.variables["state"]
            .as_str()
            .context("a ping without a readable state")?;
        let state: Value = serde_json::from_str(state)?;
        let Some(checkpoint) = state["checkpoint"]["date"].as_u64() else {
            ensure!(state.is_null(), "a state without a checkpoint: {state}");
            return Ok(());
        };
        self.noted(|noted| noted.states += 1);
        let passed = self.expected.notifications.range(..=checkpoint);
        let missing = self.missing(passed.map(|(_, ids)| ids)).await?;
        ensure!(
            missing.is_empty(),
            "the checkpoint moves to {checkpoint}, and what is before it is not delivered: {missing}"
        );
        Ok(())
    }

    /// Those of the objects that are neither imported nor on record at the broker, in words; empty where there is none.
    async fn missing<'a>(
        &self,
        wanted: impl IntoIterator<Item = &'a BTreeSet<String>>,
    ) -> Result<String> {
        let platform = self.platform.upgrade().context("the simulator is gone")?;
        platform.until_worker_caught_up().await?;
        let missing: Vec<_> = platform.read(|platform| {
            let wanted = wanted.into_iter().flatten();
            wanted.filter(|id| !platform.store.knows(id)).collect()
        });
        Ok(missing.first().map_or_else(String::new, |first| {
            format!("{} objects are missing, such as {first}", missing.len())
        }))
    }

    fn note(&self, result: Result<()>) {
        if let Err(violation) = result {
            self.noted(|noted| noted.violations.push(format!("{violation:#}")));
        }
    }

    fn noted<R>(&self, look: impl FnOnce(&mut Noted) -> R) -> R {
        look(&mut self.noted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn text<'v>(object: &'v Value, name: &str) -> &'v str {
    object[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::request;
    use crate::virustotal::World;

    const DATE: u64 = 1_767_268_800;

    /// The id of the notification of [`DATE`] and of its incident.
    const ID: &str = "1";
    const INCIDENT: &str = "incident--8f1bbcdc-0000-5000-8000-000000000001";

    async fn simulators() -> (Arc<virustotal::Server>, Arc<opencti::Server>) {
        let mut world = World::new();
        for (id, date) in [(ID, DATE), ("2", DATE + 1)] {
            world.add(
                &json!({"context_attributes": {"notification_id": id, "notification_date": date}}),
            );
        }
        let virustotal = virustotal::Server::start(world).await.unwrap();
        let platform = opencti::Server::start(opencti::Options::default())
            .await
            .unwrap();
        platform.seed_state("c", "null").unwrap();
        (Arc::new(virustotal), Arc::new(platform))
    }

    async fn send(platform: &opencti::Server, query: &str, variables: Value) {
        let body = json!({"query": query, "variables": variables}).to_string();
        let authorization = format!("Bearer {}", platform.token());
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        let url = format!("{}/graphql", platform.url());
        let answer = request("POST", &url, &headers, body.as_bytes()).await;
        assert_eq!(answer.json().get("errors"), None, "{:?}", answer.json());
    }

    async fn deliver(platform: &opencti::Server) {
        let incident = json!({
            "type": "incident", "spec_version": "2.1", "id": INCIDENT, "name": "An alert",
            "created": "2026-01-01T12:00:00.000Z", "modified": "2026-01-01T12:00:00.000Z",
            "first_seen": "2026-01-01T12:00:00.000Z",
        });
        let bundle = json!({"type": "bundle", "id": "bundle--8f1bbcdc-0000-4000-8000-000000000002", "objects": [incident]});
        for finding in [
            opencti::Finding::WithoutAuthor,
            opencti::Finding::WithoutMarking,
        ] {
            platform.expect(finding, INCIDENT);
        }
        let push =
            "mutation P($bundle: String!) { stixBundlePush(connectorId: \"c\", bundle: $bundle) }";
        send(platform, push, json!({"bundle": bundle.to_string()})).await;
    }

    async fn store(platform: &opencti::Server, checkpoint: u64) {
        let state = json!({"checkpoint": {"date": checkpoint}}).to_string();
        let ping = "mutation P($state: String) { pingConnector(id: \"c\", state: $state) { id } }";
        send(platform, ping, json!({"state": state})).await;
    }

    async fn remove(virustotal: &virustotal::Server, id: &str) {
        let url = format!("{}/ioc_stream_notifications/{id}", virustotal.api_url());
        let answer = request("DELETE", &url, &[("x-apikey", virustotal.api_key())], b"").await;
        assert_eq!(answer.status, 200);
    }

    #[tokio::test]
    async fn what_comes_before_the_delivery_is_a_violation_and_after_it_none() {
        let (_, reference) = simulators().await;
        deliver(&reference).await;
        let expected = Expected::of(&reference).unwrap();
        assert_eq!(expected.dates(), BTreeSet::from([DATE]));

        let (virustotal, platform) = simulators().await;
        let ledger = Ledger::watch(expected.clone(), &virustotal, &platform);
        store(&platform, DATE - 1).await;
        deliver(&platform).await;
        store(&platform, DATE).await;
        remove(&virustotal, ID).await;
        assert_eq!(ledger.violations(), Vec::<String>::new());
        assert_eq!(ledger.checked(), (1, 2));

        let (virustotal, platform) = simulators().await;
        let ledger = Ledger::watch(expected, &virustotal, &platform);
        store(&platform, DATE).await;
        remove(&virustotal, ID).await;
        remove(&virustotal, "2").await;
        deliver(&platform).await;
        let violations = ledger.violations();
        for (violation, words) in violations.iter().zip([
            "the checkpoint moves to 1767268800",
            "notification 1 is removed, and is not delivered: 1 objects",
            "notification 2 is removed, which a run without kills",
        ]) {
            assert!(violation.contains(words), "{violation}");
        }
        assert_eq!(violations.len(), 3, "{violations:?}");
    }
}
