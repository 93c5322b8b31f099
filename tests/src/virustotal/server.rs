//! The two listening servers, and the handle that tests hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::future::BoxFuture;

use super::answer::respond;
use super::api::{self, Place};
use super::storage;
use super::world::{Kind, World};
use crate::fault::{Call, Fault};
use crate::gate::Gate;
use crate::recorded::Recorded;
use crate::secrets::{Secrets, Watch};
use crate::serve::{Listening, bind};
use crate::watched::Watched;

const ROOT: &str = "/api/v3";

/// How the simulated service is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The key that `x-apikey` must carry.
    pub api_key: String,
    /// How much later than possible every answer comes.
    pub latency: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_key: "key-of-the-simulated/virustotal+".to_owned(),
            latency: Duration::ZERO,
        }
    }
}

struct Shared {
    world: Watched<World>,
    place: Place,
    gate: Gate<Recorded>,
    watch: Arc<Watch>,
}

/// A running simulator. It stops when this is dropped.
pub struct Server {
    shared: Arc<Shared>,
    api: Listening,
    storage: Listening,
}

impl Server {
    /// Starts on free ports of the loopback interface.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(world: World) -> Result<Self> {
        Self::start_with(world, Options::default()).await
    }

    /// Starts with another key or with latency.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start_with(world: World, options: Options) -> Result<Self> {
        let (api, storage) = (bind().await?, bind().await?);
        let place = Place {
            root: format!("http://{}{ROOT}", api.address),
            storage: format!("http://{}", storage.address),
            api_key: options.api_key,
        };
        let shared = Arc::new(Shared {
            world: Watched::new(world),
            place,
            gate: Gate::default(),
            watch: Arc::default(),
        });
        let router = |shared: &Arc<Shared>| Router::new().with_state(Arc::clone(shared));
        let api_router = router(&shared)
            .fallback(answer_api)
            .with_state(Arc::clone(&shared));
        let storage_router = router(&shared)
            .fallback(answer_storage)
            .with_state(Arc::clone(&shared));
        Ok(Self {
            api: api.serve(api_router, options.latency),
            storage: storage.serve(storage_router, options.latency),
            shared,
        })
    }

    /// `http://127.0.0.1:port/api/v3`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}{ROOT}", self.api.origin())
    }

    /// The origin of signed URLs.
    #[must_use]
    pub fn storage_url(&self) -> String {
        self.storage.origin()
    }

    /// The key that is accepted.
    #[must_use]
    pub fn api_key(&self) -> &str {
        &self.shared.place.api_key
    }

    /// What a connector learns here and must not show.
    pub(crate) fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add(SIGNED_URL, storage::SIGNATURE);
        secrets
    }

    pub(crate) fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.shared.watch)
    }

    /// Looks at the world.
    pub fn read<R>(&self, look: impl FnOnce(&World) -> R) -> R {
        self.shared.world.read(look)
    }

    /// Changes the world.
    pub fn edit<R>(&self, change: impl FnOnce(&mut World) -> R) -> R {
        self.shared.world.edit(change)
    }

    /// The next matching request fails.
    pub fn fault(&self, matcher: impl Fn(&Call<'_>) -> bool + Send + Sync + 'static, fault: Fault) {
        self.edit(|world| world.faults.push(matcher, fault));
    }

    /// Every request to the API waits for this check before it takes effect. The first check stays.
    pub fn check(
        &self,
        check: impl Fn(Recorded) -> BoxFuture<'static, ()> + Send + Sync + 'static,
    ) {
        self.shared.gate.set(check);
    }

    /// All requests to the API in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.read(|world| world.requests.clone())
    }

    /// All requests to the sample storage in the order of arrival.
    #[must_use]
    pub fn storage_requests(&self) -> Vec<Recorded> {
        self.read(|world| world.storage_requests.clone())
    }

    /// How many requests of a kind arrived.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.read(|world| world.count(kind))
    }

    /// How many requests of each kind arrived.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        self.read(|world| {
            let mut counts = BTreeMap::new();
            for request in &world.requests {
                *counts.entry(Kind::of(request)).or_default() += 1;
            }
            counts
        })
    }

    /// Ids of the notifications that were deleted one by one, in that order.
    #[must_use]
    pub fn deletions(&self) -> Vec<String> {
        self.read(|world| world.deleted.clone())
    }

    /// Waits until the condition holds.
    ///
    /// # Errors
    /// Names `what` when it did not come true in [`crate::watched::PATIENCE`].
    pub async fn until(&self, what: &str, condition: impl FnMut(&World) -> bool) -> Result<()> {
        self.shared.world.until(what, condition).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.watch.assert_nothing_found();
    }
}

/// Name of the secret in the address of a file.
const SIGNED_URL: &str = "signature of a URL";

/// The key, and a login in the address of the API, belong there, in a header.
fn is_of_the_api(secret: &str) -> bool {
    secret.ends_with("_API_KEY") || secret.ends_with("_API_URL")
}

async fn answer_api(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let recorded = Recorded::new(&request.into_parts().0, ROOT);
    let names_user_by_key = recorded.path.starts_with("/users/");
    recorded.look_for_secrets(&shared.watch, is_of_the_api, |secret| {
        names_user_by_key && secret.ends_with("_API_KEY")
    });
    shared.gate.pass(recorded.clone()).await;
    let (fault, response) = shared.world.edit(|world| {
        let call = Call {
            method: &recorded.method,
            path: &recorded.path,
            fields: &[],
        };
        let fault = world.faults.take(&call);
        world.requests.push(recorded.clone());
        let response = match fault.as_ref().and_then(Fault::instead) {
            Some(response) => return (None, response),
            None => respond(api::answer(world, &recorded, &shared.place), &recorded),
        };
        (fault, response)
    });
    match fault {
        Some(fault) => fault.spoil(response).await,
        None => response,
    }
}

async fn answer_storage(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let recorded = Recorded::new(&parts, "");
    recorded.look_for_secrets(&shared.watch, |_| false, |name| name == SIGNED_URL);
    storage::answer(&shared.world, &parts.method, recorded)
}
