//! The sinks: where batches of STIX objects go. What the documents say is not looked at here.

mod amqp;
mod api;
mod batch;
mod broker;
mod bucket;
mod bundle_file;
mod directory;
mod error;
mod message;
mod probe;
mod s3;
mod union;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use batch::{Batch, MAX_BYTES, MAX_OBJECTS, Object};
pub use error::{BrokerFailure, Error, S3Failure};
pub use probe::{probe_broker, probe_directory, probe_s3};

use crate::config::{Connector, Http, Queue, Sinks};
use crate::opencti::{Client, Registration, Work};
use crate::step::Step;
use amqp::Amqp;
use api::Api;
use directory::Directory;
use s3::S3;

/// All sinks of the settings.
pub struct Deliverer {
    sinks: Vec<Sink>,
}

enum Sink {
    // Much larger than the others, and there is only one of each.
    Amqp(Box<Amqp>),
    Api(Api),
    Directory(Directory),
    S3(Box<S3>),
}

impl Deliverer {
    /// The sinks of the settings. Nothing is connected yet.
    ///
    /// # Errors
    /// When a setting about TLS to the broker, or about S3, cannot be used.
    pub fn new(
        sinks: &Sinks,
        connector: &Connector,
        client: &Client,
        registration: &Registration,
        http: &Http,
    ) -> Result<Self, Error> {
        let queue = match &sinks.queue {
            Some(Queue::Amqp(overrides)) => Some(Sink::Amqp(Box::new(Amqp::new(
                client.clone(),
                connector.clone(),
                overrides.clone(),
                registration.clone(),
                http,
            )?))),
            Some(Queue::Api) => Some(Sink::Api(Api::new(client.clone(), connector.id.clone()))),
            None => None,
        };
        let directory = sinks.directory.as_ref().map(|settings| {
            let applicant = registration.user_id.clone();
            Sink::Directory(Directory::new(settings.clone(), connector, applicant))
        });
        let s3 = match &sinks.s3 {
            Some(settings) => Some(Sink::S3(Box::new(S3::new(
                client.clone(),
                connector.clone(),
                settings.clone(),
                registration,
                http,
            )?))),
            None => None,
        };
        Ok(Self {
            sinks: queue.into_iter().chain(directory).chain(s3).collect(),
        })
    }

    /// Whether bundles go to the platform's workers, so that there is a work to show them on.
    #[must_use]
    pub fn has_queue(&self) -> bool {
        self.sinks
            .iter()
            .any(|sink| matches!(sink, Sink::Amqp(_) | Sink::Api(_)))
    }

    /// Delivers a batch to every sink, and returns once each has it for good: the broker's confirm, the
    /// platform's answer, the file on disk, that of S3. Failures are retried for about two minutes. An empty batch is
    /// delivered by doing nothing.
    ///
    /// # Errors
    /// When a sink does not take the batch; others may have.
    pub async fn deliver(&self, batch: &Batch, work: Option<&Work>) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        for sink in &self.sinks {
            match sink {
                Sink::Amqp(amqp) => amqp.deliver(batch, work).await?,
                Sink::Api(api) => api.deliver(batch, work).await?,
                Sink::Directory(directory) => directory.deliver(batch).await?,
                Sink::S3(s3) => s3.deliver(batch).await?,
            }
            Step::SinkServed.reached();
        }
        Ok(())
    }

    /// Closes connections in good order, within two seconds.
    pub async fn close(&self) {
        for sink in &self.sinks {
            if let Sink::Amqp(amqp) = sink {
                amqp.close().await;
            }
        }
    }
}
