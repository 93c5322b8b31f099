//! Every setting of the host: the one table that knows their names, kinds, defaults and meaning.

use super::raw::SECTIONS;

/// A setting of the host.
#[derive(Debug, Clone, Copy)]
pub struct HostSetting {
    /// Name in the environment; for [`SOURCE_SETTINGS`] without the guest's prefix.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: HostSettingKind,
    /// Default in words or as a value; empty where there is none.
    pub default: &'static str,
    /// What it does.
    pub help: &'static str,
}

impl HostSetting {
    /// Whether the connector does not start without it.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.default == "required"
    }

    /// The default, where it is a value and not a word about who gives it.
    #[must_use]
    pub fn default_value(&self) -> Option<&'static str> {
        let in_words = self.is_required() || self.default.starts_with("the ");
        (!in_words && !self.default.is_empty()).then_some(self.default)
    }

    /// Section of `config.yml` and key in it, of a setting that may stand there.
    #[must_use]
    pub fn place(&self) -> Option<(&'static str, String)> {
        let (section, key) = self.name.split_once('_')?;
        let section = SECTIONS
            .into_iter()
            .find(|it| it.eq_ignore_ascii_case(section))?;
        Some((section, key.to_lowercase()))
    }
}

/// What the value of a host's setting looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostSettingKind {
    /// Any text.
    Text,
    /// A text that is never shown.
    Secret,
    /// An `http` or `https` address.
    Address,
    /// ISO 8601: `PT5M`.
    Duration,
    /// `true` or `false`.
    Boolean,
    /// A whole number of at least this.
    Integer(u64),
    /// Texts, separated by commas.
    List,
    /// One of these.
    Choice(&'static [&'static str]),
}

const fn setting(name: &'static str, default: &'static str, help: &'static str) -> HostSetting {
    of(HostSettingKind::Text, name, default, help)
}

const fn secret(name: &'static str, default: &'static str, help: &'static str) -> HostSetting {
    of(HostSettingKind::Secret, name, default, help)
}

const fn address(name: &'static str, default: &'static str, help: &'static str) -> HostSetting {
    of(HostSettingKind::Address, name, default, help)
}

const fn duration(name: &'static str, default: &'static str, help: &'static str) -> HostSetting {
    of(HostSettingKind::Duration, name, default, help)
}

const fn boolean(name: &'static str, default: &'static str, help: &'static str) -> HostSetting {
    of(HostSettingKind::Boolean, name, default, help)
}

/// A whole number from 0.
const fn number(name: &'static str, default: &'static str, help: &'static str) -> HostSetting {
    of(HostSettingKind::Integer(0), name, default, help)
}

/// A whole number from 1.
const fn count(name: &'static str, default: &'static str, help: &'static str) -> HostSetting {
    of(HostSettingKind::Integer(1), name, default, help)
}

const fn of(
    kind: HostSettingKind,
    name: &'static str,
    default: &'static str,
    help: &'static str,
) -> HostSetting {
    HostSetting {
        name,
        kind,
        default,
        help,
    }
}

