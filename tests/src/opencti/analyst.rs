//! What people do in the user interface.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::decay::Generation;
use super::platform::Platform;
use super::server::Server;
use super::store::Origin;
use super::upsert::{self, show_life};

/// The account of the analyst.
const ANALYST: &str = "analyst";

/// A person at work, see [`Server::analyst`]. Objects are named by any of their ids.
pub struct Analyst<'s>(&'s Server);

impl Server {
    /// A person who edits what the platform holds.
    #[must_use]
    pub fn analyst(&self) -> Analyst<'_> {
        Analyst(self)
    }
}

impl Analyst<'_> {
    /// Sets a field. Score, `revoked` and the end of an indicator change what belongs to them, as in the interface.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn set(&self, id: &str, field: &str, value: Value) -> Result<()> {
        self.edit(|platform| platform.edit_field(id, field, value), id)
    }

    /// Sets the confidence: what accounts and objects of a lower one send then changes no field.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn set_confidence(&self, id: &str, confidence: i64) -> Result<()> {
        self.set(id, "confidence", confidence.into())
    }

    /// Revokes an indicator.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn revoke(&self, id: &str) -> Result<()> {
        self.set(id, "revoked", true.into())
    }

    /// Takes a label away.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn remove_label(&self, id: &str, label: &str) -> Result<()> {
        let remove = |platform: &mut Platform| {
            let stored = platform.store.get_mut(id)?;
            let field = upsert::labels_field(&stored.object);
            let labels = stored.object[field].as_array_mut();
            labels
                .into_iter()
                .for_each(|it| it.retain(|value| value != label));
            Some(())
        };
        self.edit(remove, id)
    }

    /// Adds a label.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn add_label(&self, id: &str, label: &str) -> Result<()> {
        let add = |platform: &mut Platform| {
            platform.labels.insert(label.trim().to_lowercase());
            let stored = platform.store.get_mut(id)?;
            let field = upsert::labels_field(&stored.object);
            upsert::add(&mut stored.object[field], &vec![label].into());
            Some(())
        };
        self.edit(add, id)
    }

    /// Deletes an object, and the relationships that end at it.
    ///
    /// # Errors
    /// When there is no such object.
    pub fn delete(&self, id: &str) -> Result<()> {
        self.edit(|platform| platform.store.remove(id).then_some(()), id)
    }

    /// Creates an object, or another connector does. It is not looked at when the test ends.
    ///
    /// # Errors
    /// When the platform refuses it.
    pub fn create(&self, object: &Value) -> Result<()> {
        self.0.edit(|platform| {
            let origin = Origin {
                imported: false,
                ..platform.origin(ANALYST)
            };
            platform.labels.extend(upsert::labels(object));
            let created = platform.store.upsert(object, &origin);
            created
                .map_err(|error| anyhow::anyhow!("{error}"))
                .map(drop)
        })
    }

    fn edit(&self, edit: impl FnOnce(&mut Platform) -> Option<()>, id: &str) -> Result<()> {
        self.0
            .edit(edit)
            .with_context(|| format!("the platform has no {id}"))
    }
}

impl Platform {
    fn edit_field(&mut self, id: &str, field: &str, value: Value) -> Option<()> {
        let generation = Generation::of(&self.version);
        let now = self.origin(ANALYST).now();
        let stored = self.store.get_mut(id)?;
        if field == "confidence" {
            stored.confidence = value.as_i64();
        }
        let time = value.as_str().and_then(|it| it.parse().ok());
        stored.object[field] = value.clone();
        if let Some(life) = &mut stored.life {
            match field {
                "revoked" => life.set_revoked(value == true, generation, ANALYST, now),
                "x_opencti_score" => {
                    life.set_score(value.as_i64()?, generation, ANALYST, now);
                }
                "x_opencti_detection" => life.detection = value == true,
                "valid_from" => life.valid_from = time?,
                "valid_until" => {
                    let until = time?;
                    life.set_revoked(until < now, generation, ANALYST, now);
                    life.valid_until = until;
                }
                _ => {}
            }
        }
        show_life(stored);
        Some(())
    }
}
