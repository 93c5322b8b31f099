//! A router on a free port of the loopback interface, stopped when its handle is dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A listening server. It ends with this value.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Listening {
    /// `http://127.0.0.1:port`.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A socket that has its port, but does not answer yet: the router may need to know the address.
pub(crate) struct Bound {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

pub(crate) async fn bind() -> std::io::Result<Bound> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, address })
}

impl Bound {
    /// Answers with `router`, every answer `latency` later than it could be. What has arrived takes effect, also
    /// when its sender is gone by then.
    pub(crate) fn serve(self, router: Router, latency: Duration) -> Listening {
        let router = router.layer(middleware::from_fn(
            move |request: Request, next: Next| async move {
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
                tokio::spawn(next.run(request))
                    .await
                    .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
            },
        ));
        let (stop, stopped) = oneshot::channel::<()>();
        // Without TCP_NODELAY, Nagle's algorithm and delayed acknowledgements add 40 ms to an answer.
        let listener = self.listener.tap_io(|stream| {
            // A connection that is already gone cannot be tuned, and needs no tuning.
            let _ = stream.set_nodelay(true);
        });
        tokio::spawn(async move {
            let server = axum::serve(listener, router).with_graceful_shutdown(async {
                // Ends with an error when the handle is dropped, which is the signal.
                let _ = stopped.await;
            });
            if let Err(error) = server.await {
                eprintln!("simulator: the server ended: {error}");
            }
        });
        Listening {
            address: self.address,
            _stop: stop,
        }
    }
}
