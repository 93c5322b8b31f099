//! The knowledge: what was imported, under all the ids by which the platform knows it.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::Value;

use super::decay::Life;
use super::error::PlatformError;
use super::ids::{hash_ids, internal_id, standard_id};
use super::marking::{Sight, Tlp};
use super::upsert::{self, MAX_CONFIDENCE};
use super::version::Version;

/// Whom the decay manager acts as.
const DECAY_MANAGER: &str = "decay manager";

/// One object, after all its imports.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object after all its imports, by the rules of the platform: see [`super::upsert`].
    pub object: Value,
    /// The id that the platform computes.
    pub standard_id: String,
    /// The platform's own id.
    pub internal_id: String,
    /// Ids under which it was sent, other than the standard id.
    pub stix_ids: Vec<String>,
    /// How often it was imported.
    pub imports: usize,
    /// Who it is attributed to.
    pub applicant_id: String,
    /// The draft it was imported into.
    pub draft_id: Option<String>,
    /// Bytes of the content of an uploaded artifact.
    pub size: Option<u64>,
    /// When it was imported first.
    pub created_at: String,
    /// When it was imported last.
    pub updated_at: String,
    /// Of an indicator. Where the object has a field of it, both say the same.
    pub life: Option<Life>,
    /// From 0 to 100. Observables have none.
    pub confidence: Option<i64>,
    /// A connector brought it, and not a person in the user interface.
    pub imported: bool,
    /// All ids by which it is found.
    names: Vec<String>,
}

impl Stored {
    /// The decay manager's pass at a time. Whether it revoked the indicator.
    pub(crate) fn pass(&mut self, at: Timestamp) -> bool {
        let revoked = self
            .life
            .as_mut()
            .is_some_and(|life| life.pass(at, DECAY_MANAGER));
        upsert::show_life(self);
        revoked
    }

    /// All ids by which the platform shows it, other than its own and the standard one.
    pub(crate) fn other_ids(&self) -> Vec<String> {
        let names = self.names.iter().filter(|it| !it.contains(' '));
        names
            .filter(|it| **it != self.internal_id && **it != self.standard_id)
            .cloned()
            .collect()
    }
}

/// How an object came, and what the platform knows of who sends it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) applicant_id: String,
    pub(crate) draft_id: Option<String>,
    pub(crate) size: Option<u64>,
    pub(crate) now: String,
    pub(crate) version: Version,
    pub(crate) sight: Sight,
    pub(crate) max_confidence: i64,
    pub(crate) imported: bool,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            applicant_id: String::new(),
            draft_id: None,
            size: None,
            now: String::new(),
            version: Version::default(),
            sight: Sight::default(),
            max_confidence: MAX_CONFIDENCE,
            imported: true,
        }
    }
}

