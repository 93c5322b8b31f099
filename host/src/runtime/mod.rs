//! The home of the guest: loads a component, gives it limits, calls it, and checks what it returns.
//!
//! Nothing here does any input or output but reading the component's file, and nothing a guest does can
//! reach out of its sandbox: a component that imports anything is refused.

mod checked;
mod contract;
mod description;
mod engine;
mod error;
mod guest;
mod heap;
mod live;
mod mapper;
mod pool;
mod preamble;
mod rehearsal;
mod usage;

pub use checked::{Artifact, Emission, Object, Outcome, Said, Verdict};
pub use contract::{Answer, Feed, Item, Problem, Question, Remark, Setting, Severity};
pub use description::{ConnectorDefaults, Description, SettingDescription, SettingKind};
pub use engine::{Engine, Limits};
pub use error::{CallError, LoadError, OpenError};
pub use guest::{CONTRACT, Guest};
pub use live::{Change, ChangeEvent, Live, Shift};
pub use mapper::Mapper;
pub use pool::Pool;
pub use preamble::{Announced, Author, Files, Preamble};
pub use rehearsal::{Case, Comparison, Refused, rehearse};
pub use usage::Usage;
