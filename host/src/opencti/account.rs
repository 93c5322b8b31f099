//! The account of the token, and whether it may do what a connector does (protocol section 2).

use serde::Deserialize;
use serde_json::Map;

use super::Operation;
use super::client::{Client, Retry};
use super::error::Error;
use super::operations::{
    ACCOUNT, ARTIFACT_IMPORT, ARTIFACT_KNOWN, BUNDLE_PUSH, CONNECTOR_SEEN, CONNECTORS_GROUP,
    DRAFT_ADD, DRAFT_STATUS, OBJECT_KNOWN, PING, QUEUE_SIZE, REGISTER, SERVICE_ACCOUNT, USER_ADD,
    USER_TOKEN_ADD, USER_TOKEN_REVOKE, WORK_ADD, WORK_ADD_DRAFT_CONTEXT, WORK_ADD_EXPECTATIONS,
    WORK_IS_ALIVE, WORK_REPORT_EXPECTATION, WORK_TO_PROCESSED,
};

static CONNECTOR: [&Operation; 2] = [&REGISTER, &PING];
static WORKS: [&Operation; 4] = [
    &WORK_ADD,
    &WORK_ADD_EXPECTATIONS,
    &WORK_REPORT_EXPECTATION,
    &WORK_TO_PROCESSED,
];
static WATCHING: [&Operation; 3] = [&QUEUE_SIZE, &WORK_IS_ALIVE, &CONNECTOR_SEEN];
static DRAFTS: [&Operation; 3] = [&DRAFT_ADD, &WORK_ADD_DRAFT_CONTEXT, &DRAFT_STATUS];
static SERVICE_ACCOUNTS: [&Operation; 5] = [
    &CONNECTORS_GROUP,
    &SERVICE_ACCOUNT,
    &USER_ADD,
    &USER_TOKEN_ADD,
    &USER_TOKEN_REVOKE,
];
static FILES: [&Operation; 3] = [&OBJECT_KNOWN, &ARTIFACT_KNOWN, &ARTIFACT_IMPORT];

/// Holders of it may do everything.
const BYPASS: &str = "BYPASS";

/// What operations are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Being a connector: nothing works without.
    Connector,
    /// Showing runs as works, where bundles go to the platform's workers.
    Works,
    /// Holding runs back while the queue is full, noticing that a work was deleted, and trying again what failed.
    Watching,
    /// Copying files, where the guest wants that.
    Files,
    /// Letting runs wait in drafts.
    Drafts,
    /// Making an account of the connector's own.
    ServiceAccount,
}

impl Purpose {
    fn operations(self) -> &'static [&'static Operation] {
        match self {
            Self::Connector => &CONNECTOR,
            Self::Works => &WORKS,
            Self::Watching => &WATCHING,
            Self::Files => &FILES,
            Self::Drafts => &DRAFTS,
            Self::ServiceAccount => &SERVICE_ACCOUNTS,
        }
    }
}

/// The account of the token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// As the user interface shows it.
    pub name: String,
    capabilities: Vec<Capability>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Capability {
    name: String,
}

#[derive(Deserialize)]
struct Answer {
    me: Account,
}

impl Account {
    /// Capabilities that are missing for a purpose, each once.
    #[must_use]
    pub fn lacks(&self, purpose: Purpose) -> Vec<&'static str> {
        let mut missing = Vec::new();
        for operation in purpose.operations() {
            let needed = operation.capability;
            if !self.has(needed) && !missing.contains(&needed) {
                missing.push(needed);
            }
        }
        missing
    }

    /// As the platform compares them: one that holds the text of another grants it too.
    fn has(&self, needed: &str) -> bool {
        self.capabilities
            .iter()
            .any(|Capability { name }| name == BYPASS || name.contains(needed))
    }
}

impl Client {
    /// The account of the token, asked once.
    ///
    /// # Errors
    /// When the platform does not answer, or refuses the token.
    pub async fn account(&self) -> Result<Account, Error> {
        let answer: Answer = self.call(&ACCOUNT, Retry::Never, |_| Map::new()).await?;
        Ok(answer.me)
    }

    /// Whether the platform's release takes bundles through its API.
    ///
    /// # Errors
    /// When it is too old.
    pub fn can_push_bundles(&self) -> Result<(), Error> {
        self.variant(&BUNDLE_PUSH).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_account_lacks_is_named_once() {
        let role = ["CONNECTORAPI", "MODULES_MODMANAGE", "KNOWLEDGE_KNUPDATE"];
        let none: [&str; 0] = [];
        for (has, purpose, missing) in [
            (&role[..], Purpose::Connector, &none[..]),
            (&role, Purpose::Works, &none),
            (&role, Purpose::Watching, &none),
            (&role, Purpose::Files, &none),
            (&["BYPASS"], Purpose::Connector, &none),
            (&[], Purpose::Connector, &["CONNECTORAPI"]),
            (&["KNOWLEDGE"], Purpose::Works, &["CONNECTORAPI"]),
            (&["CONNECTORAPI"], Purpose::Watching, &["MODULES"]),
            (&["KNOWLEDGE"], Purpose::Files, &["KNOWLEDGE_KNUPDATE"]),
            (&[], Purpose::Files, &["KNOWLEDGE", "KNOWLEDGE_KNUPDATE"]),
        ] {
            let names = has.iter().map(|name| Capability {
                name: (*name).to_owned(),
            });
            let account = Account {
                name: "Connector".to_owned(),
                capabilities: names.collect(),
            };
            assert_eq!(account.lacks(purpose), missing, "{has:?} {purpose:?}");
        }
    }
}
