//! A generic connector runtime: runs a sandboxed guest that maps what VirusTotal reports to STIX, and
//! moves the bytes between VirusTotal, OpenCTI and RabbitMQ.
//!
//! Imports run downwards only: `cli` → `schedule`, `swap`, `status` → `pipeline` → `runtime`, `virustotal`, `opencti`,
//! `delivery` → `config` → `guest_source`, `telemetry`; `date`, `state` and `step` know nobody.

pub mod cli;
pub mod config;
pub mod date;
pub mod delivery;
pub mod guest_source;
pub mod opencti;
pub mod pipeline;
pub mod runtime;
pub mod schedule;
pub mod state;
pub mod status;
pub mod step;
pub mod swap;
pub mod telemetry;
pub mod virustotal;
