//! The contract's types and calls, generated from `wit/connector.wit`.

#[expect(
    missing_docs,
    reason = "generated; the documentation stands in wit/connector.wit"
)]
mod generated {
    wasmtime::component::bindgen!({
        world: "connector",
        path: "../wit",
        additional_derives: [PartialEq, Eq, Hash],
    });
}

pub use generated::exports::cti::connector::mapping::{
    Answer, Emission, Failure, Feed, Item, Outcome, Problem, Question, Remark, Setting, Severity,
    Skip, StixObject, Verdict,
};
pub use generated::{Connector, ConnectorIndices};

impl Answer {
    /// Bytes of its text.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Found(text) | Self::Refused(text) => text.len(),
            Self::Absent => 0,
        }
    }
}
