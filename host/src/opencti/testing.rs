//! A small platform over a real socket, for the tests of this room and of `delivery`.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Client, OPERATIONS, Version};
use crate::config::{Connector, Http, OpenCti, Sinks, Verify};

/// What OpenCTI says to a registration that would null what pycti left.
pub(crate) const NIL_RESOLUTION: &str = "Validation against schema failed on attribute [enrichment_resolution]: this mandatory field cannot be nil";

/// What is called before a registration is answered.
pub(crate) type RegisterHook = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A platform that runs until the test ends. Its model may be read and changed at any time.
pub(crate) struct Platform {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    model: Mutex<Model>,
    hook: Mutex<Option<RegisterHook>>,
    requests: watch::Sender<usize>,
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Received {
    /// Root field.
    pub(crate) operation: &'static str,
    pub(crate) query: String,
    pub(crate) variables: Value,
    pub(crate) headers: HeaderMap,
    /// Size, name and media type of an uploaded file.
    pub(crate) file: Option<(usize, String, String)>,
}

/// An answer that is given instead of the model's.
pub(crate) enum Instead {
    Error(&'static str, &'static str),
    Http(
        StatusCode,
        &'static [(&'static str, &'static str)],
        &'static str,
    ),
}

#[derive(Default)]
pub(crate) struct Model {
    /// What `about.version` says.
    pub(crate) version: String,
    /// The release that decides what is accepted, where it is not what `about.version` says.
    pub(crate) schema: Option<Version>,
    pub(crate) requests: Vec<Received>,
    /// Given first, in order, by root field.
    pub(crate) instead: VecDeque<(&'static str, Instead)>,
    pub(crate) known: bool,
    /// Whether pycti registered the connector before, so that the platform keeps a mandatory field of it
    /// (platform.md P1).
    pub(crate) left_by_pycti: bool,
    pub(crate) state: Option<String>,
    pub(crate) reset_flag: bool,
    pub(crate) resets: u64,
    pub(crate) works: BTreeMap<String, WorkModel>,
    /// Names of the drafts, in order; those of closed ones are empty.
    pub(crate) drafts: Vec<String>,
    pub(crate) broker: Value,
    pub(crate) push_routing: String,
}

#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct WorkModel {
    pub(crate) multipart: bool,
    pub(crate) expected: i64,
    pub(crate) processed: i64,
    pub(crate) closed: Option<(String, bool)>,
    pub(crate) complete: bool,
    pub(crate) errors: Vec<Value>,
    pub(crate) deleted: bool,
}

impl WorkModel {
    /// The rule of the newest release (protocol section 6).
    fn check(&mut self) {
        if self.processed >= self.expected && (!self.multipart || self.closed.is_some()) {
            self.complete = true;
        }
    }
}

impl Platform {
    pub(crate) async fn start(version: &str) -> Self {
        let shared = Arc::new(Shared {
            model: Mutex::new(Model {
                version: version.to_owned(),
                broker: json!({
                    "host": "127.0.0.1", "port": 1, "vhost": "/", "use_ssl": false,
                    "user": "guest", "pass": "hidden",
                }),
                push_routing: "push_routing_c".to_owned(),
                ..Model::default()
            }),
            hook: Mutex::new(None),
            requests: watch::Sender::new(0),
        });
        let router = Router::new()
            .fallback(answer)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared }
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.shared.model.lock().unwrap()
    }

    pub(crate) fn instead(
        &self,
        operation: &'static str,
        answers: impl IntoIterator<Item = Instead>,
    ) {
        let mut model = self.model();
        for answer in answers {
            model.instead.push_back((operation, answer));
        }
    }

    pub(crate) fn on_register(&self, hook: RegisterHook) {
        *self.shared.hook.lock().unwrap() = Some(hook);
    }

    /// Queries of one root field so far.
    pub(crate) fn received(&self, operation: &str) -> Vec<Received> {
        let model = self.model();
        let requests = model.requests.iter();
        requests
            .filter(|request| request.operation == operation)
            .cloned()
            .collect()
    }

    /// Waits until so many requests have come.
    pub(crate) async fn requests(&self, count: usize) {
        let mut requests = self.shared.requests.subscribe();
        requests
            .wait_for(|requests| *requests >= count)
            .await
            .unwrap();
    }

    /// What the button in the user interface does.
    pub(crate) fn reset(&self) {
        let mut model = self.model();
        model.state = Some(String::new());
        model.reset_flag = true;
        model.resets += 1;
    }

