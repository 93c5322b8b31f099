//! `POST /graphql` and `GET /schema` (protocol section 1).

use std::sync::Arc;

use apollo_compiler::Schema;
use apollo_compiler::validation::Valid;
use axum::body::to_bytes;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request as HttpRequest, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::broker::Broker;
use super::graphql::{self, Body, Request, refused};
use super::platform::{Platform, User};
use super::resolver::{Caller, Effect};
use super::upload::{self, Unreadable};
use crate::fault::{Call, Fault};
use crate::gate::Gate;
use crate::recorded::Recorded;
use crate::watched::Watched;

/// The platform's default limit of a body that is not multipart.
const MAX_BODY: usize = 50 * 1024 * 1024;

/// What every request needs.
pub(crate) struct Shared {
    pub(crate) platform: Arc<Watched<Platform>>,
    pub(crate) schema: Valid<Schema>,
    pub(crate) token: String,
    pub(crate) broker: Option<Broker>,
    pub(crate) gate: Gate<Request>,
}

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/graphql", post(answer))
        .route("/schema", get(sdl))
        .layer(DefaultBodyLimit::disable())
        .with_state(shared)
}

async fn answer(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
    let (parts, content) = request.into_parts();
    let recorded = Recorded::new(&parts, "");
    let watch = shared.platform.read(|platform| Arc::clone(&platform.watch));
    recorded.look_for_secrets(&watch, is_of_the_platform, |_| false);
    let content_type = recorded
        .header(header::CONTENT_TYPE.as_str())
        .unwrap_or_default();
    let body = if content_type.starts_with("multipart/form-data") {
        match Multipart::from_request(HttpRequest::from_parts(parts, content), &()).await {
            Ok(parts) => upload::read(parts).await.inspect(|body| {
                let variables = body.variables.to_string();
                watch.look("the form of a request", variables.as_bytes(), |_| false);
            }),
            Err(error) => Err(Unreadable::Malformed(error.to_string())),
        }
    } else {
        match to_bytes(content, MAX_BODY).await {
            Ok(bytes) => {
                watch.look("the body of a request", &bytes, |_| false);
                Body::parse(&bytes).ok_or_else(|| {
                    Unreadable::Malformed("the body is not a GraphQL request".to_owned())
                })
            }
            Err(_) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        }
    };
    match body {
        Ok(body) => respond(&shared, recorded, &body).await,
        Err(Unreadable::Malformed(message)) => (
            StatusCode::BAD_REQUEST,
            Json(refused("BAD_REQUEST", message)),
        )
            .into_response(),
        Err(Unreadable::Broken) => {
            shared
                .platform
                .edit(|platform| platform.broken_uploads += 1);
            StatusCode::BAD_REQUEST.into_response()
        }
    }
}

/// The token and the headers of the settings belong there, in a header.
fn is_of_the_platform(secret: &str) -> bool {
    secret.starts_with("OPENCTI_")
}

async fn respond(shared: &Shared, recorded: Recorded, body: &Body) -> Response {
    let version = shared.platform.read(|platform| platform.version.clone());
    let checked = graphql::check(&shared.schema, &version, body);
    let fields = checked
        .as_ref()
        .map(|it| it.fields.clone())
        .unwrap_or_default();
    let request = Request {
        http: recorded.clone(),
        fields: fields.clone(),
        query: body.query.clone(),
        variables: body.remembered(),
    };
    shared.gate.pass(request.clone()).await;
    let fault = shared.platform.edit(|platform| {
        let call = Call {
            method: &recorded.method,
            path: &recorded.path,
            fields: &fields,
        };
        let fault = platform.faults.take(&call);
        platform.requests.push(request);
        fault
    });
    if let Some(response) = fault.as_ref().and_then(Fault::instead) {
        return response;
    }
    let dead_work = recorded.header("opencti-work-id").filter(|id| {
        version.checks_work_header() && shared.platform.read(|platform| platform.work(id).is_none())
    });
    // An empty one is none, whatever draft the account works in.
    let draft = recorded
        .header("opencti-draft-id")
        .filter(|id| !id.is_empty() && version.has_drafts());
    let closed = shared
        .platform
        .read(|platform| platform.check_draft(draft).err());
    let response = if dead_work.is_some() {
        let error = refused("WORK_NOT_ALIVE", "Work is not alive");
        (StatusCode::INTERNAL_SERVER_ERROR, Json(error)).into_response()
    } else if let Some(user) = authorized(shared, &recorded).filter(|_| !is_overloaded(shared)) {
        let caller = Caller {
            user,
            retry_number: recorded
                .header("opencti-retry-number")
                .and_then(|it| it.parse().ok()),
            draft: draft.map(str::to_owned),
        };
        match (closed, checked) {
            (Some(error), _) => {
                let error = json!({"errors": [error.to_json()]});
                (StatusCode::INTERNAL_SERVER_ERROR, Json(error)).into_response()
            }
            (None, Ok(checked)) => {
                Json(execute(shared, caller, &checked, body).await).into_response()
            }
            (None, Err(error)) => Json(json!({"errors": [error.to_json()]})).into_response(),
        }
    } else {
        // Not a 401: the user is just undefined, and every field asks for one.
        Json(refused(
            "AUTH_REQUIRED",
            "You must be logged in to do this.",
        ))
        .into_response()
    };
    match fault {
        Some(fault) => fault.spoil(response).await,
        None => response,
    }
}

/// An overloaded platform does not know a token for some answers.
fn is_overloaded(shared: &Shared) -> bool {
    shared.platform.edit(|platform| {
        let is_overloaded = platform.overloaded_answers > 0;
        platform.overloaded_answers = platform.overloaded_answers.saturating_sub(1);
        is_overloaded
    })
}

/// Whose token it is, if that may use the API.
fn authorized(shared: &Shared, request: &Recorded) -> Option<User> {
    let token = request
        .header("authorization")
        .and_then(|it| it.strip_prefix("Bearer "))?;
    let may_use_token = |name: &String| name == "APIACCESS_USETOKEN" || name == "BYPASS";
    let user = shared.platform.read(|platform| {
        if platform.token_expired {
            None
        } else if token == shared.token {
            Some(platform.user.clone())
        } else {
            platform.user_of_token(token)
        }
    })?;
    user.capabilities.iter().any(may_use_token).then_some(user)
}

async fn execute(
    shared: &Shared,
    caller: Caller,
    checked: &graphql::Checked,
    body: &Body,
) -> Value {
    let (answer, effects) =
        graphql::execute(&shared.schema, &shared.platform, checked, body, caller);
    let Some(broker) = &shared.broker else {
        return answer;
    };
    for effect in effects {
        let done = match effect {
            Effect::Declare(connector) => broker.declare(&shared.platform, &connector).await,
            Effect::Purge(connector) => broker.purge(&connector).await,
        };
        if let Err(error) = done {
            return refused("UNKNOWN_ERROR", format!("RabbitMQ: {error}"));
        }
    }
    answer
}

async fn sdl(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
    let recorded = Recorded::new(&request.into_parts().0, "");
    let version = shared.platform.read(|platform| platform.version.clone());
    if !version.serves_schema() {
        return StatusCode::NOT_FOUND.into_response();
    }
    if authorized(&shared, &recorded).is_none() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let answer = json!({"version": version.to_string(), "schema": shared.schema.to_string()});
    Json(answer).into_response()
}
