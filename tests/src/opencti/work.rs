//! Works, their expectations, and when they are complete (protocol section 6).

use serde_json::{Value, json};

use super::error::PlatformError;
use super::platform::Platform;
use super::version::Version;

/// The platform keeps so many errors of a work.
const MAX_ERRORS: usize = 100;

/// Where a work stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Open.
    Progress,
    /// All that was expected was processed.
    Complete,
}

/// A line on a work.
#[derive(Clone, Debug)]
pub struct WorkMessage {
    /// When.
    pub timestamp: String,
    /// What.
    pub message: String,
    /// JSON of the object at fault, if there is one.
    pub source: Option<String>,
}

/// A work.
#[derive(Clone, Debug)]
pub struct Work {
    /// `work_<connector>_<time>`.
    pub id: String,
    /// Which connector opened it.
    pub connector_id: String,
    /// What the UI shows.
    pub name: String,
    /// Several bundles: complete only after `toProcessed`, where the platform knows this.
    pub multipart: bool,
    /// `import_expected_number`.
    pub expected: i64,
    /// `import_processed_number`.
    pub processed: i64,
    /// See [`Status`].
    pub status: Status,
    /// Lines without error.
    pub messages: Vec<WorkMessage>,
    /// Lines with error.
    pub errors: Vec<WorkMessage>,
    /// When it was opened.
    pub timestamp: String,
    /// When `toReceived` was called.
    pub received_time: Option<String>,
    /// When `toProcessed` was called.
    pub processed_time: Option<String>,
    /// When it was complete.
    pub completed_time: Option<String>,
    /// `toProcessed` with `inError`.
    pub in_error: bool,
    /// `addDraftContext`.
    pub draft_context: Option<String>,
    /// How often `addExpectations` was called, by connector or worker.
    pub expectation_calls: usize,
}

impl Work {
    /// Nothing is open any more.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.status == Status::Complete
    }

    /// `toProcessed` was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.processed_time.is_some()
    }

    fn complete_if_done(&mut self, version: &Version, now: &str) {
        let done = if version.has_multipart_works() {
            self.processed >= self.expected && (!self.multipart || self.is_closed())
        } else {
            // Before multipart works, closing completes only what never expected anything.
            self.processed >= self.expected && (self.expected > 0 || self.is_closed())
        };
        if done && !self.is_complete() {
            self.status = Status::Complete;
            self.completed_time = Some(now.to_owned());
        }
    }

    fn to_json(&self) -> Value {
        let lines = |lines: &[WorkMessage]| -> Vec<Value> {
            let numbered = lines.iter().enumerate();
            numbered
                .map(|(sequence, it)| {
                    json!({
                        "timestamp": it.timestamp, "message": it.message, "sequence": sequence,
                        "source": it.source,
                    })
                })
                .collect()
        };
        json!({
            "id": self.id,
            "name": self.name,
            "timestamp": self.timestamp,
            "status": if self.is_complete() { "complete" } else { "progress" },
            "received_time": self.received_time,
            "processed_time": self.processed_time,
            "completed_time": self.completed_time,
            "completed_number": self.processed,
            "messages": lines(&self.messages),
            "errors": lines(&self.errors),
            "tracking": {
                "import_expected_number": self.expected,
                "import_last_processed": self.completed_time,
                "import_processed_number": self.processed,
            },
            "draft_context": self.draft_context,
        })
    }
}

impl Platform {
    /// `workAdd`.
    pub(crate) fn add_work(
        &mut self,
        connector_id: &str,
        name: &str,
        multipart: bool,
    ) -> Result<Value, PlatformError> {
        self.connector(connector_id)?;
        let now = self.instant();
        let work = Work {
            id: format!("work_{connector_id}_{now}"),
            connector_id: connector_id.to_owned(),
            name: name.to_owned(),
            multipart,
            expected: 0,
            processed: 0,
            status: Status::Progress,
            messages: Vec::new(),
            errors: Vec::new(),
            timestamp: now,
            received_time: None,
            processed_time: None,
            completed_time: None,
            in_error: false,
            draft_context: None,
            expectation_calls: 0,
        };
        let json = work.to_json();
        self.works.push(work);
        Ok(json)
    }

    /// The work as GraphQL shows it, or null.
    pub(crate) fn work_json(&self, id: &str) -> Value {
        self.work(id).map_or(Value::Null, Work::to_json)
    }

