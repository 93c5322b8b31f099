//! What commands that deliver have in common: both peers, signals, and the time to end.

use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{Http, OpenCti, Settings, Source};
use crate::delivery::Deliverer;
use crate::opencti::{self, Registration, StateKeeper};
use crate::pipeline::Pipeline;
use crate::runtime::Live;
use crate::virustotal;

/// Time to end after SIGTERM: the publish in hand and the state. Docker kills after ten seconds.
const GRACE: Duration = Duration::from_secs(9);

/// Threads for blocking work: calls of the guest, and name resolution.
const BLOCKING_THREADS: usize = 8;

/// Stable, since administrators of a platform exempt clients from its rate limit by it.
pub(super) const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

pub(super) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// Both sides, of which nothing has been asked yet.
pub(super) struct Peers {
    pub(super) platform: opencti::Client,
    pub(super) source: virustotal::Client,
}

impl Peers {
    pub(super) fn new(settings: &Settings, http: &Http) -> anyhow::Result<Self> {
        Self::of(&settings.opencti, &settings.source, http)
    }

    pub(super) fn of(platform: &OpenCti, source: &Source, http: &Http) -> anyhow::Result<Self> {
        Ok(Self {
            platform: opencti::Client::new(platform, http, USER_AGENT)?,
            source: virustotal::Client::new(source, http)?,
        })
    }

    /// The same peers, where the settings want it as an account of the connector's own. Its token is renewed: beside
    /// a connector that works with the one before, that one is refused from then on.
    pub(super) async fn with_service_account(
        self,
        settings: &Settings,
        http: &Http,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let connector = &settings.connector;
        let Some(account) = connector.service_account else {
            return Ok(self);
        };
        let token =
            opencti::wait_for_service_account(&self.platform, connector, account, stop).await?;
        let opencti = OpenCti {
            token,
            ..settings.opencti.clone()
        };
        Ok(Self {
            platform: opencti::Client::new(&opencti, http, USER_AGENT)?.of_own_account(),
            ..self
        })
    }

    /// All that runs need, once the platform knows the connector. From here on it is pinged.
    pub(super) fn pipeline(
        self,
        settings: &Settings,
        http: &Http,
        guests: Live,
        registration: &Registration,
    ) -> anyhow::Result<Pipeline> {
        let Self { platform, source } = self;
        let connector = &settings.connector;
        Ok(Pipeline {
            deliverer: Deliverer::new(&connector.sinks, connector, &platform, registration, http)?,
            keeper: StateKeeper::start(platform.clone(), connector.clone(), registration),
            connector_id: connector.id.clone(),
            connector_name: connector.name.clone(),
            limit: settings.source.limit.map(Into::into),
            validate_before_import: connector.validate_before_import,
            files_outside_draft: connector.files_outside_draft,
            queue_alone: connector.sinks.is_queue_alone(),
            guests,
            source,
            platform,
        })
    }
}

/// A token that SIGTERM and SIGINT cancel.
pub(super) fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to SIGINT")?;
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: the connector ends"),
            _ = interrupt.recv() => tracing::info!("SIGINT: the connector ends"),
        }
        cancelled.cancel();
    });
    Ok(stop)
}

/// What the work comes to; `None` where it does not end in time after it was asked to.
pub(super) async fn within_grace<T>(
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> Option<T> {
    let grace_is_over = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = grace_is_over => {
            tracing::error!("the run did not end within {GRACE:?}: what is not confirmed will be done again");
            None
        }
    }
}
