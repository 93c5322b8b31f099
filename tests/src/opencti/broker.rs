//! The platform's side of RabbitMQ: exchange, queues, and a worker that consumes them (protocol
//! sections 3 and 7).

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use futures::StreamExt as _;
use lapin::message::Delivery as AmqpDelivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;

use super::import::{Properties, read_message};
use super::platform::Platform;
use crate::watched::Watched;

/// AMQP type of a message that only marks a place in a queue.
const MARK: &str = "mark";

/// RabbitMQ as the platform uses it.
///
/// All that is declared is gone when the connection is, unless it is to last: queues are exclusive (which
/// hinders nobody from publishing), the exchange deletes itself with its last queue.
pub(crate) struct Broker {
    url: String,
    prefix: String,
    lasting: bool,
    /// The lock also keeps two registrations from declaring at once.
    session: Mutex<Session>,
}

/// One connection, and what lives as long as it.
struct Session {
    connection: Connection,
    channel: Channel,
    /// One consumer a connector.
    consumers: HashMap<String, JoinHandle<()>>,
}

impl Session {
    async fn open(url: &str) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default())
            .await
            .context("cannot connect to RabbitMQ")?;
        Ok(Self {
            channel: connection.create_channel().await?,
            connection,
            consumers: HashMap::new(),
        })
    }
}

impl Broker {
    pub(crate) async fn connect(url: &str, prefix: &str, lasting: bool) -> Result<Self> {
        let broker = Self {
            url: url.to_owned(),
            prefix: prefix.to_owned(),
            lasting,
            session: Mutex::new(Session::open(url).await?),
        };
        broker
            .declare_exchange(&broker.session().await?.channel)
            .await?;
        Ok(broker)
    }

    /// The session, made again when RabbitMQ has ended it.
    async fn session(&self) -> Result<MutexGuard<'_, Session>> {
        let mut session = self.session.lock().await;
        if !(session.connection.status().connected() && session.channel.status().connected()) {
            *session = Session::open(&self.url).await?;
        }
        Ok(session)
    }

    async fn declare_exchange(&self, channel: &Channel) -> Result<()> {
        let options = ExchangeDeclareOptions {
            durable: true,
            auto_delete: !self.lasting,
            ..Default::default()
        };
        channel
            .exchange_declare(
                self.exchange().as_str().into(),
                ExchangeKind::Direct,
                options,
                FieldTable::default(),
            )
            .await?;
        // Nothing is routed to this queue; it keeps the exchange when a connector's queue is deleted.
        self.bind(channel, &format!("{}keep", self.prefix), "keep")
            .await
    }

    fn exchange(&self) -> String {
        format!("{}amqp.worker.exchange", self.prefix)
    }

    fn queue(&self, connector_id: &str) -> String {
        format!("{}push_{connector_id}", self.prefix)
    }

    /// Declares exchange, queue and binding of a connector, and consumes the queue. Idempotent.
    pub(crate) async fn declare(
        &self,
        platform: &Arc<Watched<Platform>>,
        connector_id: &str,
    ) -> Result<()> {
        let mut session = self.session().await?;
        self.declare_exchange(&session.channel).await?;
        let queue = self.queue(connector_id);
        let routing_key = format!("{}push_routing_{connector_id}", self.prefix);
        self.bind(&session.channel, &queue, &routing_key).await?;
        let consumed = session
            .consumers
            .get(connector_id)
            .is_some_and(|consumer| !consumer.is_finished());
        if !consumed {
            let channel = session.connection.create_channel().await?;
            let consumer = consume(
                channel,
                Arc::clone(platform),
                connector_id.to_owned(),
                &queue,
            )
            .await?;
            session.consumers.insert(connector_id.to_owned(), consumer);
        }
        Ok(())
    }

    async fn bind(&self, channel: &Channel, queue: &str, routing_key: &str) -> Result<()> {
        let options = QueueDeclareOptions {
            durable: true,
            exclusive: !self.lasting,
            ..Default::default()
        };
        channel
            .queue_declare(queue.into(), options, FieldTable::default())
            .await?;
        channel
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

    /// Throws away what waits in a connector's queue.
    pub(crate) async fn purge(&self, connector_id: &str) -> Result<()> {
        let queue = self.queue(connector_id);
        let session = self.session().await?;
        session
            .channel
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
        let session = self.session().await?;
        session
            .channel
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
        let mut session = self.session().await?;
        session
            .channel
            .queue_delete(queue.as_str().into(), QueueDeleteOptions::default())
            .await?;
        // The broker cancels the consumer, but not before it has answered: without waiting for it, a
        // ping right now would find the old consumer alive and declare nothing.
        if let Some(consumer) = session.consumers.remove(connector_id) {
            consumer.abort();
        }
        Ok(())
    }

    /// Deletes the exchange, as an administrator may; the next ping declares it again.
    pub(crate) async fn delete_exchange(&self) -> Result<()> {
        let session = self.session().await?;
        session
            .channel
            .exchange_delete(
                self.exchange().as_str().into(),
                ExchangeDeleteOptions::default(),
            )
            .await?;
        Ok(())
    }

    /// Closes the connection, and with it the queues.
    pub(crate) async fn close(&self) -> Result<()> {
        self.session
            .lock()
            .await
            .connection
            .close(200, "simulator stopped".into())
            .await?;
        Ok(())
    }
}

async fn consume(
    channel: Channel,
    platform: Arc<Watched<Platform>>,
    connector_id: String,
    queue: &str,
) -> Result<JoinHandle<()>> {
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
    let (purges, watch) = platform.read(|it| (it.purges, Arc::clone(&it.watch)));
    watch.look("a message", &delivery.data, |_| false);
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
