//! What is told of one notification: as JSON, or as a tree for people.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::map::severity;
use super::tree::Tree;
use crate::date::date;
use crate::pipeline::{Decided, Decision, Explained};
use crate::runtime::{Answer, Artifact, Emission, Guest, Item, Object, Question, Remark, Said};

/// All of it, in the order in which it happened.
#[derive(Debug, Serialize)]
pub(super) struct Explanation {
    notification: String,
    /// When the source reported it.
    reported: String,
    guest: String,
    /// The time that filters compare with.
    decided_at: String,
    /// What each filter says; none where the guest does not tell.
    filters: Option<Vec<Said>>,
    /// Why there are no filters.
    #[serde(skip_serializing_if = "Option::is_none")]
    unexplained: Option<String>,
    questions: Vec<Asked>,
    outcome: Outcome,
    remarks: Vec<Remarked>,
}

#[derive(Debug, Serialize)]
struct Asked {
    kind: String,
    subject: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    part: String,
    answer: Answered,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Answered {
    /// Bytes.
    Found(usize),
    Absent,
    /// Why.
    Refused(String),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Skip { filter: String, reason: String },
    Fail { reason: String },
    Emit(Emitted),
}

#[derive(Debug, Serialize)]
struct Emitted {
    objects: Vec<Listed>,
    relationships: Vec<Related>,
    files: Vec<File>,
    /// Whether the notification is removed at the source once all is delivered.
    removed_at_source: bool,
}

#[derive(Debug, Serialize)]
struct Listed {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Debug, Serialize)]
struct Related {
    source: String,
    #[serde(rename = "type")]
    kind: String,
    target: String,
}

#[derive(Debug, Serialize)]
struct File {
    sha256: String,
    name: String,
    /// Bytes, where known.
    size: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Remarked {
    severity: &'static str,
    message: String,
}

impl Explanation {
    pub(super) fn new(guest: &Guest, item: &Item, now: u64, explained: Explained) -> Self {
        let Decided {
            decision,
            remarks,
            answers,
        } = explained.decided;
        let (filters, unexplained) = match explained.said {
            Ok(Some(said)) => (Some(said), None),
            Ok(None) => (
                None,
                Some(format!("{guest} does not tell what its filters say")),
            ),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            notification: item.id.clone(),
            reported: date(item.observed),
            guest: guest.to_string(),
            decided_at: date(now),
            filters,
            unexplained,
            questions: answers.into_iter().map(Asked::from).collect(),
            outcome: decision.into(),
            remarks: remarks.into_iter().map(Remarked::from).collect(),
        }
    }

    pub(super) fn tree(&self) -> Tree {
        let mut branches = vec![self.filters_tree()];
        if !self.questions.is_empty() {
            let questions = self.questions.iter().map(Asked::tree).collect();
            branches.push(Tree::new("questions", questions));
        }
        if !self.remarks.is_empty() {
            let remarks = self.remarks.iter();
            let remarks = remarks.map(|it| Tree::leaf(&format!("{}: {}", it.severity, it.message)));
            branches.push(Tree::new("remarks", remarks.collect()));
        }
        branches.push(self.outcome.tree());
        let root = format!(
            "notification {}, reported {}; {} decides at {}",
            self.notification, self.reported, self.guest, self.decided_at
        );
        Tree::new(&root, branches)
    }

    fn filters_tree(&self) -> Tree {
        if let Some(why) = &self.unexplained {
            return Tree::leaf(&format!("filters: {why}"));
        }
        let filters = self.filters.iter().flatten();
        let filters = filters.map(
            |Said {
                 filter,
                 passed,
                 saw,
             }| {
                let mark = if *passed { '✓' } else { '✗' };
                Tree::leaf(&format!("{mark} {filter}: {saw}"))
            },
        );
        Tree::new("filters", filters.collect())
    }
}

impl From<(Question, Answer)> for Asked {
    fn from((question, answer): (Question, Answer)) -> Self {
        let Question {
            kind,
            subject,
            part,
        } = question;
        Self {
            kind,
            subject,
            part,
            answer: match answer {
                Answer::Found(text) => Answered::Found(text.len()),
                Answer::Absent => Answered::Absent,
                Answer::Refused(why) => Answered::Refused(why),
            },
        }
    }
}

impl Asked {
    fn tree(&self) -> Tree {
        let part = if self.part.is_empty() {
            String::new()
        } else {
            format!(", {}", self.part)
        };
        let answer = match &self.answer {
            Answered::Found(bytes) => format!("found, {bytes} bytes"),
            Answered::Absent => "absent".to_owned(),
            Answered::Refused(why) => format!("no answer: {why}"),
        };
        Tree::leaf(&format!("{} {}{part}: {answer}", self.kind, self.subject))
    }
}

impl From<Remark> for Remarked {
    fn from(
        Remark {
            severity: it,
            message,
        }: Remark,
    ) -> Self {
        Self {
            severity: severity(it),
            message,
        }
    }
}

impl From<Decision> for Outcome {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Skip { filter, reason } => Self::Skip { filter, reason },
            Decision::Fail(reason) => Self::Fail { reason },
            Decision::Emit(emission) => Self::Emit(emission.into()),
        }
    }
}

