//! Objects in an S3 bucket (protocol section 9).

use std::time::{Duration, Instant};

use backon::BackoffBuilder;
use jiff::Timestamp;
use object_store::aws::AmazonS3;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, ObjectMeta, ObjectStore as _, ObjectStoreExt as _, PutOptions,
    PutPayload,
};
use tokio::sync::Mutex;

use super::bucket::{Bucket, http_client};
use super::bundle_file::{BundleFile, oldest};
use super::{Batch, Error};
use crate::config::{Connector, Http, S3 as Settings};
use crate::opencti::{Client, Registration};

/// Time between two looks for old objects: a look costs a request, and they are kept for days.
const LOOK: Duration = Duration::from_secs(60 * 60);

/// Puts batches into a bucket.
pub(super) struct S3 {
    client: Client,
    connector: Connector,
    settings: Settings,
    file: BundleFile,
    http: reqwest::Client,
    link: Mutex<Link>,
}

/// The bucket that is known, and when it was last looked through for old objects.
struct Link {
    bucket: Bucket,
    store: AmazonS3,
    looked: Option<Instant>,
}

impl S3 {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// When neither the platform nor a setting tells what is needed, or a setting cannot be used.
    pub(super) fn new(
        client: Client,
        connector: Connector,
        settings: Settings,
        registration: &Registration,
        http: &Http,
    ) -> Result<Self, Error> {
        let http = http_client(http)?;
        let bucket = Bucket::new(registration.s3.as_ref(), &settings, client.version())?;
        let store = bucket.open(&http)?;
        Ok(Self {
            file: BundleFile::new("S3_BUNDLE", &connector, registration.user_id.clone()),
            client,
            connector,
            settings,
            http,
            link: Mutex::new(Link {
                bucket,
                store,
                looked: None,
            }),
        })
    }

    /// Returns once the bucket has the object.
    pub(super) async fn deliver(&self, batch: &Batch) -> Result<(), Error> {
        let mut link = self.link.lock().await;
        let now = Timestamp::now();
        let content = self.file.content(batch)?;
        let key = self
            .key(&self.file.name(now))
            .map_err(|error| link.bucket.failed(&error))?;
        self.put_persistently(&mut link, &key, content.into())
            .await?;
        tracing::debug!(key = key.as_ref(), "bundle stored in S3");
        self.remove_old_objects(&mut link, now).await;
        Ok(())
    }

    /// Where an object of this name lies. `Path::join` would encode letters beyond ASCII, which the request encodes
    /// again, so that the key would not be the name that we and pycti give.
    fn key(&self, name: &str) -> object_store::Result<Path> {
        let folder = &self.settings.folder;
        Ok(Path::parse(format!("{folder}/{name}"))?)
    }

    /// Tries again and again, for about two minutes. Where only a setting can help, the platform is asked once more:
    /// its keys may be others by now.
    async fn put_persistently(
        &self,
        link: &mut Link,
        key: &Path,
        content: PutPayload,
    ) -> Result<(), Error> {
        let mut delays = self.client.backoff().build();
        loop {
            let options = PutOptions {
                attributes: Attributes::from_iter([(Attribute::ContentType, "application/json")]),
                ..PutOptions::default()
            };
            // The payload is shared, not copied.
            let put = link.store.put_opts(key, content.clone(), options).await;
            let Err(error) = put else {
                return Ok(());
            };
            let error = link.bucket.failed(&error);
            let Some(delay) = delays.next() else {
                return Err(error);
            };
            if error.is_transient() {
                tracing::warn!(%error, ?delay, "sent again");
                tokio::time::sleep(delay).await;
            } else if self.is_told_another_way(link).await {
                tracing::warn!(%error, "OpenCTI tells another way to S3 now: sent again");
            } else {
                return Err(error);
            }
        }
    }

    /// Registers again, and answers whether the platform now tells another address, bucket or keys.
    async fn is_told_another_way(&self, link: &mut Link) -> bool {
        let registration = match self.client.register_once(&self.connector).await {
            Ok(registration) => registration,
            Err(error) => {
                tracing::debug!(%error, "cannot register again");
                return false;
            }
        };
        let version = self.client.version();
        let bucket = Bucket::new(registration.s3.as_ref(), &self.settings, version);
        let opened = bucket.and_then(|bucket| Ok((bucket.open(&self.http)?, bucket)));
        match opened {
            Ok((store, bucket)) if bucket.differs_from(&link.bucket) => {
                (link.store, link.bucket) = (store, bucket);
                true
            }
            Ok(_) => false,
            Err(error) => {
                tracing::debug!(%error, "what OpenCTI tells of S3 now cannot be used");
                false
            }
        }
    }

    /// Removes objects of this connector that are too old. That it cannot is no reason to stop.
    async fn remove_old_objects(&self, link: &mut Link, now: Timestamp) {
        let Some(days) = self.settings.retention_days else {
            return;
        };
        let Some(oldest) = oldest(now, days.get()) else {
            return;
        };
        if link.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return;
        }
        link.looked = Some(Instant::now());
        let is_old = |object: &ObjectMeta| {
            let name = object.location.filename().unwrap_or_default();
            self.file.is_named_by_us(name)
                && self.key(name).is_ok_and(|key| object.location == key)
                && std::time::SystemTime::from(object.last_modified) < oldest
        };
        let removed = match self.key(&self.file.prefix) {
            Ok(prefix) => remove(&link.store, prefix.as_ref(), is_old).await,
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            let error = link.bucket.failed(&error);
            tracing::warn!(%error, "cannot remove old bundles");
        }
    }
}

/// Removes those of the objects whose keys begin so that `is_old` names, page by page.
async fn remove(
    store: &AmazonS3,
    prefix: &str,
    is_old: impl Fn(&ObjectMeta) -> bool,
) -> object_store::Result<()> {
    let mut options = PaginatedListOptions::default();
    loop {
        let page = store.list_paginated(Some(prefix), options.clone()).await?;
        for object in page.result.objects.iter().filter(|object| is_old(object)) {
            store.delete(&object.location).await?;
            tracing::debug!(key = object.location.as_ref(), "old bundle removed from S3");
        }
        if page.page_token.is_none() {
            return Ok(());
        }
        options.page_token = page.page_token;
    }
}