/// Settings with names of their own. In `config.yml`, `OPENCTI_URL` is `url` in the section `opencti`, and
/// so on for `connector`, `mq` and `s3`; all others stand in the environment only.
pub const HOST_SETTINGS: &[HostSetting] = &[
    address(
        "OPENCTI_URL",
        "required",
        "Address of the OpenCTI platform.",
    ),
    secret(
        "OPENCTI_TOKEN",
        "required",
        "API token of the connector's account on the platform.",
    ),
    setting(
        "OPENCTI_SSL_VERIFY",
        "true",
        "Whether the platform's certificate is verified; or a path to a PEM file of additional certificate authorities.",
    ),
    secret(
        "OPENCTI_CUSTOM_HEADERS",
        "",
        "Headers for every request to the platform: `name:value;name:value`.",
    ),
    boolean(
        "OPENCTI_JSON_LOGGING",
        "true",
        "Log lines as JSON objects instead of text. Where it is not set, a terminal gets text.",
    ),
    setting(
        "CONNECTOR_ID",
        "required",
        "A UUID for this instance of the connector.",
    ),
    setting(
        "CONNECTOR_NAME",
        "the guest's",
        "Name of the connector on the platform.",
    ),
    of(
        HostSettingKind::List,
        "CONNECTOR_SCOPE",
        "the guest's",
        "Entity types that the connector brings, separated by commas; for information.",
    ),
    of(
        HostSettingKind::Choice(&["debug", "info", "warn", "error"]),
        "CONNECTOR_LOG_LEVEL",
        "error",
        "`debug`, `info`, `warn` or `error`.",
    ),
    duration(
        "CONNECTOR_DURATION_PERIOD",
        "",
        "Time from the end of a run to the next, in ISO 8601 (`PT5M`); zero means one run. Wins over the interval in seconds.",
    ),
    boolean(
        "CONNECTOR_RUN_AND_TERMINATE",
        "false",
        "One run, then exit.",
    ),
    count(
        "CONNECTOR_QUEUE_THRESHOLD",
        "500",
        "No run starts while the connector's queue on the platform holds this many megabytes or more.",
    ),
    of(
        HostSettingKind::Choice(&["amqp", "api"]),
        "CONNECTOR_QUEUE_PROTOCOL",
        "amqp",
        "Way to the platform's workers: `amqp` (RabbitMQ) or `api` (the platform's own API).",
    ),
    boolean(
        "CONNECTOR_SEND_TO_QUEUE",
        "true",
        "Whether bundles are sent to the platform's workers.",
    ),
    boolean(
        "CONNECTOR_SEND_TO_DIRECTORY",
        "false",
        "Whether bundles are also written to a directory.",
    ),
    setting(
        "CONNECTOR_SEND_TO_DIRECTORY_PATH",
        "",
        "The directory; made if it is not there. Required with `CONNECTOR_SEND_TO_DIRECTORY=true`.",
    ),
    number(
        "CONNECTOR_SEND_TO_DIRECTORY_RETENTION",
        "7",
        "Days after which our own files there are removed; 0 means never.",
    ),
    boolean(
        "CONNECTOR_SEND_TO_S3",
        "false",
        "Whether bundles are also put into an S3 bucket.",
    ),
    setting(
        "CONNECTOR_SEND_TO_S3_BUCKET",
        "the platform's",
        "The bucket.",
    ),
    setting(
        "CONNECTOR_SEND_TO_S3_FOLDER",
        "connectors",
        "Folder in the bucket; `.` for its root.",
    ),
    number(
        "CONNECTOR_SEND_TO_S3_RETENTION",
        "7",
        "Days after which our own objects there are removed; 0 means never.",
    ),
    boolean(
        "CONNECTOR_VALIDATE_BEFORE_IMPORT",
        "false",
        "Whether what a run brings waits in a draft, one a run, until a human has validated it. Needs OpenCTI 6.4 and `CONNECTOR_QUEUE_PROTOCOL=amqp`.",
    ),
    boolean(
        "CONNECTOR_FILES_OUTSIDE_DRAFT",
        "false",
        "With `CONNECTOR_VALIDATE_BEFORE_IMPORT`: whether files are copied past the draft, straight to the platform, where they are seen before a human has validated anything. OpenCTI cannot validate a draft that holds a file, so without it the connector does not start where the guest copies files.",
    ),
    boolean(
        "CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT",
        "false",
        "Whether the connector makes an account of its own, with the rights of an administrator's token in `OPENCTI_TOKEN`, and works as that. Needs OpenCTI 7.260224.0.",
    ),
    number(
        "CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT_CONFIDENCE_LEVEL",
        "50",
        "Highest confidence of what that account brings, 0 to 100; counts when it is made.",
    ),
    setting(
        "CONNECTOR_GUEST",
        "/guests/livehunt.wasm",
        "The guest: a component's file, a folder of them (the highest version is taken), or `oci://registry/repository:tag`. Watched: another guest takes over without a restart.",
    ),
    setting(
        "CONNECTOR_GUEST_DIGEST",
        "",
        "SHA-256 that the component must have: `sha256:…`. Any other is refused.",
    ),
    duration(
        "CONNECTOR_GUEST_POLL",
        "PT5M",
        "Time between two looks at the guest's source; changes of files are seen at once, SIGHUP looks at once.",
    ),
    setting(
        "CONNECTOR_GUEST_CACHE",
        "",
        "Folder for compiled guests, so that a restart need not compile. Only the connector may write there.",
    ),
    duration(
        "CONNECTOR_GUEST_DEADLINE",
        "PT2S",
        "Time that one call of the guest may take.",
    ),
    count(
        "CONNECTOR_GUEST_MEMORY",
        "64",
        "Mebibytes of memory that one instance of the guest may use.",
    ),
    count(
        "CONNECTOR_GUEST_REUSE",
        "10000",
        "Calls that one instance of the guest serves before a fresh one takes its place; 1 isolates each call.",
    ),
    boolean(
        "CONNECTOR_EXPOSE_METRICS",
        "false",
        "Whether a status page (`/`), the same as JSON (`/status.json`), metrics for Prometheus (`/metrics`) and health checks (`/healthz`, `/readyz`) are served.",
    ),
    number(
        "CONNECTOR_METRICS_PORT",
        "9095",
        "Port that they are served at.",
    ),
    setting(
        "CONNECTOR_METRICS_ADDRESS",
        "127.0.0.1",
        "Address that they are served at; `0.0.0.0` for all of a container.",
    ),
    setting(
        "CONNECTOR_METRICS_NAMESPACE",
        "",
        "What the name of every metric begins with.",
    ),
    setting(
        "CONNECTOR_METRICS_SUBSYSTEM",
        "",
        "What comes next in the name of every metric.",
    ),
    setting(
        "MQ_HOST",
        "the platform's",
        "Host of RabbitMQ, instead of what the platform says.",
    ),
    number("MQ_PORT", "the platform's", "Port of RabbitMQ."),
    setting("MQ_VHOST", "the platform's", "Virtual host of RabbitMQ."),
    boolean(
        "MQ_USE_SSL",
        "the platform's",
        "Whether RabbitMQ is reached over TLS.",
    ),
    setting("MQ_USER", "the platform's", "User of RabbitMQ."),
    secret("MQ_PASS", "the platform's", "Password of RabbitMQ."),
    setting(
        "MQ_USE_SSL_CA",
        "",
        "PEM text, or a path to it: additional authorities for RabbitMQ's certificate.",
    ),
    setting(
        "MQ_USE_SSL_CERT",
        "",
        "PEM text, or a path to it: the client certificate for RabbitMQ.",
    ),
    secret(
        "MQ_USE_SSL_KEY",
        "",
        "PEM text, or a path to it: the client key for RabbitMQ.",
    ),
    secret(
        "MQ_USE_SSL_PASSPHRASE",
        "",
        "Passphrase of the client key, where that is encrypted (PKCS #8).",
    ),
    boolean(
        "MQ_USE_SSL_REJECT_UNAUTHORIZED",
        "true",
        "Whether RabbitMQ's certificate is verified.",
    ),
    setting(
        "S3_ENDPOINT",
        "the platform's",
        "Host of the S3 storage, instead of what the platform says (from 6.9.10 on).",
    ),
    number("S3_PORT", "the platform's", "Port of the S3 storage."),
    secret(
        "S3_ACCESS_KEY",
        "the platform's",
        "Access key of the S3 storage.",
    ),
    secret(
        "S3_SECRET_KEY",
        "the platform's",
        "Secret key of the S3 storage.",
    ),
    boolean(
        "S3_USE_SSL",
        "the platform's",
        "Whether the S3 storage is reached over TLS.",
    ),
    setting(
        "S3_BUCKET_REGION",
        "the platform's",
        "Region of the bucket.",
    ),
    setting(
        "HTTPS_CA_CERTIFICATES",
        "",
        "PEM text, or a path to it: additional certificate authorities for all peers.",
    ),
    setting(
        "SSL_CERT_FILE",
        "",
        "The same, under a name that is common elsewhere.",
    ),
    setting(
        "REQUESTS_CA_BUNDLE",
        "",
        "The same, under a name that is common elsewhere.",
    ),
    setting(
        "DOCKER_CONFIG",
        "~/.docker",
        "Folder of the `config.json` with the login to the registry of the guest, as `docker login` writes it.",
    ),
    setting("HTTPS_PROXY", "", "Proxy for `https` addresses."),
    setting("HTTP_PROXY", "", "Proxy for `http` addresses."),
    setting(
        "NO_PROXY",
        "",
        "Hosts that are reached without a proxy, separated by commas.",
    ),
];

