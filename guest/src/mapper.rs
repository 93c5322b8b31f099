//! The guest with its settings: the library's front door.

use crate::contract::{
    Answer, Failure, Feed, Item, Outcome, Problem, Question, Remark, Setting, Timestamp, Verdict,
};
use crate::filter;
use crate::mapping::{self, Preamble};
use crate::notification::Notification;
use crate::settings::Settings;

/// Filters and maps notifications as its settings say.
pub struct Mapper {
    settings: Settings,
    /// Remarks on settings that were accepted all the same.
    remarks: Vec<Remark>,
    /// Author and marking, serialised once: every emission starts with them.
    preamble: Preamble,
}

impl Mapper {
    /// Checks the settings.
    ///
    /// # Errors
    /// All problems at once: unknown names, names given twice, values that are not allowed.
    pub fn open(settings: &[Setting]) -> Result<Self, Vec<Problem>> {
        let (settings, remarks) = Settings::parse(settings)?;
        let preamble = Preamble::new(settings.tlp, settings.confidence);
        Ok(Self {
            settings,
            remarks,
            preamble,
        })
    }

    /// Remarks on the settings, for the log at start.
    #[must_use]
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// What to read in a run that begins at `now`, to see all that was reported from `since` on.
    #[must_use]
    pub fn feed(&self, since: Timestamp, now: Timestamp) -> Feed {
        crate::feed::feed(&self.settings, since, now)
    }

    /// Decides on one item.
    ///
    /// # Errors
    /// [`Failure::Malformed`] when the document is not a VirusTotal object, or is an error in place of one;
    /// [`Failure::Unsupported`] when it is an object of a type that Livehunt does not report.
    pub fn map(
        &self,
        item: &Item,
        answers: &[(Question, Answer)],
        now: Timestamp,
    ) -> Result<Verdict, Failure> {
        let notification = Notification::parse(&item.document)?;
        if let Err(skip) = filter::check(&self.settings, &notification, now) {
            return Ok(Verdict {
                outcome: Outcome::Skip(skip),
                remarks: Vec::new(),
            });
        }
        mapping::map(
            &self.settings,
            &self.preamble,
            &notification,
            item.observed,
            answers,
        )
    }

    /// What each filter says to an item: the JSON of `explain` in the contract.
    ///
    /// # Errors
    /// As [`Mapper::map`] where the document is not a VirusTotal object of a type that Livehunt reports.
    pub fn explain(&self, item: &Item, now: Timestamp) -> Result<String, Failure> {
        let notification = Notification::parse(&item.document)?;
        Ok(filter::explain(&self.settings, &notification, now))
    }

    /// What all emissions have in common: the JSON of `preamble` in the contract.
    #[must_use]
    pub fn preamble(&self) -> String {
        let files = self.settings.upload_artifact;
        self.preamble
            .announce("TLP_LEVEL", files.then_some("UPLOAD_ARTIFACT"))
    }

    /// The part of a looked-up document that `question` asks for.
    ///
    /// # Errors
    /// [`Failure::Unsupported`] when it is not a question that this guest asks;
    /// [`Failure::Malformed`] when the document is not a VirusTotal ruleset.
    pub fn digest(&self, question: &Question, document: &str) -> Result<String, Failure> {
        mapping::digest(question, document)
    }
}
