//! What the connector lets others see of itself.

mod fields;
mod logs;
mod terminal;
mod troubles;

pub use logs::{Format, Level, UnknownLevel, init};
pub use terminal::bars;
pub use troubles::{Trouble, Troubles};
