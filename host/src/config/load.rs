//! From text to typed settings.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use url::Url;

use super::duration;
use super::raw::Raw;
use super::reader::{Reader, boolean, is_placeholder, list};
use super::settings::{Connector, OpenCti, ServiceAccount, Settings, Source, Status, Verify};
use super::unknown;
use crate::telemetry::Level;

/// What the host takes from the guest's description.
#[derive(Debug, Clone, Default)]
pub struct GuestDefaults {
    /// Default of `CONNECTOR_NAME`.
    pub name: String,
    /// Name in OpenCTI's catalogs.
    pub slug: Option<String>,
    /// Default of `CONNECTOR_SCOPE`.
    pub scope: Vec<String>,
    /// Prefix of the guest's settings, without the last underscore.
    pub environment_prefix: String,
    /// Sections of `config.yml` where they may stand.
    pub config_sections: Vec<String>,
    /// Names of the guest's settings, without the prefix.
    pub settings: Vec<String>,
}

/// A setting that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct Problem {
    /// Name in the environment.
    pub setting: String,
    /// What was found and what is allowed.
    pub reason: String,
}

/// All settings that are refused.
#[derive(Debug, thiserror::Error)]
#[error("the settings are refused:{}", .0.iter().map(|problem| format!("\n  {problem}")).collect::<String>())]
pub struct Invalid(pub Vec<Problem>);

/// The settings as far as they can be understood. A part that is there may hold a default in place of a value that
/// is among the problems.
#[derive(Debug)]
pub struct Parts {
    /// The platform.
    pub opencti: Option<OpenCti>,
    /// The connector as the platform sees it, and how it sends.
    pub connector: Option<Connector>,
    /// VirusTotal; none too without a guest, whose prefix these settings have.
    pub source: Option<Source>,
    /// Every setting that is missing or cannot be understood.
    pub problems: Vec<Problem>,
    /// What is odd but accepted, in words for the user.
    pub warnings: Vec<String>,
}

/// Reads all settings.
///
/// # Errors
/// With every setting that is missing or cannot be understood.
pub fn load(raw: &Raw, guest: &GuestDefaults) -> Result<Settings, Invalid> {
    let parts = load_parts(raw, Some(guest));
    match (parts.opencti, parts.connector, parts.source) {
        (Some(opencti), Some(connector), Some(source)) if parts.problems.is_empty() => {
            Ok(Settings {
                opencti,
                connector,
                source,
                guest: guest_settings(raw, guest),
                warnings: parts.warnings,
            })
        }
        _ => Err(Invalid(parts.problems)),
    }
}

/// Reads what can be read, for those who can do with a part of it. Every part is read before any is given up, so
/// that all problems come at once. Without a guest, only what is the host's own.
#[must_use]
pub fn load_parts(raw: &Raw, guest: Option<&GuestDefaults>) -> Parts {
    let no_guest = GuestDefaults::default();
    let mut reader = Reader::new(raw, guest.unwrap_or(&no_guest));
    reader.logging();
    let opencti = reader.opencti();
    let connector = reader.connector();
    let source = guest.and_then(|_| reader.source_settings());
    let Reader {
        problems,
        mut warnings,
        ..
    } = reader;
    if let Some(guest) = guest {
        warnings.extend(unknown::warnings(raw, guest));
    }
    Parts {
        opencti,
        connector,
        source,
        problems,
        warnings,
    }
}

/// Where metrics and status are served, if they are: all that asking for them needs.
///
/// # Errors
/// With every setting about it that cannot be understood.
pub fn load_status(raw: &Raw) -> Result<Option<Status>, Invalid> {
    let no_guest = GuestDefaults::default();
    let mut reader = Reader::new(raw, &no_guest);
    let status = reader.status();
    if reader.problems.is_empty() {
        Ok(status)
    } else {
        Err(Invalid(reader.problems))
    }
}

/// How to reach both peers: all that asking them a question needs.
///
/// # Errors
/// With every setting about it that is missing or cannot be understood.
pub fn load_peers(raw: &Raw, guest: &GuestDefaults) -> Result<(OpenCti, Source), Invalid> {
    let mut reader = Reader::new(raw, guest);
    match (reader.opencti(), reader.source_settings()) {
        (Some(opencti), Some(source)) if reader.problems.is_empty() => Ok((opencti, source)),
        _ => Err(Invalid(reader.problems)),
    }
}

