//! A simulated OpenCTI platform, as far as an external import connector sees it: GraphQL checked
//! against the schema of one release, registration and state, works and their expectations, object
//! store, artifacts, and a worker that imports what arrives through RabbitMQ or the API.
//!
//! Follows the wire protocol that the project wrote down. Where the real platform waits and retries
//! (a reference that another worker may still be writing), the simulator reports the error at once:
//! whoever sends in dependency order never meets the difference.

mod access;
mod account;
mod broker;
mod connector;
mod draft;
mod error;
mod graphql;
mod http;
mod ids;
mod import;
mod platform;
mod query;
mod resolver;
mod schema;
mod server;
mod sight;
mod store;
#[cfg(test)]
mod tests;
mod upload;
mod version;
mod work;

pub use account::Account;
pub use connector::{Connector, QueueDetails};
pub use draft::Draft;
pub use error::error_body;
pub use graphql::Request;
pub use import::{Delivery, Properties, Via};
pub use platform::Platform;
pub use schema::of as schema;
pub use server::{Options, Server};
pub use store::{Store, Stored};
pub use version::Version;
pub use work::{Status, Work, WorkMessage};
