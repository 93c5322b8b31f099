//! A TCP proxy on the loopback interface, between the connector and a service, whose behaviour a test changes
//! while it runs: for what happens on the network rather than in an answer. For faults of single requests over
//! HTTP see [`crate::fault`].

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::watched::Watched;

/// Connections that wait to be taken.
const BACKLOG: u32 = 128;

/// Most bytes that are passed on at once.
const PIECE: usize = 64 * 1024;

/// How a proxy treats its connections, old and new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// What comes is passed on.
    Open,
    /// Nobody listens: connections are refused, and those that were open are cut.
    Refused,
    /// Connections are taken, and nothing passes on them.
    Stalled,
    /// Each piece of an answer comes so much later.
    Delayed(Duration),
    /// An answer comes in pieces of so many bytes, with this pause before each.
    Dripping(usize, Duration),
    /// A connection is cut when so many bytes of answers have passed on it.
    CutAfter(usize),
    /// These bytes come instead of an answer, and the connection ends.
    Answering(Bytes),
}

/// What happens on the connections, and how often it did.
#[derive(Debug)]
struct State {
    link: Link,
    /// Counts the changes of `link`.
    change: u64,
    /// Requests and answers that met the present link.
    met: usize,
}

/// A proxy before one service. It ends with this value, and its connections with it.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Watched<State>>,
    /// Holds the port while nobody listens: the system gives it to no other process, and refuses connections.
    _port: TcpSocket,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts an open proxy on a free port.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(service: SocketAddr) -> Result<Self> {
        let port = TcpSocket::new_v4()?;
        port.set_reuseaddr(true)?;
        port.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = port.local_addr()?;
        let state = Arc::new(Watched::new(State {
            link: Link::Open,
            change: 0,
            met: 0,
        }));
        let listener = listen(address)?;
        let task = tokio::spawn(serve(listener, address, service, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            _port: port,
            task,
        })
    }

    /// A proxy before the service that this URL names, and the URL that leads through it.
    ///
    /// # Errors
    /// When the URL names no address with a port, or no port can be bound.
    pub async fn before(url: &str) -> Result<(Self, String)> {
        let authority = url.split('/').nth(2).unwrap_or_default();
        let service = authority.rsplit('@').next().unwrap_or_default();
        let proxy = Self::start(service.parse()?).await?;
        let through = url.replacen(service, &proxy.address.to_string(), 1);
        Ok((proxy, through))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on connections are treated so.
    pub fn set(&self, link: Link) {
        self.state.edit(|state| {
            state.link = link;
            state.change += 1;
            state.met = 0;
        });
    }

    /// Waits until so many requests or answers met what was last set: were held back, delayed, cut or replaced.
    /// Refused connections are not seen.
    ///
    /// # Errors
    /// When that does not happen in [`crate::watched::PATIENCE`].
    pub async fn until_met(&self, times: usize) -> Result<()> {
        let what = format!("the link is met {times} times");
        self.state.until(&what, |state| state.met >= times).await
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Link::Refused);
        self.task.abort();
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes connections while the link is not refused.
async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    service: SocketAddr,
    state: Arc<Watched<State>>,
) {
    let mut listener = Some(listener);
    loop {
        let Some(open) = listener.take() else {
            state.wait(|state| state.link != Link::Refused).await;
            match listen(address) {
                Ok(open) => listener = Some(open),
                Err(error) => return eprintln!("proxy: cannot listen on {address}: {error}"),
            }
            continue;
        };
        tokio::select! {
            () = state.wait(|state| state.link == Link::Refused) => {}
            taken = open.accept() => {
                if let Ok((client, _)) = taken {
                    tokio::spawn(connect(client, service, Arc::clone(&state)));
                }
                listener = Some(open);
            }
        }
    }
}

/// One connection, until either side ends it or it is cut.
async fn connect(client: TcpStream, service: SocketAddr, state: Arc<Watched<State>>) {
    let Ok(service) = TcpStream::connect(service).await else {
        return;
    };
    // Without it, small pieces would wait for each other's acknowledgements.
    let _ = (client.set_nodelay(true), service.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_service, to_service) = service.into_split();
    let answers = Answers {
        to_client,
        state: Arc::clone(&state),
        change: 0,
        passed: 0,
    };
    tokio::select! {
        () = state.wait(|state| state.link == Link::Refused) => {}
        // The end of the requests is not the end of the answers, which still come.
        () = answers.pass(from_service) => {}
        () = pass_requests(from_client, to_service, &state) => {}
    }
}

async fn pass_requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: &Watched<State>) {
    let mut buffer = vec![0; PIECE];
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        if state.read(|state| state.link == Link::Stalled) {
            meet(state, None);
            state.wait(|state| state.link != Link::Stalled).await;
        }
        if to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
    std::future::pending::<()>().await;
}

/// Counts one that met the link, unless that has changed since.
fn meet(state: &Watched<State>, change: Option<u64>) {
    state.edit(|state| {
        if change.is_none_or(|change| change == state.change) {
            state.met += 1;
        }
    });
}

