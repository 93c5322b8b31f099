//! Bytes of a file, from the storage host to whoever takes them, without being kept.

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _};
use reqwest::{Method, Response, redirect};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use url::Url;

use super::Client;
use super::counters::count;
use super::error::Error;
use super::network::NetworkFault;
use super::path::DownloadRequest;

/// Largest file, in bytes: VirusTotal takes none above 650 MB (API v3, "Get a URL for uploading large files").
const MAX_FILE: u64 = 650 * 1024 * 1024;

/// Largest answer that names a signed URL, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// Redirects followed at the storage host.
const MAX_REDIRECTS: usize = 3;

/// A file on its way.
pub struct Download {
    /// Bytes that the stream will have brought when it ends well.
    pub size: u64,
    /// The bytes. Whoever takes them has the whole file only if it is the right one: the last piece comes
    /// when size and SHA-256 are verified, else an error comes in its place.
    pub stream: BoxStream<'static, Result<Bytes, DownloadError>>,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Why a file did not arrive whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// The connection to the storage host broke.
    #[error("the download from {host} broke off: {fault} ({detail})")]
    Network {
        /// Host of the signed URL.
        host: String,
        /// What kind of failure.
        fault: NetworkFault,
        /// The innermost cause.
        detail: String,
    },
    /// Fewer or more bytes than announced.
    #[error("the storage host sent {received} bytes or more of a file of {size}")]
    WrongSize {
        /// Bytes that came before the download was given up.
        received: u64,
        /// Bytes announced.
        size: u64,
    },
    /// Other bytes than those asked for.
    #[error("the storage host sent a file with the SHA-256 {found} instead of {expected}")]
    WrongHash {
        /// SHA-256 of what came.
        found: String,
        /// SHA-256 asked for.
        expected: String,
    },
}

impl Client {
    /// Asks for the signed URL of a file and opens it. Asking counts as a download in the quota.
    ///
    /// The storage host is asked without the key.
    ///
    /// # Errors
    /// When VirusTotal names no signed URL, the storage host does not answer, or the size is not the
    /// expected one.
    pub async fn download(&self, request: &DownloadRequest) -> Result<Download, Error> {
        let transport = self.transport();
        count(&transport.counters.downloads);
        let path = request.path();
        let answer = transport.call(Method::GET, &path, &[], MAX_ANSWER).await?;
        let url = signed_url(&self.json_object(answer)?, transport.root.scheme())?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let open = || open(&self.inner.storage, &url, &host);
        let response = transport.with_retry("signed URL", open).await?;
        let size = checked_size(response.content_length(), request.size())?;
        let verified = Verified {
            response,
            host,
            size,
            sha256: request.sha256().to_owned(),
            hasher: Sha256::new(),
            received: 0,
            held: None,
        };
        Ok(Download {
            size,
            stream: verified.into_stream(),
        })
    }
}

/// Where the storage client may be led: never from HTTPS to HTTP.
pub(super) fn redirects(scheme: String) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS || !is_allowed(attempt.url(), &scheme) {
            attempt.stop()
        } else {
            attempt.follow()
        }
    })
}

/// Plain HTTP is for an API that is itself on plain HTTP.
fn is_allowed(url: &Url, api_scheme: &str) -> bool {
    url.scheme() == "https" || url.scheme() == "http" && api_scheme == "http"
}

/// `{"data": "https://…"}`. The URL opens the file to whoever has it, so no message shows it.
fn signed_url(answer: &str, api_scheme: &str) -> Result<Url, Error> {
    #[derive(Deserialize)]
    struct SignedUrl {
        data: String,
    }
    let malformed = |reason: &str| Error::Malformed {
        reason: reason.to_owned(),
    };
    let answer: Option<SignedUrl> = serde_json::from_str(answer).ok();
    let url: Option<Url> = answer.and_then(|answer| answer.data.parse().ok());
    let url = url.ok_or_else(|| malformed("expected a URL in `data`"))?;
    if !is_allowed(&url, api_scheme) {
        return Err(malformed("the signed URL is not HTTPS"));
    }
    Ok(url)
}

async fn open(storage: &reqwest::Client, url: &Url, host: &str) -> Result<Response, Error> {
    let sent = storage.get(url.clone()).send().await;
    let response = sent.map_err(|error| Error::network(host, &error))?;
    if response.status().as_u16() == 200 {
        return Ok(response);
    }
    Err(Error::Storage {
        host: host.to_owned(),
        status: response.status().as_u16(),
    })
}

fn checked_size(offered: Option<u64>, expected: Option<u64>) -> Result<u64, Error> {
    let size = offered.or(expected).ok_or(Error::UnknownSize)?;
    let wrong = |expected: String| Error::WrongSize {
        offered: size,
        expected,
    };
    match expected {
        Some(expected) if expected != size => Err(wrong(format!("{expected} were expected"))),
        _ if size > MAX_FILE => Err(wrong(format!("at most {MAX_FILE} are taken"))),
        _ => Ok(size),
    }
}

