//! Maps VirusTotal Livehunt notifications to STIX 2.1 for OpenCTI.
//!
//! The crate is a WebAssembly component behind `wit/connector.wit` and, for tests and benchmarks, an ordinary
//! library over the same types ([`contract`]). It does no IO: it reads no clock, no network and no file, and
//! the same arguments always give the same bytes.
//!
//! ```
//! use livehunt::Mapper;
//! use livehunt::contract::{Item, Outcome};
//!
//! let mapper = Mapper::open(&[]).expect("the defaults are valid");
//! let item = Item { id: "1".into(), observed: 1_767_261_600, document: r#"{"type":"url","id":"x"}"#.into() };
//! let verdict = mapper.map(&item, &[], 1_767_261_700).expect("a well-formed item");
//! assert!(matches!(verdict.outcome, Outcome::Skip(skip) if skip.filter == "entity type"));
//! ```

mod component;
pub mod contract;
mod feed;
mod filter;
mod json;
mod mapper;
mod mapping;
mod network_values;
mod notification;
mod settings;
mod stix;
mod words;
mod yara;

pub use mapper::Mapper;
pub use settings::describe;
