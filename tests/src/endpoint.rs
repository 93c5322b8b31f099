//! What the connector serves over HTTP.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::host::Running;
use crate::watched::PATIENCE;

/// Where the connector says that it can be asked.
///
/// # Errors
/// When it does not say so.
pub async fn address(running: &mut Running) -> Result<SocketAddr> {
    running.until_logged("status at http://").await?;
    let log = running.log();
    let (_, rest) = log.split_once("status at http://").context("no address")?;
    Ok(rest.split('/').next().context("no path")?.parse()?)
}

/// The head and the body of an answer.
///
/// # Errors
/// When there is none.
pub async fn ask(address: SocketAddr, method: &str, path: &str) -> Result<(String, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: status\r\nContent-Length: 2\r\n\r\n{{}}");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // A server that does not read the body may reset the connection after its answer.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    Ok((head.to_owned(), body.to_owned()))
}

/// The body of a good answer.
///
/// # Errors
/// When there is none.
pub async fn get(address: SocketAddr, path: &str) -> Result<String> {
    let (head, body) = ask(address, "GET", path).await?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
    Ok(body)
}

/// `/status.json`.
///
/// # Errors
/// When there is none.
pub async fn status(address: SocketAddr) -> Result<Value> {
    Ok(serde_json::from_str(&get(address, "/status.json").await?)?)
}

/// The same, once VirusTotal has told the quota, which is asked beside the run.
///
/// # Errors
/// When that does not happen in time.
pub async fn status_with_quota(address: SocketAddr) -> Result<Value> {
    let told = async {
        loop {
            let status = status(address).await?;
            if status["quota"][0].is_object() {
                return Ok(status);
            }
        }
    };
    tokio::time::timeout(PATIENCE, told)
        .await
        .context("the quota is not told")?
}
