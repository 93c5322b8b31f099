//! Where guests come from: a file, a folder, or a registry. Finds their bytes, and tells when there may be
//! others; what the bytes are worth is for the runtime to say.

mod digest;
mod files;
mod finder;
mod found;
mod login;
mod registry;
mod registry_error;
mod source;
mod watch;

pub use digest::{Digest, InvalidDigest};
pub use finder::Finder;
pub use found::{Candidate, Error, Found, Refusal, Refused};
pub use registry::Registry;
pub use registry_error::{RegistryError, RegistryProblem};
pub use source::{GuestSource, InvalidSource};
pub use watch::{Cause, Watcher};
