//! Every GraphQL operation that is sent, in its variants by release of the platform.

use std::fmt;

use super::Version;

/// An operation. Its variants stand newest first; the last one is accepted by every release since its
/// `since`.
#[derive(Debug)]
pub struct Operation {
    /// Name for logs and errors.
    pub name: &'static str,
    /// The capability that the account's role needs for it, as the platform names it.
    pub capability: &'static str,
    /// Never empty.
    variants: &'static [Variant],
}

/// The text of an operation for the releases from `since` to the next newer variant.
#[derive(Debug, PartialEq, Eq)]
pub struct Variant {
    /// Name of the file under `operations/`, without its ending.
    pub name: &'static str,
    /// The GraphQL document.
    pub text: &'static str,
    /// First release that accepts it.
    pub since: Version,
}

impl Operation {
    /// All variants, newest first.
    #[must_use]
    pub fn variants(&self) -> &'static [Variant] {
        self.variants
    }

    /// The variant for a release; `None` where the release has no such operation.
    #[must_use]
    pub fn for_version(&self, version: Version) -> Option<&'static Variant> {
        self.variants
            .iter()
            .find(|variant| variant.since <= version)
    }

    /// The variant that came before the given one; `None` for the oldest.
    #[must_use]
    pub fn older_than(&self, variant: &Variant) -> Option<&'static Variant> {
        self.variants
            .iter()
            .find(|older| older.since < variant.since)
    }

    /// The variant that most releases accept.
    #[must_use]
    pub fn oldest(&self) -> Option<&'static Variant> {
        self.variants.last()
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// The first release that this connector supports: operations that are older say so.
const FIRST: Version = Version::FIRST_SUPPORTED;

/// The first release in which an account has tokens that an administrator gives and revokes.
const TOKENS: Version = Version::new(7, 260_224, 0);

/// The first release whose registration takes `enrichment_resolution` and `auto_update`.
pub(super) const RESOLUTION: Version = Version::new(6, 8, 9);

/// The first release whose registration takes `version` and `slug`.
pub(super) const RELEASE_AND_SLUG: Version = Version::new(7, 261_008, 0);

/// The first release that tells registered connectors of its S3 storage.
pub(super) const S3_TOLD: Version = Version::new(6, 9, 10);

/// A variant has the text of the file of its name, or of another file where only its input differs.
macro_rules! operation {
    (
        $name:literal needs $capability:literal,
        $($variant:literal $(with $file:literal)? since $since:expr),+ $(,)?
    ) => {
        Operation {
            name: $name,
            capability: $capability,
            variants: &[$(Variant {
                name: $variant,
                text: operation!(@text $variant $(, $file)?),
                since: $since,
            }),+],
        }
    };
    (@text $variant:literal) => {
        include_str!(concat!("operations/", $variant, ".graphql"))
    };
    (@text $variant:literal, $file:literal) => {
        include_str!(concat!("operations/", $file, ".graphql"))
    };
}

/// The platform's version.
pub static ABOUT: Operation = operation!("about" needs "APIACCESS_USETOKEN", "about" since FIRST);

/// The account of the token, and what it may do.
pub static ACCOUNT: Operation = operation!("me" needs "APIACCESS_USETOKEN", "account" since FIRST);

/// The markings that the account may use.
pub static ACCOUNT_MARKINGS: Operation =
    operation!("me" needs "APIACCESS_USETOKEN", "account_markings" since FIRST);

/// The groups of the account.
pub static ACCOUNT_GROUPS: Operation =
    operation!("me" needs "APIACCESS_USETOKEN", "account_groups" since FIRST);

/// Finds a marking, whether the account may use it or not.
pub static MARKING: Operation =
    operation!("markingDefinition" needs "KNOWLEDGE", "marking" since FIRST);

/// The markings of an object.
pub static OBJECT_MARKINGS: Operation =
    operation!("stixCoreObject" needs "KNOWLEDGE", "object_markings" since FIRST);

/// Takes a marking off an object.
pub static MARKING_REMOVE: Operation =
    operation!("stixCoreObjectEdit" needs "KNOWLEDGE_KNUPDATE", "marking_remove" since FIRST);

/// Announces the connector.
pub static REGISTER: Operation = operation!(
    "registerConnector" needs "CONNECTORAPI",
    "register_slug" with "register_timestamp" since RELEASE_AND_SLUG,
    "register_resolution" with "register_timestamp" since RESOLUTION,
    "register_timestamp" since Version::new(6, 7, 0),
    "register" since FIRST,
);

