//! RabbitMQ (protocol section 7): one connection, kept, and a confirm for each message.

use std::time::Duration;

use backon::BackoffBuilder;
use futures::StreamExt;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::{AMQPUriTcpExt, RustlsConnector};
use lapin::uri::AMQPUri;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ConnectionStatus,
    ErrorKind, Event, PublisherConfirm,
};
use rustls::AlertDescription;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::broker::{Broker, tls};
use super::message::{Encoded, messages};
use super::{Batch, BrokerFailure, Error};
use crate::config::{BrokerOverrides, Connector, Http};
use crate::opencti::{Client, Draft, Feature, Registration, Work};
use crate::step::Step;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// Not while the broker blocks publishers: that is waited for.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(60);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// AMQP's "persistent": survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// Sends batches to the connector's queue.
pub(super) struct Amqp {
    client: Client,
    connector: Connector,
    overrides: BrokerOverrides,
    tls: RustlsConnector,
    link: Mutex<Link>,
}

/// What is known of the queue, and the connection while there is one.
struct Link {
    registration: Registration,
    open: Option<(Connection, Channel)>,
}

impl Amqp {
    pub(super) fn new(
        client: Client,
        connector: Connector,
        overrides: BrokerOverrides,
        registration: Registration,
        http: &Http,
    ) -> Result<Self, Error> {
        Ok(Self {
            tls: tls(&overrides, http)?,
            client,
            connector,
            overrides,
            link: Mutex::new(Link {
                registration,
                open: None,
            }),
        })
    }

    /// Returns once the broker has every message on record. Expectations are added before the first
    /// message goes out, since a worker may report an object at once; what could not be sent is taken back.
    pub(super) async fn deliver(&self, batch: &Batch, work: Option<&Work>) -> Result<(), Error> {
        let mut link = self.link.lock().await;
        let work_id = match work {
            Some(work) => work.id().await?,
            None => None,
        };
        let draft = match work {
            Some(work) => work.draft().await?,
            None => None,
        };
        let no_split = self.client.version().has(Feature::NoSplit);
        let messages = messages(
            batch,
            no_split,
            &link.registration.user_id,
            work_id.as_deref(),
            draft.as_ref().map(Draft::id),
        );
        let counted = work.filter(|_| work_id.is_some());
        if let Some(work) = counted {
            work.add_expectations(objects_of(messages.iter())).await?;
            Step::ObjectsAnnounced.reached();
        }
        let mut outstanding: Vec<usize> = (0..messages.len()).collect();
        let result = self
            .publish_persistently(&mut link, &messages, &mut outstanding)
            .await;
        if let (Err(_), Some(work)) = (&result, counted) {
            let unsent = outstanding.iter().map(|index| &messages[*index]);
            if let Err(error) = work.add_expectations(-objects_of(unsent)).await {
                tracing::debug!(%error, "cannot take back expectations");
            }
        }
        result
    }

    /// Publishes what is outstanding, again and again, for about two minutes. Where only a setting can help,
    /// the platform is asked once more: its login to the broker may be another by now.
    async fn publish_persistently(
        &self,
        link: &mut Link,
        messages: &[Encoded],
        outstanding: &mut Vec<usize>,
    ) -> Result<(), Error> {
        let mut delays = self.client.backoff().build();
        loop {
            let Err(failure) = self.publish(link, messages, outstanding).await else {
                return Ok(());
            };
            let error = self.error(link, failure);
            let Some(delay) = delays.next() else {
                return Err(error);
            };
            if error.is_transient() {
                tracing::warn!(%error, ?delay, "sent again");
                tokio::time::sleep(delay).await;
                self.register_after(link, &error).await;
            } else if self.is_told_another_way(link).await {
                tracing::warn!(%error, "OpenCTI tells another way to RabbitMQ now: sent again");
            } else {
                return Err(error);
            }
        }
    }

