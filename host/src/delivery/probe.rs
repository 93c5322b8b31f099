//! Whether a sink would take a batch: tried without leaving one there.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation};
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use tokio::time::{Instant, timeout};

use super::amqp::{close, failure, open};
use super::broker::{Broker, tls};
use super::bucket::{Bucket, http_client};
use super::{BrokerFailure, Error};
use crate::config::{BrokerOverrides, Connector, Directory, Http, S3};
use crate::opencti::{Registration, S3Connection, Version};

/// No queue is bound to the exchange by this key, so that RabbitMQ checks the right to publish and then gives the
/// message back.
const NOWHERE: &str = "connector-host-check";

/// Logs in to RabbitMQ and publishes to the connector's exchange what no queue takes. Answers host and port.
///
/// # Errors
/// When RabbitMQ is not reached within `patience`, refuses the login or the right to publish, or does not confirm.
pub async fn probe_broker(
    overrides: &BrokerOverrides,
    connector: &Connector,
    registration: &Registration,
    http: &Http,
    patience: Duration,
) -> Result<String, Error> {
    let tls = tls(overrides, http)?;
    let broker = Broker::new(&registration.broker, overrides);
    let published = async {
        let begun = Instant::now();
        let (connection, channel) = open(&broker, &tls, &connector.name, patience).await?;
        let rest = patience.saturating_sub(begun.elapsed());
        let published = timeout(rest, publish_nowhere(&channel, registration)).await;
        close(&connection).await;
        published.unwrap_or(Err(BrokerFailure::Timeout(patience.as_secs())))
    };
    match published.await {
        Ok(()) => Ok(broker.to_string()),
        Err(failure) => Err(Error::Broker {
            address: broker.to_string(),
            failure,
        }),
    }
}

/// Looks into the bucket, and leaves it as it is. Answers its address and name.
///
/// # Errors
/// When neither `platform` nor the settings tell where it is, or it does not let us in.
pub async fn probe_s3(
    settings: &S3,
    platform: Option<&S3Connection>,
    version: Version,
    http: &Http,
) -> Result<String, Error> {
    let bucket = Bucket::new(platform, settings, version)?;
    let store = bucket.open(&http_client(http)?)?;
    let one = PaginatedListOptions {
        max_keys: Some(1),
        ..PaginatedListOptions::default()
    };
    match store
        .list_paginated(Some(settings.folder.as_ref()), one)
        .await
    {
        Ok(_) => Ok(bucket.to_string()),
        Err(error) => Err(bucket.failed(&error)),
    }
}

async fn publish_nowhere(
    channel: &Channel,
    registration: &Registration,
) -> Result<(), BrokerFailure> {
    let returned = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let confirmation = async {
        let exchange = registration.push_exchange.as_str().into();
        let nothing = BasicProperties::default();
        channel
            .basic_publish(exchange, NOWHERE.into(), returned, b"", nothing)
            .await?
            .await
    };
    match confirmation.await {
        Ok(Confirmation::Nack(None)) => Err(BrokerFailure::Nack),
        // Given back, as it should be, or thrown away.
        Ok(_) => Ok(()),
        Err(error) => Err(failure(&error, 0)),
    }
}

/// Whether a bundle can be written to the directory: a file is made there, or where the directory would be made, and
/// removed. Answers whether the directory is there.
///
/// # Errors
/// When it cannot be made.
pub fn probe_directory(directory: &Directory) -> Result<bool, Error> {
    let path = &directory.path;
    let existing = path.ancestors().find(|folder| folder.exists());
    // The last ancestor of a relative path is empty, and stands for the working directory.
    let folder = existing.unwrap_or(Path::new("."));
    let file = folder.join(format!(".{NOWHERE}-{}", std::process::id()));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&file)
        .and_then(|_| fs::remove_file(&file))
        .map_err(|source| Error::Directory {
            path: folder.to_owned(),
            source,
        })?;
    Ok(folder == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_tried_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for (path, expected) in [
            (folder.path().to_owned(), Some(true)),
            (folder.path().join("made/on/demand"), Some(false)),
            (file.clone(), None),
            (file.join("beneath"), None),
        ] {
            let directory = Directory {
                path: path.clone(),
                retention_days: None,
            };
            let found = probe_directory(&directory);
            let shown = format!("{path:?}: {found:?}");
            assert_eq!(found.ok(), expected, "{shown}");
        }
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
