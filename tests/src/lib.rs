//! Simulated VirusTotal and OpenCTI over real sockets, with the fixtures that fill them.
//!
//! Both simulators keep everything in memory, record every request, and can be told to fail. They
//! are used by the end-to-end tests, by the benchmarks and by the binary `simulator`.
//!
//! A simulator is stricter than the real service where the service leaves something open: what
//! passes here must pass there, not the other way round.

pub mod body;
pub mod fault;
pub mod fixtures;
pub mod host;
pub mod opencti;
pub mod proxy;
pub mod registry;
pub mod stix;
pub mod trial;
pub mod understudy;
pub mod virustotal;
pub mod watched;

mod gzip;
mod random;
mod recorded;
mod serve;
#[cfg(test)]
mod testing;

pub use recorded::Recorded;