/// The same, and asks for the keys of the platform's S3 storage.
pub static REGISTER_WITH_S3: Operation = operation!(
    "registerConnector" needs "CONNECTORAPI",
    "register_s3_slug" with "register_s3" since RELEASE_AND_SLUG,
    "register_s3" since S3_TOLD,
    "register_resolution" with "register_timestamp" since RESOLUTION,
    "register_timestamp" since Version::new(6, 7, 0),
    "register" since FIRST,
);

/// Says that the connector is alive, and hands over its state.
pub static PING: Operation = operation!(
    "pingConnector" needs "CONNECTORAPI",
    "ping_timestamp" since Version::new(6, 7, 0),
    "ping_info" since Version::new(6, 2, 12),
    "ping" since FIRST,
);

/// When the connector was last heard of, and its state.
pub static CONNECTOR_SEEN: Operation =
    operation!("connector" needs "MODULES", "connector_seen" since FIRST);

/// What a registration told, without another one. Also needs CONNECTORAPI, for the login to RabbitMQ.
pub static CONNECTOR_REGISTERED: Operation =
    operation!("connector" needs "MODULES", "connector_registered" since FIRST);

/// The same, and asks for the keys of the platform's S3 storage.
pub static CONNECTOR_REGISTERED_WITH_S3: Operation = operation!(
    "connector" needs "MODULES",
    "connector_registered_s3" since S3_TOLD,
    "connector_registered" since FIRST,
);

/// How much waits in the connector's queue.
pub static QUEUE_SIZE: Operation =
    operation!("connector" needs "MODULES", "queue_size" since Version::new(6, 1, 12));

/// Opens a work.
pub static WORK_ADD: Operation = operation!(
    "workAdd" needs "CONNECTORAPI",
    "work_add_multipart" since Version::new(7, 260_422, 0),
    "work_add" since FIRST,
);

/// Announces objects of a work.
pub static WORK_ADD_EXPECTATIONS: Operation =
    operation!("addExpectations" needs "CONNECTORAPI", "work_add_expectations" since FIRST);

/// Reports an object of a work as processed.
pub static WORK_REPORT_EXPECTATION: Operation =
    operation!("reportExpectation" needs "CONNECTORAPI", "work_report_expectation" since FIRST);

/// Closes a work.
pub static WORK_TO_PROCESSED: Operation =
    operation!("toProcessed" needs "CONNECTORAPI", "work_to_processed" since FIRST);

/// Whether a work is still there.
pub static WORK_IS_ALIVE: Operation =
    operation!("isWorkAlive" needs "MODULES", "work_is_alive" since Version::new(6, 8, 7));

/// The errors of a work.
pub static WORK_ERRORS: Operation = operation!("work" needs "MODULES", "work_errors" since FIRST);

/// Shows on a work where it brings its objects.
pub static WORK_ADD_DRAFT_CONTEXT: Operation = operation!(
    "addDraftContext" needs "CONNECTORAPI",
    "work_add_draft_context" since Version::new(6, 5, 0),
);

/// Makes a draft.
pub static DRAFT_ADD: Operation = operation!(
    "draftWorkspaceAdd" needs "KNOWLEDGE_KNUPDATE",
    "draft_add" since Version::new(6, 4, 0),
);

/// Whether a draft still takes something.
pub static DRAFT_STATUS: Operation =
    operation!("draftWorkspace" needs "KNOWLEDGE", "draft_status" since Version::new(6, 7, 0));

/// Finds the group of connectors' accounts. Older, but needed only with tokens.
pub static CONNECTORS_GROUP: Operation =
    operation!("groups" needs "SETTINGS_SETACCESSES", "connectors_group" since TOKENS);

/// Finds an account, with its tokens.
pub static SERVICE_ACCOUNT: Operation =
    operation!("users" needs "SETTINGS_SETACCESSES", "service_account" since TOKENS);

/// Makes an account.
pub static USER_ADD: Operation =
    operation!("userAdd" needs "SETTINGS_SETACCESSES", "user_add" since TOKENS);

/// Makes a token for an account.
pub static USER_TOKEN_ADD: Operation =
    operation!("userAdminTokenAdd" needs "SETTINGS_SETACCESSES", "user_token_add" since TOKENS);

/// Revokes a token of an account.
pub static USER_TOKEN_REVOKE: Operation = operation!(
    "userAdminTokenRevoke" needs "SETTINGS_SETACCESSES",
    "user_token_revoke" since TOKENS,
);

