//! Objects that travel together.

use std::collections::HashMap;

use uuid::{Uuid, uuid};

/// Most objects of a batch: what a worker holds at once, and how much is repeated after a kill.
pub const MAX_OBJECTS: usize = 5_000;

/// Most bytes of a batch. RabbitMQ 4 refuses messages above 16 MiB, and base64 adds a third; a quarter of
/// that keeps the memory of host, broker and worker low and costs nothing in speed.
pub const MAX_BYTES: usize = 4 << 20;

/// Namespace of the ids of our bundles, drawn once at random.
const BUNDLES: Uuid = uuid!("4f0f0c36-5f0b-4a53-9a0e-6a1c1e0d7d52");

/// A STIX object.
#[derive(Debug, Clone)]
pub struct Object {
    /// The document's `id`.
    pub id: String,
    /// The document, JSON.
    pub document: String,
}

/// Objects that travel in one bundle, each once, in the order in which they first came: whoever adds them
/// adds an object after all that it refers to.
#[derive(Debug, Default)]
pub struct Batch {
    objects: Vec<Object>,
    positions: HashMap<String, usize>,
    bytes: usize,
}

impl Batch {
    /// Whether these objects still fit. An empty batch takes anything: what belongs together is not torn
    /// apart.
    #[must_use]
    pub fn fits(&self, objects: &[Object]) -> bool {
        if self.objects.is_empty() {
            return true;
        }
        let new = objects
            .iter()
            .filter(|object| !self.positions.contains_key(&object.id));
        let (count, bytes) = new.fold((0, 0), |(count, bytes), object| {
            (count + 1, bytes + object.document.len() + 1)
        });
        self.objects.len() + count <= MAX_OBJECTS && self.bytes + bytes <= MAX_BYTES
    }

    /// Adds objects. One that is here already keeps its place and gets the newer content.
    pub fn extend(&mut self, objects: impl IntoIterator<Item = Object>) {
        for object in objects {
            // A comma follows it.
            self.bytes += object.document.len() + 1;
            match self.positions.get(&object.id).copied() {
                Some(position) => {
                    let old = std::mem::replace(&mut self.objects[position], object);
                    self.bytes -= old.document.len() + 1;
                }
                None => {
                    self.positions.insert(object.id.clone(), self.objects.len());
                    self.objects.push(object);
                }
            }
        }
    }

    /// The objects in order.
    #[must_use]
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is nothing to deliver.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Size of the documents in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Empties the batch.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The STIX bundle of all objects (STIX 2.1, section 8). The same objects give the same bytes.
    #[must_use]
    pub fn to_bundle_json(&self) -> String {
        bundle_json(&self.objects, None)
    }

    /// A bundle for each object, with its place in the order as pycti numbers it (`x_opencti_seq`).
    pub(super) fn single_bundles(&self) -> impl Iterator<Item = String> {
        self.objects
            .iter()
            .zip(1_u64..)
            .map(|(object, sequence)| bundle_json(std::slice::from_ref(object), Some(sequence)))
    }
}

/// Puts documents together as they are; nothing is parsed again.
fn bundle_json(objects: &[Object], sequence: Option<u64>) -> String {
    const HEAD: &str = r#"{"type":"bundle","id":"bundle--"#;
    let length: usize = objects.iter().map(|object| object.document.len() + 1).sum();
    let mut json = String::with_capacity(HEAD.len() + 96 + length);
    json.push_str(HEAD);
    // The id of the content, which is not known before the content stands: a place as long as a UUID.
    let id = json.len()..json.len() + uuid::fmt::Hyphenated::LENGTH;
    json.push_str(&Uuid::nil().to_string());
    json.push_str("\",");
    if let Some(sequence) = sequence {
        json.push_str(&format!("\"x_opencti_seq\":{sequence},"));
    }
    json.push_str("\"objects\":[");
    let content = json.len();
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        json.push_str(&object.document);
    }
    let uuid = Uuid::new_v5(&BUNDLES, &json.as_bytes()[content..]);
    json.push_str("]}");
    json.replace_range(id, &uuid.to_string());
    json
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::testing::{ids, object};
    use super::*;

    #[test]
    fn an_object_comes_once_at_its_first_place_with_its_newest_content() {
        let mut batch = Batch::default();
        batch.extend([object("a", 1), object("b", 1)]);
        batch.extend([object("c", 1), object("a", 22)]);
        assert_eq!(ids(batch.objects()), ["a", "b", "c"]);
        assert_eq!(batch.objects()[0].document, object("a", 22).document);
        let documents: usize = batch
            .objects()
            .iter()
            .map(|object| object.document.len() + 1)
            .sum();
        assert_eq!(batch.bytes(), documents);
    }

    #[test]
    fn a_batch_is_bounded_by_count_and_bytes() {
        let many: Vec<_> = (0..MAX_OBJECTS)
            .map(|number| object(&number.to_string(), 0))
            .collect();
        let mut batch = Batch::default();
        assert!(batch.fits(&many));
        batch.extend(many);
        assert!(!batch.fits(&[object("new", 0)]));
        assert!(batch.fits(&[object("0", 1)]), "it is there already");

        let large = object("large", MAX_BYTES);
        let mut batch = Batch::default();
        assert!(
            batch.fits(std::slice::from_ref(&large)),
            "one emission stays whole"
        );
        batch.extend([large]);
        assert!(!batch.fits(&[object("small", 0)]));
    }

    #[test]
    fn the_bundle_is_json_with_an_id_of_its_content() {
        let mut batch = Batch::default();
        batch.extend([object("a", 3), object("b", 0)]);
        let text = batch.to_bundle_json();
        let bundle: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bundle["type"], "bundle");
        assert_eq!(
            bundle["objects"],
            json!([{"id": "a", "x": "xxx"}, {"id": "b", "x": ""}])
        );
        assert_eq!(text, batch.to_bundle_json());
        batch.extend([object("b", 1)]);
        let changed: Value = serde_json::from_str(&batch.to_bundle_json()).unwrap();
        assert_ne!(bundle["id"], changed["id"]);
        for bundle in [&bundle, &changed] {
            let id = bundle["id"].as_str().unwrap();
            let uuid: Uuid = id.strip_prefix("bundle--").unwrap().parse().unwrap();
            assert_eq!(uuid.get_version_num(), 5);
        }
    }

    #[test]
    fn single_bundles_are_numbered_in_order() {
        let mut batch = Batch::default();
        batch.extend([object("a", 0), object("b", 0)]);
        let bundles: Vec<Value> = batch
            .single_bundles()
            .map(|text| serde_json::from_str(&text).unwrap())
            .collect();
        assert_eq!(bundles.len(), 2);
        for (bundle, (sequence, id)) in bundles.iter().zip([(1, "a"), (2, "b")]) {
            assert_eq!(bundle["x_opencti_seq"], sequence);
            assert_eq!(bundle["objects"][0]["id"], id);
        }
    }
}
