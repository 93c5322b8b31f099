//! The objects of one emission while it is made.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::platform::{self, MAX_KNOWN, OnPlatform};
use super::{AUTHOR_NAME, answer_to, text};
use crate::contract::{Answer, Question, Remark, Severity, StixObject};
use crate::stix::{
    Date, ExternalReference, Head, Identity, Object, ObservableHead, Relationship, Tlp, Version, id,
};

/// Bytes of a remark: some quote what came from strangers.
const LONGEST_REMARK: usize = 4_000;

/// Author and marking: the same in every emission.
pub(crate) struct Preamble {
    objects: Vec<StixObject>,
    author: String,
    tlp: Tlp,
    confidence: Option<u8>,
}

/// An author is not dated by the notifications it writes: this is when VirusTotal opened the IoC stream.
const AUTHOR_CREATED: &str = "2023-02-01T00:00:00.000Z";

impl Preamble {
    pub(crate) fn new(tlp: Tlp, confidence: Option<u8>) -> Self {
        let author = id::identity(AUTHOR_NAME, "organization");
        let identity = Object::Identity(Identity {
            spec_version: Version::V2_1,
            id: &author,
            created: AUTHOR_CREATED,
            modified: AUTHOR_CREATED,
            name: AUTHOR_NAME,
            identity_class: "organization",
            description: "Download/upload files from Virustotal Livehunt Notifications.",
            confidence,
        });
        let objects = vec![serialised(&tlp.object()), serialised(&identity)];
        Self {
            objects,
            author,
            tlp,
            confidence,
        }
    }
}

/// The JSON of `preamble` in the contract.
#[derive(Serialize)]
struct Announced<'a> {
    author: AnnouncedAuthor<'a>,
    markings: [AnnouncedMarking<'a>; 1],
    files: Option<AnnouncedFiles<'a>>,
}

#[derive(Serialize)]
struct AnnouncedAuthor<'a> {
    id: &'a str,
    markings: [&'a str; 0],
}

#[derive(Serialize)]
struct AnnouncedMarking<'a> {
    id: &'a str,
    name: &'a str,
    setting: &'a str,
}

#[derive(Serialize)]
struct AnnouncedFiles<'a> {
    setting: &'a str,
}

impl Preamble {
    /// What all emissions have in common. `marking_setting` chooses the marking, `files_setting` wants files, if so.
    pub(crate) fn announce(&self, marking_setting: &str, files_setting: Option<&str>) -> String {
        let announced = Announced {
            author: AnnouncedAuthor {
                id: &self.author,
                markings: [],
            },
            markings: [AnnouncedMarking {
                id: self.tlp.id(),
                name: self.tlp.definition(),
                setting: marking_setting,
            }],
            files: files_setting.map(|setting| AnnouncedFiles { setting }),
        };
        #[expect(clippy::expect_used, reason = "texts always serialise")]
        serde_json::to_string(&announced).expect("a preamble is JSON")
    }
}

/// An object as it crosses the contract.
pub(super) fn serialised(object: &Object<'_>) -> StixObject {
    #[expect(
        clippy::expect_used,
        reason = "STIX objects have text keys and no value that JSON cannot hold"
    )]
    let document = serde_json::to_string(object).expect("a STIX object is JSON");
    StixObject {
        id: object.id().to_owned(),
        document,
    }
}

