//! A simulated OpenCTI platform, as far as an external import connector sees it: GraphQL checked
//! against the schema of one release, registration and state, works and their expectations, object
//! store, artifacts, and a worker that imports what arrives through RabbitMQ or the API.
//!
//! Follows the wire protocol that the project wrote down, and does with what arrives what a real platform does
//! (docs/reliability.md lists it). Where that waits and retries (a reference that another worker may still be writing),
//! the simulator decides at once and counts the time (see [`pace`]): whoever sends in dependency order never meets the
//! difference.

mod access;
mod account;
mod analyst;
mod broker;
mod connector;
mod controls;
mod decay;
mod draft;
mod error;
#[cfg(test)]
mod facts_tests;
mod graphql;
mod http;
mod ids;
mod import;
mod judge;
mod marking;
pub mod pace;
mod platform;
mod query;
mod report;
mod resolver;
mod schema;
mod server;
mod store;
#[cfg(test)]
mod tests;
mod upload;
mod upsert;
mod version;
mod work;
mod yara;

pub use account::Account;
pub use analyst::Analyst;
pub use connector::{Connector, QueueDetails};
pub use decay::{Decay, Life, Rule};
pub use draft::Draft;
pub use error::error_body;
pub use graphql::Request;
pub use import::{Delivery, Properties, Via};
pub use marking::Tlp;
pub use platform::Platform;
pub use report::{Finding, Report};
pub use schema::of as schema;
pub use server::{Options, Server};
pub use store::{Store, Stored};
pub use version::Version;
pub use work::{Status, Work, WorkMessage};
