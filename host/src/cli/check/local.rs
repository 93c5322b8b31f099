//! What can be checked on this machine: the settings, the guest and the way out.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::report::Check;
use super::{NO_NETWORK, PATIENCE};
use crate::cli::start::{self, Setup};
use crate::config::{self, Http, OpenCti, Parts, Problem, Raw, Source};
use crate::guest_source::{GuestSource, Refusal};
use crate::pipeline::FilesInDraft;
use crate::runtime::{Guest, LoadError, Pool, Remark, Severity};
use crate::swap::{Unfit, Workshop, defaults};

const SETTINGS: &str = "settings";
const GUEST: &str = "guest";
const NETWORK: &str = "network";

/// What the checks of the peers work with; what is not there could not be read.
pub(super) struct Basis {
    pub(super) parts: Parts,
    pub(super) http: Option<Http>,
    /// Prefix of the settings of VirusTotal; none without a guest.
    pub(super) prefix: Option<String>,
    /// The guest with the user's settings.
    pub(super) guest: Option<Pool>,
}

impl Basis {
    /// A setting of VirusTotal by its whole name; those of the host come as they are.
    pub(super) fn setting_of_source(&self, name: &str) -> String {
        match &self.prefix {
            Some(prefix) if config::SOURCE_SETTINGS.iter().any(|it| it.name == name) => {
                format!("{prefix}_{name}")
            }
            _ => name.to_owned(),
        }
    }
}

/// Settings, guest and network, in this order.
pub(super) fn check(
    config: &Path,
    given: Option<GuestSource>,
    runtime: &Runtime,
) -> (Basis, Vec<Check>) {
    let mut settings = Vec::new();
    let raw = start::read_raw(config).unwrap_or_else(|error| {
        settings.push(Check::failed(SETTINGS, None, error));
        // The environment alone may hold enough.
        start::read_raw(Path::new("")).unwrap_or_default()
    });
    let raw = Arc::new(raw);
    let (http, network) = match Http::new(&raw) {
        Ok(http) => (Some(http), None),
        Err(error) => {
            let failed = Check::failed(NETWORK, error.setting(), &error);
            (None, Some(failed))
        }
    };
    let (loaded, guest) = match Setup::new(Arc::clone(&raw), given) {
        Ok(setup) => {
            settings.extend(warnings(&setup.guest.warnings));
            load_guest(&setup, http.as_ref(), runtime)
        }
        Err(config::Invalid(problems)) => {
            settings.extend(problems.iter().map(refused));
            let reason = "the settings about it are refused";
            (None, vec![Check::skipped(GUEST, reason)])
        }
    };
    let (basis, own) = read_settings(&raw, http, loaded);
    settings.extend(own.settings);
    if settings.is_empty() {
        let whose = match basis.guest {
            Some(_) => "those of host and guest are understood",
            None => "those of the host are understood; those of the guest are not known without it",
        };
        settings.push(Check::ok(SETTINGS, whose));
    }
    let guest = own.guest.map_or(guest, |failed| vec![failed]);
    let network = network.or_else(|| way_out(&basis));
    let checks = settings.into_iter().chain(guest).chain(network);
    let checks = checks.collect();
    (basis, checks)
}

struct Loaded {
    guest: Guest,
    workshop: Workshop,
}

/// Finds and compiles the guest. Those that were left out in its favour are warnings.
fn load_guest(
    setup: &Setup,
    http: Option<&Http>,
    runtime: &Runtime,
) -> (Option<Loaded>, Vec<Check>) {
    let source = &setup.guest.source;
    let in_registry = matches!(source, GuestSource::Oci(_));
    let http = match http {
        Some(http) => http.clone(),
        None if in_registry => return (None, vec![Check::skipped(GUEST, NO_NETWORK)]),
        None => Http::default(),
    };
    match find_and_choose(setup, &http, runtime) {
        Ok((loaded, reasons)) => {
            let guest = &loaded.guest;
            let found = format!(
                "{guest}, sha256:{:.12}…, contract {}, from {source}",
                guest.digest().to_string(),
                guest.contract()
            );
            let left_out = reasons
                .into_iter()
                .map(|reason| Check::warning(GUEST, None, format!("left out: {reason}")));
            let mut checks = vec![Check::ok(GUEST, found)];
            checks.extend(left_out);
            (Some(loaded), checks)
        }
        Err(NotLoaded { setting, error }) => {
            let failed = Check::failed(GUEST, Some(setting), format!("{error:#}"));
            (None, vec![failed])
        }
    }
}

/// Why there is no guest, and the setting to change.
struct NotLoaded {
    setting: &'static str,
    error: anyhow::Error,
}

impl From<anyhow::Error> for NotLoaded {
    fn from(error: anyhow::Error) -> Self {
        let setting = match error.downcast_ref::<LoadError>() {
            Some(LoadError::Cache { .. }) => "CONNECTOR_GUEST_CACHE",
            _ => "CONNECTOR_GUEST",
        };
        Self { setting, error }
    }
}