/// Collects objects in dependency order, each id once, and remarks.
pub(super) struct Draft<'a> {
    preamble: &'a Preamble,
    answers: &'a [(Question, Answer)],
    objects: Vec<StixObject>,
    ids: BTreeSet<String>,
    /// Objects with a stronger marking than the settings say.
    stronger: BTreeMap<String, Tlp>,
    /// What the platform has not been asked yet.
    questions: RefCell<Vec<Question>>,
    remarks: Vec<Remark>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(preamble: &'a Preamble, answers: &'a [(Question, Answer)]) -> Self {
        Self {
            preamble,
            answers,
            objects: Vec::new(),
            ids: BTreeSet::new(),
            stronger: BTreeMap::new(),
            questions: RefCell::default(),
            remarks: Vec::new(),
        }
    }

    pub(super) fn author(&self) -> &'a str {
        &self.preamble.author
    }

    /// The marking of the settings.
    pub(super) fn markings(&self) -> &'static [&'static str] {
        self.preamble.tlp.refs()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The object as the platform holds it. What is not known yet is asked, and counts as not there: the emission is
    /// made again with the answers.
    pub(super) fn on_platform(&self, id: &str) -> OnPlatform<'a> {
        let question = platform::question(id);
        if let Some(answer) = answer_to(&question, self.answers) {
            return OnPlatform::read(answer, self.author());
        }
        let asked = self
            .answers
            .iter()
            .filter(|(it, _)| it.kind == question.kind);
        let mut questions = self.questions.borrow_mut();
        if asked.count() + questions.len() < MAX_KNOWN && !questions.contains(&question) {
            questions.push(question);
        }
        OnPlatform::default()
    }

    /// Asks what is not answered yet. Answers the answer, if it is there.
    pub(super) fn ask(&self, question: Question) -> Option<&'a Answer> {
        let answer = answer_to(&question, self.answers);
        if answer.is_none() {
            self.questions.borrow_mut().push(question);
        }
        answer
    }

    /// Marks an object, which is not added yet, and all that refers to it at least as strongly as `tlp`.
    pub(super) fn mark(&mut self, id: &str, tlp: Tlp) {
        if tlp > self.preamble.tlp {
            self.stronger.insert(id.to_owned(), tlp);
            self.add(&tlp.object());
        }
    }

    fn marking_of(&self, ids: &[&str]) -> Tlp {
        let own = ids.iter().filter_map(|id| self.stronger.get(*id).copied());
        own.max().unwrap_or(self.preamble.tlp)
    }

    /// The common part of a domain or relationship object that stays as it was created.
    pub(super) fn head<'b>(
        &self,
        id: &'b str,
        created: Date,
        labels: &'b [String],
        external_references: Vec<ExternalReference<'b>>,
    ) -> Head<'b>
    where
        'a: 'b,
    {
        Head {
            spec_version: Version::V2_1,
            id,
            created_by_ref: self.author(),
            created,
            modified: created,
            labels,
            external_references,
            object_marking_refs: self.marking_of(&[id]).refs(),
            confidence: self.preamble.confidence,
        }
    }

    pub(super) fn observable_head<'b>(
        &self,
        id: &'b str,
        labels: &'b [String],
        description: &'b str,
    ) -> ObservableHead<'b>
    where
        'a: 'b,
    {
        ObservableHead {
            spec_version: Version::V2_1,
            id,
            object_marking_refs: self.markings(),
            x_opencti_created_by_ref: self.author(),
            x_opencti_labels: labels,
            x_opencti_score: None,
            x_opencti_description: description,
            x_opencti_external_references: Vec::new(),
        }
    }

    /// Adds an object, unless one with its id is there.
    pub(super) fn add(&mut self, object: &Object<'_>) {
        if self.ids.insert(object.id().to_owned()) {
            self.objects.push(serialised(object));
        }
    }

    /// Adds objects that were made before they were wanted.
    pub(super) fn extend(&mut self, objects: Vec<StixObject>) {
        for object in objects {
            if self.ids.insert(object.id.clone()) {
                self.objects.push(object);
            }
        }
    }

    pub(super) fn relate(
        &mut self,
        relationship_type: &str,
        source: &str,
        target: &str,
        date: Date,
    ) {
        self.relate_with(relationship_type, source, target, date, "");
    }

    pub(super) fn relate_with(
        &mut self,
        relationship_type: &str,
        source: &str,
        target: &str,
        date: Date,
        description: &str,
    ) {
        let relationship = self.relationship(relationship_type, source, target, date, description);
        self.extend(vec![relationship]);
    }

    /// A relationship that is not (yet) part of the emission. It is marked like the stronger of its ends.
    pub(super) fn relationship(
        &self,
        relationship_type: &str,
        source: &str,
        target: &str,
        date: Date,
        description: &str,
    ) -> StixObject {
        let id = id::relationship(relationship_type, source, target);
        let mut head = self.head(&id, date, &[], Vec::new());
        head.object_marking_refs = self.marking_of(&[source, target]).refs();
        serialised(&Object::Relationship(Relationship {
            head,
            relationship_type,
            description,
            source_ref: source,
            target_ref: target,
        }))
    }

    pub(super) fn remark(&mut self, severity: Severity, message: String) {
        let message = text::cut(&message, LONGEST_REMARK).into_owned();
        self.remarks.push(Remark::new(severity, message));
    }

    /// What is to be asked before this emission counts.
    pub(super) fn take_questions(&mut self) -> Vec<Question> {
        std::mem::take(self.questions.get_mut())
    }

    /// The objects, author and marking first. These stand alone only where `preamble_is_needed`.
    pub(super) fn finish(self, preamble_is_needed: bool) -> (Vec<StixObject>, Vec<Remark>) {
        if self.objects.is_empty() && !preamble_is_needed {
            return (self.objects, self.remarks);
        }
        let mut objects = Vec::with_capacity(self.preamble.objects.len() + self.objects.len());
        objects.extend_from_slice(&self.preamble.objects);
        objects.extend(self.objects);
        (objects, self.remarks)
    }
}
