//! The platform's side of RabbitMQ: exchange, queues, and a worker that consumes them (protocol
//! sections 3 and 7).

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use futures::StreamExt as _;
use lapin::message::Delivery as AmqpDelivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::import::{Properties, read_message};
use super::platform::Platform;
use crate::watched::Watched;

/// AMQP type of a message that only marks a place in a queue.
const MARK: &str = "mark";

/// A connection to RabbitMQ. All that it declares is gone when the connection is: queues are
/// exclusive (which hinders nobody from publishing), the exchange deletes itself with its last queue.
pub(crate) struct Broker {
    connection: Connection,
    channel: Channel,
    prefix: String,
    /// One consumer a connector. The lock also keeps two registrations from declaring at once.
    consumers: Mutex<HashMap<String, JoinHandle<()>>>,
}

impl Broker {
    pub(crate) async fn connect(url: &str, prefix: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default())
            .await
            .context("cannot connect to RabbitMQ")?;
        let channel = connection.create_channel().await?;
        let broker = Self {
            connection,
            channel,
            prefix: prefix.to_owned(),
            consumers: Mutex::default(),
        };
        let options = ExchangeDeclareOptions {
            durable: true,
            auto_delete: true,
            ..Default::default()
        };
        let exchange = broker.exchange();
        broker
            .channel
            .exchange_declare(
                exchange.as_str().into(),
                ExchangeKind::Direct,
                options,
                FieldTable::default(),
            )
            .await?;
        // Nothing is routed to this queue; it keeps the exchange when a connector's queue is deleted.
        broker.bind(&format!("{prefix}keep"), "keep").await?;
        Ok(broker)
    }

    fn exchange(&self) -> String {
        format!("{}amqp.worker.exchange", self.prefix)
    }

    fn queue(&self, connector_id: &str) -> String {
        format!("{}push_{connector_id}", self.prefix)
    }

    /// Declares queue and binding of a connector, and consumes the queue. Idempotent.
    pub(crate) async fn declare(
        &self,
        platform: &Arc<Watched<Platform>>,
        connector_id: &str,
    ) -> Result<()> {
        let mut consumers = self.consumers.lock().await;
        if consumers
            .get(connector_id)
            .is_some_and(|consumer| !consumer.is_finished())
        {
            return Ok(());
        }
        let queue = self.queue(connector_id);
        self.bind(
            &queue,
            &format!("{}push_routing_{connector_id}", self.prefix),
        )
        .await?;
        let consumer = self
            .consume(Arc::clone(platform), connector_id.to_owned(), &queue)
            .await?;
        consumers.insert(connector_id.to_owned(), consumer);
        Ok(())
    }

    async fn bind(&self, queue: &str, routing_key: &str) -> Result<()> {
        let options = QueueDeclareOptions {
            durable: true,
            exclusive: true,
            ..Default::default()
        };
        self.channel
            .queue_declare(queue.into(), options, FieldTable::default())
            .await?;
        self.channel
            .queue_bind(
                queue.into(),
                self.exchange().as_str().into(),
                routing_key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok(())
    }

    async fn consume(
        &self,
        platform: Arc<Watched<Platform>>,
        connector_id: String,
        queue: &str,
    ) -> Result<JoinHandle<()>> {
        let channel = self.connection.create_channel().await?;
        // One message at a time, so that what a paused worker holds is at most one.
        channel.basic_qos(1, BasicQosOptions::default()).await?;
        let mut consumer = channel
            .basic_consume(
                queue.into(),
                "worker".into(),
                BasicConsumeOptions::default(),
                FieldTable::default(),
            )
            .await?;
        Ok(tokio::spawn(async move {
            // The channel lives as long as its consumer.
            let _channel = channel;
            while let Some(Ok(delivery)) = consumer.next().await {
                if let Err(error) = take(&platform, &connector_id, delivery).await {
                    eprintln!("simulator: the worker stopped: {error}");
                    return;
                }
            }
        }))
    }

    /// Throws away what waits in a connector's queue.
    pub(crate) async fn purge(&self, connector_id: &str) -> Result<()> {
        let queue = self.queue(connector_id);
        self.channel
            .queue_purge(queue.as_str().into(), QueuePurgeOptions::default())
            .await?;
        Ok(())
    }

    /// Puts a mark behind all that waits in a connector's queue, and answers its number.
    pub(crate) async fn mark(
        &self,
        platform: &Watched<Platform>,
        connector_id: &str,
    ) -> Result<u64> {
        let mark = platform.edit(|platform| {
            platform.marks += 1;
            platform.marks
        });
        self.channel
            .basic_publish(
                "".into(),
                self.queue(connector_id).as_str().into(),
                BasicPublishOptions::default(),
                mark.to_string().as_bytes(),
                BasicProperties::default().with_type(MARK.into()),
            )
            .await?;
        Ok(mark)
    }

    /// Deletes a connector's queue, as an administrator may; the next ping declares it again.
    pub(crate) async fn delete(&self, connector_id: &str) -> Result<()> {
        let queue = self.queue(connector_id);
        self.channel
            .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
            .await?;
        // The broker cancels the consumer, but not before it has answered: without waiting for it, a
        // ping right now would find the old consumer alive and declare nothing.
        if let Some(consumer) = self.consumers.lock().await.remove(connector_id) {
            consumer.abort();
        }
        Ok(())
    }

    /// Closes the connection, and with it the queues.
    pub(crate) async fn close(&self) -> Result<()> {
        self.connection
            .close(200, "simulator stopped".into())
            .await?;
        Ok(())
    }
}

/// Imports one message when the worker is not paused. Messages taken before a purge are thrown away.
async fn take(
    platform: &Watched<Platform>,
    connector_id: &str,
    delivery: AmqpDelivery,
) -> Result<()> {
    let is_mark = |kind: &lapin::types::ShortString| kind.as_str() == MARK;
    if delivery.properties.kind().as_ref().is_some_and(is_mark) {
        let mark = std::str::from_utf8(&delivery.data)?.parse()?;
        platform.edit(|platform| platform.marks_taken.insert(mark));
        delivery.ack(BasicAckOptions::default()).await?;
        return Ok(());
    }
    let purges = platform.read(|it| it.purges);
    platform.wait(|it| !it.paused).await;
    let properties = Properties {
        delivery_mode: *delivery.properties.delivery_mode(),
        content_encoding: delivery
            .properties
            .content_encoding()
            .as_ref()
            .map(ToString::to_string),
        content_type: delivery
            .properties
            .content_type()
            .as_ref()
            .map(ToString::to_string),
    };
    let readable = platform.edit(|platform| {
        if platform.purges != purges {
            return true;
        }
        match read_message(connector_id, &delivery.data, properties) {
            Ok(message) => platform.import(message),
            Err((lost, reason)) => {
                platform.lose(*lost, reason);
                false
            }
        }
    });
    if readable {
        delivery.ack(BasicAckOptions::default()).await?;
    } else {
        let lost = BasicNackOptions {
            requeue: false,
            ..Default::default()
        };
        delivery.nack(lost).await?;
    }
    Ok(())
}

/// What a connector is told of the connection, read from the URL of the broker.
pub(crate) fn connection_details(url: &str) -> Result<Value> {
    let uri: AMQPUri = url
        .parse()
        .map_err(|it: String| anyhow!("AMQP URL: {it}"))?;
    Ok(json!({
        "host": uri.authority.host,
        "vhost": uri.vhost,
        "use_ssl": uri.scheme == AMQPScheme::AMQPS,
        "port": uri.authority.port,
        "user": uri.authority.userinfo.username,
        "pass": uri.authority.userinfo.password,
    }))
}
