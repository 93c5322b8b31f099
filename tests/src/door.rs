//! A port of the loopback interface whose connections go on elsewhere, closed when its handle is dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Door {
    /// Lets `go_on` have each connection. What it fails with is what a peer does: it hangs up.
    pub(crate) async fn open<F, A>(go_on: F) -> Result<Self>
    where
        F: Fn(TcpStream) -> A + Send + Sync + 'static,
        A: Future<Output = Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let go_on = Arc::new(go_on);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(go_on(connection));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { address, task })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Address and path of `http://address/path`.
pub(crate) fn address_and_path(url: &str) -> Result<(SocketAddr, String)> {
    let rest = url.strip_prefix("http://").context("not http")?;
    let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Ok((address.parse()?, path.to_owned()))
}