    pub(crate) fn client(&self) -> Client {
        client(&self.url)
    }
}

/// A client with the given base address that retries fast.
pub(crate) fn client(url: &str) -> Client {
    client_with(OpenCti {
        url: url.parse().unwrap(),
        token: "secret-token".into(),
        verify: Verify::Yes,
        custom_headers: Vec::new(),
    })
}

pub(crate) fn client_with(settings: OpenCti) -> Client {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(&settings, &Http::default(), "test-connector/1.0")
        .unwrap()
        .with_retry_base(Duration::from_millis(1))
}

/// A connector with the id `c`.
pub(crate) fn connector() -> Connector {
    Connector {
        id: "c".to_owned(),
        name: "Some Connector/1".to_owned(),
        slug: Some("some-connector".to_owned()),
        scope: vec!["a".to_owned(), "b".to_owned()],
        period: Duration::ZERO,
        run_and_terminate: false,
        queue_threshold: 500.0,
        sinks: Sinks {
            queue: None,
            directory: None,
            s3: None,
        },
        validate_before_import: false,
        files_outside_draft: false,
        service_account: None,
        status: None,
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
    let received = receive(request).await;
    let operation = received.operation;
    let hook = shared.hook.lock().unwrap().clone();
    if let (Some(hook), "registerConnector") = (hook, operation) {
        hook().await;
    }
    let reply = shared.model.lock().unwrap().answer(received);
    shared.requests.send_modify(|requests| *requests += 1);
    match reply {
        Ok(data) => axum::Json(json!({ "data": data })).into_response(),
        Err(Instead::Error(code, message)) => {
            let error = json!({"message": message, "name": code, "extensions": {"code": code}});
            axum::Json(json!({"errors": [error], "data": null})).into_response()
        }
        Err(Instead::Http(status, headers, body)) => (
            status,
            axum::response::AppendHeaders(headers.to_vec()),
            body,
        )
            .into_response(),
    }
}

async fn receive(request: HttpRequest) -> Received {
    assert_eq!(request.uri().path(), "/graphql");
    let headers = request.headers().clone();
    let is_form = headers[header::CONTENT_TYPE]
        .to_str()
        .unwrap()
        .starts_with("multipart/form-data");
    let (body, file): (Value, _) = if is_form {
        let mut form = Multipart::from_request(request, &()).await.unwrap();
        let operations = form.next_field().await.unwrap().unwrap();
        assert_eq!(operations.name(), Some("operations"));
        let operations = serde_json::from_str(&operations.text().await.unwrap()).unwrap();
        let map = form.next_field().await.unwrap().unwrap();
        assert_eq!(map.name(), Some("map"));
        assert_eq!(map.text().await.unwrap(), r#"{"0":["variables.file"]}"#);
        let mut file = form.next_field().await.unwrap().unwrap();
        assert_eq!(file.name(), Some("0"));
        let name = file.file_name().unwrap().to_owned();
        let media_type = file.content_type().unwrap().to_owned();
        let mut size = 0;
        while let Some(chunk) = file.chunk().await.unwrap() {
            size += chunk.len();
        }
        (operations, Some((size, name, media_type)))
    } else {
        let bytes = Bytes::from_request(request, &()).await.unwrap();
        (serde_json::from_slice(&bytes).unwrap(), None)
    };
    let query = body["query"].as_str().unwrap().to_owned();
    let operation = OPERATIONS
        .iter()
        .find(|operation| {
            operation
                .variants()
                .iter()
                .any(|variant| variant.text == query)
        })
        .unwrap()
        .name;
    Received {
        operation,
        query,
        variables: body["variables"].clone(),
        headers,
        file,
    }
}

impl Model {
    fn answer(&mut self, received: Received) -> Result<Value, Instead> {
        let operation = received.operation;
        let variables = received.variables.clone();
        let since = OPERATIONS
            .iter()
            .flat_map(|operation| operation.variants())
            .filter(|variant| variant.text == received.query)
            .map(|variant| variant.since)
            .min()
            .unwrap();
        self.requests.push(received);
        if self
            .instead
            .front()
            .is_some_and(|(name, _)| *name == operation)
        {
            return Err(self.instead.pop_front().unwrap().1);
        }
        let schema = self
            .schema
            .or_else(|| Version::parse(&self.version))
            .unwrap_or(Version::NEWEST);
        if schema < since {
            return Err(Instead::Error("GRAPHQL_VALIDATION_FAILED", "unknown field"));
        }
        if operation == "registerConnector" {
            self.judge_registration(&variables["input"], schema)?;
        }
        self.model_answer(operation, &variables)
    }

    /// Fields by the release that knows them first, and null over a mandatory one.
    fn judge_registration(&self, input: &Value, schema: Version) -> Result<(), Instead> {
        for (field, since) in [
            ("auto_update", Version::new(6, 8, 9)),
            ("enrichment_resolution", Version::new(6, 8, 9)),
            ("version", Version::new(7, 261_008, 0)),
            ("slug", Version::new(7, 261_008, 0)),
        ] {
            if schema < since && input.get(field).is_some() {
                return Err(Instead::Error("BAD_USER_INPUT", "a field is not defined"));
            }
        }
        if self.left_by_pycti && input["enrichment_resolution"].is_null() {
            return Err(Instead::Error("FUNCTIONAL_ERROR", NIL_RESOLUTION));
        }
        Ok(())
    }

    fn model_answer(&mut self, operation: &str, variables: &Value) -> Result<Value, Instead> {
        let timestamp = format!("t{}", self.resets);
        Ok(match operation {
            "about" => json!({"about": {"version": self.version}}),
            "registerConnector" => {
                self.known = true;
                json!({"registerConnector": {
                    "id": variables["input"]["id"], "connector_state": self.state,
                    "connector_state_timestamp": timestamp, "connector_user_id": "user",
                    "config": {
                        "connection": self.broker, "push_exchange": "test.worker.exchange",
                        "push_routing": self.push_routing,
                    },
                }})
            }
            "pingConnector" => {
                if !self.known {
                    return Err(Instead::Error(
                        "FUNCTIONAL_ERROR",
                        "No connector found with the specified ID",
                    ));
                }
                if !std::mem::take(&mut self.reset_flag) {
                    self.state = variables["state"].as_str().map(str::to_owned);
                }
                json!({"pingConnector": {
                    "id": "c", "connector_state": self.state,
                    "connector_state_timestamp": timestamp,
                }})
            }
            "connector" => json!({"connector": {"id": "c", "connector_queue_details": {
                "messages_number": 3.0, "messages_size": 1234.0,
            }}}),
            "workAdd" => {
                let id = format!("work_c_{}", self.works.len());
                let multipart = variables["multipart"] == true;
                let work = WorkModel {
                    multipart,
                    ..WorkModel::default()
                };
                self.works.insert(id.clone(), work);
                json!({"workAdd": {"id": id}})
            }
            "isWorkAlive" => {
                let work = self.works.get(variables["id"].as_str().unwrap());
                json!({"isWorkAlive": work.is_some_and(|work| !work.deleted)})
            }
            "draftWorkspaceAdd" => {
                let name = variables["input"]["name"].as_str().unwrap().to_owned();
                self.drafts.push(name);
                json!({"draftWorkspaceAdd": {"id": format!("draft_{}", self.drafts.len())}})
            }
            "draftWorkspace" => {
                let number = variables["id"].as_str().unwrap().strip_prefix("draft_");
                let number: usize = number.unwrap().parse().unwrap();
                let status = match self.drafts[number - 1].as_str() {
                    "" => "validated",
                    _ => "open",
                };
                json!({"draftWorkspace": {"draft_status": status}})
            }
            "stixBundlePush" => json!({"stixBundlePush": true}),
            "stixCyberObservables" => json!({"stixCyberObservables": {"edges": [
                {"node": {"standard_id": "artifact--1"}},
            ]}}),
            "artifactImport" => json!({"artifactImport": {"standard_id": "artifact--2"}}),
            edit => self.edit_work(edit, variables),
        })
    }

    fn edit_work(&mut self, edit: &str, variables: &Value) -> Value {
        let work = self
            .works
            .get_mut(variables["id"].as_str().unwrap())
            .unwrap();
        match edit {
            "addExpectations" => work.expected += variables["expectations"].as_i64().unwrap(),
            "reportExpectation" => {
                work.processed += 1;
                if !variables["error"].is_null() {
                    work.errors.push(variables["error"].clone());
                }
                work.check();
            }
            "toProcessed" => {
                let message = variables["message"].as_str().unwrap().to_owned();
                work.closed = Some((message, variables["inError"] == true));
                work.check();
            }
            "addDraftContext" => {}
            other => panic!("{other}"),
        }
        json!({"workEdit": {edit: variables["id"]}})
    }
}
