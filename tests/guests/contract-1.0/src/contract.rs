//! The contract's types, generated from the frozen copy in this crate, where their documentation stands.

#[expect(
    missing_docs,
    reason = "generated; the documentation stands in the WIT file"
)]
#[cfg_attr(
    target_arch = "wasm32",
    expect(unsafe_code, reason = "generated; exports are unmangled symbols")
)]
mod generated {
    wit_bindgen::generate!({
        world: "connector",
        path: "wit",
    });

    #[cfg(target_arch = "wasm32")]
    use crate::Frozen;
    #[cfg(target_arch = "wasm32")]
    export!(Frozen);
}

pub use generated::exports::cti::connector::mapping::{
    Answer, Emission, Failure, Feed, Guest, GuestMapper, Item, Mapper, Outcome, Problem, Question,
    Remark, Setting, Severity, Skip, StixObject, Verdict,
};
