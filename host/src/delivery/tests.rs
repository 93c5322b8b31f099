//! The sinks against a small platform, and against RabbitMQ where one listens.

use std::num::NonZeroU64;
use std::sync::Arc;

use axum::http::StatusCode;
use futures::StreamExt;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use super::testing::object;
use super::*;
use crate::config::{BrokerOverrides, Directory as DirectorySettings};
use crate::opencti::testing::{Instead, Platform, connector};

fn batch(objects: usize) -> Batch {
    let mut batch = Batch::default();
    batch.extend((0..objects).map(|number| object(&format!("object--{number}"), number)));
    batch
}

async fn deliverer(platform: &Platform, sinks: Sinks) -> (Deliverer, Client) {
    let client = platform.client();
    client.read_version().await.unwrap();
    let registration = client.register(&connector()).await.unwrap();
    let http = Http::default();
    let deliverer = Deliverer::new(&sinks, &connector(), &client, &registration, &http).unwrap();
    (deliverer, client)
}

fn work(client: &Client) -> Work {
    Work::new(client.clone(), "c".to_owned(), "run".to_owned())
}

fn queue(queue: Queue) -> Sinks {
    Sinks {
        queue: Some(queue),
        directory: None,
        s3: None,
    }
}

fn expected(platform: &Platform) -> Option<i64> {
    let model = platform.model();
    model.works.get("work_c_0").map(|work| work.expected)
}

#[tokio::test]
async fn nothing_to_deliver_opens_no_work() {
    let platform = Platform::start("7.260817.0").await;
    let (deliverer, client) = deliverer(&platform, queue(Queue::Api)).await;
    let work = work(&client);
    deliverer
        .deliver(&Batch::default(), Some(&work))
        .await
        .unwrap();
    assert!(platform.model().works.is_empty());
    assert!(platform.received("stixBundlePush").is_empty());
}

#[tokio::test]
async fn api_expectations_by_version_and_count() {
    // Where the work is held open, that is one more.
    for (version, objects, expectations) in [
        ("6.2.6", 1, None),
        ("6.5.7", 1, Some(1 + 1)),
        ("6.5.7", 2, Some(1)),
        ("7.260817.0", 1, Some(1)),
        ("7.260817.0", 2, Some(0)),
        ("7.260901.0", 1, Some(0)),
        ("7.260901.0", 2, Some(0)),
    ] {
        let platform = Platform::start(version).await;
        let (deliverer, client) = deliverer(&platform, queue(Queue::Api)).await;
        let work = work(&client);
        let batch = batch(objects);
        deliverer.deliver(&batch, Some(&work)).await.unwrap();
        assert_eq!(expected(&platform), expectations, "{version}, {objects}");
        let variables = &platform.received("stixBundlePush")[0].variables;
        assert_eq!(variables["connectorId"], "c");
        assert_eq!(variables["bundle"], batch.to_bundle_json());
        let work_id = variables.get("workId").and_then(Value::as_str);
        assert_eq!(work_id, expectations.map(|_| "work_c_0"), "{version}");
    }
}

#[tokio::test]
async fn api_retries_and_takes_back_what_was_announced() {
    let platform = Platform::start("7.260817.0").await;
    let invalid = || Instead::Error("UNSUPPORTED_ERROR", "Invalid bundle");
    let (deliverer, client) = deliverer(&platform, queue(Queue::Api)).await;
    let work = work(&client);
    let busy = Instead::Http(StatusCode::SERVICE_UNAVAILABLE, &[], "");
    platform.instead("stixBundlePush", [busy, invalid()]);
    deliverer.deliver(&batch(1), Some(&work)).await.unwrap();
    assert_eq!(platform.received("stixBundlePush").len(), 3);
    assert_eq!(expected(&platform), Some(1), "announced once");

    platform.instead("stixBundlePush", (0..8).map(|_| invalid()));
    deliverer.deliver(&batch(1), Some(&work)).await.unwrap_err();
    assert_eq!(
        expected(&platform),
        Some(1),
        "the failed one was taken back"
    );
}

