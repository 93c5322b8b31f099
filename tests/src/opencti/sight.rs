//! Which markings the account may use (platform.md P21), those of an object, and what pycti leaves behind (P1).

use serde_json::{Value, json};

use super::error::PlatformError;
use super::ids::{TLP_MARKINGS, internal_id};
use super::platform::Platform;

/// What the platform calls the markings of [`TLP_MARKINGS`], in their order.
const NAMES: [&str; 5] = [
    "TLP:CLEAR",
    "TLP:GREEN",
    "TLP:AMBER",
    "TLP:AMBER+STRICT",
    "TLP:RED",
];

fn marking(id: &str) -> Value {
    let position = TLP_MARKINGS.iter().position(|it| *it == id);
    let name = position.and_then(|position| NAMES.get(position));
    json!({"id": internal_id(id), "standard_id": id, "definition": name})
}

/// `objectMarking` of an object.
pub(crate) fn object_markings(object: &Value) -> Value {
    let ids = object["object_marking_refs"].as_array();
    ids.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(marking)
        .collect()
}

impl Platform {
    /// `allowed_marking` of `me`.
    pub(crate) fn allowed_markings(&self) -> Value {
        let hidden = |id: &&&str| !self.hidden_markings.contains(**id);
        TLP_MARKINGS
            .iter()
            .filter(hidden)
            .map(|id| marking(id))
            .collect()
    }

    /// `groups` of `me`.
    pub(crate) fn groups_of_account(&self) -> Value {
        let edges: Vec<Value> = self
            .groups
            .iter()
            .map(|name| json!({"node": {"name": name}}))
            .collect();
        json!({ "edges": edges })
    }

    /// `markingDefinition`: markings have none themselves, so that everybody sees them.
    pub(crate) fn marking_json(&self, id: &str) -> Value {
        match TLP_MARKINGS.contains(&id) || self.store.get(id).is_some() {
            true => marking(id),
            false => Value::Null,
        }
    }

    /// `relationDelete` of a marking.
    pub(crate) fn remove_marking(
        &mut self,
        object: &str,
        id: &str,
    ) -> Result<Value, PlatformError> {
        let Some(stored) = self.store.object_mut(object) else {
            return Err(PlatformError::functional(
                "Cannot delete the relation, Stix-Object or Stix-Relationship cannot be found.",
            ));
        };
        if let Some(markings) = stored["object_marking_refs"].as_array_mut() {
            markings.retain(|it| {
                it.as_str()
                    .is_none_or(|it| internal_id(it) != id && it != id)
            });
        }
        self.core_object(None, object)
    }

    /// Gives an object this marking alone, as people do in the user interface. `None` where it is not there.
    pub fn mark(&mut self, object: &str, marking: &str) -> Option<()> {
        self.store.object_mut(object)?["object_marking_refs"] = json!([marking]);
        Some(())
    }

    /// Registers a connector as pycti does, with this state.
    pub fn leave_as_pycti(&mut self, id: &str, state: &str) -> anyhow::Result<()> {
        let user = self.user.id.clone();
        let mut input = json!({
            "id": id, "name": "VirusTotal Livehunt Notifications", "type": "EXTERNAL_IMPORT",
            "scope": ["StixFile", "Indicator", "Incident"], "auto": false, "only_contextual": false,
            "playbook_compatible": false, "listen_callback_uri": null,
        });
        if self.version.has([6, 8, 9]) {
            input["auto_update"] = json!(false);
            input["enrichment_resolution"] = json!("none");
        }
        let failed = |error: PlatformError| anyhow::anyhow!("{}", error.message);
        self.register(&user, &input).map_err(failed)?;
        self.ping(id, Some(state), None).map_err(failed)?;
        Ok(())
    }
}

/// Refuses a registration that would write null over a mandatory field.
pub(crate) fn judge_registration(before: &Value, input: &Value) -> Result<(), PlatformError> {
    const FIELD: &str = "enrichment_resolution";
    if before[FIELD].is_null() || !input[FIELD].is_null() {
        return Ok(());
    }
    Err(PlatformError::functional(format!(
        "Validation against schema failed on attribute [{FIELD}]: this mandatory field cannot be nil"
    )))
}
