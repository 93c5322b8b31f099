//! What the connector lets others see of itself.

mod fields;
mod logs;
mod troubles;

pub use logs::{Format, Level, UnknownLevel, init};
pub use troubles::{Trouble, Troubles};