#[tokio::test]
async fn a_platform_without_bundle_push_is_told_so() {
    let platform = Platform::start("6.2.5").await;
    let (deliverer, _) = deliverer(&platform, queue(Queue::Api)).await;
    let error = deliverer.deliver(&batch(1), None).await.unwrap_err();
    assert!(!error.is_transient());
    let text = error.to_string();
    assert!(text.contains("6.2.5") && text.contains("6.2.6"), "{text}");
}

#[tokio::test]
async fn sinks_add_up() {
    let platform = Platform::start("7.260817.0").await;
    let folder = tempfile::tempdir().unwrap();
    let sinks = Sinks {
        queue: Some(Queue::Api),
        directory: Some(DirectorySettings {
            path: folder.path().to_owned(),
            retention_days: NonZeroU64::new(7),
        }),
        s3: None,
    };
    let (deliverer, _) = deliverer(&platform, sinks).await;
    deliverer.deliver(&batch(2), None).await.unwrap();
    assert_eq!(platform.received("stixBundlePush").len(), 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_broker_that_is_away_is_a_transient_failure_that_names_it() {
    let platform = Platform::start("7.260817.0").await;
    let (deliverer, client) =
        deliverer(&platform, queue(Queue::Amqp(BrokerOverrides::default()))).await;
    let work = work(&client);
    let error = deliverer.deliver(&batch(3), Some(&work)).await.unwrap_err();
    assert!(error.is_transient());
    let text = error.to_string();
    assert!(
        text.contains("127.0.0.1:1") && text.contains("MQ_HOST"),
        "{text}"
    );
    assert!(!text.contains("hidden"), "{text}");
    assert_eq!(
        expected(&platform),
        Some(0),
        "what was announced was taken back"
    );
}

#[tokio::test]
async fn with_tls_nothing_is_said_in_the_clear() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let platform = Platform::start("7.260817.0").await;
    let overrides = BrokerOverrides {
        port: Some(listener.local_addr().unwrap().port()),
        use_ssl: Some(true),
        ..BrokerOverrides::default()
    };
    let (deliverer, _) = deliverer(&platform, queue(Queue::Amqp(overrides))).await;
    let first_byte = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        connection.read_u8().await.unwrap()
    };
    let batch = batch(1);
    tokio::select! {
        byte = first_byte => assert_eq!(byte, 0x16, "the content type of a TLS handshake"),
        result = deliverer.deliver(&batch, None) => panic!("{result:?}"),
    }
}

mod rabbitmq {
    use std::sync::Mutex;

    use backon::BackoffBuilder;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use lapin::options::{
        BasicConsumeOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    };
    use lapin::types::FieldTable;
    use lapin::{Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
    use serde_json::json;
    use tokio::io::copy_bidirectional;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinSet;
    use uuid::Uuid;

    use super::*;

    const ADDRESS: &str = "127.0.0.1:5672";

    /// A real broker with a queue of this test's own.
    struct Rabbit {
        _connection: Connection,
        channel: Channel,
        queue: String,
    }

    impl Rabbit {
        /// `None`, with a line that says so, where no broker listens.
        async fn connect() -> Option<Self> {
            if TcpStream::connect(ADDRESS).await.is_err() {
                eprintln!("skipped: no RabbitMQ listens on {ADDRESS}");
                return None;
            }
            let uri = format!("amqp://guest:guest@{ADDRESS}/%2f");
            let connection = Connection::connect(&uri, ConnectionProperties::default())
                .await
                .unwrap();
            let channel = connection.create_channel().await.unwrap();
            Some(Self {
                _connection: connection,
                channel,
                queue: format!("push_test_{}", Uuid::new_v4()),
            })
        }

        /// What the platform does at registration.
        async fn declare(channel: &Channel, queue: &str) {
            let exchange = "test.worker.exchange";
            let durable = ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            };
            channel
                .exchange_declare(
                    exchange.into(),
                    ExchangeKind::Direct,
                    durable,
                    FieldTable::default(),
                )
                .await
                .unwrap();
            // Gone with the test's connection.
            let exclusive = QueueDeclareOptions {
                exclusive: true,
                ..QueueDeclareOptions::default()
            };
            channel
                .queue_declare(queue.into(), exclusive, FieldTable::default())
                .await
                .unwrap();
            channel
                .queue_bind(
                    queue.into(),
                    exchange.into(),
                    queue.into(),
                    QueueBindOptions::default(),
                    FieldTable::default(),
                )
                .await
                .unwrap();
        }

        async fn platform(&self, version: &str, port: u16) -> Platform {
            let platform = Platform::start(version).await;
            let (channel, queue) = (self.channel.clone(), self.queue.clone());
            platform.on_register(Arc::new(move || {
                let (channel, queue) = (channel.clone(), queue.clone());
                Box::pin(async move { Self::declare(&channel, &queue).await })
            }));
            let mut model = platform.model();
            model.push_routing.clone_from(&self.queue);
            model.broker = json!({
                "host": "127.0.0.1", "port": port, "vhost": "/", "use_ssl": false,
                "user": "guest", "pass": "guest",
            });
            drop(model);
            platform
        }

        async fn consume(&self) -> Consumer {
            let no_ack = BasicConsumeOptions {
                no_ack: true,
                ..BasicConsumeOptions::default()
            };
            self.channel
                .basic_consume(
                    self.queue.as_str().into(),
                    "".into(),
                    no_ack,
                    FieldTable::default(),
                )
                .await
                .unwrap()
        }
    }

