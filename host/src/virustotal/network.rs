//! Failures of the network, told apart.

use std::error::Error as _;
use std::{error, fmt, io, iter};

use super::error::Error;

/// What kind of failure kept an answer away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkFault {
    /// The name of the host is not known to the resolver.
    Dns,
    /// Nothing listens there.
    Refused,
    /// No TLS connection could be made: certificate, name or protocol.
    Tls,
    /// A proxy stands in the way and does not let us through.
    Proxy,
    /// Nothing came for too long.
    Timeout,
    /// The connection broke, or the answer is cut off.
    Interrupted,
    /// Anything else.
    Other,
}

impl NetworkFault {
    /// Whether it may pass by itself: a refused certificate does not.
    pub fn is_transient(self) -> bool {
        self != Self::Tls
    }

    /// What the user can do, to be put behind a message.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::Dns => "; check API_URL and the DNS of this machine",
            Self::Refused => {
                "; check API_URL, and HTTP_PROXY, HTTPS_PROXY and NO_PROXY where the way out is a proxy"
            }
            Self::Tls => {
                "; check https in API_URL; where a proxy reads HTTPS, give its certificate authority in HTTPS_CA_CERTIFICATES"
            }
            Self::Proxy => "; check HTTPS_PROXY, its credentials and NO_PROXY",
            Self::Timeout | Self::Interrupted | Self::Other => "",
        }
    }
}

impl fmt::Display for NetworkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the host name cannot be resolved",
            Self::Refused => "the connection is refused",
            Self::Tls => "no TLS connection can be made",
            Self::Proxy => "the proxy refuses",
            Self::Timeout => "no answer in time",
            Self::Interrupted => "the connection broke or the answer is cut off",
            Self::Other => "the request failed",
        })
    }
}

impl Error {
    /// Words for what reqwest reports; its URL, which may be signed, is left out.
    pub(super) fn network(host: &str, error: &reqwest::Error) -> Self {
        let (fault, detail) = describe(error);
        Self::Network {
            host: host.to_owned(),
            fault,
            detail,
        }
    }
}

/// The kind of a failure, and its innermost cause.
pub(super) fn describe(error: &reqwest::Error) -> (NetworkFault, String) {
    (fault(error), innermost(error))
}

fn fault(error: &reqwest::Error) -> NetworkFault {
    if error.is_dns() {
        return NetworkFault::Dns;
    }
    if error.is_timeout() {
        return NetworkFault::Timeout;
    }
    for cause in causes(error) {
        if cause.is::<rustls::Error>() {
            return NetworkFault::Tls;
        }
        // hyper-util keeps the type to itself.
        if cause.to_string().starts_with("tunnel error") {
            return NetworkFault::Proxy;
        }
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::ConnectionRefused
        {
            return NetworkFault::Refused;
        }
    }
    if error.is_body() || error.is_decode() || error.is_request() && !error.is_connect() {
        return NetworkFault::Interrupted;
    }
    NetworkFault::Other
}

/// The last error of the chain: the others only repeat that a request failed, and with which URL.
fn innermost(error: &reqwest::Error) -> String {
    let last = causes(error).last();
    last.map_or_else(|| "no details".to_owned(), ToString::to_string)
}

/// The chain of causes. An `io::Error` leaves out the error that it wraps, so this looks inside.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn error::Error + 'static)> {
    iter::successors(error.source(), |&cause| {
        let wrapped = cause.downcast_ref().and_then(io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as _),
            None => cause.source(),
        }
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::virustotal::LookupPath;
    use crate::virustotal::testing::{Reply, Server, client, client_for};

    async fn fault_of(client: crate::virustotal::Client) -> NetworkFault {
        let path = LookupPath::parse("files/a").unwrap();
        match client.lookup(&path).await {
            Err(Error::Network { fault, .. }) => fault,
            other => panic!("no network fault: {other:?}"),
        }
    }

    #[tokio::test]
    async fn nobody_listening_is_refused() {
        let server = Server::always(Reply::no_answer()).await;
        let client = client(&server);
        server.stop().await;
        assert_eq!(fault_of(client).await, NetworkFault::Refused);
    }

    #[tokio::test]
    async fn a_connection_that_ends_early_is_interrupted() {
        for reply in [Reply::no_answer(), Reply::json(200, "{}").cut_by(1)] {
            let server = Server::always(reply).await;
            assert_eq!(fault_of(client(&server)).await, NetworkFault::Interrupted);
        }
    }

    #[tokio::test]
    async fn a_port_without_tls_is_a_fault_of_tls_and_asked_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("https://127.0.0.1:{port}/").parse().unwrap();
        let client = client_for(url);
        let serve = async {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                connection
                    .write_all(b"HTTP/1.1 400 Bad\r\n\r\n")
                    .await
                    .unwrap();
            }
        };
        tokio::select! {
            fault = fault_of(client.clone()) => assert_eq!(fault, NetworkFault::Tls),
            () = serve => {}
        }
        assert_eq!(client.requests().retries, 0);
    }
}
