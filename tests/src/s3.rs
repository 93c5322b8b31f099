//! A real S3 server (`s3s`) over a folder: it checks signatures, and lists and deletes as Amazon's does.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::path::S3Path;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use s3s_fs::FileSystem;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::recorded::Recorded;
use crate::serve::{Listening, bind};

/// The bucket that is there.
pub const BUCKET: &str = "bundles";

/// The key that is let in.
pub const ACCESS_KEY: &str = "access-key-of-the-simulated-storage";

/// What it signs with.
pub const SECRET_KEY: &str = "secret/key+of-the-simulated-storage";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A running storage. It ends with this value.
pub struct Server {
    folder: TempDir,
    listening: Listening,
    requests: Requests,
    write_only: Arc<AtomicBool>,
}

type Requests = Arc<Mutex<Vec<Recorded>>>;

impl Server {
    /// Starts with an empty bucket on a free port of the loopback interface.
    ///
    /// # Errors
    /// When no port can be bound, or the folder cannot be made.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join(BUCKET))?;
        let files = FileSystem::new(folder.path()).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let write_only = Arc::new(AtomicBool::new(false));
        builder.set_access(Rights {
            folder: folder.path().to_owned(),
            write_only: Arc::clone(&write_only),
        });
        let requests = Requests::default();
        let router = Router::new()
            .fallback(answer)
            .with_state((builder.build(), Arc::clone(&requests)));
        Ok(Self {
            folder,
            listening: bind().await?.serve(router, Duration::ZERO),
            requests,
            write_only,
        })
    }

    /// From now on the key may put objects, and neither list nor delete them.
    pub fn allow_writing_alone(&self) {
        self.write_only.store(true, Ordering::Relaxed);
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        self.listening.origin()
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.listening.address.port()
    }

    /// What a platform tells that has its files here: the fields of `S3Connection`.
    #[must_use]
    pub fn connection(&self) -> Value {
        json!({
            "endpoint": "127.0.0.1", "port": self.port(), "use_ssl": false,
            "bucket_name": BUCKET, "bucket_region": "us-east-1",
            "access_key": ACCESS_KEY, "secret_key": SECRET_KEY,
        })
    }

    /// Folder of the objects whose keys begin so; with no more of them, the bucket.
    #[must_use]
    pub fn objects(&self, folder: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(folder)
    }

    /// Puts an object there that is so many days old.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, key: &str, days: u32) -> Result<()> {
        let path = self.objects(key);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        File::create(path)?.set_modified(SystemTime::now() - days * DAY)?;
        Ok(())
    }

    /// Keys of all objects.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn keys(&self) -> Result<BTreeSet<String>> {
        let mut keys = BTreeSet::new();
        collect(&self.objects(""), "", &mut keys)?;
        Ok(keys)
    }

    /// All requests in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        let requests = self.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn collect(folder: &Path, prefix: &str, keys: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{key}/"), keys)?;
        } else {
            keys.insert(key);
        }
    }
    Ok(())
}

async fn answer(
    State((service, requests)): State<(S3Service, Requests)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(Recorded::new(&parts, ""));
    let request = Request::from_parts(parts, s3s::Body::http_body_unsync(body));
    match service.call(request).await {
        Ok(response) => response.map(Body::new).into_response(),
        Err(error) => {
            eprintln!("simulator: S3 failed: {error:?}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What the key may do. Over a folder, the server would also make a bucket with its first object.
struct Rights {
    folder: PathBuf,
    write_only: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl S3Access for Rights {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "who are you?"));
        }
        match context.s3_path() {
            S3Path::Bucket { bucket } | S3Path::Object { bucket, .. }
                if !self.folder.join(&**bucket).is_dir() =>
            {
                Err(s3_error!(NoSuchBucket, "the bucket does not exist"))
            }
            _ if self.write_only.load(Ordering::Relaxed)
                && context.s3_op().name() != "PutObject" =>
            {
                Err(s3_error!(AccessDenied, "the key may not do this"))
            }
            _ => Ok(()),
        }
    }
}
