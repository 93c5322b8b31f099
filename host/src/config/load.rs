//! From text to typed settings.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use secrecy::SecretString;
use url::Url;

use super::duration;
use super::raw::Raw;
use super::settings::{
    BrokerOverrides, Connector, Directory, OpenCti, Queue, Settings, Sinks, Source, Verify,
};
use super::table::{HOST_SETTINGS, IGNORED, SOURCE_SETTINGS, UNSUPPORTED};

/// What the host takes from the guest's description.
#[derive(Debug, Clone)]
pub struct GuestDefaults {
    /// Default of `CONNECTOR_NAME`.
    pub name: String,
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

/// Reads all settings.
///
/// # Errors
/// With every setting that is missing or cannot be understood.
pub fn load(raw: &Raw, guest: &GuestDefaults) -> Result<Settings, Invalid> {
    let mut reader = Reader {
        raw,
        guest,
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    let settings = reader.settings();
    reader.warn_of_unknown();
    match settings {
        Some(mut settings) if reader.problems.is_empty() => {
            settings.warnings = reader.warnings;
            Ok(settings)
        }
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
            let value = raw.get_prefixed(&guest.environment_prefix, &guest.config_sections, name)?;
            Some((name.clone(), value.to_owned()))
        })
        .collect()
}

/// Where the guest is.
#[must_use]
pub fn guest_path(raw: &Raw) -> PathBuf {
    PathBuf::from(raw.get("CONNECTOR_GUEST").unwrap_or("/guests/livehunt.wasm"))
}

struct Reader<'a> {
    raw: &'a Raw,
    guest: &'a GuestDefaults,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    /// `None` only when a problem has been noted. Every part is read before any is given up, so that all
    /// problems come at once.
    fn settings(&mut self) -> Option<Settings> {
        let opencti = self.opencti();
        let connector = self.connector();
        let source = self.source();
        Some(Settings {
            opencti: opencti?,
            connector: connector?,
            source: source?,
            guest: guest_settings(self.raw, self.guest),
            warnings: Vec::new(),
        })
    }

    fn opencti(&mut self) -> Option<OpenCti> {
        let url = self.required_url("OPENCTI_URL", self.raw.get("OPENCTI_URL"));
        let token = self.required_secret("OPENCTI_TOKEN", self.raw.get("OPENCTI_TOKEN"));
        let verify = match self.raw.get("OPENCTI_SSL_VERIFY") {
            None => Verify::Yes,
            Some(text) => match boolean(text) {
                Some(true) => Verify::Yes,
                Some(false) => {
                    self.warnings.push(
                        "OPENCTI_SSL_VERIFY is false: the platform's certificate is not verified, and \
                         the token can be read by anyone on the way"
                            .to_owned(),
                    );
                    Verify::No
                }
                None => Verify::With(PathBuf::from(text.trim())),
            },
        };
        let custom_headers = self.custom_headers();
        Some(OpenCti {
            url: url?,
            token: token?,
            verify,
            custom_headers,
        })
    }

    fn custom_headers(&mut self) -> Vec<(HeaderName, HeaderValue)> {
        let text = self.raw.get("OPENCTI_CUSTOM_HEADERS").unwrap_or_default();
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
        let name = self
            .raw
            .get("CONNECTOR_NAME")
            .map_or_else(|| self.guest.name.clone(), |name| name.trim().to_owned());
        if name.chars().count() < 2 {
            self.problem("CONNECTOR_NAME", &name, "at least two characters");
        }
        let scope = self
            .raw
            .get("CONNECTOR_SCOPE")
            .map_or_else(|| self.guest.scope.clone(), list);
        let period = self.period();
        let run_and_terminate = self.boolean("CONNECTOR_RUN_AND_TERMINATE", false);
        let queue_threshold = self
            .parsed(
                "CONNECTOR_QUEUE_THRESHOLD",
                "a number of megabytes",
                |text| text.parse::<f64>().ok().filter(|number| *number > 0.0),
            )
            .unwrap_or(500.0);
        let sinks = self.sinks();
        Some(Connector {
            id: id?,
            name,
            scope,
            period,
            run_and_terminate: run_and_terminate || period.is_zero(),
            queue_threshold,
            sinks: sinks?,
            guest: guest_path(self.raw),
        })
    }