    /// A field of `workEdit`. A work that is gone swallows everything, as the real platform does:
    /// only `isWorkAlive` tells.
    pub(crate) fn edit_work(
        &mut self,
        id: &str,
        field: &str,
        arguments: &Value,
    ) -> Result<(), PlatformError> {
        let text = |name: &str| arguments[name].as_str().map(str::to_owned);
        match field {
            "delete" => self.works.retain(|work| work.id != id),
            "ping" => {}
            "addExpectations" => {
                self.expect(id, arguments["expectations"].as_i64().unwrap_or_default());
            }
            "reportExpectation" => {
                let error = &arguments["error"];
                let failure = error["error"].as_str().map(|message| {
                    (
                        message.to_owned(),
                        error["source"].as_str().map(str::to_owned),
                    )
                });
                self.report(id, failure);
            }
            "addDraftContext" => {
                if let Some(work) = self.work_mut(id) {
                    work.draft_context = text("draftContext");
                }
            }
            "toReceived" => self.receive(id, text("message")),
            "toProcessed" => {
                self.close(
                    id,
                    text("message"),
                    arguments["inError"] == Value::Bool(true),
                );
            }
            _ => {
                return Err(PlatformError::functional(format!(
                    "workEdit has no {field}"
                )));
            }
        }
        Ok(())
    }

    /// `addExpectations`.
    pub(crate) fn expect(&mut self, id: &str, number: i64) {
        if let Some(work) = self.work_mut(id) {
            work.expected += number;
            work.expectation_calls += 1;
        }
    }

    /// `reportExpectation`, with a message and a source where it failed.
    pub(crate) fn report(&mut self, id: &str, failure: Option<(String, Option<String>)>) {
        let (now, version) = (self.instant(), self.version.clone());
        let Some(work) = self.work_mut(id) else {
            return;
        };
        work.processed += 1;
        if let Some((message, source)) = failure
            && work.errors.len() < MAX_ERRORS
        {
            work.errors.push(WorkMessage {
                timestamp: now.clone(),
                message,
                source,
            });
        }
        work.complete_if_done(&version, &now);
    }

    fn receive(&mut self, id: &str, message: Option<String>) {
        let now = self.instant();
        let Some(work) = self.work_mut(id) else {
            return;
        };
        work.received_time = Some(now.clone());
        let message = message.unwrap_or_default();
        work.messages.push(WorkMessage {
            timestamp: now,
            message,
            source: None,
        });
    }

    fn close(&mut self, id: &str, message: Option<String>, in_error: bool) {
        let (now, version) = (self.instant(), self.version.clone());
        let Some(work) = self.work_mut(id) else {
            return;
        };
        work.processed_time = Some(now.clone());
        work.in_error = in_error;
        let message = message.unwrap_or_default();
        let line = WorkMessage {
            timestamp: now.clone(),
            message,
            source: None,
        };
        if in_error {
            work.errors.push(line);
        } else {
            work.messages.push(line);
        }
        work.complete_if_done(&version, &now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opencti::platform::Queues;

    fn platform(version: &str) -> (Platform, String) {
        let queues = Queues {
            connection: Value::Null,
            prefix: String::new(),
        };
        let mut platform = Platform::new(version.parse().unwrap(), Vec::new(), queues);
        platform
            .register("user", &json!({"id": "c", "name": "Connector"}))
            .unwrap();
        let work = platform.add_work("c", "run", true).unwrap();
        (platform, work["id"].as_str().unwrap().to_owned())
    }

    #[test]
    fn a_work_is_complete_by_the_rule_of_its_release() {
        // Expected, reported before closing, closed, reported after: complete in the end?
        let cases = [
            ("7.260817.0", 0, 0, true, 0, true),
            ("7.260817.0", 2, 2, false, 0, false),
            ("7.260817.0", 2, 2, true, 0, true),
            ("7.260817.0", 2, 0, true, 2, true),
            ("7.260817.0", 2, 1, true, 0, false),
            ("6.9.22", 0, 0, true, 0, true),
            ("6.9.22", 0, 0, false, 0, false),
            ("6.9.22", 2, 2, false, 0, true),
            ("6.9.22", 2, 0, true, 2, true),
            ("6.9.22", 2, 1, true, 0, false),
        ];
        for case in cases {
            let (version, expected, before, closed, after, complete) = case;
            let (mut platform, id) = platform(version);
            platform.expect(&id, expected);
            (0..before).for_each(|_| platform.report(&id, None));
            if closed {
                platform.close(&id, None, false);
            }
            (0..after).for_each(|_| platform.report(&id, None));
            assert_eq!(
                platform.work(&id).unwrap().is_complete(),
                complete,
                "{case:?}"
            );
        }
    }

    #[test]
    fn a_deleted_work_swallows_what_it_is_told() {
        let (mut platform, id) = platform("7.260817.0");
        platform.edit_work(&id, "delete", &Value::Null).unwrap();
        platform
            .edit_work(&id, "addExpectations", &json!({"expectations": 3}))
            .unwrap();
        platform
            .edit_work(&id, "toProcessed", &json!({"message": "done"}))
            .unwrap();
        assert!(platform.work(&id).is_none());
    }

    #[test]
    fn a_failed_run_is_told_in_the_errors() {
        let (mut platform, id) = platform("7.260817.0");
        let arguments = json!({"message": "quota exceeded", "inError": true});
        platform.edit_work(&id, "toProcessed", &arguments).unwrap();
        assert_eq!(platform.work_errors(), ["quota exceeded"]);
    }
}