/// The way from the service to the client.
struct Answers {
    to_client: OwnedWriteHalf,
    state: Arc<Watched<State>>,
    /// The link that `passed` is counted for.
    change: u64,
    /// Bytes that passed since then.
    passed: usize,
}

impl Answers {
    async fn pass(mut self, mut from: OwnedReadHalf) {
        let mut buffer = vec![0; PIECE];
        while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
            if self.write(&buffer[..bytes]).await.is_none() {
                return;
            }
        }
    }

    /// Passes a piece on as the link wants it; none when the connection is to end.
    async fn write(&mut self, piece: &[u8]) -> Option<()> {
        match self.link() {
            Link::Open => self.send(piece).await,
            Link::Refused => None,
            Link::Stalled => {
                self.meet();
                self.state.wait(|state| state.link != Link::Stalled).await;
                self.send(piece).await
            }
            Link::Delayed(pause) => {
                self.meet();
                tokio::time::sleep(pause).await;
                self.send(piece).await
            }
            Link::Dripping(bytes, pause) => {
                self.meet();
                for drop in piece.chunks(bytes.max(1)) {
                    tokio::time::sleep(pause).await;
                    self.send(drop).await?;
                }
                Some(())
            }
            Link::CutAfter(bytes) => {
                let left = bytes.saturating_sub(self.passed);
                if piece.len() < left {
                    return self.send(piece).await;
                }
                self.send(&piece[..left]).await?;
                self.meet();
                None
            }
            Link::Answering(answer) => {
                self.send(&answer).await?;
                self.meet();
                None
            }
        }
    }

    fn link(&mut self) -> Link {
        let (link, change) = self.state.read(|state| (state.link.clone(), state.change));
        if change != self.change {
            (self.change, self.passed) = (change, 0);
        }
        link
    }

    fn meet(&self) {
        meet(&self.state, Some(self.change));
    }

    async fn send(&mut self, piece: &[u8]) -> Option<()> {
        self.passed += piece.len();
        self.to_client.write_all(piece).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    /// A service that answers each line with eight bytes.
    async fn service() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut line = [0; 4];
                    while stream.read_exact(&mut line).await.is_ok() {
                        stream.write_all(b"12345678").await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream, bytes: usize) -> Vec<u8> {
        stream.write_all(b"ask\n").await.unwrap();
        let mut answer = vec![0; bytes];
        stream.read_exact(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn an_answer_comes_as_the_link_wants_it() {
        let proxy = Proxy::start(service().await).await.unwrap();
        let whole = b"12345678".to_vec();
        let short = Duration::from_millis(1);
        for (link, expected) in [
            (Link::Open, whole.clone()),
            (Link::Delayed(short), whole.clone()),
            (Link::Dripping(3, short), whole.clone()),
            (Link::CutAfter(5), b"12345".to_vec()),
            (Link::CutAfter(0), Vec::new()),
            (Link::Answering(Bytes::from_static(b"x")), b"x".to_vec()),
        ] {
            proxy.set(link.clone());
            let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
            assert_eq!(ask(&mut stream, expected.len()).await, expected, "{link:?}");
            if expected != whole {
                assert_eq!(
                    stream.read(&mut [0]).await.unwrap(),
                    0,
                    "{link:?}: it is cut"
                );
            }
            if link != Link::Open {
                proxy.until_met(1).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_stalled_connection_goes_on_later() {
        let proxy = Proxy::start(service().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream, 8).await;
        proxy.set(Link::Stalled);
        let asking = tokio::spawn(async move { ask(&mut stream, 8).await });
        proxy.until_met(1).await.unwrap();
        assert!(!asking.is_finished());
        proxy.set(Link::Open);
        assert_eq!(asking.await.unwrap(), b"12345678");
    }

    #[tokio::test]
    async fn a_refused_link_cuts_what_is_open_and_comes_back_on_the_same_port() {
        let proxy = Proxy::start(service().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream, 8).await;
        proxy.set(Link::Refused);
        assert!(matches!(stream.read(&mut [0]).await, Ok(0) | Err(_)));
        let refused = loop {
            // The listener closes a moment after the link has changed.
            if let Err(error) = TcpStream::connect(proxy.address()).await {
                break error;
            }
        };
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        proxy.set(Link::Open);
        let mut stream = loop {
            if let Ok(stream) = TcpStream::connect(proxy.address()).await {
                break stream;
            }
        };
        assert_eq!(ask(&mut stream, 8).await, b"12345678");
    }

    #[tokio::test]
    async fn a_url_leads_through_the_proxy() {
        let service = service().await;
        for (url, expected) in [
            (format!("http://{service}/api/v3"), "http://{}/api/v3"),
            (format!("amqp://a:b@{service}/%2f"), "amqp://a:b@{}/%2f"),
        ] {
            let (proxy, through) = Proxy::before(&url).await.unwrap();
            assert_eq!(
                through,
                expected.replace("{}", &proxy.address().to_string())
            );
        }
    }
}
