//! One run: feed → guest → batch → deliver → checkpoint → acknowledge. The only room that knows all others.
//!
//! Nothing is lost, because each step comes after the one that makes it safe: the checkpoint moves over
//! what has been confirmed, and a notification is removed at the source when the checkpoint has moved. A
//! kill between any two steps repeats work and skips none; repeating is harmless, since ids are
//! deterministic.

mod answers;
mod artifacts;
mod author;
mod decide;
mod explain;
mod feed;
mod files_in_draft;
mod markings;
mod observer;
mod refused;
mod remark;
mod removals;
mod report;
mod retry;
mod run;
mod settle;
mod stop;

pub use answers::LiveAnswers;
pub use decide::{Answers, Decided, Decision, decide};
pub use explain::{Explained, explain};
pub use feed::{feed_request, read_element, retention};
pub use files_in_draft::FilesInDraft;
pub use markings::hidden_marking;
pub use observer::{Fate, Observer, Settled, Unobserved};
pub use remark::log_remark;
pub use report::{End, Report};
pub use run::Pipeline;
pub use stop::Stop;

use crate::{delivery, runtime};

impl From<runtime::Object> for delivery::Object {
    fn from(object: runtime::Object) -> Self {
        Self {
            id: object.id,
            document: object.document,
        }
    }
}
