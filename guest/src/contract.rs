//! The contract's types, generated from `wit/connector.wit`, where their documentation stands.

#[expect(
    missing_docs,
    reason = "generated; the documentation stands in wit/connector.wit"
)]
#[cfg_attr(
    target_arch = "wasm32",
    expect(unsafe_code, reason = "generated; exports are unmangled symbols")
)]
mod generated {
    wit_bindgen::generate!({
        world: "announcing-connector",
        path: "../wit",
        additional_derives: [PartialEq],
    });

    #[cfg(target_arch = "wasm32")]
    use crate::component::Component;
    #[cfg(target_arch = "wasm32")]
    export!(Component);
}

pub use generated::exports::cti::connector::mapping::{
    Answer, Emission, Failure, Feed, Item, Outcome, Problem, Question, Remark, Setting, Severity,
    Skip, StixObject, Timestamp, Verdict,
};

pub(crate) use generated::exports::cti::connector::explanation::Guest as Explanation;
pub(crate) use generated::exports::cti::connector::mapping::{
    Guest, GuestMapper, Mapper as MapperHandle, MapperBorrow,
};
pub(crate) use generated::exports::cti::connector::preamble::Guest as Announcement;

impl Remark {
    pub(crate) fn new(severity: Severity, message: String) -> Self {
        Self { severity, message }
    }
}
