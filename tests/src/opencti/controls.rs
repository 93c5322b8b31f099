//! What tests do to the platform: as its administrator, as its users, as its workers.

use anyhow::Result;
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::connector::QueueDetails;
use super::server::Server;

impl Server {
    /// Time passes for the platform, and the decay manager with it: indicators grow old.
    pub fn pass_time(&self, time: SignedDuration) {
        self.edit(|platform| platform.pass_time(time));
    }

    /// The next answers are those of an overloaded platform: it does not know a valid token.
    pub fn overload(&self, answers: usize) {
        self.edit(|platform| platform.overloaded_answers = answers);
    }

    /// Registers a connector that has this state already, as one that ran before.
    ///
    /// # Errors
    /// When the platform would refuse the registration.
    pub fn seed_state(&self, connector_id: &str, state: &str) -> Result<()> {
        self.edit(|platform| {
            let input = json!({"id": connector_id, "name": "Seeded", "type": "EXTERNAL_IMPORT"});
            platform
                .register(&platform.user.id.clone(), &input)
                .map_err(|it| anyhow::anyhow!("{it:?}"))?;
            if let Some(connector) = platform.connectors.get_mut(connector_id) {
                connector.state = Some(state.to_owned());
            }
            Ok(())
        })
    }

    /// Registers a connector as pycti does, OpenCTI's client for Python, which has left this state.
    ///
    /// # Errors
    /// When the platform would refuse the registration.
    pub fn seed_pycti(&self, connector_id: &str, name: &str, state: &str) -> Result<()> {
        self.edit(|platform| {
            platform
                .register_as_pycti(connector_id, name)
                .map_err(|it| anyhow::anyhow!("{it}"))?;
            if let Some(connector) = platform.connectors.get_mut(connector_id) {
                connector.state = Some(state.to_owned());
            }
            Ok(())
        })
    }

    /// The button "reset" in the UI, for every connector.
    ///
    /// # Errors
    /// When the queues cannot be purged.
    pub async fn reset_state(&self) -> Result<()> {
        let (ids, purge) = self.edit(|platform| {
            let ids: Vec<String> = platform.connectors.keys().cloned().collect();
            for id in &ids {
                platform.reset(id).map_err(|it| anyhow::anyhow!("{it:?}"))?;
            }
            Ok::<_, anyhow::Error>((ids, platform.version.purges_on_reset()))
        })?;
        if let Some(broker) = self.shared.broker.as_ref().filter(|_| purge) {
            for id in ids {
                broker.purge(&id).await?;
            }
        }
        Ok(())
    }

    /// What `connector_queue_details` says of every connector, for tests of buffering.
    pub fn set_queue(&self, details: QueueDetails) {
        self.edit(|platform| {
            platform
                .connectors
                .values_mut()
                .for_each(|it| it.queue = details)
        });
    }

    /// The worker takes nothing more until it is resumed.
    pub fn pause_worker(&self) {
        self.edit(|platform| platform.paused = true);
    }

    /// The worker goes on.
    pub fn resume_worker(&self) {
        self.edit(|platform| {
            platform.paused = false;
            platform.work_off();
        });
    }

    /// Deletes a work, as a user may in the UI.
    pub fn delete_work(&self, id: &str) {
        self.edit(|platform| platform.works.retain(|work| work.id != id));
    }

    /// Deletes a connector's queue in RabbitMQ; the next ping declares it again.
    ///
    /// # Errors
    /// When RabbitMQ refuses. Without RabbitMQ nothing happens.
    pub async fn delete_queue(&self, connector_id: &str) -> Result<()> {
        match &self.shared.broker {
            Some(broker) => broker.delete(connector_id).await,
            None => Ok(()),
        }
    }

    /// Deletes the exchange in RabbitMQ; the next registration or ping declares it again.
    ///
    /// # Errors
    /// When RabbitMQ refuses. Without RabbitMQ nothing happens.
    pub async fn delete_exchange(&self) -> Result<()> {
        match &self.shared.broker {
            Some(broker) => broker.delete_exchange().await,
            None => Ok(()),
        }
    }

    /// The workers come back after a restart of RabbitMQ.
    ///
    /// # Errors
    /// When RabbitMQ does not answer. Without RabbitMQ nothing happens.
    pub async fn resume_queues(&self) -> Result<()> {
        let connectors: Vec<String> =
            self.read(|platform| platform.connectors.keys().cloned().collect());
        if let Some(broker) = &self.shared.broker {
            for connector in connectors {
                broker.declare(&self.shared.platform, &connector).await?;
            }
        }
        Ok(())
    }

    /// Name of a connector's queue in RabbitMQ.
    #[must_use]
    pub fn queue_name(&self, connector_id: &str) -> String {
        self.read(|platform| format!("{}push_{connector_id}", platform.queues.prefix))
    }

    /// Changes what connectors are told of the platform's S3 storage from their next registration on: the fields of
    /// `S3Connection`.
    pub fn tell_s3(&self, change: impl FnOnce(&mut Value)) {
        self.edit(|platform| change(&mut platform.s3));
    }

    /// Changes what connectors are told of RabbitMQ from their next registration on: the fields of
    /// `RabbitMQConnection`.
    pub fn tell_broker(&self, change: impl FnOnce(&mut Value)) {
        self.edit(|platform| change(&mut platform.queues.connection));
    }
}