impl Outcome {
    fn tree(&self) -> Tree {
        match self {
            Self::Skip { filter, reason } => {
                Tree::leaf(&format!("skipped by the filter {filter}: {reason}"))
            }
            Self::Fail { reason } => Tree::leaf(&format!("failed: {reason}")),
            Self::Emit(emitted) => emitted.tree(),
        }
    }
}

/// What every STIX object may have, of whatever type it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Generic {
    r#type: Option<String>,
    name: Option<String>,
    value: Option<String>,
    relationship_type: Option<String>,
    source_ref: Option<String>,
    target_ref: Option<String>,
}

impl From<Emission> for Emitted {
    fn from(emission: Emission) -> Self {
        let mut emitted = Self {
            objects: Vec::new(),
            relationships: Vec::new(),
            files: Vec::new(),
            removed_at_source: emission.acknowledge,
        };
        emission.objects.iter().for_each(|it| emitted.add(it));
        for artifact in emission.artifacts {
            let Artifact {
                sha256,
                name,
                size,
                objects,
                ..
            } = artifact;
            objects.iter().for_each(|it| emitted.add(it));
            emitted.files.push(File { sha256, name, size });
        }
        emitted
    }
}

impl Emitted {
    fn add(&mut self, object: &Object) {
        // A member of another type than it should have is as good as none.
        let generic: Generic = serde_json::from_str(&object.document).unwrap_or_default();
        if let Generic {
            relationship_type: Some(kind),
            source_ref: Some(source),
            target_ref: Some(target),
            ..
        } = generic
        {
            self.relationships.push(Related {
                source,
                kind,
                target,
            });
            return;
        }
        let kind = object.id.split_once("--").map_or("", |(kind, _)| kind);
        self.objects.push(Listed {
            id: object.id.clone(),
            kind: generic.r#type.unwrap_or_else(|| kind.to_owned()),
            name: generic.name.or(generic.value),
        });
    }

    fn tree(&self) -> Tree {
        let named: HashMap<&str, String> = self
            .objects
            .iter()
            .map(|it| (it.id.as_str(), it.label()))
            .collect();
        let label = |id: &String| named.get(id.as_str()).unwrap_or(id).clone();
        let objects = self.objects.iter();
        let objects = objects.map(|it| Tree::leaf(&format!("{}  {}", it.label(), it.id)));
        let mut branches = vec![Tree::new("objects", objects.collect())];
        if !self.relationships.is_empty() {
            let related = self.relationships.iter().map(|it| {
                let (source, target) = (label(&it.source), label(&it.target));
                Tree::leaf(&format!("{source} → {} → {target}", it.kind))
            });
            branches.push(Tree::new("relationships", related.collect()));
        }
        if !self.files.is_empty() {
            let files = self.files.iter().map(File::tree);
            branches.push(Tree::new("files to copy", files.collect()));
        }
        branches.push(Tree::leaf(if self.removed_at_source {
            "removed at VirusTotal once all is delivered"
        } else {
            "stays at VirusTotal"
        }));
        let root = format!(
            "would be delivered: {} objects, {} relationships, {} files",
            self.objects.len(),
            self.relationships.len(),
            self.files.len()
        );
        Tree::new(&root, branches)
    }
}

impl Listed {
    fn label(&self) -> String {
        match &self.name {
            Some(name) => format!("{} {name}", self.kind),
            None => self.kind.clone(),
        }
    }
}

impl File {
    fn tree(&self) -> Tree {
        let size = self.size.map(|size| format!(", {size} bytes"));
        let size = size.unwrap_or_default();
        Tree::leaf(&format!("{} {}{size}", self.sha256, self.name))
    }
}
