//! HTTP for a few readers, bounded in number and time: whoever reaches the port cannot use up the connector's
//! files, and with them its way to VirusTotal and the platform.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at a time; more wait in the backlog of the operating system.
const CONNECTIONS: usize = 16;

/// Longest time for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest time for a request and its answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after a connection that cannot be taken, when the process has no file left for it.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers as long as it is polled.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // It is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((connection, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    answer(connection, router).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a reader of metrics or status cannot connect");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// One request.
async fn answer(connection: TcpStream, router: Router) {
    let answered = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(connection), TowerToHyperService::new(router));
    // Who hangs up or is too slow gets no answer; nobody else need know.
    drop(tokio::time::timeout(TIMEOUT, answered).await);
}
