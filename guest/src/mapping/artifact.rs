//! The request to copy the file itself to the platform.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{RuleMatch, answer_to, draft::Draft, file::Facts};
use crate::contract::{Answer, Question, Severity};
use crate::stix::id;

/// The contract's schema of an artifact.
#[derive(Serialize)]
struct Request<'a> {
    source: &'a str,
    sha256: &'a str,
    size: Option<u64>,
    name: &'a str,
    description: &'a str,
    author: &'a str,
    markings: &'a [String],
    labels: &'a [String],
    objects: Vec<Box<RawValue>>,
}

/// Whether the platform has the file; none where no copy is wanted or to be had.
pub(super) fn question(rule_match: &RuleMatch<'_>, file: &Facts) -> Option<Question> {
    let wanted = rule_match.settings.upload_artifact && is_downloadable(rule_match);
    wanted.then(|| Question {
        kind: "artifact-known".to_owned(),
        subject: file.sha256().to_owned(),
        part: String::new(),
    })
}

fn is_downloadable(rule_match: &RuleMatch<'_>) -> bool {
    rule_match.notification.attributes.downloadable != Some(false)
}

/// The request, unless the platform has the file: then `owner` is related to that.
/// `owner` is what the artifact belongs to: the incident, or the file where there is none.
pub(super) fn request(
    rule_match: &RuleMatch<'_>,
    draft: &mut Draft<'_>,
    file: &Facts,
    owner: Option<&str>,
    answers: &[(Question, Answer)],
) -> Option<String> {
    if rule_match.settings.upload_artifact && !is_downloadable(rule_match) {
        draft.remark(
            Severity::Info,
            "no artifact: VirusTotal says that the file cannot be downloaded".to_owned(),
        );
        return None;
    }
    let question = question(rule_match, file)?;
    match answer_to(&question, answers)? {
        Answer::Found(known) => {
            match (known_id(known), owner) {
                (Some(known), Some(owner)) => {
                    draft.relate("related-to", owner, &known, rule_match.date);
                }
                (Some(_), None) => {}
                (None, _) => draft.remark(
                    Severity::Warn,
                    format!("the platform's answer about the artifact names no artifact: {known}"),
                ),
            }
            None
        }
        Answer::Absent => Some(new_request(rule_match, draft, file, owner)),
        Answer::Refused(reason) => {
            draft.remark(
                Severity::Warn,
                format!("no artifact: whether the platform has the file is not known: {reason}"),
            );
            None
        }
    }
}

fn new_request(
    rule_match: &RuleMatch<'_>,
    draft: &Draft<'_>,
    file: &Facts,
    owner: Option<&str>,
) -> String {
    let artifact = id::artifact(&file.hashes);
    let objects = owner
        .map(|owner| draft.relationship("related-to", owner, &artifact, rule_match.date))
        .and_then(|relationship| RawValue::from_string(relationship.document).ok())
        .into_iter()
        .collect();
    let sha256 = file.sha256();
    let request = Request {
        source: &format!("files/{sha256}/download_url"),
        sha256,
        size: rule_match.notification.attributes.size,
        name: file.name.as_deref().unwrap_or(sha256),
        description: "Downloaded from Virustotal Livehunt Notifications.",
        author: draft.author(),
        markings: draft.markings(),
        labels: &file.labels,
        objects,
    };
    #[expect(clippy::expect_used, reason = "texts under text keys")]
    serde_json::to_string(&request).expect("an artifact request is JSON")
}

/// The id in the platform's answer, where it is an artifact's.
fn known_id(answer: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Known {
        id: String,
    }
    let Known { id } = serde_json::from_str(answer).ok()?;
    let text = id.strip_prefix("artifact--")?;
    let uuid = uuid::Uuid::try_parse(text).ok()?;
    let is_written_so = uuid.hyphenated().to_string() == text;
    (is_written_so && uuid.get_variant() == uuid::Variant::RFC4122).then_some(id)
}
