//! Where bundles go: whether each place would take one.

use super::local::Basis;
use super::opencti::{Platform, Usable};
use super::report::Check;
use super::{PATIENCE, Patience, REFUSED};
use crate::config::{BrokerOverrides, Connector, Http, Queue};
use crate::delivery::{BrokerFailure, Error, S3Failure, probe_broker, probe_directory, probe_s3};
use crate::opencti::{self, Client, Registration, S3Connection};

const QUEUE: &str = "queue";
const S3: &str = "s3";
const DIRECTORY: &str = "directory";

/// The platform would be told a name that is not known without the guest.
const NO_NAME: &str = "the connector has no name without the guest";

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
        Queue::Amqp(_) if basis.prefix.is_none() => Check::skipped(QUEUE, NO_NAME),
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
    let probe = async |registration: &Registration| {
        probe_broker(overrides, connector, registration, http, PATIENCE).await
    };
    if let Some(registration) = known(platform, connector).await {
        match probe(&registration).await {
            Ok(address) => return Check::ok(QUEUE, lets_us_publish(&address)),
            // The platform makes it when a connector registers.
            Err(Error::Broker {
                failure: BrokerFailure::NoExchange(_),
                ..
            }) => {}
            Err(error) => return Check::failed(QUEUE, error.setting(), error),
        }
    }
    let registration = match register(QUEUE, platform, connector).await {
        Ok(registration) => registration,
        Err(check) => return check,
    };
    let registered = "to learn of it, the connector was registered on OpenCTI";
    match probe(&registration).await {
        Ok(address) => {
            let words = format!("{}; {registered}", lets_us_publish(&address));
            Check::ok(QUEUE, words)
        }
        Err(error) => Check::failed(QUEUE, error.setting(), format!("{error}; {registered}")),
    }
}

fn lets_us_publish(address: &str) -> String {
    format!("RabbitMQ at {address} lets us publish")
}

/// What the platform told when the connector was registered; nothing changes there.
async fn known(platform: &Platform, connector: &Connector) -> Option<Registration> {
    let answer = platform
        .patience
        .wait(platform.client.registered(connector));
    answer.await.ok()?.ok()?
}

/// Registers the connector, or answers the line that says why not.
async fn register(
    line: &'static str,
    platform: &Platform,
    connector: &Connector,
) -> Result<Registration, Check> {
    if connector.service_account.is_some() {
        // The platform would take the administrator of OPENCTI_TOKEN for the connector's account.
        let reason = "for this the connector must be registered, which with CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT only `run` does";
        return Err(Check::skipped(line, reason));
    }
    let answer = platform
        .patience
        .wait(platform.client.register_once(connector));
    match answer.await {
        Ok(Ok(registration)) => Ok(registration),
        Ok(Err(error)) => Err(not_registered(line, &error)),
        Err(late) => {
            let words = format!("OpenCTI does not register the connector: {late}");
            Err(Check::failed(line, None, words))
        }
    }
}

fn not_registered(line: &'static str, error: &opencti::Error) -> Check {
    let words = format!("OpenCTI does not register the connector: {error}");
    Check::failed(line, error.setting(), words)
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
    let (told, registered) = if settings.says_all() || !S3Connection::is_told_by(version) {
        (None, "")
    } else if let Some(registration) = known(platform, connector).await {
        (Some(registration), "")
    } else if basis.prefix.is_none() {
        return Some(Check::skipped(S3, NO_NAME));
    } else {
        match register(S3, platform, connector).await {
            Ok(registration) => (
                Some(registration),
                "; to learn of it, the connector was registered on OpenCTI",
            ),
            Err(check) => return Some(check),
        }
    };
    let told = told.and_then(|registration| registration.s3);
    let probed = probe_s3(settings, told.as_ref(), version, http);
    Some(match Patience::begin().wait(probed).await {
        Ok(Ok(bucket)) => Check::ok(
            S3,
            format!("{bucket} lets us look into it; writing was not tried{registered}"),
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
            format!("cannot look into the bucket, and writing was not tried: {error}{registered}"),
        ),
        Ok(Err(error)) => Check::failed(S3, error.setting(), format!("{error}{registered}")),
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
