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
        world: "explaining-connector",
        path: "../../../wit",
    });

    #[cfg(target_arch = "wasm32")]
    use crate::Hostile;
    #[cfg(target_arch = "wasm32")]
    export!(Hostile);
}

pub use generated::exports::cti::connector::explanation::Guest as Explanation;
pub use generated::exports::cti::connector::mapping::{
    Answer, Emission, Failure, Feed, Guest, GuestMapper, Item, Mapper, MapperBorrow, Outcome,
    Problem, Question, Remark, Setting, Severity, Skip, StixObject, Verdict,
};
