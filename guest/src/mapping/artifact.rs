//! The request to copy the file itself to the platform.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    RuleMatch, answer_to,
    draft::{Draft, serialised},
    file,
    file::Facts,
};
use crate::contract::{Answer, Question, Severity, StixObject};
use crate::stix::{Artifact, Object, id};

/// Where VirusTotal has the content of files, for those who have a key.
const DOWNLOADS: &str = "https://www.virustotal.com/api/v3/files/";

/// The contract's schema of an artifact.
#[derive(Serialize)]
struct Request<'a> {
    source: &'a str,
    sha256: &'a str,
    size: Option<u64>,
    name: &'a str,
    description: &'a str,
    author: &'a str,
    markings: &'static [&'static str],
    /// None: they come with the artifact's object.
    labels: [&'a str; 0],
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

/// What an artifact is related to, as far as it is sent.
pub(super) struct Relatives<'a> {
    pub incident: Option<&'a str>,
    pub file: Option<&'a str>,
}

/// The request, with the objects that tell of the artifact; where the platform has the file, those objects alone.
pub(super) fn request(
    rule_match: &RuleMatch<'_>,
    draft: &mut Draft<'_>,
    file: &Facts,
    relatives: &Relatives<'_>,
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
            match known_id(known) {
                Some(id) => {
                    let objects = objects(rule_match, draft, file, &id, relatives);
                    draft.extend(objects);
                }
                None => draft.remark(
                    Severity::Warn,
                    format!("the platform's answer about the artifact names no artifact: {known}"),
                ),
            }
            None
        }
        Answer::Absent => Some(new_request(rule_match, draft, file, relatives)),
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
    relatives: &Relatives<'_>,
) -> String {
    let artifact = id::artifact(&file.hashes);
    let objects = objects(rule_match, draft, file, &artifact, relatives)
        .into_iter()
        .filter_map(|object| RawValue::from_string(object.document).ok())
        .collect();
    let sha256 = file.sha256();
    let request = Request {
        source: &format!("files/{sha256}/download_url"),
        sha256,
        size: rule_match.notification.attributes.size,
        name: file.name.as_deref().unwrap_or(sha256),
        // As the object's: a run may end between the two.
        description: &file::description(rule_match),
        author: draft.author(),
        markings: draft.markings(),
        labels: [],
        objects,
    };
    #[expect(clippy::expect_used, reason = "texts under text keys")]
    serde_json::to_string(&request).expect("an artifact request is JSON")
}

/// The artifact's object, for what an upload cannot say, and its relationships.
fn objects(
    rule_match: &RuleMatch<'_>,
    draft: &Draft<'_>,
    file: &Facts,
    artifact: &str,
    relatives: &Relatives<'_>,
) -> Vec<StixObject> {
    let held = draft.on_platform(artifact);
    // A run may have ended between the upload and this.
    let labels = held.missing_labels(&file.labels);
    let description = file::description(rule_match);
    let mut head = draft.observable_head(artifact, labels, held.description(&description));
    head.x_opencti_score = held.raised_score(file::score(rule_match));
    head.x_opencti_external_references = vec![rule_match.report()];
    let object = held
        .lacks(head.x_opencti_score, head.x_opencti_labels)
        .then(|| {
            serialised(&Object::Artifact(Artifact {
                head,
                hashes: &file.hashes,
                url: &format!("{DOWNLOADS}{}/download", file.sha256()),
            }))
        });
    let related =
        |source, target| draft.relationship("related-to", source, target, rule_match.date, "");
    let of_incident = relatives.incident.map(|it| related(it, artifact));
    let to_file = relatives.file.map(|it| related(artifact, it));
    [object, of_incident, to_file]
        .into_iter()
        .flatten()
        .collect()
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
