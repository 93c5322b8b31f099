//! The knowledge: what was imported, under all the ids by which the platform knows it.

use std::collections::HashMap;

use serde_json::Value;

use super::ids::{TLP_MARKINGS, hash_ids, internal_id, standard_id};

/// One object, after all its imports.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The object as it was sent; what a later import sent replaces what an earlier one did, property
    /// by property.
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
}

/// How an object came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) applicant_id: String,
    pub(crate) draft_id: Option<String>,
    pub(crate) size: Option<u64>,
    pub(crate) now: String,
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

    pub(crate) fn object_mut(&mut self, id: &str) -> Option<&mut Value> {
        let position = self.positions.get(id)?;
        let stored = self.objects.get_mut(*position)?;
        Some(&mut stored.object)
    }

    /// Can a reference to this id be resolved?
    #[must_use]
    pub fn knows(&self, id: &str) -> bool {
        self.positions.contains_key(id) || TLP_MARKINGS.contains(&id)
    }

    /// Creates the object or merges it into the one that is already there; returns its standard id.
    pub(crate) fn upsert(&mut self, object: &Value, origin: Origin) -> String {
        let sent = object["id"].as_str().unwrap_or_default().to_owned();
        let resolve = |id: &str| {
            self.get(id)
                .map_or_else(|| id.to_owned(), |stored| stored.standard_id.clone())
        };
        let standard = standard_id(object, resolve).unwrap_or_else(|| sent.clone());
        let mut names = hash_ids(object);
        names.extend([standard.clone(), sent.clone()]);
        let known = names
            .iter()
            .find_map(|name| self.positions.get(name).copied());
        let position = match known {
            Some(position) => {
                self.merge(position, object, origin);
                position
            }
            None => {
                self.objects.push(Stored {
                    object: object.clone(),
                    internal_id: internal_id(&standard),
                    standard_id: standard,
                    stix_ids: Vec::new(),
                    imports: 1,
                    applicant_id: origin.applicant_id,
                    draft_id: origin.draft_id,
                    size: origin.size,
                    created_at: origin.now.clone(),
                    updated_at: origin.now,
                });
                self.objects.len() - 1
            }
        };
        let stored = &mut self.objects[position];
        if sent != stored.standard_id && !stored.stix_ids.contains(&sent) {
            stored.stix_ids.push(sent);
        }
        names.push(stored.internal_id.clone());
        for name in names {
            self.positions.entry(name).or_insert(position);
        }
        self.objects[position].standard_id.clone()
    }

    fn merge(&mut self, position: usize, object: &Value, origin: Origin) {
        let stored = &mut self.objects[position];
        for (name, value) in object.as_object().into_iter().flatten() {
            stored.object[name] = value.clone();
        }
        stored.imports += 1;
        stored.updated_at = origin.now;
        stored.size = origin.size.or(stored.size);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AUTHOR: &str = "identity--173c879a-bfb3-5dee-9f1f-3fffd76a8756";

    #[test]
    fn a_file_is_one_object_by_any_of_its_hashes() {
        let mut store = Store::default();
        let md5 = "d41d8cd98f00b204e9800998ecf8427e";
        let first = json!({"type": "file", "id": "file--1", "hashes": {"MD5": md5}, "name": "a"});
        let second = json!({"type": "file", "id": "file--2", "hashes": {"MD5": md5, "SHA-1": "da"}, "size": 1});
        let ids = [&first, &second].map(|it| store.upsert(it, Origin::default()));
        assert_eq!(ids[0], ids[1]);
        let stored = store.get("file--2").unwrap();
        assert_eq!((store.len(), stored.imports), (1, 2));
        assert_eq!(stored.object["name"], "a");
        assert_eq!(stored.object["size"], 1);
        assert_eq!(stored.stix_ids, ["file--1", "file--2"]);
        assert!(store.knows(&hash_ids(&json!({"type": "file", "hashes": {"SHA-1": "da"}}))[0]));
        assert!(store.knows(&stored.internal_id) && !store.knows(AUTHOR));
    }

    #[test]
    fn a_relationship_is_one_object_by_its_ends_whatever_ids_they_are_named_by() {
        let mut store = Store::default();
        let url = json!({"type": "url", "id": "url--1", "value": "http://a.example"});
        let standard = store.upsert(&url, Origin::default());
        let relationship = |id: &str, target: &str| {
            json!({"type": "relationship", "id": id, "relationship_type": "related-to",
                "source_ref": AUTHOR, "target_ref": target})
        };
        store.upsert(
            &relationship("relationship--1", "url--1"),
            Origin::default(),
        );
        store.upsert(
            &relationship("relationship--2", &standard),
            Origin::default(),
        );
        assert_eq!(store.len(), 2);
    }
}
