//! What the connector shows of itself over HTTP: metrics for Prometheus, the same story as JSON and as a page, and
//! whether it is well. Nothing here changes anything.

mod board;
mod document;
mod guests;
mod latency;
mod metrics;
mod page;
mod probes;
mod quota;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::Json;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_util::layers::{PrefixLayer, Stack};
use tokio::net::TcpListener;

pub use board::{Board, Peers};

use crate::config::Status;

/// The text format of Prometheus, version 0.0.4.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The address cannot be listened at.
    #[error(
        "cannot listen at {address} (CONNECTOR_METRICS_ADDRESS and CONNECTOR_METRICS_PORT): {error}"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// The buckets of a histogram cannot be used.
    #[error("cannot measure: {0}")]
    Buckets(#[from] metrics_exporter_prometheus::BuildError),
    /// The process counts already.
    #[error("cannot count: this process counts already")]
    Recorder,
}

/// Histograms keep every value until somebody reads them, or this long.
const UPKEEP: Duration = Duration::from_secs(60);

/// Serves the page, `/status.json`, `/metrics`, `/healthz` and `/readyz` at an address, as long as the process lives:
/// that it stops is shown too.
///
/// # Errors
/// When the address cannot be listened at.
pub async fn serve(settings: &Status, board: Board) -> Result<(), StatusError> {
    let address = settings.address;
    let prometheus = install_recorder(settings.metrics_prefix.clone())?;
    metrics::describe();
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| StatusError::Listen { address, error })?;
    let address = listener.local_addr().unwrap_or(address);
    tracing::info!("status at http://{address}/, metrics at http://{address}/metrics");
    tokio::spawn(keep_up(prometheus.clone()));
    tokio::spawn(server::serve(listener, router(prometheus, settings, board)));
    Ok(())
}

async fn keep_up(prometheus: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        prometheus.run_upkeep();
    }
}

/// Lets all metrics of this process be rendered, under names that begin with the prefix.
fn install_recorder(prefix: Option<String>) -> Result<PrometheusHandle, StatusError> {
    let latency = Matcher::Suffix(latency::NAME.to_owned());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(latency, &latency::BUCKETS)?
        .build_recorder();
    let handle = recorder.handle();
    let installed = match prefix {
        Some(prefix) => Stack::new(recorder)
            .push(PrefixLayer::new(prefix))
            .install()
            .is_ok(),
        None => Stack::new(recorder).install().is_ok(),
    };
    installed.then_some(handle).ok_or(StatusError::Recorder)
}

fn router(prometheus: PrometheusHandle, settings: &Status, board: Board) -> Router {
    let measured = board.clone();
    let state = settings
        .metrics_prefix
        .as_deref()
        .map(|it| format!("{it}_state"));
    let metrics = move || {
        metrics::measure(&measured, state.as_deref().unwrap_or("state"));
        let text = prometheus.render();
        async { ([(CONTENT_TYPE, PROMETHEUS)], text) }
    };
    let shown = board.clone();
    let status = move || {
        let status = document::status(&shown);
        async { Json(status) }
    };
    let ready = move || {
        let ready = probes::ready(&board);
        async { ready }
    };
    let page = page::page();
    let page = move || {
        let page = page.clone();
        async { page }
    };
    Router::new()
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .route("/status.json", get(status))
        .route("/healthz", get(async || probes::alive()))
        .route("/readyz", get(ready))
}