fn find_and_choose(
    setup: &Setup,
    http: &Http,
    runtime: &Runtime,
) -> Result<(Loaded, Vec<String>), NotLoaded> {
    let mut finder = setup.finder(http);
    let found = runtime
        .block_on(async { timeout(PATIENCE, finder.look()).await })
        .with_context(|| {
            let seconds = PATIENCE.as_secs();
            format!(
                "{} does not answer within {seconds} seconds",
                finder.source()
            )
        })?
        .map_err(anyhow::Error::from)?
        .unwrap_or_default();
    let only_another_digest = found.candidates.is_empty()
        && found
            .refused
            .iter()
            .any(|refused| matches!(refused.reason, Refusal::Digest { .. }));
    let chosen = setup.choose_with_reasons(&found);
    let (guest, chooser, reasons) = chosen.map_err(|error| match only_another_digest {
        true => NotLoaded {
            setting: "CONNECTOR_GUEST_DIGEST",
            error,
        },
        false => error.into(),
    })?;
    let workshop = chooser.workshop().clone();
    Ok((Loaded { guest, workshop }, reasons))
}

/// What the settings come to, and what is to be said about them and the guest.
struct Own {
    settings: Vec<Check>,
    /// Why the guest is of no use, if it is not.
    guest: Option<Check>,
}

/// Reads the settings of the host, and gives the guest its own.
fn read_settings(raw: &Raw, http: Option<Http>, loaded: Option<Loaded>) -> (Basis, Own) {
    let of_guest = loaded.as_ref().map(|it| defaults(it.guest.description()));
    let parts = config::load_parts(raw, of_guest.as_ref());
    let mut settings: Vec<Check> = parts.problems.iter().map(refused).collect();
    settings.extend(warnings(&parts.warnings));
    let mut failed = None;
    let mut pool = None;
    if let Some(Loaded { guest, workshop }) = loaded {
        match workshop.open_with_remarks(&guest) {
            Ok((opened, remarks)) => {
                settings.extend(remarks.iter().filter_map(remark));
                settings.extend(files_in_draft(&parts, &opened));
                pool = Some(opened);
            }
            Err(Unfit::Settings { prefix, problems }) => {
                let named = problems.into_iter().map(|problem| Problem {
                    setting: format!("{prefix}_{}", problem.setting),
                    reason: problem.reason,
                });
                settings.extend(named.map(|problem| refused(&problem)));
            }
            Err(unfit) => {
                let words = format!("{guest}: {unfit}");
                failed = Some(Check::failed(GUEST, Some("CONNECTOR_GUEST"), words));
            }
        }
    }
    let basis = Basis {
        parts,
        http,
        prefix: of_guest.map(|guest| guest.environment_prefix),
        guest: pool,
    };
    let own = Own {
        settings,
        guest: failed,
    };
    (basis, own)
}

/// That host and guest together want files in drafts.
fn files_in_draft(parts: &Parts, pool: &Pool) -> Option<Check> {
    match FilesInDraft::of(parts.connector.as_ref()?, pool) {
        Ok(refused) => refused.map(|it| Check::failed(SETTINGS, Some(it.setting()), &it)),
        Err(error) => Some(Check::failed(GUEST, Some("CONNECTOR_GUEST"), error)),
    }
}

fn refused(problem: &Problem) -> Check {
    Check::failed(SETTINGS, Some(&problem.setting), &problem.reason)
}

fn warnings(warnings: &[String]) -> impl Iterator<Item = Check> {
    warnings
        .iter()
        .map(|warning| Check::warning(SETTINGS, None, warning))
}

/// What the guest would warn of in the log.
fn remark(remark: &Remark) -> Option<Check> {
    match remark.severity {
        Severity::Debug | Severity::Info => None,
        Severity::Warn | Severity::Error => Some(Check::warning(SETTINGS, None, &remark.message)),
    }
}

/// Which peers are reached through which proxy.
fn way_out(basis: &Basis) -> Option<Check> {
    let http = basis.http.as_ref()?;
    let source = basis.parts.source.as_ref();
    let platform = basis.parts.opencti.as_ref();
    let addresses = [
        ("VirusTotal", source.map(|Source { api_url, .. }| api_url)),
        ("OpenCTI", platform.map(|OpenCti { url, .. }| url)),
    ];
    let ways: Vec<String> = addresses
        .into_iter()
        .filter_map(|(peer, address)| Some((peer, http.proxy_of(address?))))
        .map(|(peer, proxy)| match proxy {
            Some(proxy) => format!("{peer} through the proxy {proxy}"),
            None => format!("{peer} without a proxy"),
        })
        .collect();
    (!ways.is_empty()).then(|| Check::ok(NETWORK, ways.join(", ")))
}
