//! What can go wrong with a guest, in words that name the guest's part in it.

use std::path::PathBuf;

use super::contract::Problem;

/// Why a component cannot serve as a guest.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The WebAssembly engine itself does not start.
    #[error("cannot start the WebAssembly engine: {0:#}")]
    Engine(wasmtime::Error),
    /// The file cannot be read.
    #[error("cannot read the guest {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The bytes are not a component that the engine can compile.
    #[error("the guest {path} is not a WebAssembly component: {error:#}")]
    NotAComponent {
        /// The file.
        path: PathBuf,
        /// Why.
        error: wasmtime::Error,
    },
    /// A guest imports nothing: what it needs comes through the calls.
    #[error("the guest {path} is refused because it imports {}; a guest imports nothing", .imports.join(", "))]
    Imports {
        /// The file.
        path: PathBuf,
        /// Names of the imports.
        imports: Vec<String>,
    },
    /// The component does not export what the contract says.
    #[error("the guest {path} does not fulfil the contract {contract}: it exports {}; {error:#}", if .exports.is_empty() { "nothing".to_owned() } else { .exports.join(", ") })]
    Contract {
        /// The file.
        path: PathBuf,
        /// The contract that is served.
        contract: &'static str,
        /// Names of the component's exports.
        exports: Vec<String>,
        /// What is missing.
        error: wasmtime::Error,
    },
    /// The guest's first call failed.
    #[error("the guest {path} cannot describe itself: {error}")]
    Describe {
        /// The file.
        path: PathBuf,
        /// Why.
        error: CallError,
    },
}

/// Why a guest cannot be opened with the settings.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The settings are refused.
    #[error("{} of the guest's settings {} refused", .0.len(), if .0.len() == 1 { "is" } else { "are" })]
    Settings(Vec<Problem>),
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Why a call of the guest gave no usable answer. All but `Failure` cost the instance.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No instance could be made.
    #[error("cannot make an instance of the guest: {0:#}")]
    Instantiate(wasmtime::Error),
    /// The call took too long.
    #[error("the guest's {call} took longer than {limit:?}")]
    Deadline {
        /// Function of the contract.
        call: &'static str,
        /// The limit.
        limit: std::time::Duration,
    },
    /// The guest wanted more memory than it may have.
    #[error("the guest's {call} wanted more than {limit} bytes of memory")]
    Memory {
        /// Function of the contract.
        call: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The guest trapped.
    #[error("the guest's {call} trapped: {}", .error.root_cause())]
    Trap {
        /// Function of the contract.
        call: &'static str,
        /// Where and why.
        error: wasmtime::Error,
    },
    /// The guest returned something that the contract does not allow.
    #[error("the guest's {call} returned {found}; allowed: {allowed}")]
    Output {
        /// Function of the contract.
        call: &'static str,
        /// What came.
        found: String,
        /// What may come.
        allowed: String,
    },
    /// The guest says that the document cannot be mapped. The instance is sound.
    #[error("{0}")]
    Failure(String),
}

impl CallError {
    /// Whether the instance may be used again.
    #[must_use]
    pub fn leaves_instance_sound(&self) -> bool {
        matches!(self, Self::Failure(_))
    }
}