    /// One try. What the broker confirms is removed from `outstanding`.
    async fn publish(
        &self,
        link: &mut Link,
        messages: &[Encoded],
        outstanding: &mut Vec<usize>,
    ) -> Result<(), BrokerFailure> {
        let (status, channel) = self.channel(link).await?;
        let mut unsent = None;
        let mut confirms: Vec<(usize, PublisherConfirm)> = Vec::with_capacity(outstanding.len());
        for &index in outstanding.iter() {
            match send(&channel, &link.registration, &messages[index].json).await {
                Ok(confirm) => confirms.push((index, confirm)),
                Err(error) => {
                    unsent = Some(self.broken(link, &error, messages[index].json.len()));
                    break;
                }
            }
        }
        Step::BatchPublished.reached();
        let mut failure = None;
        for (index, confirm) in confirms {
            let failed = match confirmation(confirm, &status).await {
                Some(Ok(Confirmation::Ack(None) | Confirmation::NotRequested)) => {
                    outstanding.retain(|other| *other != index);
                    continue;
                }
                Some(Ok(
                    Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)),
                )) => BrokerFailure::Returned(returned.reply_text.to_string()),
                Some(Ok(Confirmation::Nack(None))) => BrokerFailure::Nack,
                Some(Err(error)) => self.broken(link, &error, messages[index].json.len()),
                None => {
                    link.open = None;
                    BrokerFailure::Timeout(CONFIRM_TIMEOUT.as_secs())
                }
            };
            failure.get_or_insert(failed);
            if link.open.is_none() {
                break;
            }
        }
        // What the broker says of a message that it got tells why the next could not be sent.
        failure.or(unsent).map_or(Ok(()), Err)
    }

    async fn channel(&self, link: &mut Link) -> Result<(ConnectionStatus, Channel), BrokerFailure> {
        if let Some((connection, channel)) = &link.open
            && connection.status().connected()
            && channel.status().connected()
        {
            return Ok((connection.status().clone(), channel.clone()));
        }
        link.open = None;
        let broker = self.broker(link);
        let (connection, channel) =
            open(&broker, &self.tls, &self.connector.name, CONNECT_TIMEOUT).await?;
        tracing::debug!(%broker, "connected to RabbitMQ");
        tell_events(&connection, broker);
        let found = (connection.status().clone(), channel.clone());
        link.open = Some((connection, channel));
        Ok(found)
    }

    /// Registers again where that can help: a broker that takes nothing is mended by time alone.
    async fn register_after(&self, link: &mut Link, error: &Error) {
        let by_time_alone = matches!(
            error,
            Error::Broker {
                failure: BrokerFailure::Nack | BrokerFailure::Timeout(_),
                ..
            }
        );
        if !by_time_alone {
            self.register_again(link).await;
        }
    }

    /// Registers again, and answers whether the platform now tells another address or login.
    async fn is_told_another_way(&self, link: &mut Link) -> bool {
        let before = self.broker(link);
        self.register_again(link).await;
        self.broker(link).differs_from(&before)
    }

    /// The platform makes queue and exchange at registration, and tells where the broker is now.
    async fn register_again(&self, link: &mut Link) {
        match self.client.register_once(&self.connector).await {
            Ok(registration) => link.registration = registration,
            Err(error) => tracing::debug!(%error, "cannot register again"),
        }
    }

    pub(super) async fn close(&self) {
        let Some((connection, _)) = self.link.lock().await.open.take() else {
            return;
        };
        close(&connection).await;
    }

    fn broker(&self, link: &Link) -> Broker {
        Broker::new(&link.registration.broker, &self.overrides)
    }

    /// Drops the connection, which is of no use any more.
    fn broken(&self, link: &mut Link, error: &lapin::Error, size: usize) -> BrokerFailure {
        link.open = None;
        failure(error, size)
    }

    fn error(&self, link: &Link, failure: BrokerFailure) -> Error {
        Error::Broker {
            address: self.broker(link).to_string(),
            failure,
        }
    }
}

/// Connects, and opens a channel that confirms.
pub(super) async fn open(
    broker: &Broker,
    tls: &RustlsConnector,
    connector_name: &str,
    patience: Duration,
) -> Result<(Connection, Channel), BrokerFailure> {
    timeout(patience, open_patiently(broker, tls, connector_name))
        .await
        .map_err(|_| {
            let seconds = patience.as_secs();
            BrokerFailure::Connection(format!("no connection within {seconds} seconds"))
        })?
        .map_err(|error| failure(&error, 0))
}

