//! What the connector shows of itself over HTTP: metrics for Prometheus, and the same story as JSON. Nothing
//! here changes anything.

mod guests;
mod server;

use std::net::SocketAddr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::Json;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::runtime::Live;

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
    /// The process counts already.
    #[error("cannot count: {0}")]
    Recorder(#[from] metrics_exporter_prometheus::BuildError),
}

/// Serves `/metrics` and `/status.json` at an address, until stopped.
///
/// # Errors
/// When the address cannot be listened at.
pub async fn serve(
    address: SocketAddr,
    guests: Live,
    stop: CancellationToken,
) -> Result<(), StatusError> {
    let prometheus = PrometheusBuilder::new().install_recorder()?;
    guests::describe();
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| StatusError::Listen { address, error })?;
    let address = listener.local_addr().unwrap_or(address);
    tracing::info!("metrics at http://{address}/metrics, status at http://{address}/status.json");
    let router = router(prometheus, guests);
    tokio::spawn(server::serve(listener, router, stop));
    Ok(())
}

fn router(prometheus: PrometheusHandle, guests: Live) -> Router {
    let measured = guests.clone();
    let metrics = move || {
        guests::measure(&measured);
        let text = prometheus.render();
        async { ([(CONTENT_TYPE, PROMETHEUS)], text) }
    };
    let status = move || {
        let json = serde_json::json!({
            "guest": guests::status(&guests),
            "guest_changes": guests::changes(&guests),
        });
        async { Json(json) }
    };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/status.json", get(status))
}
