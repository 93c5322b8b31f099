//! A server that says what a test wants, byte by byte: also what no HTTP library would say.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

use super::Client;
use crate::config::{Http, Source};

/// A client for `server` that hardly waits between tries.
pub(super) fn client(server: &Server) -> Client {
    client_for(server.url("api/v3/"))
}

/// A client for the API at `api_url`.
pub(super) fn client_for(api_url: Url) -> Client {
    install_tls();
    let source = Source {
        api_url,
        api_key: "secret-key".to_owned().into(),
        limit: None,
        requests_per_minute: None,
    };
    Client::with_retry_base(&source, &Http::default(), Duration::from_micros(1)).unwrap()
}

/// What `main` does at start; another test may have done it before.
pub(super) fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What a client sent.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    fn parse(head: &str) -> Self {
        let mut lines = head.lines();
        let mut words = lines.next().unwrap().split(' ');
        Self {
            method: words.next().unwrap().to_owned(),
            target: words.next().unwrap().to_owned(),
            headers: lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                .collect(),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What the server says.
#[derive(Clone)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    framing: Framing,
}

#[derive(Debug, Clone)]
enum Framing {
    Length,
    /// The connection ends before the announced length.
    Cut(u64),
    Chunked,
    /// The connection ends at once.
    Silence,
}

impl Reply {
    pub(super) fn text(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.as_ref().to_vec(),
            framing: Framing::Length,
        }
    }

    pub(super) fn json(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::text(status, body).header("Content-Type", "application/json")
    }

    pub(super) fn html(status: u16) -> Self {
        Self::text(status, format!("<html><title>{status}</title></html>"))
            .header("Content-Type", "text/html")
    }

    pub(super) fn gzip(body: &[u8]) -> Self {
        Self::json(200, body).header("Content-Encoding", "gzip")
    }

    pub(super) fn no_answer() -> Self {
        let mut reply = Self::text(0, "");
        reply.framing = Framing::Silence;
        reply
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The connection ends when this many bytes are still missing.
    pub(super) fn cut_by(mut self, missing: u64) -> Self {
        self.framing = Framing::Cut(missing);
        self
    }

    pub(super) fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        if matches!(self.framing, Framing::Silence) {
            return Vec::new();
        }
        let mut head = format!("HTTP/1.1 {} Words\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let length = self.body.len();
        let (framing, body) = match self.framing {
            Framing::Cut(missing) => {
                let announced = length as u64 + missing;
                (format!("Content-Length: {announced}"), self.body.clone())
            }
            Framing::Chunked => ("Transfer-Encoding: chunked".to_owned(), self.in_chunks()),
            _ => (format!("Content-Length: {length}"), self.body.clone()),
        };
        head += &format!("{framing}\r\n\r\n");
        [head.into_bytes(), body].concat()
    }

    fn in_chunks(&self) -> Vec<u8> {
        let chunk =
            |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        let chunks = self.body.chunks(100).map(chunk);
        chunks.chain([chunk(&[])]).flatten().collect()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(
            f,
            "{} {:?} {:?} {body}",
            self.status, self.headers, self.framing
        )
    }
}

/// Listens on a port of its own until it is dropped.
pub(super) struct Server {
    address: std::net::SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers what `answer` says.
    pub(super) async fn new(answer: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::default();
        let task = tokio::spawn(serve(listener, Arc::clone(&requests), answer));
        Self {
            address,
            requests,
            task,
        }
    }

    /// Says one reply after the other, and a status of its own to whoever asks for more.
    pub(super) async fn in_turn(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Vec<Reply> = replies.into_iter().collect();
        let mut replies = replies.into_iter();
        Self::new(move |_| {
            replies
                .next()
                .unwrap_or_else(|| Reply::text(418, "one too many"))
        })
        .await
    }

    /// Says the same to every request.
    pub(super) async fn always(reply: Reply) -> Self {
        Self::new(move |_| reply.clone()).await
    }

    pub(super) fn url(&self, path: &str) -> Url {
        format!("http://{}/{path}", self.address).parse().unwrap()
    }

    /// What came so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// What came so far, as `GET /path`.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |request: Request| format!("{} {}", request.method, request.target);
        self.requests().into_iter().map(line).collect()
    }

    /// Frees the port.
    pub(super) async fn stop(mut self) {
        self.task.abort();
        assert!((&mut self.task).await.unwrap_err().is_cancelled());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    requests: Arc<Mutex<Vec<Request>>>,
    mut answer: impl FnMut(&Request) -> Reply,
) {
    loop {
        let (mut connection, _) = listener.accept().await.unwrap();
        // A client may close a connection that it does not need.
        let Some(head) = head(&mut connection).await else {
            continue;
        };
        let request = Request::parse(&head);
        let reply = answer(&request).bytes();
        requests.lock().unwrap().push(request);
        // The client may have gone when it knew enough.
        let _ = connection.write_all(&reply).await;
        let _ = connection.shutdown().await;
    }
}

async fn head(connection: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).unwrap())
}
