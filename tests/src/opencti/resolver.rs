//! Resolves root fields against the platform, and projects their JSON to what was selected.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use apollo_compiler::ast::OperationType;
use apollo_compiler::resolvers::{FieldError, ObjectValue, ResolveInfo, ResolvedValue};
use serde_json::{Value, json};

use super::access;
use super::error::PlatformError;
use super::platform::{Platform, User};
use super::query::Reader;
use super::upload::Upload;
use crate::watched::Watched;

/// What must happen, without the platform's lock, before the answer is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Declare the queues of this connector.
    Declare(String),
    /// Purge the queues of this connector.
    Purge(String),
}

/// Who asks, and what the headers of the request say.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: User,
    /// `opencti-retry-number`.
    pub(crate) retry_number: Option<u32>,
    /// `opencti-draft-id`.
    pub(crate) draft: Option<String>,
}

/// The root of a query or a mutation.
pub(crate) struct Root<'p> {
    platform: &'p Watched<Platform>,
    kind: OperationType,
    uploads: &'p BTreeMap<String, Upload>,
    caller: Caller,
    effects: RefCell<Vec<Effect>>,
}

impl<'p> Root<'p> {
    pub(crate) fn new(
        platform: &'p Watched<Platform>,
        kind: OperationType,
        uploads: &'p BTreeMap<String, Upload>,
        caller: Caller,
    ) -> Self {
        Self {
            platform,
            kind,
            uploads,
            caller,
            effects: RefCell::default(),
        }
    }

    pub(crate) fn into_effects(self) -> Vec<Effect> {
        self.effects.into_inner()
    }

    fn after(&self, effect: Effect) {
        self.effects.borrow_mut().push(effect);
    }

    fn query(&self, field: &str, arguments: &Value) -> Result<Value, PlatformError> {
        let id = text(arguments, "id");
        let reader = Reader {
            draft: self.caller.draft.as_deref(),
            sight: self.caller.user.sight,
        };
        self.platform.read(|platform| match field {
            "about" => Ok(json!({"version": platform.version.to_string()})),
            "me" => Ok(platform.me(&self.caller.user)),
            "connector" => Ok(platform.connector(id).unwrap_or(Value::Null)),
            "work" => Ok(platform.work_json(id)),
            "isWorkAlive" => Ok(json!(platform.work(id).is_some())),
            "stixCoreObject" => platform.core_object(&reader, id),
            "stixCoreObjects" => platform.core_objects(&reader, arguments),
            "stixCyberObservables" => platform.observables(&reader, arguments),
            "markingDefinition" => Ok(platform.marking_json(id)),
            "incidents" => platform.incidents(&reader, arguments),
            "draftWorkspace" => Ok(platform.draft_json(id)),
            "groups" => platform.groups_json(&arguments["filters"]),
            "users" => platform.accounts_json(&arguments["filters"]),
            _ => Err(unanswered(field)),
        })
    }

    fn mutation(&self, field: &str, arguments: &Value) -> Result<Value, PlatformError> {
        let id = text(arguments, "id");
        let user = &self.caller.user.id;
        match field {
            "registerConnector" => {
                let input = &arguments["input"];
                let connector = self
                    .platform
                    .edit(|platform| platform.register(user, input))?;
                self.after(Effect::Declare(text(input, "id").to_owned()));
                Ok(connector)
            }
            "pingConnector" => {
                let state = arguments["state"].as_str();
                let info = arguments.get("connectorInfo");
                let connector = self
                    .platform
                    .edit(|platform| platform.ping(id, state, info))?;
                self.after(Effect::Declare(id.to_owned()));
                Ok(connector)
            }
            "resetStateConnector" => {
                let connector = self.platform.edit(|platform| platform.reset(id))?;
                self.after(Effect::Purge(id.to_owned()));
                Ok(connector)
            }
            "workAdd" => {
                let (connector, name) = (
                    text(arguments, "connectorId"),
                    text(arguments, "friendlyName"),
                );
                let multipart = arguments["isMultiPartWork"] == Value::Bool(true);
                self.platform
                    .edit(|platform| platform.add_work(connector, name, multipart))
            }
            "stixBundlePush" => {
                let (connector, bundle) =
                    (text(arguments, "connectorId"), text(arguments, "bundle"));
                let work = arguments["work_id"].as_str();
                self.platform
                    .edit(|platform| platform.push_bundle(user, connector, bundle, work))?;
                Ok(json!(true))
            }
            "artifactImport" => {
                let upload = self.uploads.get(text(arguments, "file"));
                let upload = upload
                    .ok_or_else(|| PlatformError::new("BAD_USER_INPUT", "Upload value invalid."))?;
                self.platform
                    .edit(|platform| platform.import_artifact(upload, arguments, &self.caller))
            }
            "draftWorkspaceValidate" => self
                .platform
                .edit(|platform| platform.validate_draft(id, user))
                .map(|()| Value::Null),
            "labelAdd" => {
                let value = text(&arguments["input"], "value");
                Ok(self.platform.edit(|platform| platform.add_label(value)))
            }
            "draftWorkspaceAdd" => {
                let name = text(&arguments["input"], "name");
                Ok(self.platform.edit(|platform| platform.add_draft(name)))
            }
            "userAdd" => self
                .platform
                .edit(|platform| platform.add_account(&arguments["input"])),
            "userAdminTokenAdd" => {
                let (user, name) = (text(arguments, "userId"), text(&arguments["input"], "name"));
                self.platform
                    .edit(|platform| platform.add_token(user, name))
            }
            "userAdminTokenRevoke" => {
                let user = text(arguments, "userId");
                self.platform
                    .edit(|platform| platform.revoke_token(user, id))
            }
            _ => Err(unanswered(field)),
        }
    }
}

