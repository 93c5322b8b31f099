//! The two kinds of STIX objects, with the deterministic ids that OpenCTI computes too.

use serde_json::{Value, json};
use time::UtcDateTime;
use uuid::Uuid;

use crate::Attributes;
use crate::contract::StixObject;
use crate::rules::Rule;

/// STIX 2.1, section 2.9; OpenCTI uses it for all objects.
const NAMESPACE: Uuid = Uuid::from_u128(0x00ab_edb4_aa42_466c_9c01_fed2_3315_a9b7);

/// VirusTotal, who made nothing of this but keeps it.
pub(crate) fn author() -> StixObject {
    let id = author_id();
    let made = "2004-06-01T00:00:00.000Z";
    object(json!({
        "type": "identity", "spec_version": "2.1", "id": id, "created": made, "modified": made,
        "name": "VirusTotal", "identity_class": "organization",
    }))
}

fn author_id() -> String {
    let identifying = json!({"identity_class": "organization", "name": "virustotal"});
    deterministic("identity", &identifying)
}

/// It counts from now on: the platform revokes what began long ago. None where a date cannot be written down.
pub(crate) fn indicator(rule: &Rule<'_>, ruleset: &Attributes, now: u64) -> Option<StixObject> {
    let created = date(ruleset.creation_date)?;
    let modified = date(ruleset.modification_date.max(ruleset.creation_date))?;
    let pattern = rule.text.trim();
    let main_type = match ruleset.match_object_type.as_deref() {
        Some("url") => "Url",
        Some("domain") => "Domain-Name",
        Some("ip") => "IPv4-Addr",
        _ => "StixFile",
    };
    Some(object(json!({
        "type": "indicator", "spec_version": "2.1",
        "id": deterministic("indicator", &json!({"pattern": pattern})),
        "created_by_ref": author_id(), "created": created, "modified": modified,
        "name": rule.name, "description": format!("Of the ruleset {}.", ruleset.name),
        "pattern": pattern, "pattern_type": "yara", "valid_from": date(now)?,
        "x_opencti_main_observable_type": main_type,
    })))
}

fn object(document: Value) -> StixObject {
    StixObject {
        id: document["id"].as_str().unwrap_or_default().to_owned(),
        document: document.to_string(),
    }
}

/// The identifying properties are texts: serde_json writes those as RFC 8785 wants it, with sorted keys.
fn deterministic(kind: &str, identifying: &Value) -> String {
    let uuid = Uuid::new_v5(&NAMESPACE, identifying.to_string().as_bytes());
    format!("{kind}--{uuid}")
}

/// Unix seconds as a STIX timestamp.
fn date(seconds: u64) -> Option<String> {
    let date = UtcDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    let (year, month, day) = date.to_calendar_date();
    let (hour, minute, second) = date.as_hms();
    (year <= 9999).then(|| {
        let month = u8::from(month);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
    })
}
