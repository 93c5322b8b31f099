//! From text to the settings of the sinks.

use std::num::NonZeroU64;
use std::path::PathBuf;

use object_store::path::Path as ObjectPath;
use secrecy::SecretString;
use url::Host;

use super::load::Problem;
use super::reader::Reader;
use super::settings::{BrokerOverrides, Directory, Queue, S3, S3Overrides, Sinks};

impl Reader<'_> {
    pub(super) fn sinks(&mut self) -> Option<Sinks> {
        let to_queue = self.boolean("CONNECTOR_SEND_TO_QUEUE").unwrap_or(true);
        let to_directory = self.boolean("CONNECTOR_SEND_TO_DIRECTORY").unwrap_or(false);
        let to_s3 = self.boolean("CONNECTOR_SEND_TO_S3").unwrap_or(false);
        if !to_queue && !to_directory && !to_s3 {
            self.problem(
                "CONNECTOR_SEND_TO_QUEUE",
                "false",
                "true, or CONNECTOR_SEND_TO_DIRECTORY=true or CONNECTOR_SEND_TO_S3=true: bundles must go somewhere",
            );
        }
        let queue = to_queue.then(|| self.queue());
        let directory = to_directory.then(|| self.directory());
        let s3 = to_s3.then(|| self.s3());
        Some(Sinks {
            queue: match queue {
                Some(queue) => Some(queue?),
                None => None,
            },
            directory: match directory {
                Some(directory) => Some(directory?),
                None => None,
            },
            s3: match s3 {
                Some(s3) => Some(s3?),
                None => None,
            },
        })
    }

    /// What is pushed through the API never goes into a draft, whatever the request says (protocol section 8): it
    /// would be imported without anybody having looked at it.
    pub(super) fn validate_before_import(&mut self, sinks: Option<&Sinks>) -> bool {
        let name = "CONNECTOR_VALIDATE_BEFORE_IMPORT";
        let validates = self.boolean(name).unwrap_or(false);
        let by_api = sinks.is_some_and(|sinks| matches!(sinks.queue, Some(Queue::Api)));
        if validates && by_api {
            self.problem(
                name,
                "true",
                "true with CONNECTOR_QUEUE_PROTOCOL=amqp alone: OpenCTI puts nothing into a draft that comes by its API",
            );
        }
        validates
    }

    fn queue(&mut self) -> Option<Queue> {
        let mut entry = self.host("CONNECTOR_QUEUE_PROTOCOL");
        if entry.text.is_none() {
            // pycti's older name, still in many compose files.
            entry = self.host("QUEUE_PROTOCOL");
        }
        match entry.text.unwrap_or("amqp").to_lowercase().as_str() {
            "amqp" => Some(Queue::Amqp(self.broker())),
            "api" => Some(Queue::Api),
            other => {
                self.problem(entry.name, other, "amqp or api");
                None
            }
        }
    }

    fn broker(&mut self) -> BrokerOverrides {
        let mut text = |name| self.host(name).text.map(str::to_owned);
        let (host, vhost, user) = (text("MQ_HOST"), text("MQ_VHOST"), text("MQ_USER"));
        let (ca, client_certificate) = (text("MQ_USE_SSL_CA"), text("MQ_USE_SSL_CERT"));
        let client_key = text("MQ_USE_SSL_KEY").map(SecretString::from);
        let reject_unauthorized = self.boolean("MQ_USE_SSL_REJECT_UNAUTHORIZED");
        if reject_unauthorized == Some(false) {
            self.warnings.push(
                "MQ_USE_SSL_REJECT_UNAUTHORIZED is false: RabbitMQ's certificate is not verified, and its \
                 password can be read by anyone on the way"
                    .to_owned(),
            );
        }
        BrokerOverrides {
            host,
            port: self.port("MQ_PORT"),
            vhost,
            use_ssl: self.boolean("MQ_USE_SSL"),
            user,
            // Blanks and quotes may be part of a password.
            password: self.raw.get("MQ_PASS").map(SecretString::from),
            ca,
            client_certificate,
            client_key,
            client_key_passphrase: self
                .raw
                .get("MQ_USE_SSL_PASSPHRASE")
                .map(SecretString::from),
            reject_unauthorized,
        }
    }

    fn directory(&mut self) -> Option<Directory> {
        let retention_days = self.retention_days("CONNECTOR_SEND_TO_DIRECTORY_RETENTION");
        let Some(path) = self.host("CONNECTOR_SEND_TO_DIRECTORY_PATH").text else {
            self.missing(
                "CONNECTOR_SEND_TO_DIRECTORY_PATH",
                "a directory, since CONNECTOR_SEND_TO_DIRECTORY is true",
            );
            return None;
        };
        Some(Directory {
            path: PathBuf::from(path),
            retention_days,
        })
    }

    /// How long a sink keeps our own files; none means for ever.
    fn retention_days(&mut self, name: &'static str) -> Option<NonZeroU64> {
        let retention = self.host(name);
        let days = self.parsed(retention, "a number of days", |text| text.parse().ok());
        NonZeroU64::new(days.unwrap_or(7))
    }

    fn s3(&mut self) -> Option<S3> {
        const ALLOWED: &str = "a path such as connectors or opencti/connectors, or . for the root";
        let retention_days = self.retention_days("CONNECTOR_SEND_TO_S3_RETENTION");
        let mut folder = self.host("CONNECTOR_SEND_TO_S3_FOLDER");
        folder.text = folder.text.or(Some("connectors"));
        let folder = self.parsed(folder, ALLOWED, |text| match text {
            "." => Some(ObjectPath::ROOT),
            text => ObjectPath::parse(text).ok(),
        });
        let bucket = self.host("CONNECTOR_SEND_TO_S3_BUCKET").text;
        let overrides = self.s3_overrides();
        Some(S3 {
            bucket: bucket.map(str::to_owned),
            folder: folder?,
            retention_days,
            overrides,
        })
    }

    fn s3_overrides(&mut self) -> S3Overrides {
        let text = self.host("S3_ENDPOINT").text;
        let endpoint = text.and_then(parse_host);
        if text.is_some() && endpoint.is_none() {
            // Not the text itself: an address may carry a password.
            self.problems.push(Problem {
                setting: "S3_ENDPOINT".to_owned(),
                reason: "the text is not a host such as minio or s3.eu-west-1.amazonaws.com; S3_PORT and S3_USE_SSL say the rest of the address".to_owned(),
            });
        }
        let access_key = self.host("S3_ACCESS_KEY").text.map(SecretString::from);
        let region = self.host("S3_BUCKET_REGION").text.map(str::to_owned);
        S3Overrides {
            endpoint,
            port: self.port("S3_PORT"),
            access_key,
            // Blanks and quotes may be part of it.
            secret_key: self.raw.get("S3_SECRET_KEY").map(SecretString::from),
            use_ssl: self.boolean("S3_USE_SSL"),
            bucket_region: region,
        }
    }

    fn port(&mut self, name: &'static str) -> Option<u16> {
        let port = self.host(name);
        self.parsed(port, "a port number, 1 to 65535", |text| {
            text.parse().ok().filter(|port| *port != 0)
        })
    }
}