/// Settings that every guest has, under the guest's prefix.
pub const SOURCE_SETTINGS: &[HostSetting] = &[
    secret(
        "API_KEY",
        "required",
        "VirusTotal API key, with the right to what the guest reads.",
    ),
    address(
        "API_URL",
        "https://www.virustotal.com/api/v3",
        "Root of the VirusTotal API; for tests and proxies.",
    ),
    number(
        "INTERVAL_SEC",
        "300",
        "Seconds from the end of a run to the next; 0 means one run.",
    ),
    count(
        "LIMIT",
        "",
        "At most this many new notifications a run; the next run goes on behind them.",
    ),
    count(
        "REQUESTS_PER_MINUTE",
        "",
        "At most this many requests a minute to VirusTotal, downloads included.",
    ),
];

/// Names of the Python connector's framework that are accepted and mean nothing here.
pub(super) const IGNORED: &[&str] = &[
    "CONNECTOR_TYPE",
    "CONNECTOR_AUTO",
    "CONNECTOR_AUTO_UPDATE",
    "CONNECTOR_ENRICHMENT_RESOLUTION",
    "CONNECTOR_ONLY_CONTEXTUAL",
    "CONNECTOR_CONFIDENCE_LEVEL",
    "CONNECTOR_UPDATE_EXISTING_DATA",
    "CONNECTOR_LISTEN_PROTOCOL",
    "CONNECTOR_XTM_ONE_INTENT",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `OPENCTI_SSL_VERIFY` is true, false or a path.
    const TRUE_OR_ELSE: &[&str] = &["OPENCTI_SSL_VERIFY"];

    #[test]
    fn a_default_is_of_its_settings_kind() {
        for setting in HOST_SETTINGS.iter().chain(SOURCE_SETTINGS) {
            let Some(default) = setting.default_value() else {
                continue;
            };
            let looks_boolean = matches!(default, "true" | "false");
            let looks_whole = default.parse::<u64>().ok();
            let fits = match setting.kind {
                HostSettingKind::Boolean => looks_boolean,
                HostSettingKind::Integer(least) => looks_whole.is_some_and(|it| it >= least),
                HostSettingKind::Choice(choices) => choices.contains(&default),
                HostSettingKind::Duration => super::super::duration::parse(default).is_some(),
                HostSettingKind::Address => url::Url::parse(default).is_ok(),
                HostSettingKind::Secret => false,
                HostSettingKind::Text | HostSettingKind::List => {
                    looks_whole.is_none()
                        && (!looks_boolean || TRUE_OR_ELSE.contains(&setting.name))
                }
            };
            assert!(
                fits,
                "{}: {default:?} is no default of {:?}",
                setting.name, setting.kind
            );
        }
    }

    #[test]
    fn what_opens_a_door_is_a_secret() {
        for setting in HOST_SETTINGS.iter().chain(SOURCE_SETTINGS) {
            let opens = ["TOKEN", "PASS", "PASSPHRASE", "SECRET_KEY", "API_KEY"]
                .iter()
                .any(|end| setting.name.ends_with(end));
            let is_secret = setting.kind == HostSettingKind::Secret;
            assert!(is_secret || !opens, "{} is a secret", setting.name);
        }
    }

    #[test]
    fn a_setting_stands_in_the_section_that_begins_its_name() {
        let place = |name: &str| {
            let setting = HOST_SETTINGS.iter().find(|it| it.name == name)?;
            setting.place()
        };
        assert_eq!(place("OPENCTI_URL"), Some(("opencti", "url".to_owned())));
        let key = "use_ssl_ca".to_owned();
        assert_eq!(place("MQ_USE_SSL_CA"), Some(("mq", key)));
        assert_eq!(place("S3_PORT"), Some(("s3", "port".to_owned())));
        assert_eq!(place("HTTPS_PROXY"), None);
    }
}