    fn sinks() -> Sinks {
        queue(Queue::Amqp(BrokerOverrides::default()))
    }

    fn bundle(message: &Value) -> Value {
        let content = STANDARD
            .decode(message["content"].as_str().unwrap())
            .unwrap();
        serde_json::from_slice(&content).unwrap()
    }

    #[tokio::test]
    async fn messages_by_version() {
        let Some(rabbit) = Rabbit::connect().await else {
            return;
        };
        // The older one holds the work open with one expectation more.
        for (version, messages, expectations) in [("6.6.0", 3, 3 + 1), ("7.260817.0", 1, 3)] {
            let platform = rabbit.platform(version, 5672).await;
            let (deliverer, client) = deliverer(&platform, sinks()).await;
            let work = work(&client);
            deliverer.deliver(&batch(3), Some(&work)).await.unwrap();
            assert_eq!(expected(&platform), Some(expectations), "{version}");
            let mut consumer = rabbit.consume().await;
            let mut objects = Vec::new();
            for _ in 0..messages {
                let delivery = consumer.next().await.unwrap().unwrap();
                assert_eq!(*delivery.properties.delivery_mode(), Some(2));
                let encoding = delivery.properties.content_encoding().as_ref().unwrap();
                assert_eq!(encoding.as_str(), "utf-8");
                let message: Value = serde_json::from_slice(&delivery.data).unwrap();
                assert_eq!(message["applicant_id"], "user");
                assert_eq!(message["work_id"], "work_c_0");
                assert_eq!(message["no_split"], messages == 1, "{version}");
                let bundle = bundle(&message);
                objects.extend(bundle["objects"].as_array().unwrap().clone());
            }
            let sent: Vec<Value> = batch(3)
                .objects()
                .iter()
                .map(|object| serde_json::from_str(&object.document).unwrap())
                .collect();
            assert_eq!(objects, sent, "{version}");
            let left = rabbit.queue_delete().await;
            assert_eq!(left, 0, "{version}: no message beyond these");
            deliverer.close().await;
        }
    }

    impl Rabbit {
        /// Returns the number of messages that were in it.
        async fn queue_delete(&self) -> u32 {
            let options = QueueDeleteOptions::default();
            self.channel
                .queue_delete(self.queue.as_str().into(), options)
                .await
                .unwrap()
        }
    }

    #[tokio::test]
    async fn a_queue_that_is_gone_is_made_again_and_nothing_is_lost() {
        let Some(rabbit) = Rabbit::connect().await else {
            return;
        };
        let platform = rabbit.platform("7.260817.0", 5672).await;
        let (deliverer, client) = deliverer(&platform, sinks()).await;
        rabbit.queue_delete().await;
        let work = work(&client);
        deliverer.deliver(&batch(2), Some(&work)).await.unwrap();
        assert_eq!(platform.received("registerConnector").len(), 2);
        assert_eq!(expected(&platform), Some(2), "announced once");
        assert_eq!(rabbit.queue_delete().await, 1);
    }

    /// A way to the broker that can be cut.
    struct Proxy {
        port: u16,
        connections: Arc<Mutex<JoinSet<()>>>,
        accepted: Arc<std::sync::atomic::AtomicUsize>,
    }

