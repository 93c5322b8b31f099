//! One GraphQL request: read, validated against the release's schema, executed.

use std::collections::BTreeMap;

use apollo_compiler::ast::OperationType;
use apollo_compiler::executable::Operation;
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::resolvers::Execution;
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};
use serde_json::{Value, json};

use super::error::PlatformError;
use super::platform::Platform;
use super::resolver::{Caller, Effect, Root};
use super::upload::Upload;
use super::version::Version;
use crate::recorded::Recorded;
use crate::watched::Watched;

/// A text in a request's variables longer than this is not kept, only its length.
const KEPT_TEXT: usize = 16 * 1024;

/// What the simulator remembers of a request to `/graphql`.
#[derive(Clone, Debug)]
pub struct Request {
    /// Method, path, headers.
    pub http: Recorded,
    /// Root fields of the document: `pingConnector`. Empty where it could not be read.
    pub fields: Vec<String>,
    /// The document.
    pub query: String,
    /// Its variables; long texts are replaced by their length.
    pub variables: Value,
}

/// The body of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    pub(crate) query: String,
    pub(crate) variables: Value,
    pub(crate) operation_name: Option<String>,
    pub(crate) uploads: BTreeMap<String, Upload>,
}

impl Body {
    /// Reads `{"query", "variables", "operationName"}`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut body: Value = serde_json::from_slice(text).ok()?;
        Some(Self {
            query: body["query"].as_str()?.to_owned(),
            operation_name: body["operationName"].as_str().map(str::to_owned),
            variables: match body["variables"].take() {
                Value::Null => json!({}),
                variables => variables,
            },
            uploads: BTreeMap::new(),
        })
    }

    /// The variables as they are remembered.
    pub(crate) fn remembered(&self) -> Value {
        let mut variables = self.variables.clone();
        for value in variables
            .as_object_mut()
            .into_iter()
            .flat_map(|it| it.values_mut())
        {
            if let Some(text) = value.as_str().filter(|text| text.len() > KEPT_TEXT) {
                *value = json!({"length": text.len()});
            }
        }
        variables
    }
}

/// A document that the schema allows.
pub(crate) struct Checked {
    document: Valid<ExecutableDocument>,
    operation_name: Option<String>,
    pub(crate) fields: Vec<String>,
}

/// Validates a document.
pub(crate) fn check(
    schema: &Valid<Schema>,
    version: &Version,
    body: &Body,
) -> Result<Checked, PlatformError> {
    if body.query.contains("__schema") {
        return Err(PlatformError::new(
            "RESOURCE_NOT_FOUND",
            "GraphQL introspection is not allowed",
        ));
    }
    let invalid = |message: String| PlatformError::new("GRAPHQL_VALIDATION_FAILED", message);
    let document = ExecutableDocument::parse_and_validate(schema, &body.query, "request.graphql")
        .map_err(|found| {
        let first = found.errors.iter().next().map(|it| it.error.to_string());
        invalid(first.unwrap_or_else(|| "Syntax Error".to_owned()))
    })?;
    let operation = document
        .operations
        .get(body.operation_name.as_deref())
        .map_err(|error| invalid(error.message().to_string()))?;
    let fields: Vec<String> = operation
        .selection_set
        .root_fields(&document)
        .map(|field| field.name.to_string())
        .collect();
    if version.refuses_aliases() {
        repeated(operation, &fields).map_or(Ok(()), |it| Err(invalid(it)))?;
    }
    Ok(Checked {
        fields,
        operation_name: body.operation_name.clone(),
        document,
    })
}

/// A mutation may stand once in a document, a query twice (protocol section 1, batching).
fn repeated(operation: &Operation, fields: &[String]) -> Option<String> {
    let allowed = if operation.operation_type == OperationType::Mutation {
        1
    } else {
        2
    };
    fields.iter().find_map(|field| {
        let times = fields.iter().filter(|it| *it == field).count();
        (times > allowed).then(|| format!("Allowed number of calls for {field} has been exceeded"))
    })
}

/// Executes a checked document. Returns the answer, and what is left to do before it is sent.
pub(crate) fn execute(
    schema: &Valid<Schema>,
    platform: &Watched<Platform>,
    checked: &Checked,
    body: &Body,
    caller: Caller,
) -> (Value, Vec<Effect>) {
    let operation = match checked
        .document
        .operations
        .get(checked.operation_name.as_deref())
    {
        Ok(operation) => operation,
        Err(error) => return (refused("BAD_USER_INPUT", error.message()), Vec::new()),
    };
    let variables = match JsonValue::from(body.variables.clone()) {
        JsonValue::Object(variables) => variables,
        _ => {
            return (
                refused("BAD_USER_INPUT", "variables must be an object"),
                Vec::new(),
            );
        }
    };
    let variables: Valid<JsonMap> = match coerce_variable_values(schema, operation, &variables) {
        Ok(variables) => variables,
        Err(error) => return (refused("BAD_USER_INPUT", error.message()), Vec::new()),
    };
    let root = Root::new(platform, operation.operation_type, &body.uploads, caller);
    let executed = Execution::new(schema, &checked.document)
        .operation(operation)
        .coerced_variable_values(&variables)
        .execute_sync(&root);
    let response = match executed {
        Ok(response) => response,
        Err(error) => return (refused("BAD_USER_INPUT", error.message()), Vec::new()),
    };
    let errors: Vec<Value> = response
        .errors
        .iter()
        .map(|error| {
            let mut worded = PlatformError::from_field_error(&error.message).to_json();
            worded["path"] = json!(error.path);
            worded["locations"] = json!(error.locations);
            worded
        })
        .collect();
    let mut answer = json!({"data": response.data});
    if !errors.is_empty() {
        answer["errors"] = Value::Array(errors);
    }
    (answer, root.into_effects())
}

/// An answer without data.
pub(crate) fn refused(code: &str, message: impl std::fmt::Display) -> Value {
    json!({"errors": [PlatformError::new(code, message.to_string()).to_json()]})
}