/// Sends a bundle through the API.
pub static BUNDLE_PUSH: Operation = operation!(
    "stixBundlePush" needs "CONNECTORAPI",
    "bundle_push_work" since Version::new(6, 5, 7),
    "bundle_push" since Version::new(6, 2, 6),
);

/// Finds an object by its id.
pub static OBJECT_KNOWN: Operation =
    operation!("stixCoreObject" needs "KNOWLEDGE", "object_known" since FIRST);

/// Finds objects by their ids, and says what they are.
pub static OBJECTS_KNOWN: Operation =
    operation!("stixCoreObjects" needs "KNOWLEDGE", "objects_known" since FIRST);

/// Finds objects by their name and type, and says what they are.
pub static OBJECTS_NAMED: Operation =
    operation!("stixCoreObjects" needs "KNOWLEDGE", "objects_named" since FIRST);

/// Finds an artifact by its hash.
pub static ARTIFACT_KNOWN: Operation =
    operation!("stixCyberObservables" needs "KNOWLEDGE", "artifact_known" since FIRST);

/// Uploads an artifact.
pub static ARTIFACT_IMPORT: Operation = operation!(
    "artifactImport" needs "KNOWLEDGE_KNUPDATE",
    "artifact_import_marked" since Version::new(6, 9, 7),
    "artifact_import" since FIRST,
);

/// All of them.
pub static OPERATIONS: &[&Operation] = &[
    &ABOUT,
    &ACCOUNT,
    &ACCOUNT_MARKINGS,
    &ACCOUNT_GROUPS,
    &MARKING,
    &OBJECT_MARKINGS,
    &MARKING_REMOVE,
    &REGISTER,
    &REGISTER_WITH_S3,
    &PING,
    &CONNECTOR_SEEN,
    &CONNECTOR_REGISTERED,
    &CONNECTOR_REGISTERED_WITH_S3,
    &QUEUE_SIZE,
    &WORK_ADD,
    &WORK_ADD_EXPECTATIONS,
    &WORK_REPORT_EXPECTATION,
    &WORK_TO_PROCESSED,
    &WORK_IS_ALIVE,
    &WORK_ERRORS,
    &WORK_ADD_DRAFT_CONTEXT,
    &DRAFT_ADD,
    &DRAFT_STATUS,
    &CONNECTORS_GROUP,
    &SERVICE_ACCOUNT,
    &USER_ADD,
    &USER_TOKEN_ADD,
    &USER_TOKEN_REVOKE,
    &BUNDLE_PUSH,
    &OBJECT_KNOWN,
    &OBJECTS_KNOWN,
    &OBJECTS_NAMED,
    &ARTIFACT_KNOWN,
    &ARTIFACT_IMPORT,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_stand_newest_first() {
        for operation in OPERATIONS {
            assert!(!operation.variants.is_empty(), "{}", operation.name);
            assert!(
                operation.variants.is_sorted_by(|a, b| a.since > b.since),
                "{}",
                operation.name
            );
        }
    }

    #[test]
    fn variant_by_version() {
        for (operation, version, expected) in [
            (&PING, "6.0.0", Some("ping")),
            (&PING, "6.2.11", Some("ping")),
            (&PING, "6.2.12", Some("ping_info")),
            (&PING, "6.6.18", Some("ping_info")),
            (&PING, "6.7.0", Some("ping_timestamp")),
            (&PING, "7.260817.0-lts.1", Some("ping_timestamp")),
            (&REGISTER, "6.8.8", Some("register_timestamp")),
            (&REGISTER, "6.8.9", Some("register_resolution")),
            (&REGISTER, "7.260817.0", Some("register_resolution")),
            (&REGISTER, "7.261008.0", Some("register_slug")),
            (&REGISTER_WITH_S3, "6.9.9", Some("register_resolution")),
            (&REGISTER_WITH_S3, "6.9.10", Some("register_s3")),
            (&REGISTER_WITH_S3, "7.261008.0", Some("register_s3_slug")),
            (&QUEUE_SIZE, "6.1.11", None),
            (&WORK_ADD, "7.260326.0", Some("work_add")),
            (&WORK_ADD, "7.260422.0", Some("work_add_multipart")),
            (&WORK_IS_ALIVE, "6.8.6", None),
            (&BUNDLE_PUSH, "6.2.5", None),
            (&BUNDLE_PUSH, "6.2.6", Some("bundle_push")),
            (&BUNDLE_PUSH, "6.5.7", Some("bundle_push_work")),
        ] {
            let version = Version::parse(version).unwrap();
            assert_eq!(
                operation.for_version(version).map(|variant| variant.name),
                expected,
                "{} on {version}",
                operation.name
            );
        }
    }
}
