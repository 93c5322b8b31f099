//! The platform: a client of OpenCTI's GraphQL API for an external import connector.
//!
//! One binary serves every release since 6.0: each operation is a `.graphql` file under `operations/`, in
//! variants chosen by `about.version`. Ids of STIX objects are opaque here.

mod account;
mod answer;
mod artifact;
mod client;
mod draft;
mod error;
mod marking;
mod network_failure;
mod objects;
mod operations;
mod push;
mod queue;
mod registration;
mod reset;
mod seen;
mod service_account;
mod state_keeper;
mod version;
mod wait;
mod work;
mod work_errors;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use account::{Account, Purpose};
pub use artifact::ArtifactUpload;
pub use client::{Client, ClientError};
pub use draft::Draft;
pub use error::{Code, Error, Excerpt};
pub use marking::{ObjectMarking, Sight};
pub use network_failure::NetworkFailure;
pub use objects::{HeldObject, MAX_IDS};
pub use operations::{OPERATIONS, Operation, Variant};
pub use queue::QueueSize;
pub use registration::{BrokerConnection, Registration, S3Connection};
pub use seen::{SIGN_OF_LIFE, Seen};
pub use state_keeper::{Generation, Info, KeeperView, PING_INTERVAL, Pings, Saved, StateKeeper};
pub use version::{Feature, Version};
pub use wait::{NotReady, wait_for_platform, wait_for_service_account};
pub use work::Work;
pub use work_errors::{MAX_ERRORS, RefusedObject, WorkError, WorkErrors};