    fn connector_id(&mut self) -> Option<String> {
        let Some(id) = self.raw.get("CONNECTOR_ID").map(str::trim) else {
            self.missing("CONNECTOR_ID", "a UUID");
            return None;
        };
        if id == "ChangeMe" {
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

    /// The period wins over the interval.
    fn period(&mut self) -> Duration {
        const DEFAULT: Duration = Duration::from_secs(300);
        let interval_name = self.prefixed("INTERVAL_SEC");
        let interval = self.source_value("INTERVAL_SEC");
        let period = self.parsed(
            "CONNECTOR_DURATION_PERIOD",
            "an ISO 8601 duration such as PT5M",
            duration::parse,
        );
        if let (Some(_), Some(_)) = (interval, period) {
            self.warnings.push(format!(
                "{interval_name} is not used: CONNECTOR_DURATION_PERIOD is set"
            ));
        }
        if let Some(period) = period {
            return period;
        }
        let Some(text) = interval else { return DEFAULT };
        match text.trim().parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                self.problem(&interval_name, text, "a number of seconds");
                DEFAULT
            }
        }
    }

    fn sinks(&mut self) -> Option<Sinks> {
        let queue = if self.boolean("CONNECTOR_SEND_TO_QUEUE", true) {
            Some(self.queue()?)
        } else {
            None
        };
        let directory = if self.boolean("CONNECTOR_SEND_TO_DIRECTORY", false) {
            Some(self.directory()?)
        } else {
            None
        };
        if queue.is_none() && directory.is_none() {
            self.problem(
                "CONNECTOR_SEND_TO_QUEUE",
                "false",
                "true, or CONNECTOR_SEND_TO_DIRECTORY=true: bundles must go somewhere",
            );
        }
        Some(Sinks { queue, directory })
    }

    fn queue(&mut self) -> Option<Queue> {
        // pycti's older name, still in many compose files.
        let protocol = self
            .raw
            .get("CONNECTOR_QUEUE_PROTOCOL")
            .or_else(|| self.raw.get("QUEUE_PROTOCOL"))
            .unwrap_or("amqp")
            .trim()
            .to_lowercase();
        match protocol.as_str() {
            "amqp" => Some(Queue::Amqp(self.broker())),
            "api" => Some(Queue::Api),
            other => {
                self.problem("CONNECTOR_QUEUE_PROTOCOL", other, "amqp or api");
                None
            }
        }
    }

    fn broker(&mut self) -> BrokerOverrides {
        let text = |name| self.raw.get(name).map(str::to_owned);
        let (host, vhost, user) = (text("MQ_HOST"), text("MQ_VHOST"), text("MQ_USER"));
        let (ca, client_certificate) = (text("MQ_USE_SSL_CA"), text("MQ_USE_SSL_CERT"));
        let secret = |name| self.raw.get(name).map(SecretString::from);
        let (password, client_key) = (secret("MQ_PASS"), secret("MQ_USE_SSL_KEY"));
        BrokerOverrides {
            host,
            port: self.parsed("MQ_PORT", "a port number", |text| text.parse().ok()),
            vhost,
            use_ssl: self.parsed("MQ_USE_SSL", "true or false", boolean),
            user,
            password,
            ca,
            client_certificate,
            client_key,
            reject_unauthorized: self.parsed(
                "MQ_USE_SSL_REJECT_UNAUTHORIZED",
                "true or false",
                boolean,
            ),
        }
    }

    fn directory(&mut self) -> Option<Directory> {
        let retention_days = self
            .parsed(
                "CONNECTOR_SEND_TO_DIRECTORY_RETENTION",
                "a number of days",
                |text| text.parse().ok(),
            )
            .unwrap_or(7);
        let Some(path) = self.raw.get("CONNECTOR_SEND_TO_DIRECTORY_PATH") else {
            self.missing(
                "CONNECTOR_SEND_TO_DIRECTORY_PATH",
                "a directory, since CONNECTOR_SEND_TO_DIRECTORY is true",
            );
            return None;
        };
        Some(Directory {
            path: PathBuf::from(path),
            retention_days: NonZeroU64::new(retention_days),
        })
    }

    fn source(&mut self) -> Option<Source> {
        let key_name = self.prefixed("API_KEY");
        let api_key = self.required_secret(&key_name, self.source_value("API_KEY"));
        let url_name = self.prefixed("API_URL");
        let text = self
            .source_value("API_URL")
            .unwrap_or("https://www.virustotal.com/api/v3");
        let api_url = self.required_url(&url_name, Some(text)).map(|mut url| {
            let path = format!("{}/", url.path().trim_end_matches('/'));
            url.set_path(&path);
            url
        });
        Some(Source {
            limit: self.positive::<NonZeroU64>("LIMIT", "a number of at least 1"),
            requests_per_minute: self
                .positive::<NonZeroU32>("REQUESTS_PER_MINUTE", "a number of at least 1"),
            api_url: api_url?,
            api_key: api_key?,
        })
    }

