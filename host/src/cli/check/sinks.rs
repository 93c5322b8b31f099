//! Where bundles go: whether each place would take one.

use super::local::Basis;
use super::opencti::{Platform, Usable};
use super::report::Check;
use super::{PATIENCE, Patience, REFUSED};
use crate::config::{BrokerOverrides, Connector, Http, Queue};
use crate::delivery::{Error, S3Failure, probe_broker, probe_directory, probe_s3};
use crate::opencti::{Client, Registration, S3Connection};

const QUEUE: &str = "queue";
const S3: &str = "s3";
const DIRECTORY: &str = "directory";

/// One line, none where nothing is sent to the platform's workers.
pub(super) async fn check_queue(basis: &Basis, platform: &Usable) -> Option<Check> {
    let Some(connector) = &basis.parts.connector else {
        return Some(Check::skipped(QUEUE, REFUSED));
    };
    let queue = connector.sinks.queue.as_ref()?;
    let (platform, http) = match (platform, &basis.http) {
        (Ok(platform), Some(http)) => (platform, http),
        (Err(reason), _) => return Some(Check::skipped(QUEUE, reason)),
        (Ok(_), None) => return Some(Check::skipped(QUEUE, super::NO_NETWORK)),
    };
    Some(match queue {
        Queue::Api => check_api(&platform.client),
        Queue::Amqp(overrides) => check_broker(platform, connector, overrides, http).await,
    })
}

fn check_api(platform: &Client) -> Check {
    match platform.can_push_bundles() {
        Ok(()) => Check::ok(QUEUE, "OpenCTI takes bundles through its API"),
        Err(error) => Check::failed(QUEUE, Some("CONNECTOR_QUEUE_PROTOCOL"), error),
    }
}

/// Only the platform knows the login to its broker, and tells it to registered connectors.
async fn check_broker(
    platform: &Platform,
    connector: &Connector,
    overrides: &BrokerOverrides,
    http: &Http,
) -> Check {
    let registration = match told(platform, connector).await {
        Ok(registration) => registration,
        Err(reason) => return Check::skipped(QUEUE, reason),
    };
    match probe_broker(overrides, connector, &registration, http, PATIENCE).await {
        Ok(address) => Check::ok(QUEUE, format!("RabbitMQ at {address} lets us publish")),
        Err(error) => Check::failed(QUEUE, error.setting(), error),
    }
}

/// What the platform tells registered connectors. Where it cannot be registered now, what an earlier registration
/// told.
async fn told(platform: &Platform, connector: &Connector) -> Result<Registration, &'static str> {
    let reason = match &platform.registration {
        Ok(registration) => return Ok(registration.clone()),
        Err(reason) => *reason,
    };
    let earlier = platform
        .patience
        .wait(platform.client.registered(connector));
    match earlier.await {
        Ok(Ok(Some(registration))) => Ok(registration),
        _ => Err(reason),
    }
}

/// One line, none where nothing is put into S3. What the settings do not say of it the platform tells registered
/// connectors.
pub(super) async fn check_s3(basis: &Basis, platform: &Usable) -> Option<Check> {
    let connector = basis.parts.connector.as_ref()?;
    let settings = connector.sinks.s3.as_ref()?;
    let Some(http) = &basis.http else {
        return Some(Check::skipped(S3, super::NO_NETWORK));
    };
    let platform = match platform {
        Ok(platform) => platform,
        Err(reason) => return Some(Check::skipped(S3, *reason)),
    };
    let version = platform.client.version();
    let from_platform = if settings.says_all() || !S3Connection::is_told_by(version) {
        None
    } else {
        match told(platform, connector).await {
            Ok(registration) => registration.s3,
            Err(reason) => return Some(Check::skipped(S3, reason)),
        }
    };
    let probed = probe_s3(settings, from_platform.as_ref(), version, http);
    Some(match Patience::begin().wait(probed).await {
        Ok(Ok(bucket)) => Check::ok(
            S3,
            format!("{bucket} lets us look into it; writing was not tried"),
        ),
        // What is enough for a run may not be enough to look.
        Ok(Err(
            error @ Error::S3 {
                failure: S3Failure::Denied(_),
                ..
            },
        )) => Check::warning(
            S3,
            error.setting(),
            format!("cannot look into the bucket, and writing was not tried: {error}"),
        ),
        Ok(Err(error)) => Check::failed(S3, error.setting(), error),
        Err(late) => Check::failed(S3, Some("S3_ENDPOINT"), late),
    })
}

/// One line, none where nothing is written to a directory.
pub(super) fn check_directory(basis: &Basis) -> Option<Check> {
    let connector = basis.parts.connector.as_ref()?;
    let directory = connector.sinks.directory.as_ref()?;
    let path = directory.path.display();
    Some(match probe_directory(directory) {
        Ok(true) => Check::ok(DIRECTORY, format!("{path} can be written")),
        Ok(false) => Check::ok(DIRECTORY, format!("{path} can be made")),
        Err(error) => Check::failed(DIRECTORY, error.setting(), error),
    })
}
