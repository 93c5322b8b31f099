//! What the connector lets others see of itself.

mod logs;

pub use logs::{Format, Level, UnknownLevel, init};
