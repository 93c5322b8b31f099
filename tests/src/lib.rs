//! Simulated VirusTotal and OpenCTI over real sockets, with the fixtures that fill them.
//!
//! Both simulators keep everything in memory, record every request, and can be told to fail. They
//! are used by the end-to-end tests, by the benchmarks and by the binary `simulator`.
//!
//! A simulator is stricter than the real service where the service leaves something open: what
//! passes here must pass there, not the other way round.

pub mod body;
pub mod certificates;
pub mod chromium;
pub mod crash;
pub mod endpoint;
pub mod fault;
pub mod fixtures;
pub mod host;
pub mod ledger;
pub mod opencti;
pub mod proxy;
pub mod rabbitmq;
pub mod registry;
pub mod s3;
pub mod secrets;
pub mod tinyproxy;
pub mod tls;
pub mod trial;
pub mod understudy;
pub mod usage;
pub mod virustotal;
pub mod watched;
pub mod written;

mod door;
mod gate;
mod gzip;
mod random;
mod recorded;
mod serve;
#[cfg(test)]
mod testing;

pub use recorded::Recorded;
pub use stix_rules as stix;