    fn warn_of_unknown(&mut self) {
        let known: Vec<&str> = HOST_SETTINGS.iter().map(|setting| setting.name).collect();
        for name in self.raw.names_of(&["connector", "mq"]) {
            if UNSUPPORTED.contains(&name.as_str()) {
                if self
                    .raw
                    .get(&name)
                    .is_some_and(|value| boolean(value) != Some(false))
                {
                    self.warnings
                        .push(format!("{name} is set and not supported by this version"));
                }
            } else if !known.contains(&name.as_str())
                && !IGNORED.contains(&name.as_str())
                && !UNSUPPORTED.iter().any(|prefix| name.starts_with(prefix))
            {
                self.warnings.push(unknown(&name, known.iter().copied()));
            }
        }
        let (prefix, sections) = (&self.guest.environment_prefix, &self.guest.config_sections);
        let names: Vec<String> = SOURCE_SETTINGS
            .iter()
            .map(|setting| setting.name.to_owned())
            .chain(self.guest.settings.iter().cloned())
            .collect();
        for name in self.raw.names_prefixed(prefix, sections) {
            if !names.contains(&name) {
                let candidates = names
                    .iter()
                    .map(|name| format!("{prefix}_{name}"))
                    .collect::<Vec<_>>();
                self.warnings.push(unknown(
                    &format!("{prefix}_{name}"),
                    candidates.iter().map(String::as_str),
                ));
            }
        }
    }

    fn source_value(&self, name: &str) -> Option<&'a str> {
        self.raw.get_prefixed(
            &self.guest.environment_prefix,
            &self.guest.config_sections,
            name,
        )
    }

    fn prefixed(&self, name: &str) -> String {
        format!("{}_{name}", self.guest.environment_prefix)
    }

    fn positive<T: FromStr>(&mut self, name: &str, allowed: &str) -> Option<T> {
        let text = self.source_value(name)?.trim().to_owned();
        let number = text.parse().ok();
        if number.is_none() {
            let name = self.prefixed(name);
            self.problem(&name, &text, allowed);
        }
        number
    }

    fn boolean(&mut self, name: &str, default: bool) -> bool {
        self.parsed(name, "true or false", boolean)
            .unwrap_or(default)
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.raw.get(name)?.trim();
        let value = parse(text);
        if value.is_none() {
            self.problem(name, text, allowed);
        }
        value
    }

    fn required_secret(&mut self, name: &str, value: Option<&str>) -> Option<SecretString> {
        match value.map(str::trim) {
            None => {
                self.missing(name, "a value");
                None
            }
            Some("ChangeMe") => {
                self.problem(name, "ChangeMe", "your own");
                None
            }
            Some(value) => Some(SecretString::from(value)),
        }
    }

    fn required_url(&mut self, name: &str, value: Option<&str>) -> Option<Url> {
        const ALLOWED: &str = "an address such as http://opencti:8080";
        let Some(text) = value.map(str::trim) else {
            self.missing(name, ALLOWED);
            return None;
        };
        match Url::parse(text.trim_end_matches('/')) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
            // Not the text itself: an address may carry a password.
            _ => {
                self.problems.push(Problem {
                    setting: name.to_owned(),
                    reason: format!("not {ALLOWED}"),
                });
                None
            }
        }
    }

    fn missing(&mut self, name: &str, expected: &str) {
        self.problems.push(Problem {
            setting: name.to_owned(),
            reason: format!("not set; expected {expected}"),
        });
    }

    fn problem(&mut self, name: &str, found: &str, allowed: &str) {
        self.problems.push(Problem {
            setting: name.to_owned(),
            reason: format!("found {found:?}; allowed: {allowed}"),
        });
    }
}

/// As pycti reads them, in any case.
fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "1" | "on" => Some(true),
        "false" | "no" | "0" | "off" => Some(false),
        _ => None,
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .map(str::to_owned)
        .collect()
}

fn unknown<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    let nearest = candidates
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    match nearest {
        Some((likeness, candidate)) if likeness > 0.9 => {
            format!("{name} is not a setting (did you mean {candidate}?)")
        }
        _ => format!("{name} is not a setting"),
    }
}
