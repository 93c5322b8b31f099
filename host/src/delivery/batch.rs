//! Objects that travel together.

use std::collections::{HashMap, HashSet};

use uuid::{Uuid, uuid};

use super::union::united;

/// Most objects of a batch: what a worker holds at once, and how much is repeated after a kill.
pub const MAX_OBJECTS: usize = 5_000;

/// Most bytes of a batch. RabbitMQ 4 refuses messages above 16 MiB, and base64 adds a third; a quarter of
/// that keeps the memory of host, broker and worker low and costs nothing in speed.
pub const MAX_BYTES: usize = 4 << 20;

/// Groups of one bundle, about: what one notification becomes is a group.
///
/// A worker takes a bundle whole, and one object that the platform refuses holds it up for seconds a reference: so
/// several bundles keep all workers busy, and a refusal holds back one of them. With ten groups a bundle three workers
/// import half as many again as with one bundle of all, objects that several bundles repeat included (measured on a
/// platform of two cores); with fewer groups the repeated objects cost more than it gains.
const GROUPS_A_BUNDLE: usize = 10;

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

/// Objects that travel together, each once, in the order in which they first came: whoever adds them adds an object
/// after all that it refers to.
#[derive(Debug, Default)]
pub struct Batch {
    objects: Vec<Object>,
    positions: HashMap<String, usize>,
    bytes: usize,
    /// Of each group the positions of its objects, in the order in which they were added.
    groups: Vec<Vec<usize>>,
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

    /// Adds a group: objects that stay in one bundle, with all that they refer to. One that is here already keeps its
    /// place, and is united with what is said of it now.
    pub fn extend(&mut self, objects: impl IntoIterator<Item = Object>) {
        let mut group = Vec::new();
        for object in objects {
            group.push(self.add(object));
        }
        if !group.is_empty() {
            self.groups.push(group);
        }
    }

    /// Answers the object's position.
    fn add(&mut self, object: Object) -> usize {
        if let Some(&position) = self.positions.get(&object.id) {
            let held = &mut self.objects[position];
            if held.document != object.document {
                self.bytes -= held.document.len();
                held.document = united(&held.document, object.document);
                self.bytes += held.document.len();
            }
            return position;
        }
        let position = self.objects.len();
        self.positions.insert(object.id.clone(), position);
        // A comma follows it.
        self.bytes += object.document.len() + 1;
        self.objects.push(object);
        position
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
        let objects: Vec<&Object> = self.objects.iter().collect();
        bundle_json(&objects, None)
    }

    /// Bundles of about ten groups, as equal as can be, each with the number of its objects. What several of them need
    /// stands in each.
    pub(super) fn bundles(&self) -> impl Iterator<Item = (String, usize)> {
        let count = (self.groups.len() / GROUPS_A_BUNDLE).max(1);
        let (size, larger) = (self.groups.len() / count, self.groups.len() % count);
        let mut groups = self.groups.as_slice();
        (0..count).map(move |number| {
            let (of_bundle, rest) = groups.split_at(size + usize::from(number < larger));
            groups = rest;
            let mut taken = HashSet::new();
            let positions = of_bundle.iter().flatten();
            let objects: Vec<&Object> = positions
                .filter(|position| taken.insert(**position))
                .map(|position| &self.objects[*position])
                .collect();
            (bundle_json(&objects, None), objects.len())
        })
    }

    /// A bundle for each object, with its place in the order as pycti numbers it (`x_opencti_seq`).
    pub(super) fn single_bundles(&self) -> impl Iterator<Item = String> {
        self.objects
            .iter()
            .zip(1_u64..)
            .map(|(object, sequence)| bundle_json(&[object], Some(sequence)))
    }
}

/// Puts documents together as they are; nothing is parsed again.
fn bundle_json(objects: &[&Object], sequence: Option<u64>) -> String {
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
    fn bundles_have_about_ten_groups_each_with_all_that_it_needs() {
        // Of so many groups, the groups of each bundle.
        let cases: [(usize, &[usize]); 8] = [
            (1, &[1]),
            (9, &[9]),
            (10, &[10]),
            (19, &[19]),
            (20, &[10, 10]),
            (25, &[13, 12]),
            (39, &[13, 13, 13]),
            (100, &[10; 10]),
        ];
        for (groups, expected) in cases {
            let mut batch = Batch::default();
            for number in 0..groups {
                batch.extend([object("shared", 1), object(&number.to_string(), 1)]);
            }
            let mut own = Vec::new();
            let mut sizes = Vec::new();
            for (bundle, count) in batch.bundles() {
                let bundle: Value = serde_json::from_str(&bundle).unwrap();
                let objects = bundle["objects"].as_array().unwrap();
                assert_eq!(
                    (objects.len(), &objects[0]["id"]),
                    (count, &json!("shared"))
                );
                own.extend(
                    objects[1..]
                        .iter()
                        .map(|it| it["id"].as_str().unwrap().to_owned()),
                );
                sizes.push(count - 1);
            }
            assert_eq!(sizes, expected);
            assert!(sizes.len() * 10 <= groups.max(10));
            let all: Vec<String> = (0..groups).map(|it| it.to_string()).collect();
            assert_eq!(own, all);
        }
    }

    #[test]
    fn what_groups_share_is_united_in_all_bundles() {
        let labelled = |labels: Value| Object {
            id: "ip".to_owned(),
            document: json!({"id": "ip", "labels": labels}).to_string(),
        };
        let mut batch = Batch::default();
        for number in 0..20 {
            batch.extend([
                labelled(json!([number % 3])),
                object(&number.to_string(), 1),
            ]);
        }
        for (bundle, _) in batch.bundles() {
            let bundle: Value = serde_json::from_str(&bundle).unwrap();
            assert_eq!(
                bundle["objects"][0],
                json!({"id": "ip", "labels": [0, 1, 2]})
            );
        }
    }

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
