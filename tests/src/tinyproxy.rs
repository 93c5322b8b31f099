//! A real proxy, Debian's `tinyproxy`, and what passes on the way to it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;

use crate::door::Door;
use crate::watched::PATIENCE;

/// Ports to try: a free one may be taken before the proxy has it.
const TRIES: usize = 5;

/// A running proxy. It ends with this value.
pub struct Tinyproxy {
    _child: Child,
    log: watch::Receiver<String>,
    wire: Arc<Mutex<Vec<u8>>>,
    door: Door,
}

impl Tinyproxy {
    /// Starts it, for everyone or for who has the login `user` and `password`; none, with a line that says so,
    /// where it is not installed.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(login: Option<(&str, &str)>) -> Result<Option<Self>> {
        let login = login.map_or_else(String::new, |(user, password)| {
            format!("BasicAuth {user} {password}\n")
        });
        for _ in 0..TRIES {
            let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
            let config = format!(
                "Listen 127.0.0.1\nPort {}\nAllow 127.0.0.1\nLogLevel Info\n{login}",
                address.port()
            );
            let started = Command::new("tinyproxy")
                .args(["-d", "-c", "/dev/stdin"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn();
            let mut child = match started {
                Ok(child) => child,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    println!("skipped: no tinyproxy for this test; tests/packages.sh installs it");
                    return Ok(None);
                }
                Err(error) => return Err(error).context("cannot start tinyproxy"),
            };
            let mut stdin = child.stdin.take().context("no standard input")?;
            stdin.write_all(config.as_bytes()).await?;
            drop(stdin);
            let mut log = read(child.stdout.take().context("no standard output")?);
            let accepts = log.wait_for(|log| log.contains("Accepting connections"));
            // Its output ends when it does, without a port.
            if tokio::time::timeout(PATIENCE, accepts).await?.is_err() {
                continue;
            }
            return Ok(Some(Self::behind_a_door(child, log, address).await?));
        }
        bail!("tinyproxy does not start")
    }

    async fn behind_a_door(
        child: Child,
        log: watch::Receiver<String>,
        address: SocketAddr,
    ) -> Result<Self> {
        let wire = Arc::<Mutex<Vec<u8>>>::default();
        let seen = Arc::clone(&wire);
        let door = Door::open(move |client| {
            let seen = Arc::clone(&seen);
            async move {
                let proxy = TcpStream::connect(address).await?;
                let ((mut from_client, mut to_client), (mut from_proxy, mut to_proxy)) =
                    (client.into_split(), proxy.into_split());
                let there = async {
                    let mut buffer = vec![0; 16 * 1024];
                    loop {
                        let length = from_client.read(&mut buffer).await?;
                        if length == 0 {
                            return to_proxy.shutdown().await;
                        }
                        lock(&seen).extend_from_slice(&buffer[..length]);
                        to_proxy.write_all(&buffer[..length]).await?;
                    }
                };
                let back = async {
                    tokio::io::copy(&mut from_proxy, &mut to_client).await?;
                    to_client.shutdown().await
                };
                tokio::try_join!(there, back)?;
                Ok(())
            }
        });
        Ok(Self {
            _child: child,
            log,
            wire,
            door: door.await?,
        })
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.door.address.to_string()
    }

    /// The requests that it was asked to pass on, as `GET http://host/path` or `CONNECT host:port`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let log = self.log.borrow();
        log.lines()
            .filter_map(|line| line.split_once("): ")?.1.strip_suffix(" HTTP/1.1"))
            .map(str::to_owned)
            .collect()
    }

    /// All bytes that were sent to it.
    #[must_use]
    pub fn wire(&self) -> Vec<u8> {
        lock(&self.wire).clone()
    }
}

fn lock(bytes: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(stdout: ChildStdout) -> watch::Receiver<String> {
    let (sender, log) = watch::channel(String::new());
    tokio::spawn(async move {
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            sender.send_modify(|log| {
                log.push_str(&line);
                log.push('\n');
            });
        }
    });
    log
}