/// Settings under the guest's prefix that the guest knows, as the user wrote them.
#[must_use]
pub fn guest_settings(raw: &Raw, guest: &GuestDefaults) -> Vec<(String, String)> {
    let mut names: Vec<&String> = guest.settings.iter().collect();
    names.sort();
    names
        .into_iter()
        .filter_map(|name| {
            let value =
                raw.get_prefixed(&guest.environment_prefix, &guest.config_sections, name)?;
            Some((name.clone(), value.to_owned()))
        })
        .collect()
}

/// Whether log lines are JSON objects, where the settings say.
#[must_use]
pub fn json_logging(raw: &Raw) -> Option<bool> {
    raw.get("OPENCTI_JSON_LOGGING").and_then(boolean)
}

impl Reader<'_> {
    /// What the log is started with before all else is read.
    fn logging(&mut self) {
        let level = self.host("CONNECTOR_LOG_LEVEL");
        self.parsed(level, "debug, info, warn or error", |text| {
            text.parse::<Level>().ok()
        });
        self.boolean("OPENCTI_JSON_LOGGING");
    }

    /// `None` only when a problem has been noted, as in the other parts.
    fn opencti(&mut self) -> Option<OpenCti> {
        let entry = self.host("OPENCTI_URL");
        let url = self.required_url(entry).map(|url| self.without_login(url));
        let entry = self.host("OPENCTI_TOKEN");
        let token = self.required_secret(entry);
        let verify = self.verify();
        let custom_headers = self.custom_headers();
        Some(OpenCti {
            url: url?,
            token: token?,
            verify,
            custom_headers,
        })
    }

    /// A login in the address would be sent in the header that the token needs.
    fn without_login(&mut self, mut url: Url) -> Url {
        let has_login = !url.username().is_empty() || url.password().is_some();
        // Only an address without a host refuses, which this is not.
        if has_login && url.set_username("").is_ok() && url.set_password(None).is_ok() {
            self.warnings.push(
                "OPENCTI_URL: user and password in the address are left out; the platform takes OPENCTI_TOKEN"
                    .to_owned(),
            );
        }
        url
    }

    fn verify(&mut self) -> Verify {
        let Some(text) = self.host("OPENCTI_SSL_VERIFY").text else {
            return Verify::Yes;
        };
        match boolean(text) {
            Some(true) => Verify::Yes,
            Some(false) => {
                self.warnings.push(
                    "OPENCTI_SSL_VERIFY is false: the platform's certificate is not verified, and \
                     the token can be read by anyone on the way"
                        .to_owned(),
                );
                Verify::No
            }
            None => Verify::With(PathBuf::from(text)),
        }
    }

    fn custom_headers(&mut self) -> Vec<(HeaderName, HeaderValue)> {
        let text = self.host("OPENCTI_CUSTOM_HEADERS").text.unwrap_or_default();
        let mut headers = Vec::new();
        for pair in text.split(';').filter(|pair| !pair.trim().is_empty()) {
            let header = pair.split_once(':').and_then(|(name, value)| {
                let mut value = HeaderValue::from_str(value.trim()).ok()?;
                value.set_sensitive(true);
                Some((HeaderName::from_str(name.trim()).ok()?, value))
            });
            match header {
                Some(header) => headers.push(header),
                // The pair itself may be a secret.
                None => self.warnings.push(
                    "OPENCTI_CUSTOM_HEADERS: a pair that is not `name:value` is left out"
                        .to_owned(),
                ),
            }
        }
        headers
    }

    fn connector(&mut self) -> Option<Connector> {
        let id = self.connector_id();
        let name = self.connector_name();
        let scope = self
            .host("CONNECTOR_SCOPE")
            .text
            .map_or_else(|| self.guest.scope.clone(), list);
        let period = self.period();
        let run_and_terminate = self.boolean("CONNECTOR_RUN_AND_TERMINATE").unwrap_or(false);
        let threshold = self.host("CONNECTOR_QUEUE_THRESHOLD");
        let queue_threshold = self
            .parsed(threshold, "a number of megabytes, more than 0", |text| {
                text.parse::<f64>().ok().filter(|number| *number > 0.0)
            })
            .unwrap_or(500.0);
        let sinks = self.sinks();
        let validate_before_import = self.validate_before_import(sinks.as_ref());
        let files_outside_draft = self
            .boolean("CONNECTOR_FILES_OUTSIDE_DRAFT")
            .unwrap_or(false);
        let service_account = self.service_account();
        let status = self.status();
        Some(Connector {
            id: id?,
            name,
            slug: self.guest.slug.clone(),
            scope,
            period,
            run_and_terminate: run_and_terminate || period.is_zero(),
            queue_threshold,
            sinks: sinks?,
            validate_before_import,
            files_outside_draft,
            service_account,
            status,
        })
    }

    fn service_account(&mut self) -> Option<ServiceAccount> {
        let is_made = self.boolean("CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT");
        let level = self.host("CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT_CONFIDENCE_LEVEL");
        let level = self.parsed(level, "a number from 0 to 100", |text| {
            text.parse().ok().filter(|level| *level <= 100)
        });
        is_made.unwrap_or(false).then(|| ServiceAccount {
            confidence_level: level.unwrap_or(50),
        })
    }

    fn status(&mut self) -> Option<Status> {
        let is_served = self.boolean("CONNECTOR_EXPOSE_METRICS").unwrap_or(false);
        let port = self.host("CONNECTOR_METRICS_PORT");
        let port = self.parsed(port, "a port number, 0 to 65535", |text| text.parse().ok());
        let address = self.host("CONNECTOR_METRICS_ADDRESS");
        let address = self.parsed(address, "an IP address", |text| text.parse().ok());
        let parts = ["CONNECTOR_METRICS_NAMESPACE", "CONNECTOR_METRICS_SUBSYSTEM"]
            .map(|name| self.metrics_name(name));
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        is_served.then(|| Status {
            address: SocketAddr::new(
                address.unwrap_or(Ipv4Addr::LOCALHOST.into()),
                port.unwrap_or(9095),
            ),
            metrics_prefix: (!parts.is_empty()).then(|| parts.join("_")),
        })
    }

    /// A part of a metric's name (Prometheus, "Metric names and labels").
    fn metrics_name(&mut self, name: &'static str) -> Option<String> {
        let entry = self.host(name);
        let expected = "letters, digits and underscores, the first no digit";
        self.parsed(entry, expected, |text| {
            let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let fits = plain && !text.starts_with(|c: char| c.is_ascii_digit());
            fits.then(|| text.to_owned())
        })
    }

    fn connector_id(&mut self) -> Option<String> {
        let Some(id) = self.host("CONNECTOR_ID").text else {
            self.missing("CONNECTOR_ID", "a UUID");
            return None;
        };
        if is_placeholder(id) {
            self.problem("CONNECTOR_ID", id, "a UUID");
            return None;
        }
        if uuid::Uuid::try_parse(id).is_err() {
            self.warnings.push(format!(
                "CONNECTOR_ID is {id:?}, not a UUID; with an underscore in it the platform cannot close works that got stuck"
            ));
        }
        Some(id.to_owned())
    }

    /// The platform refuses shorter names.
    fn connector_name(&mut self) -> String {
        let Some(name) = self.host("CONNECTOR_NAME").text else {
            return self.guest.name.clone();
        };
        if name.chars().count() < 2 {
            self.problem("CONNECTOR_NAME", name, "at least two characters");
        }
        name.to_owned()
    }

    /// The period wins over the interval.
    fn period(&mut self) -> Duration {
        const DEFAULT: Duration = Duration::from_secs(300);
        let interval = self.source("INTERVAL_SEC");
        let entry = self.host("CONNECTOR_DURATION_PERIOD");
        if entry.text.is_some() && interval.text.is_some() {
            self.warnings.push(format!(
                "{} is not used: CONNECTOR_DURATION_PERIOD is set",
                interval.name
            ));
        }
        let period = self.parsed(entry, "an ISO 8601 duration such as PT5M", duration::parse);
        let interval = self.parsed(interval, "a number of seconds", |text| {
            text.parse().ok().map(Duration::from_secs)
        });
        period.or(interval).unwrap_or(DEFAULT)
    }

    fn source_settings(&mut self) -> Option<Source> {
        let entry = self.source("API_KEY");
        let api_key = self.required_secret(entry);
        let mut entry = self.source("API_URL");
        entry.text = entry.text.or(Some("https://www.virustotal.com/api/v3"));
        let api_url = self.required_url(entry).map(|mut url| {
            let path = format!("{}/", url.path().trim_end_matches('/'));
            url.set_path(&path);
            url
        });
        Some(Source {
            limit: self.at_least_one::<NonZeroU64>("LIMIT"),
            requests_per_minute: self.at_least_one::<NonZeroU32>("REQUESTS_PER_MINUTE"),
            api_url: api_url?,
            api_key: api_key?,
        })
    }

    fn at_least_one<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let entry = self.source(name);
        self.parsed(entry, "a number of at least 1", |text| text.parse().ok())
    }
}