async fn open_patiently(
    broker: &Broker,
    tls: &RustlsConnector,
    connector_name: &str,
) -> lapin::Result<(Connection, Channel)> {
    let tls = broker.use_ssl.then(|| tls.clone());
    let connect = async move |uri: AMQPUri, runtime| {
        let host = uri.authority.host.clone();
        let stream = uri.connect_async(&runtime).await?;
        match &tls {
            Some(tls) => Ok(stream.into_rustls(tls, &host).await?),
            None => Ok(stream),
        }
    };
    let properties = ConnectionProperties::default().with_connection_name(connector_name.into());
    let connection = Connection::connector(
        broker.plain_uri(),
        lapin::runtime::default_runtime()?,
        connect,
        properties,
    )
    .await?;
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    Ok((connection, channel))
}

/// In good order, within two seconds.
pub(super) async fn close(connection: &Connection) {
    let closed = timeout(CLOSE_TIMEOUT, connection.close(200, "OK".into())).await;
    if !matches!(closed, Ok(Ok(()))) {
        tracing::debug!("the connection to RabbitMQ was not closed in good order");
    }
}

async fn send(
    channel: &Channel,
    registration: &Registration,
    message: &[u8],
) -> lapin::Result<PublisherConfirm> {
    channel
        .basic_publish(
            registration.push_exchange.as_str().into(),
            registration.push_routing.as_str().into(),
            BasicPublishOptions {
                // Else a message to a queue that is gone would be confirmed and lost.
                mandatory: true,
                ..BasicPublishOptions::default()
            },
            message,
            BasicProperties::default()
                .with_delivery_mode(PERSISTENT)
                .with_content_encoding("utf-8".into()),
        )
        .await
}

/// The confirm of a message; none in time. As long as the broker blocks the connection, it is waited for:
/// it blocks every other one too, and a message that is written already would come twice.
async fn confirmation(
    mut confirm: PublisherConfirm,
    status: &ConnectionStatus,
) -> Option<lapin::Result<Confirmation>> {
    loop {
        match timeout(CONFIRM_TIMEOUT, &mut confirm).await {
            Ok(confirmation) => return Some(confirmation),
            Err(_) if status.blocked() => tracing::warn!("RabbitMQ still takes no messages"),
            Err(_) => return None,
        }
    }
}

/// What the broker does between two messages: a run that waits for one without memory or disk space looks like
/// one that hangs, and why connection or channel broke is not known any more when it is needed again.
fn tell_events(connection: &Connection, broker: Broker) {
    let mut events = Box::pin(connection.events_listener());
    // Ends with the connection.
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            match event {
                Event::ConnectionBlocked(reason) => tracing::warn!(
                    reason,
                    "RabbitMQ at {broker} takes no messages until it has memory and disk space again: \
                     it is waited for"
                ),
                Event::ConnectionUnblocked => {
                    tracing::info!("RabbitMQ at {broker} takes messages again");
                }
                Event::Error(error) => tracing::warn!(
                    %error,
                    "the link to RabbitMQ at {broker} broke, and is made again when it is needed"
                ),
                _ => {}
            }
        }
    });
}

/// What an error means; `size` is that of the message in bytes.
pub(super) fn failure(error: &lapin::Error, size: usize) -> BrokerFailure {
    let text = error.to_string();
    let protocol = match error.kind() {
        ErrorKind::ProtocolError(protocol) => protocol,
        ErrorKind::IOError(error) => return connection_failure(error, text),
        _ => return BrokerFailure::Connection(text),
    };
    match protocol.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => BrokerFailure::NoExchange(text),
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => {
            BrokerFailure::Precondition(text, size)
        }
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
        | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => BrokerFailure::Refused(text),
        _ => BrokerFailure::Connection(text),
    }
}

fn connection_failure(error: &std::io::Error, text: String) -> BrokerFailure {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(_)) => BrokerFailure::Certificate(text),
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::HandshakeFailure,
        )) => BrokerFailure::ClientCertificate(text),
        _ => BrokerFailure::Connection(text),
    }
}

/// The number of objects as GraphQL has it.
fn objects_of<'a>(messages: impl Iterator<Item = &'a Encoded>) -> i64 {
    let count: usize = messages.map(|message| message.objects).sum();
    i64::try_from(count).unwrap_or(i64::MAX)
}
