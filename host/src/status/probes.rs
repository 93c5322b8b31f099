//! Whether the connector lives, and whether it is at work: for a container's health check, Kubernetes and the like.

use axum::Json;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::board::Board;

/// Who answers lives.
pub(super) fn alive() -> Json<Value> {
    Json(json!({ "alive": true }))
}

/// Registered with OpenCTI, which took a ping lately; 503 with the reason where not.
pub(super) fn ready(board: &Board) -> (StatusCode, Json<Value>) {
    match board.unready(Timestamp::now()) {
        None => (StatusCode::OK, Json(json!({ "ready": true }))),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "ready": false, "reason": reason })),
        ),
    }
}