/// A body whose last piece is held back until all of it is known to be right.
struct Verified {
    response: Response,
    host: String,
    size: u64,
    sha256: String,
    hasher: Sha256,
    received: u64,
    held: Option<Bytes>,
}

impl Verified {
    fn into_stream(self) -> BoxStream<'static, Result<Bytes, DownloadError>> {
        stream::try_unfold(Some(self), |state| async {
            let Some(mut body) = state else {
                return Ok(None);
            };
            match body.next().await? {
                Some(piece) => Ok(Some((piece, Some(body)))),
                None => Ok(body.last()?.map(|piece| (piece, None))),
            }
        })
        .boxed()
    }

    /// The next piece but the last.
    async fn next(&mut self) -> Result<Option<Bytes>, DownloadError> {
        while let Some(piece) = self
            .response
            .chunk()
            .await
            .map_err(|error| self.broken(&error))?
        {
            self.received += piece.len() as u64;
            if self.received > self.size {
                return Err(self.wrong_size());
            }
            if piece.is_empty() {
                continue;
            }
            self.hasher.update(&piece);
            if let Some(earlier) = self.held.replace(piece) {
                return Ok(Some(earlier));
            }
        }
        Ok(None)
    }

    /// The last piece; an empty file has none.
    fn last(self) -> Result<Option<Bytes>, DownloadError> {
        if self.received != self.size {
            return Err(self.wrong_size());
        }
        let found = format!("{:x}", self.hasher.finalize());
        if found != self.sha256 {
            return Err(DownloadError::WrongHash {
                found,
                expected: self.sha256,
            });
        }
        Ok(self.held)
    }

    fn wrong_size(&self) -> DownloadError {
        DownloadError::WrongSize {
            received: self.received,
            size: self.size,
        }
    }

    fn broken(&self, error: &reqwest::Error) -> DownloadError {
        let (fault, detail) = super::network::describe(error);
        DownloadError::Network {
            host: self.host.clone(),
            fault,
            detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt as _;

    use super::*;
    use crate::virustotal::testing::{Reply, Server, client};

    fn sha256(content: &[u8]) -> String {
        format!("{:x}", Sha256::digest(content))
    }

    fn request(sha256: &str, size: Option<u64>) -> DownloadRequest {
        DownloadRequest::parse(&format!("files/{sha256}/download_url"), sha256, size).unwrap()
    }

    /// The API, which names the signed URL on the storage host.
    async fn api(storage: &Server) -> Server {
        let url = storage.url("bucket/file?Signature=signed%2B");
        Server::always(Reply::json(200, format!(r#"{{"data": "{url}"}}"#))).await
    }

    /// What arrives, and how it ends.
    async fn fetch(storage: &Server, request: &DownloadRequest) -> (Vec<u8>, Result<(), String>) {
        let api = api(storage).await;
        let mut received = Vec::new();
        let mut download = match client(&api).download(request).await {
            Ok(download) => download,
            Err(error) => return (received, Err(error.to_string())),
        };
        loop {
            match download.stream.try_next().await {
                Ok(Some(piece)) => received.extend_from_slice(&piece),
                Ok(None) => return (received, Ok(())),
                Err(error) => return (received, Err(error.to_string())),
            }
        }
    }

    #[tokio::test]
    async fn the_right_file_arrives_whole() {
        for length in [0, 1, 99, 1_000_000] {
            let content: Vec<u8> = (0..length).map(|n: u32| (n % 251) as u8).collect();
            let size = content.len() as u64;
            let request = |size| request(&sha256(&content), size);
            for (reply, request) in [
                (Reply::text(200, &content), request(Some(size))),
                (Reply::text(200, &content), request(None)),
                (Reply::text(200, &content).chunked(), request(Some(size))),
            ] {
                let storage = Server::always(reply).await;
                let (received, end) = fetch(&storage, &request).await;
                assert_eq!(end, Ok(()), "{length}");
                assert!(received == content, "{length}");
            }
        }
    }

    #[tokio::test]
    async fn the_storage_host_never_sees_the_key() {
        let other = Server::always(Reply::text(200, "content")).await;
        let elsewhere = Reply::text(302, "").header("Location", other.url("moved").as_str());
        let storage = Server::always(elsewhere).await;
        let api = api(&storage).await;
        let request = request(&sha256(b"content"), Some(7));
        let client = client(&api);
        let download = client.download(&request).await.unwrap();
        assert_eq!(download.size, 7);
        let pieces: Vec<Bytes> = download.stream.try_collect().await.unwrap();
        assert_eq!(pieces.concat(), b"content");

        assert_eq!(api.lines(), [format!("GET /api/v3/{}", request.path())]);
        assert_eq!(api.requests()[0].header("x-apikey"), Some("secret-key"));
        assert_eq!(storage.lines(), ["GET /bucket/file?Signature=signed%2B"]);
        assert_eq!(other.lines(), ["GET /moved"]);
        for seen in storage.requests().iter().chain(&other.requests()) {
            assert!(!format!("{seen:?}").contains("secret-key"), "{seen:?}");
            assert_eq!(seen.header("referer"), None);
            assert_eq!(seen.header("accept-encoding"), None);
        }
        assert_eq!(client.requests().downloads, 1);
    }

    /// A consumer that is given a wrong file has less than the announced size when the error comes.
    #[tokio::test]
    async fn a_wrong_file_never_completes() {
        let content = vec![b'x'; 300_000];
        let size = content.len() as u64;
        let right = sha256(&content);
        let wrong = sha256(b"other");
        let cases = [
            (
                Reply::text(200, &content),
                wrong.as_str(),
                None,
                "instead of",
            ),
            (
                Reply::text(200, &content).chunked(),
                &wrong,
                Some(size),
                "instead of",
            ),
            (
                Reply::text(200, &content).cut_by(1),
                &right,
                None,
                "broke off",
            ),
            (
                Reply::text(200, &content).chunked(),
                &right,
                Some(size + 1),
                "sent 300000 bytes",
            ),
            (
                Reply::text(200, &content).chunked(),
                &right,
                Some(size - 1),
                "of a file of 299999",
            ),
            (Reply::text(200, ""), &right, None, "instead of"),
        ];
        for (reply, sha256, size, words) in cases {
            let storage = Server::always(reply).await;
            let (received, end) = fetch(&storage, &request(sha256, size)).await;
            let words_found = end.unwrap_err();
            assert!(words_found.contains(words), "{words_found}");
            let size = size.unwrap_or(300_000);
            assert!(
                (received.len() as u64) < size,
                "{words}: {} bytes",
                received.len()
            );
        }
    }

    #[tokio::test]
    async fn what_cannot_be_right_is_not_begun() {
        let too_large = Reply::text(200, "").cut_by(MAX_FILE + 1);
        for (reply, size, words) in [
            (
                Reply::text(200, "content"),
                Some(8),
                "7 bytes where 8 were expected",
            ),
            (
                Reply::text(200, "content").chunked(),
                None,
                "size of the file is unknown",
            ),
            (too_large, None, "at most 681574400 are taken"),
            (Reply::text(403, "<Error/>"), None, "127.0.0.1 answered 403"),
            (Reply::text(206, "content"), None, "127.0.0.1 answered 206"),
            (
                Reply::text(302, "").header("Location", "ftp://127.0.0.1/file"),
                None,
                "127.0.0.1 answered 302",
            ),
        ] {
            let storage = Server::always(reply).await;
            let (received, end) = fetch(&storage, &request(&sha256(b"content"), size)).await;
            let words_found = end.unwrap_err();
            assert!(words_found.contains(words), "{words_found}");
            assert!(!words_found.contains("Signature"), "{words_found}");
            assert!(received.is_empty());
        }
    }

    #[tokio::test]
    async fn a_storage_host_out_of_order_is_asked_again() {
        let storage = Server::in_turn([Reply::text(503, ""), Reply::text(200, "content")]).await;
        let (received, end) = fetch(&storage, &request(&sha256(b"content"), None)).await;
        assert_eq!((received.as_slice(), end), (b"content".as_slice(), Ok(())));
    }

    #[tokio::test]
    async fn what_the_api_refuses_is_told_by_kind() {
        let error = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"words"}}}}"#);
        type IsExpected = fn(&Error) -> bool;
        let refusals: [(Reply, IsExpected); 5] = [
            (Reply::json(404, error("NotFoundError")), |error| {
                matches!(error, Error::NotFound { .. })
            }),
            (Reply::json(403, error("ForbiddenError")), |error| {
                matches!(error, Error::Forbidden { .. })
            }),
            (Reply::json(429, error("QuotaExceededError")), |error| {
                matches!(error, Error::QuotaExceeded { .. })
            }),
            (Reply::json(200, r#"{"data": 1}"#), |error| {
                matches!(error, Error::Malformed { .. })
            }),
            (Reply::json(200, r#"{"data": "ftp://x/"}"#), |error| {
                matches!(error, Error::Malformed { .. })
            }),
        ];
        for (reply, is_expected) in refusals {
            let api = Server::always(reply).await;
            let error = client(&api)
                .download(&request(&sha256(b""), None))
                .await
                .unwrap_err();
            assert!(is_expected(&error), "{error:?}");
        }
    }

    #[test]
    fn only_an_api_on_plain_http_may_name_a_file_on_plain_http() {
        let plain = r#"{"data": "http://storage.example/file"}"#;
        assert!(signed_url(plain, "http").is_ok());
        assert!(signed_url(plain, "https").is_err());
        assert!(signed_url(r#"{"data": "https://storage.example/file"}"#, "https").is_ok());
    }
}