impl Origin {
    pub(crate) fn now(&self) -> Timestamp {
        self.now.parse().unwrap_or_else(|_| Timestamp::now())
    }
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Imported {
    pub(crate) standard_id: String,
    /// Two files that are not the same became one: says which.
    pub(crate) merged: Option<String>,
    /// An indicator that was dead when it arrived, or died of it.
    pub(crate) revoked: bool,
}

/// All objects, in the order of their first import.
#[derive(Clone, Debug, Default)]
pub struct Store {
    objects: Vec<Stored>,
    positions: HashMap<String, usize>,
}

impl Store {
    /// All objects in the order of their first import.
    pub fn iter(&self) -> impl Iterator<Item = &Stored> {
        self.objects.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stored> {
        self.objects.iter_mut()
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Is there nothing?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The object known under this id: standard, internal, as sent, or of one of its hashes.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Stored> {
        self.positions
            .get(id)
            .and_then(|position| self.objects.get(*position))
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Stored> {
        let position = self.positions.get(id).copied()?;
        self.objects.get_mut(position)
    }

    /// Can a reference to this id be resolved?
    #[must_use]
    pub fn knows(&self, id: &str) -> bool {
        self.positions.contains_key(id) || Tlp::of(id).is_some()
    }

    /// Creates the object or merges it into the one that is already there.
    pub(crate) fn upsert(
        &mut self,
        object: &Value,
        origin: &Origin,
    ) -> Result<Imported, PlatformError> {
        let sent = object["id"].as_str().unwrap_or_default().to_owned();
        let standard = standard_id(object, |id| self.standard(id)).unwrap_or_else(|| sent.clone());
        let names = self.names(object, &standard, &origin.version);
        let found: BTreeSet<usize> = names
            .iter()
            .filter_map(|name| self.positions.get(name).copied())
            .collect();
        let seen: Vec<usize> = found
            .iter()
            .copied()
            .filter(|position| origin.sight.sees_object(&self.objects[*position].object))
            .collect();
        match seen[..] {
            [] if found.is_empty() => self.create(object, standard, names, origin),
            [] => Err(restricted(object)),
            [position] => self.merge(position, object, origin),
            [first, ..] => {
                let is_standard = |it: &&usize| self.objects[**it].standard_id == standard;
                let target = seen.iter().find(is_standard).copied().unwrap_or(first);
                if is_hashed(object) {
                    self.check_collision(&seen)?;
                    let target = self.objects[target].internal_id.clone();
                    self.unite(&seen, &target);
                    let position = self.positions.get(&target).copied().unwrap_or_default();
                    return self.merge(position, object, origin);
                }
                self.merge(target, object, origin)
            }
        }
    }

    /// What an object would be merged with.
    pub(crate) fn alike(&self, object: &Value, version: &Version) -> Vec<Stored> {
        let sent = object["id"].as_str().unwrap_or_default();
        let standard = standard_id(object, |id| self.standard(id));
        let names = self.names(object, standard.as_deref().unwrap_or(sent), version);
        let found: BTreeSet<usize> = names
            .iter()
            .filter_map(|name| self.positions.get(name).copied())
            .collect();
        found
            .into_iter()
            .map(|position| self.objects[position].clone())
            .collect()
    }

    fn create(
        &mut self,
        object: &Value,
        standard: String,
        mut names: Vec<String>,
        origin: &Origin,
    ) -> Result<Imported, PlatformError> {
        let sent = object["id"].as_str().unwrap_or_default().to_owned();
        let life = upsert::life(object, origin)?;
        let revoked = life.as_ref().is_some_and(|it| it.revoked);
        let mut internal = internal_id(&standard);
        while self.positions.contains_key(&internal) {
            internal = internal_id(&internal);
        }
        names.push(internal.clone());
        self.objects.push(Stored {
            object: upsert::cleaned(object),
            internal_id: internal,
            stix_ids: (sent != standard).then_some(sent).into_iter().collect(),
            standard_id: standard.clone(),
            imports: 1,
            applicant_id: origin.applicant_id.clone(),
            draft_id: origin.draft_id.clone(),
            size: origin.size,
            created_at: origin.now.clone(),
            updated_at: origin.now.clone(),
            life,
            confidence: upsert::confidence(object, origin),
            imported: origin.imported,
            names: Vec::new(),
        });
        self.rename(self.objects.len() - 1, names);
        Ok(Imported {
            standard_id: standard,
            merged: None,
            revoked,
        })
    }

    fn merge(
        &mut self,
        position: usize,
        object: &Value,
        origin: &Origin,
    ) -> Result<Imported, PlatformError> {
        let sent = object["id"].as_str().unwrap_or_default().to_owned();
        let before = self.objects[position].clone();
        let stored = &mut self.objects[position];
        upsert::merge(stored, object, origin)?;
        stored.imports += 1;
        stored.updated_at.clone_from(&origin.now);
        stored.size = origin.size.or(stored.size);
        stored.imported |= origin.imported;
        let revoked = |it: &Stored| it.life.as_ref().is_some_and(|it| it.revoked);
        let died = revoked(stored) && stored.life != before.life;
        let mut names = before.names.clone();
        let mut standard = before.standard_id.clone();
        if is_hashed(object) {
            // An id that was computed from a hash goes with the hash.
            let gone = hash_ids(&before.object, &origin.version);
            names.retain(|name| !gone.contains(name) && *name != standard);
            stored.stix_ids.retain(|id| !gone.contains(id));
            standard = standard_id(&stored.object, str::to_owned).unwrap_or(standard);
            names.extend(hash_ids(&stored.object, &origin.version));
        }
        if sent != standard && !stored.stix_ids.contains(&sent) {
            stored.stix_ids.push(sent.clone());
        }
        stored.standard_id.clone_from(&standard);
        let merged = merged(&before.object, &stored.object);
        names.extend([sent, standard.clone()]);
        self.rename(position, names);
        Ok(Imported {
            standard_id: standard,
            merged,
            revoked: died,
        })
    }

    /// Removes an object, and the relationships that end at it.
    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let Some(gone) = self.get(id).map(|it| it.internal_id.clone()) else {
            return false;
        };
        let ends_there = |stored: &Stored| {
            ["source_ref", "target_ref"].iter().any(|end| {
                let id = stored.object[*end].as_str().unwrap_or_default();
                self.get(id).is_some_and(|it| it.internal_id == gone)
            })
        };
        let keep: Vec<bool> = self
            .objects
            .iter()
            .map(|it| it.internal_id != gone && !ends_there(it))
            .collect();
        let mut keep = keep.into_iter();
        self.objects.retain(|_| keep.next().unwrap_or(true));
        self.index();
        true
    }

    /// Puts an object in, in place of the one with the same id of the platform's own.
    pub(crate) fn put(&mut self, stored: Stored) {
        let names = stored.names.clone();
        let position = match self.positions.get(&stored.internal_id) {
            Some(position) => *position,
            None => self.objects.len(),
        };
        if position == self.objects.len() {
            self.objects.push(stored);
        } else {
            self.objects[position] = stored;
        }
        self.rename(position, names);
    }

    fn standard(&self, id: &str) -> String {
        self.get(id)
            .map_or_else(|| id.to_owned(), |stored| stored.standard_id.clone())
    }

    /// Every id by which the platform would know an object.
    fn names(&self, object: &Value, standard: &str, version: &Version) -> Vec<String> {
        let mut names = hash_ids(object, version);
        let sent = object["id"].as_str().unwrap_or_default();
        names.extend([standard.to_owned(), sent.to_owned()]);
        if object["type"] == "relationship" {
            // By its ends, whatever their standard ids have become since.
            let end = |name: &str| {
                let id = object[name].as_str().unwrap_or_default();
                self.get(id).map_or(id, |it| &it.internal_id).to_owned()
            };
            names.push(format!(
                "{} {} {} {} {}",
                object["relationship_type"],
                end("source_ref"),
                end("target_ref"),
                object["start_time"],
                object["stop_time"]
            ));
        }
        names
    }

    /// Files that differ in a hash of one kind cannot become one because a third has something of both.
    fn check_collision(&self, positions: &[usize]) -> Result<(), PlatformError> {
        let mut hashes: HashMap<&str, &Value> = HashMap::new();
        for position in positions {
            let own = self.objects[*position].object["hashes"].as_object();
            for (algorithm, hash) in own.into_iter().flatten() {
                if *hashes.entry(algorithm).or_insert(hash) != hash {
                    return Err(PlatformError::new("VALIDATION_ERROR", "Hashes collision"));
                }
            }
        }
        Ok(())
    }

    /// Lets one object be known by the names of others, which are gone then.
    fn unite(&mut self, positions: &[usize], target: &str) {
        let mut names: Vec<String> = Vec::new();
        for position in positions {
            names.extend(self.objects[*position].names.iter().cloned());
        }
        let gone: BTreeSet<String> = positions
            .iter()
            .map(|position| self.objects[*position].internal_id.clone())
            .filter(|id| id != target)
            .collect();
        if let Some(stored) = self.get_mut(target) {
            stored.names = names;
        }
        self.objects.retain(|it| !gone.contains(&it.internal_id));
        self.index();
    }

    /// Gives an object other names. One that another object has stays there.
    fn rename(&mut self, position: usize, names: Vec<String>) {
        for name in &self.objects[position].names {
            if self.positions.get(name) == Some(&position) {
                self.positions.remove(name);
            }
        }
        for name in &names {
            self.positions.entry(name.clone()).or_insert(position);
        }
        self.objects[position].names = names;
    }

    fn index(&mut self) {
        self.positions.clear();
        for (position, stored) in self.objects.iter().enumerate() {
            for name in &stored.names {
                self.positions.entry(name.clone()).or_insert(position);
            }
        }
    }
}

/// What is there has a marking that the account does not see.
fn restricted(object: &Value) -> PlatformError {
    let message = if object["type"] == "relationship" {
        "Restricted relation already exists"
    } else {
        "Restricted entity already exists"
    };
    PlatformError::new("UNSUPPORTED_ERROR", message)
}

/// Files and artifacts have ids of their hashes.
fn is_hashed(object: &Value) -> bool {
    ["file", "artifact"]
        .iter()
        .any(|kind| object["type"] == *kind)
}

/// Says that another file took the place of the one that was there.
fn merged(before: &Value, after: &Value) -> Option<String> {
    ["MD5", "SHA-1", "SHA-256"].iter().find_map(|algorithm| {
        let hash = |it: &Value| it["hashes"][*algorithm].as_str().map(str::to_owned);
        let (before, after) = (hash(before)?, hash(after)?);
        (before != after).then(|| format!("{algorithm} {before} became {after}"))
    })
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
