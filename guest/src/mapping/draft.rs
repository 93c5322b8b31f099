//! The objects of one emission while it is made.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::contract::{Remark, Severity, StixObject};
use crate::mapping::{AUTHOR_NAME, text};
use crate::stix::{
    Date, ExternalReference, Head, Identity, Object, ObservableHead, Relationship, Tlp, Version, id,
};

/// Bytes of a remark: some quote what came from strangers.
const LONGEST_REMARK: usize = 4_000;

/// Author and marking: the same in every emission.
pub(crate) struct Preamble {
    objects: Vec<StixObject>,
    author: String,
    markings: [String; 1],
    marking_name: &'static str,
}

/// An author is not dated by the notifications it writes: this is when VirusTotal opened the IoC stream.
const AUTHOR_CREATED: &str = "2023-02-01T00:00:00.000Z";

impl Preamble {
    pub(crate) fn new(tlp: Tlp) -> Self {
        let author = id::identity(AUTHOR_NAME, "organization");
        let markings = [tlp.id().to_owned()];
        let identity = Object::Identity(Identity {
            spec_version: Version::V2_1,
            id: &author,
            created: AUTHOR_CREATED,
            modified: AUTHOR_CREATED,
            name: AUTHOR_NAME,
            identity_class: "organization",
            description: "Download/upload files from Virustotal Livehunt Notifications.",
            object_marking_refs: &markings,
        });
        let objects = vec![serialised(&tlp.object()), serialised(&identity)];
        Self {
            objects,
            author,
            markings,
            marking_name: tlp.definition(),
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
    markings: Vec<String>,
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
        let [marking] = &self.markings;
        let announced = Announced {
            author: AnnouncedAuthor {
                id: &self.author,
                markings: self.author_markings(),
            },
            markings: [AnnouncedMarking {
                id: marking,
                name: self.marking_name,
                setting: marking_setting,
            }],
            files: files_setting.map(|setting| AnnouncedFiles { setting }),
        };
        #[expect(clippy::expect_used, reason = "texts always serialise")]
        serde_json::to_string(&announced).expect("a preamble is JSON")
    }

    /// The author's own markings, as its document has them.
    fn author_markings(&self) -> Vec<String> {
        #[derive(Deserialize)]
        struct Marked {
            #[serde(default)]
            object_marking_refs: Vec<String>,
        }
        let author = self.objects.iter().find(|it| it.id == self.author);
        let marked: Option<Marked> = author.and_then(|it| serde_json::from_str(&it.document).ok());
        marked.map_or_else(Vec::new, |it| it.object_marking_refs)
    }
}

fn serialised(object: &Object<'_>) -> StixObject {
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
    objects: Vec<StixObject>,
    ids: BTreeSet<String>,
    remarks: Vec<Remark>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(preamble: &'a Preamble) -> Self {
        Self {
            preamble,
            objects: Vec::new(),
            ids: BTreeSet::new(),
            remarks: Vec::new(),
        }
    }

    pub(super) fn author(&self) -> &'a str {
        &self.preamble.author
    }

    pub(super) fn markings(&self) -> &'a [String] {
        &self.preamble.markings
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
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
            object_marking_refs: self.markings(),
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

    pub(super) fn relate(
        &mut self,
        relationship_type: &str,
        source: &str,
        target: &str,
        date: Date,
    ) {
        let relationship = self.relationship(relationship_type, source, target, date);
        if self.ids.insert(relationship.id.clone()) {
            self.objects.push(relationship);
        }
    }

    /// A relationship that is not (yet) part of the emission.
    pub(super) fn relationship(
        &self,
        relationship_type: &str,
        source: &str,
        target: &str,
        date: Date,
    ) -> StixObject {
        let id = id::relationship(relationship_type, source, target);
        serialised(&Object::Relationship(Relationship {
            head: self.head(&id, date, &[], Vec::new()),
            relationship_type,
            source_ref: source,
            target_ref: target,
        }))
    }

    pub(super) fn remark(&mut self, severity: Severity, message: String) {
        let message = text::cut(&message, LONGEST_REMARK).into_owned();
        self.remarks.push(Remark::new(severity, message));
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