impl ObjectValue for Root<'_> {
    fn type_name(&self) -> &str {
        match self.kind {
            OperationType::Mutation => "Mutation",
            _ => "Query",
        }
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let field = info.field_name();
        access::check(field, &self.caller.user.capabilities)?;
        let arguments = arguments(info);
        if field == "workEdit" {
            return Ok(ResolvedValue::object(WorkEdit {
                root: self,
                id: text(&arguments, "id").to_owned(),
            }));
        }
        if field == "stixCoreObjectEdit" {
            return Ok(ResolvedValue::object(ObjectEdit {
                root: self,
                id: text(&arguments, "id").to_owned(),
            }));
        }
        let value = match self.kind {
            OperationType::Mutation => self.mutation(field, &arguments)?,
            _ => self.query(field, &arguments)?,
        };
        Ok(project(info, Cow::Owned(value)))
    }
}

/// `workEdit(id)`, whose fields act.
struct WorkEdit<'r, 'p> {
    root: &'r Root<'p>,
    id: String,
}

impl ObjectValue for WorkEdit<'_, '_> {
    fn type_name(&self) -> &str {
        "WorkEditMutations"
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let (field, arguments) = (info.field_name(), arguments(info));
        self.root
            .platform
            .edit(|platform| platform.edit_work(&self.id, field, &arguments))?;
        Ok(ResolvedValue::leaf(self.id.as_str()))
    }
}

/// `stixCoreObjectEdit(id)`, of which markings alone are taken off.
struct ObjectEdit<'r, 'p> {
    root: &'r Root<'p>,
    id: String,
}

impl ObjectValue for ObjectEdit<'_, '_> {
    fn type_name(&self) -> &str {
        "StixCoreObjectEditMutations"
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        let arguments = arguments(info);
        if arguments["relationship_type"] != "object-marking" {
            return Err(unanswered(info.field_name()).into());
        }
        let object = self
            .root
            .platform
            .edit(|platform| platform.remove_marking(&self.id, text(&arguments, "toId")))?;
        Ok(project(info, Cow::Owned(object)))
    }
}

/// An object whose fields are the members of a JSON object.
struct Json<'v> {
    type_name: String,
    value: Cow<'v, Value>,
}

impl ObjectValue for Json<'_> {
    fn type_name(&self) -> &str {
        &self.type_name
    }

    fn resolve_field<'a>(
        &'a self,
        info: &'a ResolveInfo<'a>,
    ) -> Result<ResolvedValue<'a>, FieldError> {
        match self.value.get(info.field_name()) {
            Some(value) => Ok(project(info, Cow::Borrowed(value))),
            None => Err(self.unknown_field_error(info)),
        }
    }
}

/// A JSON value as a field's value. An object says its type by `__typename` where the field's type
/// leaves a choice.
fn project<'v>(info: &ResolveInfo<'_>, value: Cow<'v, Value>) -> ResolvedValue<'v> {
    let declared = info.field_definition().ty.inner_named_type();
    resolved(declared, value)
}

fn resolved<'v>(declared: &str, value: Cow<'v, Value>) -> ResolvedValue<'v> {
    match value {
        Cow::Borrowed(Value::Array(items)) => {
            let declared = declared.to_owned();
            ResolvedValue::list(
                items
                    .iter()
                    .map(move |it| resolved(&declared, Cow::Borrowed(it))),
            )
        }
        Cow::Owned(Value::Array(items)) => {
            let declared = declared.to_owned();
            ResolvedValue::list(
                items
                    .into_iter()
                    .map(move |it| resolved(&declared, Cow::Owned(it))),
            )
        }
        value if value.is_object() => {
            let type_name = value["__typename"].as_str().unwrap_or(declared).to_owned();
            ResolvedValue::object(Json { type_name, value })
        }
        value => ResolvedValue::leaf(value.into_owned()),
    }
}

fn arguments(info: &ResolveInfo<'_>) -> Value {
    serde_json::to_value(info.arguments()).unwrap_or_default()
}

fn text<'v>(arguments: &'v Value, name: &str) -> &'v str {
    arguments[name].as_str().unwrap_or_default()
}

fn unanswered(field: &str) -> PlatformError {
    PlatformError::new(
        "INTERNAL_SERVER_ERROR",
        format!("the simulator does not answer {field}"),
    )
}
