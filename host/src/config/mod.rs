//! From the environment and `config.yml` to typed settings. Text is parsed here once; what is wrong is
//! refused with the setting's name, what was found, and what is allowed, all problems at once.

mod duration;
mod guest;
mod http;
mod load;
mod raw;
mod reader;
mod redaction;
mod settings;
mod sinks;
mod table;
#[cfg(test)]
mod tests;
mod unknown;

pub use guest::{GuestSettings, Taken, load_guest};
pub use http::{Http, HttpError};
pub use load::{
    GuestDefaults, Invalid, Parts, Problem, guest_settings, json_logging, load, load_parts,
    load_peers, load_status,
};
pub use raw::{FileError, Raw};
pub use redaction::Redaction;
pub use settings::{
    BrokerOverrides, Connector, Directory, OpenCti, Queue, S3, S3Overrides, ServiceAccount,
    Settings, Sinks, Source, Status, Verify,
};
pub use sinks::parse_host;
pub use table::{HOST_SETTINGS, HostSetting, HostSettingKind, SOURCE_SETTINGS};
