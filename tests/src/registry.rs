//! A simulated OCI registry: manifests by tag and digest, blobs, and the logins that real ones ask for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::fault::{Call, Fault, Faults};
use crate::recorded::Recorded;
use crate::serve::{Listening, bind};
use crate::watched::Watched;

/// The user that is known.
pub const USER: &str = "reader";
/// The password of [`USER`].
pub const PASSWORD: &str = "simulated-password";

/// Media type of a manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// Who may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone, without asking for a token.
    Open,
    /// [`USER`], with name and password in every request.
    Basic,
    /// [`USER`], with a token for one repository that costs name and password.
    Token,
    /// Everyone, with a token for one repository, as public repositories of real registries.
    OpenToken,
}

/// One layer to push.
#[derive(Clone, Debug)]
pub struct Layer {
    /// `application/wasm` for a component.
    pub media_type: &'static str,
    /// Its bytes.
    pub bytes: Bytes,
    /// The size that the manifest tells; that of `bytes` where it is none.
    pub size: Option<u64>,
}

impl Layer {
    /// A component.
    #[must_use]
    pub fn component(bytes: impl Into<Bytes>) -> Self {
        Self {
            media_type: "application/wasm",
            bytes: bytes.into(),
            size: None,
        }
    }
}

#[derive(Default)]
struct Store {
    /// By repository and tag or digest: media type and text.
    manifests: BTreeMap<(String, String), (&'static str, String)>,
    /// By repository and digest.
    blobs: BTreeMap<(String, String), Bytes>,
    requests: Vec<Recorded>,
    faults: Faults,
}

struct Shared {
    store: Watched<Store>,
    access: Access,
    origin: String,
}

/// A running registry. It stops when this is dropped.
pub struct Server {
    shared: Arc<Shared>,
    listening: Listening,
}

impl Server {
    /// Starts an empty registry on a free port of the loopback interface.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(access: Access) -> Result<Self> {
        let bound = bind().await?;
        let shared = Arc::new(Shared {
            store: Watched::new(Store::default()),
            access,
            origin: format!("http://{}", bound.address),
        });
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        Ok(Self {
            shared,
            listening: bound.serve(router, Duration::ZERO),
        })
    }

    /// `127.0.0.1:port`, as references begin.
    #[must_use]
    pub fn host(&self) -> String {
        self.listening.address.to_string()
    }

    /// Puts a manifest of these layers under a tag, and returns its digest.
    pub fn push(&self, repository: &str, tag: &str, layers: &[Layer]) -> String {
        let manifest = manifest(layers);
        self.shared.store.edit(|store| {
            for layer in layers {
                let key = (repository.to_owned(), digest(&layer.bytes));
                store.blobs.insert(key, layer.bytes.clone());
            }
        });
        self.push_manifest(repository, tag, MANIFEST, &manifest)
    }

    /// Puts any text under a tag, and returns its digest.
    pub fn push_manifest(
        &self,
        repository: &str,
        tag: &str,
        media_type: &'static str,
        manifest: &Value,
    ) -> String {
        let text = manifest.to_string();
        let digest = digest(text.as_bytes());
        self.shared.store.edit(|store| {
            for reference in [tag, &digest] {
                let key = (repository.to_owned(), reference.to_owned());
                store.manifests.insert(key, (media_type, text.clone()));
            }
        });
        digest
    }

    /// The next matching request fails.
    pub fn fault(&self, matcher: impl Fn(&Call<'_>) -> bool + Send + Sync + 'static, fault: Fault) {
        self.shared
            .store
            .edit(|store| store.faults.push(matcher, fault));
    }

    /// Method and path of every request since the last call, but for those that are only about the login.
    pub fn take_requests(&self) -> Vec<String> {
        let requests = self
            .shared
            .store
            .edit(|store| std::mem::take(&mut store.requests));
        requests
            .iter()
            .filter(|request| !["/v2/", "/token"].contains(&request.path.as_str()))
            .map(|request| format!("{} {}", request.method, request.path))
            .collect()
    }
}

/// As `wkg oci push` writes it.
fn manifest(layers: &[Layer]) -> Value {
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| {
            json!({
                "mediaType": layer.media_type,
                "digest": digest(&layer.bytes),
                "size": layer.size.unwrap_or(layer.bytes.len() as u64),
            })
        })
        .collect();
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest(b"{}"), "size": 2},
        "layers": layers,
    })
}

/// `sha256:` and 64 hexadecimal digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let request = Recorded::new(&request.into_parts().0, "");
    let (fault, response) = shared.store.edit(|store| {
        let call = Call {
            method: &request.method,
            path: &request.path,
            fields: &[],
        };
        let fault = store.faults.take(&call);
        store.requests.push(request.clone());
        match fault.as_ref().and_then(Fault::instead) {
            Some(response) => (None, response),
            None => (fault, respond(&shared, store, &request)),
        }
    });
    match fault {
        Some(fault) => fault.spoil(response).await,
        None => response,
    }
}

fn respond(shared: &Shared, store: &Store, request: &Recorded) -> Response {
    if request.path == "/token" {
        return token(shared.access, request);
    }
    let Some(path) = request.path.strip_prefix("/v2/") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (repository, kind, reference) = split(path);
    if !is_allowed(shared.access, request, repository) {
        return challenge(shared);
    }
    let key = (repository.to_owned(), reference.to_owned());
    match kind {
        "manifests" => match store.manifests.get(&key) {
            Some((media_type, text)) => content(media_type, text.clone().into()),
            None => error(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        },
        "blobs" => match store.blobs.get(&key) {
            Some(bytes) => content("application/octet-stream", bytes.clone()),
            None => error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
        },
        _ => StatusCode::OK.into_response(),
    }
}

/// Repository, kind and reference of `<repository>/<kind>/<reference>`.
fn split(path: &str) -> (&str, &str, &str) {
    let (rest, reference) = path.rsplit_once('/').unwrap_or(("", path));
    let (repository, kind) = rest.rsplit_once('/').unwrap_or(("", rest));
    (repository, kind, reference)
}

/// The token of a repository is the scope that it is for.
fn is_allowed(access: Access, request: &Recorded, repository: &str) -> bool {
    let authorization = request.header("authorization");
    match access {
        Access::Open => true,
        Access::Basic => authorization == Some(&basic()),
        Access::Token | Access::OpenToken => {
            authorization == Some(&format!("Bearer {}", scope(repository)))
        }
    }
}

fn basic() -> String {
    format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")))
}

fn scope(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

fn token(access: Access, request: &Recorded) -> Response {
    let known = match request.header("authorization") {
        None => access == Access::OpenToken,
        Some(authorization) => authorization == basic(),
    };
    match request.parameter("scope") {
        Some(scope) if known => axum::Json(json!({"token": scope})).into_response(),
        _ => error(401, "UNAUTHORIZED", "authentication required"),
    }
}

fn challenge(shared: &Shared) -> Response {
    let challenge = match shared.access {
        Access::Basic => "Basic realm=\"simulated\"".to_owned(),
        _ => format!(
            "Bearer realm=\"{}/token\",service=\"simulated\"",
            shared.origin
        ),
    };
    let response = error(401, "UNAUTHORIZED", "authentication required");
    ([(header::WWW_AUTHENTICATE, challenge)], response).into_response()
}

fn content(media_type: &'static str, bytes: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE.as_str(), media_type.to_owned()),
        ("docker-content-digest", digest(&bytes)),
    ];
    (headers, bytes).into_response()
}

/// The specification's form of an error.
fn error(status: u16, code: &str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = json!({"errors": [{"code": code, "message": message}]});
    (status, axum::Json(body)).into_response()
}
