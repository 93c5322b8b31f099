//! A message to the platform's workers (protocol section 7).

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

use super::Batch;

#[derive(Serialize)]
struct Message<'a> {
    bundle_type: &'static str,
    applicant_id: &'a str,
    action_sequence: u64,
    entities_types: [&'static str; 0],
    #[serde(serialize_with = "base64")]
    content: &'a str,
    update: bool,
    draft_id: Option<&'a str>,
    no_split: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    work_id: Option<&'a str>,
}

/// The bundle's JSON text in base64, written straight into the message: bundles are large.
fn base64<S: Serializer>(bundle: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(bundle.as_bytes(), &STANDARD))
}

/// A message, and the number of objects in it.
pub(super) struct Encoded {
    pub(super) json: Vec<u8>,
    pub(super) objects: usize,
}

/// The messages that carry a batch: one a bundle where the workers leave it whole (`no_split`), else one an object,
/// in order, since older workers would split it and count it again.
pub(super) fn messages(
    batch: &Batch,
    no_split: bool,
    applicant_id: &str,
    work_id: Option<&str>,
    draft_id: Option<&str>,
) -> Vec<Encoded> {
    let message = |action_sequence: u64, bundle: &str, objects: usize| Encoded {
        objects,
        json: json(&Message {
            bundle_type: "QUEUE_BUNDLE",
            applicant_id,
            action_sequence,
            entities_types: [],
            content: bundle,
            update: false,
            draft_id,
            no_split,
            work_id,
        }),
    };
    if no_split {
        return (1..)
            .zip(batch.bundles())
            .map(|(sequence, (bundle, objects))| message(sequence, &bundle, objects))
            .collect();
    }
    (1..)
        .zip(batch.single_bundles())
        .map(|(sequence, bundle)| message(sequence, &bundle, 1))
        .collect()
}

#[expect(
    clippy::expect_used,
    reason = "the message holds texts, numbers and truth values, which serde_json always writes"
)]
fn json(message: &Message<'_>) -> Vec<u8> {
    /// Enough for all but the bundle, so that the buffer never grows.
    const ENVELOPE: usize = 512;
    let mut json = Vec::with_capacity(message.content.len().div_ceil(3) * 4 + ENVELOPE);
    serde_json::to_writer(&mut json, message).expect("a message is JSON");
    json
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use serde_json::{Value, json};

    use super::super::testing::object;
    use super::*;

    fn parsed(no_split: bool, work_id: Option<&str>) -> Vec<Value> {
        let mut batch = Batch::default();
        batch.extend([object("a", 1), object("b", 2)]);
        messages(&batch, no_split, "user", work_id, Some("draft"))
            .iter()
            .map(|message| serde_json::from_slice(&message.json).unwrap())
            .collect()
    }

    fn content(message: &Value) -> Value {
        let bundle = STANDARD
            .decode(message["content"].as_str().unwrap())
            .unwrap();
        serde_json::from_slice(&bundle).unwrap()
    }

    #[test]
    fn one_message_where_workers_leave_it_whole() {
        let mut messages = parsed(true, Some("work_1"));
        assert_eq!(messages.len(), 1);
        let bundle = content(&messages[0]);
        assert_eq!(bundle["objects"].as_array().unwrap().len(), 2);
        messages[0].as_object_mut().unwrap().remove("content");
        assert_eq!(
            messages[0],
            json!({
                "bundle_type": "QUEUE_BUNDLE", "applicant_id": "user", "action_sequence": 1,
                "entities_types": [], "update": false, "draft_id": "draft", "no_split": true,
                "work_id": "work_1",
            })
        );
    }

    #[test]
    fn one_message_an_object_for_older_workers() {
        let messages = parsed(false, None);
        assert_eq!(messages.len(), 2);
        for (message, (sequence, id)) in messages.iter().zip([(1, "a"), (2, "b")]) {
            assert_eq!(message["no_split"], false);
            assert_eq!(message["draft_id"], "draft");
            assert_eq!(message["action_sequence"], sequence);
            assert!(message.get("work_id").is_none());
            let bundle = content(message);
            assert_eq!(bundle["objects"][0]["id"], id);
            assert_eq!(bundle["x_opencti_seq"], sequence);
        }
    }
}