/// A host as it stands in a setting, or in what the platform says: a name or an address, an IPv6 one with or without
/// brackets.
#[must_use]
pub fn parse_host(text: &str) -> Option<Host> {
    match text.parse() {
        Ok(address) => Some(Host::Ipv6(address)),
        Err(_) => Host::parse(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use secrecy::ExposeSecret as _;

    use super::super::load::{GuestDefaults, Invalid, load};
    use super::super::raw::Raw;
    use super::super::settings::Connector;
    use super::*;

    fn connector(rest: &[(&str, &str)]) -> Result<Connector, Vec<String>> {
        let required = [
            ("OPENCTI_URL", "http://opencti:8080"),
            ("OPENCTI_TOKEN", "the-token"),
            ("CONNECTOR_ID", "6c3f6f9e-9f0e-4f5b-8d65-0c2f2f4d7a11"),
            ("FEED_API_KEY", "the-key"),
        ];
        let all = required.iter().chain(rest);
        let raw = Raw::new(all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let guest = GuestDefaults {
            environment_prefix: "FEED".to_owned(),
            ..GuestDefaults::default()
        };
        match load(&raw, &guest) {
            Ok(settings) => Ok(settings.connector),
            Err(Invalid(problems)) => Err(problems.iter().map(ToString::to_string).collect()),
        }
    }

    fn s3(rest: &[(&str, &str)]) -> Result<S3, Vec<String>> {
        let mut given = vec![("CONNECTOR_SEND_TO_S3", "true")];
        given.extend(rest);
        Ok(connector(&given)?.sinks.s3.unwrap())
    }

    fn problem<T: Debug>(result: Result<T, Vec<String>>) -> String {
        result.unwrap_err().join("\n")
    }

    #[test]
    fn s3_as_the_settings_say() {
        assert!(connector(&[]).unwrap().sinks.s3.is_none());
        let unset = s3(&[]).unwrap();
        assert_eq!(unset.bucket, None);
        assert_eq!(unset.folder.as_ref(), "connectors");
        assert_eq!(unset.retention_days.map(NonZeroU64::get), Some(7));
        let set = s3(&[
            ("CONNECTOR_SEND_TO_QUEUE", "false"),
            ("CONNECTOR_SEND_TO_S3_BUCKET", "bundles"),
            ("CONNECTOR_SEND_TO_S3_RETENTION", "0"),
            ("S3_ENDPOINT", "minio"),
            ("S3_PORT", "9000"),
            ("S3_ACCESS_KEY", "key"),
            ("S3_SECRET_KEY", "'secret '"),
            ("S3_USE_SSL", "no"),
            ("S3_BUCKET_REGION", "eu-west-3"),
        ])
        .unwrap();
        assert_eq!(set.bucket.as_deref(), Some("bundles"));
        assert_eq!(set.retention_days, None);
        let overrides = set.overrides;
        assert_eq!(overrides.endpoint, Some(Host::Domain("minio".to_owned())));
        assert_eq!(overrides.port, Some(9000));
        assert_eq!(overrides.access_key.unwrap().expose_secret(), "key");
        assert_eq!(overrides.secret_key.unwrap().expose_secret(), "'secret '");
        assert_eq!(overrides.use_ssl, Some(false));
        assert_eq!(overrides.bucket_region.as_deref(), Some("eu-west-3"));
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for (text, host) in [
            ("minio", "minio"),
            ("S3.eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com"),
            ("my_minio", "my_minio"),
            ("10.0.0.7", "10.0.0.7"),
            ("::1", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            let found = s3(&[("S3_ENDPOINT", text)]).unwrap().overrides.endpoint;
            assert_eq!(found.unwrap().to_string(), host, "{text}");
        }
    }

    #[test]
    fn all_is_said_when_nothing_is_left() {
        let all = [
            ("CONNECTOR_SEND_TO_S3_BUCKET", "bundles"),
            ("S3_ENDPOINT", "minio"),
            ("S3_PORT", "9000"),
            ("S3_ACCESS_KEY", "key"),
            ("S3_SECRET_KEY", "secret"),
            ("S3_USE_SSL", "false"),
            ("S3_BUCKET_REGION", "us-east-1"),
        ];
        assert!(s3(&all).unwrap().says_all());
        for missing in 0..all.len() {
            let mut rest = all.to_vec();
            let (name, _) = rest.remove(missing);
            assert!(!s3(&rest).unwrap().says_all(), "{name}");
        }
    }

    #[test]
    fn a_folder_is_a_path() {
        for (text, folder) in [
            ("bundles", "bundles"),
            ("/for/the diode/", "for/the diode"),
            (".", ""),
            ("/", ""),
        ] {
            let found = s3(&[("CONNECTOR_SEND_TO_S3_FOLDER", text)]).unwrap();
            assert_eq!(found.folder.as_ref(), folder, "{text}");
        }
        for text in ["a//b", "../up", "a/./b"] {
            let problem = problem(s3(&[("CONNECTOR_SEND_TO_S3_FOLDER", text)]));
            assert!(
                problem.starts_with("CONNECTOR_SEND_TO_S3_FOLDER: found"),
                "{problem}"
            );
        }
    }

    #[test]
    fn what_s3_cannot_be_is_refused_by_the_setting() {
        for (name, value, shown) in [
            ("S3_ENDPOINT", "https://user:SECRET@minio", "not a host"),
            ("S3_ENDPOINT", "user:SECRET@minio", "not a host"),
            ("S3_ENDPOINT", "minio/SECRET", "not a host"),
            ("S3_ENDPOINT", "minio:9000", "not a host"),
            ("S3_ENDPOINT", "[::1]:9000", "not a host"),
            ("S3_ENDPOINT", "min io", "not a host"),
            ("S3_PORT", "0", "found \"0\""),
            ("S3_USE_SSL", "maybe", "found \"maybe\""),
            ("CONNECTOR_SEND_TO_S3_RETENTION", "-1", "found \"-1\""),
        ] {
            let problem = problem(s3(&[(name, value)]));
            assert!(problem.starts_with(&format!("{name}: ")), "{problem}");
            assert!(
                problem.contains(shown) && !problem.contains("SECRET"),
                "{problem}"
            );
        }
    }

    #[test]
    fn a_draft_needs_a_message_that_names_it() {
        for (rest, validates) in [
            (&[][..], false),
            (&[("CONNECTOR_VALIDATE_BEFORE_IMPORT", "true")], true),
            (
                &[
                    ("CONNECTOR_VALIDATE_BEFORE_IMPORT", "true"),
                    ("CONNECTOR_SEND_TO_QUEUE", "false"),
                    ("CONNECTOR_QUEUE_PROTOCOL", "api"),
                    ("CONNECTOR_SEND_TO_S3", "true"),
                ],
                true,
            ),
        ] {
            let found = connector(rest).unwrap().validate_before_import;
            assert_eq!(found, validates, "{rest:?}");
        }
        let by_api = [
            ("CONNECTOR_VALIDATE_BEFORE_IMPORT", "true"),
            ("CONNECTOR_QUEUE_PROTOCOL", "api"),
        ];
        let problem = problem(connector(&by_api));
        assert!(
            problem.starts_with("CONNECTOR_VALIDATE_BEFORE_IMPORT: found"),
            "{problem}"
        );
    }

    #[test]
    fn a_service_account_has_a_confidence() {
        let name = "CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT_CONFIDENCE_LEVEL";
        let made = ("CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT", "true");
        let level = |rest: &[(&str, &str)]| {
            let account = connector(rest).map(|connector| connector.service_account);
            account.map(|account| account.map(|account| account.confidence_level))
        };
        assert_eq!(level(&[]), Ok(None));
        assert_eq!(level(&[(name, "80")]), Ok(None));
        assert_eq!(level(&[made]), Ok(Some(50)));
        assert_eq!(level(&[made, (name, "0")]), Ok(Some(0)));
        assert_eq!(level(&[made, (name, "100")]), Ok(Some(100)));
        let problem = problem(level(&[made, (name, "101")]));
        assert!(problem.contains("a number from 0 to 100"), "{problem}");
    }
}
