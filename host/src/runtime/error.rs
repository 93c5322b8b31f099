//! What can go wrong with a guest, in words that name the guest's part in it.

use std::path::PathBuf;

use super::contract::Problem;

/// Why a component cannot serve as a guest.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The WebAssembly engine itself does not start.
    #[error("cannot start the WebAssembly engine: {0:#}")]
    Engine(wasmtime::Error),
    /// The folder for compiled code cannot be used.
    #[error("cannot keep compiled guests in {folder}: {error}")]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: String,
    },
    /// The file cannot be read.
    #[error("cannot read the guest {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The bytes are not a component that the engine can compile.
    #[error("the guest {origin} is not a WebAssembly component: {error:#}")]
    NotAComponent {
        /// Where it came from.
        origin: String,
        /// Why.
        error: wasmtime::Error,
    },
    /// A guest imports nothing: what it needs comes through the calls.
    #[error("the guest {origin} is refused because it imports {}; a guest imports nothing", .imports.join(", "))]
    Imports {
        /// Where it came from.
        origin: String,
        /// Names of the imports.
        imports: Vec<String>,
    },
    /// The component does not speak the contract at all.
    #[error("the guest {origin} does not speak {served}, which is what this host serves: it exports {}", if .exports.is_empty() { "nothing".to_owned() } else { .exports.join(", ") })]
    NoContract {
        /// Where it came from.
        origin: String,
        /// The contract that is served.
        served: String,
        /// Names of the component's exports.
        exports: Vec<String>,
    },
    /// It speaks another major version.
    #[error(
        "the guest {origin} speaks {found}; this host serves {served}, and versions that differ in the first number do not understand each other"
    )]
    OtherContract {
        /// Where it came from.
        origin: String,
        /// The contract that the guest speaks.
        found: String,
        /// The contract that is served.
        served: String,
    },
    /// It speaks a newer minor version, and needs what came with it.
    #[error(
        "the guest {origin} speaks {found} and needs what {served}, which this host serves, does not have: {error:#}"
    )]
    NewerContract {
        /// Where it came from.
        origin: String,
        /// The contract that the guest speaks.
        found: String,
        /// The contract that is served.
        served: String,
        /// What is missing.
        error: wasmtime::Error,
    },
    /// It says that it speaks a version that is served, and does not.
    #[error("the guest {origin} says that it speaks {found}, but does not: {error:#}")]
    BrokenContract {
        /// Where it came from.
        origin: String,
        /// The contract that the guest names.
        found: String,
        /// What differs.
        error: wasmtime::Error,
    },
    /// The guest's first call failed.
    #[error("the guest {origin} cannot describe itself: {error}")]
    Describe {
        /// Where it came from.
        origin: String,
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
    /// The guest called itself too often.
    #[error("the guest's {call} wanted more than {limit} bytes of stack")]
    Stack {
        /// Function of the contract.
        call: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The guest wanted a larger table, or more of them, than it may have.
    #[error("the guest's {call} wanted more than {limit} elements in a table")]
    Table {
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
