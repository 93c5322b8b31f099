//! The settings about the guest itself: read first, since a guest's description is needed to read the others.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use super::duration;
use super::load::{GuestDefaults, Invalid};
use super::raw::Raw;
use super::reader::Reader;

/// Where the guest comes from, and what it may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestSettings {
    /// `CONNECTOR_GUEST`, not yet looked at: a file, a folder, or an OCI reference.
    pub source: String,
    /// `CONNECTOR_GUEST_DIGEST`: SHA-256 that the component must have, lower-case hexadecimal.
    pub digest: Option<String>,
    /// `CONNECTOR_GUEST_POLL`: time between two looks at the source.
    pub poll: Duration,
    /// `CONNECTOR_GUEST_CACHE`: folder for compiled code.
    pub cache: Option<PathBuf>,
    /// `CONNECTOR_GUEST_DEADLINE`: time for one call.
    pub deadline: Duration,
    /// `CONNECTOR_GUEST_MEMORY`: memory of one instance, in bytes.
    pub memory: usize,
    /// `CONNECTOR_GUEST_REUSE`: calls that one instance serves.
    pub reuse: NonZeroU32,
}

const DEFAULT_SOURCE: &str = "/guests/livehunt.wasm";
const DEFAULT_POLL: Duration = Duration::from_secs(300);
const DEFAULT_DEADLINE: Duration = Duration::from_secs(2);
const DEFAULT_MEBIBYTES: usize = 64;
const DEFAULT_REUSE: NonZeroU32 = NonZeroU32::new(10_000).unwrap();

/// WebAssembly's 32-bit memories end there.
const MAX_MEBIBYTES: usize = 4096;

/// Reads the settings about the guest.
///
/// # Errors
/// With every setting that cannot be understood.
pub fn guest(raw: &Raw) -> Result<GuestSettings, Invalid> {
    // The reader reads other settings by the guest's defaults; none of these is one.
    let nobody = GuestDefaults::default();
    let mut reader = Reader::new(raw, &nobody);
    let settings = reader.guest();
    if reader.problems.is_empty() {
        Ok(settings)
    } else {
        Err(Invalid(reader.problems))
    }
}

impl Reader<'_> {
    fn guest(&mut self) -> GuestSettings {
        const PERIOD: &str = "an ISO 8601 duration such as PT5M, more than zero";
        let mut period = |name, default| {
            let entry = self.host(name);
            let parsed = self.parsed(entry, PERIOD, |text| {
                duration::parse(text).filter(|it| !it.is_zero())
            });
            parsed.unwrap_or(default)
        };
        let poll = period("CONNECTOR_GUEST_POLL", DEFAULT_POLL);
        let deadline = period("CONNECTOR_GUEST_DEADLINE", DEFAULT_DEADLINE);
        let digest = self.host("CONNECTOR_GUEST_DIGEST");
        let memory = self.host("CONNECTOR_GUEST_MEMORY");
        let reuse = self.host("CONNECTOR_GUEST_REUSE");
        let mebibytes = self.parsed(memory, "a number of mebibytes, 1 to 4096", |text| {
            let number: NonZeroUsize = text.parse().ok()?;
            (number.get() <= MAX_MEBIBYTES).then_some(number.get())
        });
        GuestSettings {
            source: self
                .host("CONNECTOR_GUEST")
                .text
                .unwrap_or(DEFAULT_SOURCE)
                .to_owned(),
            digest: self.parsed(digest, "sha256: and 64 hexadecimal digits", sha256),
            poll,
            cache: self.host("CONNECTOR_GUEST_CACHE").text.map(PathBuf::from),
            deadline,
            memory: mebibytes.unwrap_or(DEFAULT_MEBIBYTES) << 20,
            reuse: self
                .parsed(reuse, "a number of at least 1", |text| text.parse().ok())
                .unwrap_or(DEFAULT_REUSE),
        }
    }
}

fn sha256(text: &str) -> Option<String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let is_digest = digits.len() == 64 && digits.bytes().all(|it| it.is_ascii_hexdigit());
    is_digest.then(|| digits.to_ascii_lowercase())
}
