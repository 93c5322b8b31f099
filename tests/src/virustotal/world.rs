//! What the simulated VirusTotal holds, and what it remembers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::notification::Notification;
use crate::body::FileBody;
use crate::fault::Faults;
use crate::recorded::Recorded;

/// "Notifications are deleted automatically after 7 days."
const RETENTION_SECONDS: u64 = 7 * 86_400;

/// Behaviour that the API may show and that clients get wrong.
#[derive(Clone, Debug, Default)]
pub struct Quirks {
    /// After so many pages of a listing, a page without items but with a cursor.
    pub empty_page_after: Option<usize>,
    /// The licence has no download privilege: 403 on every download.
    pub downloads_forbidden: bool,
    /// The licence has no Livehunt: 403 on the stream.
    pub stream_forbidden: bool,
}

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `GET /ioc_stream`.
    Page,
    /// `GET /intelligence/hunting_rulesets…`.
    Ruleset,
    /// `GET /files/{id}`.
    File,
    /// `GET /ioc_stream_notifications/{id}`.
    Notification,
    /// `GET /files/{id}/download` and `download_url`.
    Download,
    /// `DELETE` of anything.
    Deletion,
    /// Everything else.
    Other,
}

impl Kind {
    /// The kind of a request to the API.
    #[must_use]
    pub fn of(request: &Recorded) -> Self {
        let segments: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("DELETE", _) => Self::Deletion,
            ("GET", ["ioc_stream"]) => Self::Page,
            ("GET", ["intelligence", "hunting_rulesets", ..]) => Self::Ruleset,
            ("GET", ["files", _]) => Self::File,
            ("GET", ["ioc_stream_notifications", _]) => Self::Notification,
            ("GET", ["files", _, "download" | "download_url"]) => Self::Download,
            _ => Self::Other,
        }
    }
}

/// The simulated service.
#[derive(Default)]
pub struct World {
    /// The service's clock, seconds since the Unix epoch: what was reported more than seven days before it is
    /// forgotten. `None` forgets nothing.
    pub now: Option<u64>,
    /// In no particular order; the listing sorts.
    pub notifications: Vec<Notification>,
    /// Objects of type `hunting_ruleset` by id.
    pub rulesets: BTreeMap<String, Value>,
    /// Ids of rulesets that are no longer shared: 403.
    pub forbidden_rulesets: BTreeSet<String>,
    /// Contents that can be downloaded, by SHA-256.
    pub files: BTreeMap<String, FileBody>,
    /// Requests that are still allowed; then 429 QuotaExceededError. `None` means no quota.
    pub quota: Option<u64>,
    /// See [`Quirks`].
    pub quirks: Quirks,
    /// Faults of the API.
    pub faults: Faults,
    /// Faults of the sample storage.
    pub storage_faults: Faults,
    /// Requests to the API in the order of arrival.
    pub requests: Vec<Recorded>,
    /// Requests to the sample storage in the order of arrival.
    pub storage_requests: Vec<Recorded>,
    /// Ids of the notifications that were deleted one by one, in that order.
    pub deleted: Vec<String>,
    /// A deletion by filter is under way: a second one gets 429. A test ends it by clearing this.
    pub deletion_running: bool,
    /// Cursors of earlier epochs are stale.
    pub(super) cursor_epoch: u64,
}

impl World {
    /// An empty service.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a notification, given as an item of `/ioc_stream`, and returns its id.
    pub fn add(&mut self, item: &Value) -> String {
        let notification = Notification::new(item);
        let id = notification.id.clone();
        self.notifications.push(notification);
        id
    }

    /// Adds a ruleset, given as an object of type `hunting_ruleset`.
    pub fn add_ruleset(&mut self, ruleset: Value) {
        let id = ruleset["id"].as_str().unwrap_or_default().to_owned();
        self.rulesets.insert(id, ruleset);
    }

    /// Makes a content available for download.
    pub fn add_file(&mut self, body: FileBody) {
        self.files.insert(body.sha256.clone(), body);
    }

    /// Makes every cursor given out so far stale.
    pub fn expire_cursors(&mut self) {
        self.cursor_epoch += 1;
    }

    /// Deletes what is too old by the service's clock.
    pub(super) fn forget_expired(&mut self) {
        if let Some(now) = self.now {
            self.notifications
                .retain(|it| it.date + RETENTION_SECONDS >= now);
        }
    }

    /// How many requests of a kind arrived.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.requests
            .iter()
            .filter(|it| Kind::of(it) == kind)
            .count()
    }
}