    impl Proxy {
        async fn start() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let proxy = Self {
                port: listener.local_addr().unwrap().port(),
                connections: Arc::default(),
                accepted: Arc::default(),
            };
            let (connections, accepted) = (proxy.connections.clone(), proxy.accepted.clone());
            tokio::spawn(async move {
                loop {
                    let (mut client, _) = listener.accept().await.unwrap();
                    accepted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    connections.lock().unwrap().spawn(async move {
                        let mut broker = TcpStream::connect(ADDRESS).await.unwrap();
                        let _ = copy_bidirectional(&mut client, &mut broker).await;
                    });
                }
            });
            proxy
        }

        fn accepted(&self) -> usize {
            self.accepted.load(std::sync::atomic::Ordering::Relaxed)
        }

        fn cut(&self) {
            self.connections.lock().unwrap().abort_all();
        }
    }

    #[tokio::test]
    async fn one_connection_is_kept_and_made_again_when_it_breaks() {
        let Some(rabbit) = Rabbit::connect().await else {
            return;
        };
        let proxy = Proxy::start().await;
        let platform = rabbit.platform("7.260817.0", proxy.port).await;
        let (deliverer, client) = deliverer(&platform, sinks()).await;
        let work = work(&client);
        for _ in 0..2 {
            deliverer.deliver(&batch(1), Some(&work)).await.unwrap();
        }
        assert_eq!(proxy.accepted(), 1);
        proxy.cut();
        deliverer.deliver(&batch(1), Some(&work)).await.unwrap();
        assert_eq!(proxy.accepted(), 2);
        assert_eq!(expected(&platform), Some(3));
        assert_eq!(rabbit.queue_delete().await, 3);
    }

    #[tokio::test]
    async fn a_refused_login_is_told_at_once_without_the_password() {
        let Some(rabbit) = Rabbit::connect().await else {
            return;
        };
        let platform = rabbit.platform("7.260817.0", 5672).await;
        let overrides = BrokerOverrides {
            user: Some("nobody".to_owned()),
            password: Some("very-secret".into()),
            ..BrokerOverrides::default()
        };
        let (deliverer, _) = deliverer(&platform, queue(Queue::Amqp(overrides))).await;
        let error = deliverer.deliver(&batch(1), None).await.unwrap_err();
        assert!(!error.is_transient(), "{error}");
        let text = error.to_string();
        assert!(text.contains("MQ_USER"), "{text}");
        assert!(!text.contains("very-secret"), "{text}");
    }

    #[tokio::test]
    async fn a_broker_that_is_away_for_longer_than_the_retries_gets_the_batch_with_the_next_run() {
        let Some(rabbit) = Rabbit::connect().await else {
            return;
        };
        // Nobody listens there.
        let platform = rabbit.platform("7.260817.0", 1).await;
        let (deliverer, client) = deliverer(&platform, sinks()).await;
        let work = work(&client);
        let error = deliverer.deliver(&batch(2), Some(&work)).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        let retries = client.backoff().build().count();
        assert_eq!(
            platform.received("registerConnector").len(),
            1 + retries,
            "the platform was asked before each try where the broker is"
        );
        assert_eq!(expected(&platform), Some(0), "nothing is announced");
        platform.model().broker["port"] = 5672.into();
        deliverer.deliver(&batch(2), Some(&work)).await.unwrap();
        assert_eq!(expected(&platform), Some(2));
        assert_eq!(rabbit.queue_delete().await, 1);
    }

    #[tokio::test]
    async fn a_deleted_work_does_not_take_the_data_with_it() {
        let Some(rabbit) = Rabbit::connect().await else {
            return;
        };
        let platform = rabbit.platform("7.260817.0", 5672).await;
        let (deliverer, client) = deliverer(&platform, sinks()).await;
        let work = work(&client);
        work.add_expectations(1).await.unwrap();
        platform.model().works.get_mut("work_c_0").unwrap().deleted = true;
        deliverer.deliver(&batch(1), Some(&work)).await.unwrap();
        let delivery = rabbit.consume().await.next().await.unwrap().unwrap();
        let message: Value = serde_json::from_slice(&delivery.data).unwrap();
        assert_eq!(message.get("work_id"), None);
    }
}
