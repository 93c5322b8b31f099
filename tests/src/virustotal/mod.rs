//! A simulated VirusTotal API v3, and its sample storage on another port.
//!
//! Follows the contract that the project wrote down from the public documentation: the IoC stream
//! with filters and cursors, notifications, rulesets, files, downloads by signed URL, quotas, errors.

mod answer;
mod api;
mod filter;
mod listing;
mod notification;
mod server;
mod storage;
#[cfg(test)]
mod tests;
mod world;

pub use answer::error_body;
pub use notification::Notification;
pub use server::{Options, Server};
pub use world::{Kind, Quirks, World};
