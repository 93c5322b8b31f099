use std::io::Write;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use secrecy::ExposeSecret;

use super::*;
use crate::guest_source::Digest;

const ID: &str = "6c3f6f9e-9f0e-4f5b-8d65-0c2f2f4d7a11";

/// What must be set.
const REQUIRED: [(&str, &str); 4] = [
    ("OPENCTI_URL", "http://opencti:8080"),
    ("OPENCTI_TOKEN", "the-token"),
    ("CONNECTOR_ID", ID),
    ("FEED_API_KEY", "the-key"),
];

fn guest() -> GuestDefaults {
    GuestDefaults {
        slug: None,
        name: "A feed".to_owned(),
        scope: vec!["Incident".to_owned(), "StixFile".to_owned()],
        environment_prefix: "FEED".to_owned(),
        config_sections: vec!["feed".to_owned(), "virustotal".to_owned()],
        settings: vec!["EXTENSIONS".to_owned(), "CREATE_FILE".to_owned()],
    }
}

/// What is required, then the rest, which may replace it.
fn environment(rest: &[(&str, &str)]) -> Raw {
    Raw::new(
        REQUIRED
            .iter()
            .chain(rest)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

fn with_file(raw: Raw, yaml: &str) -> Result<Raw, FileError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(yaml.as_bytes()).unwrap();
    raw.with_file(file.path())
}

fn settings(rest: &[(&str, &str)]) -> Settings {
    load(&environment(rest), &guest()).unwrap_or_else(|error| panic!("{rest:?}: {error}"))
}

fn problems(rest: &[(&str, &str)]) -> Vec<String> {
    let Invalid(problems) = load(&environment(rest), &guest()).expect_err("settings to be refused");
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_required_is_enough() {
    let settings = settings(&[]);
    assert_eq!(settings.warnings, Vec::<String>::new());
    assert_eq!(settings.opencti.url.as_str(), "http://opencti:8080/");
    assert_eq!(settings.opencti.token.expose_secret(), "the-token");
    assert_eq!(settings.opencti.verify, Verify::Yes);
    assert!(settings.opencti.custom_headers.is_empty());
    let connector = settings.connector;
    assert_eq!(connector.id, ID);
    assert_eq!(connector.name, "A feed");
    assert_eq!(connector.scope, ["Incident", "StixFile"]);
    assert_eq!(connector.period, Duration::from_secs(300));
    assert!(!connector.run_and_terminate);
    assert!((connector.queue_threshold - 500.0).abs() < f64::EPSILON);
    assert!(matches!(connector.sinks.queue, Some(Queue::Amqp(_))));
    assert!(connector.sinks.directory.is_none());
    assert_eq!(settings.source.api_key.expose_secret(), "the-key");
    assert_eq!(
        settings.source.api_url.as_str(),
        "https://www.virustotal.com/api/v3/"
    );
    assert_eq!(settings.source.limit, None);
    assert_eq!(settings.source.requests_per_minute, None);
    assert!(settings.guest.is_empty());
}

#[test]
fn the_table_tells_the_defaults_that_count() {
    let text = |settings: &Settings| format!("{settings:?}");
    // All sinks, and what else has settings of its own.
    let all = [
        ("CONNECTOR_SEND_TO_DIRECTORY", "true"),
        ("CONNECTOR_SEND_TO_DIRECTORY_PATH", "/bundles"),
        ("CONNECTOR_SEND_TO_S3", "true"),
        ("CONNECTOR_AUTO_CREATE_SERVICE_ACCOUNT", "true"),
    ];
    let prefixed = SOURCE_SETTINGS
        .iter()
        .map(|setting| (format!("FEED_{}", setting.name), setting.default));
    let own = HOST_SETTINGS
        .iter()
        .map(|setting| (setting.name.to_owned(), setting.default));
    for (name, default) in own.chain(prefixed) {
        let in_words = default == "required" || default.starts_with("the ");
        // Unset means the same as the default here; `Debug` tells the two apart.
        let optional = name == "MQ_USE_SSL_REJECT_UNAUTHORIZED";
        let is_given = all.iter().any(|(given, _)| *given == name);
        if default.is_empty() || in_words || optional || is_given {
            continue;
        }
        let without = settings(&all);
        let mut given = all.to_vec();
        given.push((&name, default));
        assert_eq!(text(&settings(&given)), text(&without), "{name}={default}");
    }
}

#[test]
fn a_value_of_blanks_or_empty_quotes_means_the_default() {
    let names = HOST_SETTINGS.iter().map(|setting| setting.name.to_owned());
    let names = names.chain(SOURCE_SETTINGS.iter().map(|it| format!("FEED_{}", it.name)));
    let defaults = format!("{:?}", settings(&[]).connector);
    for name in names.filter(|name| REQUIRED.iter().all(|(required, _)| required != name)) {
        for empty in ["", "  ", "\t"] {
            let settings = settings(&[(&name, empty)]);
            assert_eq!(format!("{:?}", settings.connector), defaults, "{name}");
            assert_eq!(settings.warnings, Vec::<String>::new(), "{name}");
        }
    }
    assert_eq!(
        settings(&[("CONNECTOR_NAME", "''")]).connector.name,
        "A feed"
    );
}

/// As in a container that OpenCTI's integration manager started.
#[test]
fn of_a_name_that_the_environment_has_twice_the_last_counts() {
    let twice = ["first", "", "last"].map(|name| ("CONNECTOR_NAME".to_owned(), name.to_owned()));
    assert_eq!(Raw::new(twice).get("CONNECTOR_NAME"), Some("last"));
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let yaml = "
        opencti:
          url: http://file:8080/
          ssl_verify: false
        connector:
          name: From the file
          queue_threshold: 250.5
          scope: [Incident, ' Note ']
          run_and_terminate: true
          id:
        mq:
          pass: 0123
          port: 5671
          use_ssl: yes
        feed:
          api_url: http://file/api/v3
          extensions: [exe, dll]
          create_file: false
        virustotal:
          limit: 20
          api_url: http://not.this/
    ";
    let raw = environment(&[
        ("OPENCTI_SSL_VERIFY", "/ca.pem"),
        ("connector_name", "From outside"),
    ]);
    let settings = load(&with_file(raw, yaml).unwrap(), &guest()).unwrap();
    assert_eq!(settings.opencti.url.as_str(), "http://opencti:8080/");
    assert_eq!(settings.opencti.verify, Verify::With("/ca.pem".into()));
    assert_eq!(settings.connector.name, "From outside");
    assert!((settings.connector.queue_threshold - 250.5).abs() < f64::EPSILON);
    assert_eq!(settings.connector.scope, ["Incident", "Note"]);
    assert!(settings.connector.run_and_terminate);
    assert_eq!(settings.connector.id, ID);
    let Some(Queue::Amqp(broker)) = settings.connector.sinks.queue else {
        panic!("not AMQP");
    };
    assert_eq!(broker.password.unwrap().expose_secret(), "0123");
    assert_eq!(broker.port, Some(5671));
    assert_eq!(broker.use_ssl, Some(true));
    assert_eq!(settings.source.api_url.as_str(), "http://file/api/v3/");
    assert_eq!(settings.source.limit.map(Into::into), Some(20_u64));
    let expected = [("CREATE_FILE", "false"), ("EXTENSIONS", "exe,dll")];
    assert_eq!(
        settings.guest,
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[test]
fn all_required_settings_may_stand_in_the_file_under_either_section_of_the_guest() {
    for section in ["feed", "virustotal"] {
        let yaml = format!(
            "opencti: {{url: 'http://opencti:8080', token: the-token}}\n\
             connector: {{id: {ID}}}\n\
             {section}: {{api_key: the-key, INTERVAL_SEC: 60}}\n"
        );
        let raw = with_file(Raw::default(), &yaml).unwrap();
        let settings = load(&raw, &guest()).unwrap();
        assert_eq!(settings.source.api_key.expose_secret(), "the-key");
        assert_eq!(settings.connector.period, Duration::from_secs(60));
        assert_eq!(settings.warnings, Vec::<String>::new());
    }
}

#[test]
fn names_that_belong_to_no_section_stand_in_the_environment_only() {
    let yaml = "https: {ca_certificates: a.pem}\nssl: {cert_file: b.pem}\nmq: {pass: a, use_ssl_ca: c.pem}\n";
    let raw = with_file(environment(&[]), yaml).unwrap();
    for (name, expected) in [
        ("HTTPS_CA_CERTIFICATES", None),
        ("SSL_CERT_FILE", None),
        ("MQ_PASS", Some("a")),
        ("MQ_USE_SSL_CA", Some("c.pem")),
        ("MQ", None),
    ] {
        assert_eq!(raw.get(name), expected, "{name}");
    }
    let warnings = load(&raw, &guest()).unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains("section https is not read"),
        "{warnings:?}"
    );
}

#[test]
fn a_file_that_cannot_be_understood_is_refused_without_showing_secrets() {
    for (yaml, expected) in [
        ("opencti: [", "is not YAML"),
        ("opencti:\n  token: TOP-SECRET\n bad", "is not YAML"),
        ("opencti:\n  token: 'TOP-SECRET\n", "is not YAML"),
        ("opencti:\n  token: TOP-SECRET: 1\n", "is not YAML"),
        (
            "opencti:\n  token: TOP-SECRET\n  token: TOP-SECRET\n",
            "is not YAML",
        ),
        ("- a", "the file holds a list; expected sections"),
        (
            "opencti: http://a",
            "opencti holds a text; expected settings",
        ),
        (
            "opencti: {url: {a: b}}",
            "opencti.url holds settings; expected a text",
        ),
        (
            "feed: {extensions: [[exe]]}",
            "feed.extensions holds a list; expected a text",
        ),
    ] {
        let error = with_file(Raw::default(), yaml).unwrap_err().to_string();
        assert!(error.contains(expected), "{yaml}: {error}");
        assert!(!error.contains("SECRET"), "{yaml}: {error}");
    }
    for harmless in ["", "# nothing\n", "opencti:\n", "connector: {}\n"] {
        with_file(Raw::default(), harmless).unwrap();
    }
    let absent = Path::new("/nowhere/config.yml");
    Raw::default()
        .with_file(absent)
        .expect("a file need not exist");
    Raw::default()
        .with_file(Path::new("/"))
        .expect_err("a folder is no file");
}

#[test]
fn a_value_that_cannot_be_right_is_refused_by_name() {
    let directory = ("CONNECTOR_SEND_TO_DIRECTORY", "true");
    for (given, expected) in [
        (
            &[("OPENCTI_URL", "")][..],
            "OPENCTI_URL: not set; expected an address",
        ),
        (
            &[("OPENCTI_URL", "ChangeMe")],
            "OPENCTI_URL: the text is not an address",
        ),
        (
            &[("OPENCTI_URL", "ftp://opencti")],
            "OPENCTI_URL: the text is not an address",
        ),
        (
            &[("OPENCTI_URL", "http://opencti?a=b")],
            "OPENCTI_URL: the text is not an address",
        ),
        (
            &[("OPENCTI_TOKEN", " ")],
            "OPENCTI_TOKEN: not set; expected a value",
        ),
        (
            &[("OPENCTI_TOKEN", "ChangeMe")],
            "OPENCTI_TOKEN: found \"ChangeMe\"; allowed: your own",
        ),
        (
            &[("CONNECTOR_ID", "")],
            "CONNECTOR_ID: not set; expected a UUID",
        ),
        (
            &[("CONNECTOR_ID", "changeme")],
            "CONNECTOR_ID: found \"changeme\"; allowed: a UUID",
        ),
        (
            &[("CONNECTOR_NAME", "x")],
            "CONNECTOR_NAME: found \"x\"; allowed: at least two characters",
        ),
        (
            &[("CONNECTOR_DURATION_PERIOD", "soon")],
            "CONNECTOR_DURATION_PERIOD: found \"soon\"; allowed: an ISO 8601",
        ),
        (
            &[("CONNECTOR_RUN_AND_TERMINATE", "maybe")],
            "CONNECTOR_RUN_AND_TERMINATE: found \"maybe\"; allowed: true or false",
        ),
        (
            &[("CONNECTOR_QUEUE_THRESHOLD", "0")],
            "CONNECTOR_QUEUE_THRESHOLD: found \"0\"; allowed: a number",
        ),
        (
            &[("CONNECTOR_QUEUE_THRESHOLD", "NaN")],
            "CONNECTOR_QUEUE_THRESHOLD: found \"NaN\"",
        ),
        (
            &[("CONNECTOR_QUEUE_PROTOCOL", "smtp")],
            "CONNECTOR_QUEUE_PROTOCOL: found \"smtp\"; allowed: amqp or api",
        ),
        (
            &[("QUEUE_PROTOCOL", "smtp")],
            "QUEUE_PROTOCOL: found \"smtp\"; allowed: amqp or api",
        ),
        (
            &[("CONNECTOR_SEND_TO_QUEUE", "false")],
            "CONNECTOR_SEND_TO_QUEUE: found \"false\"; allowed: true, or CONNECTOR_SEND_TO_DIRECTORY=true",
        ),
        (
            &[directory],
            "CONNECTOR_SEND_TO_DIRECTORY_PATH: not set; expected a directory",
        ),
        (
            &[
                directory,
                ("CONNECTOR_SEND_TO_DIRECTORY_PATH", "d"),
                ("CONNECTOR_SEND_TO_DIRECTORY_RETENTION", "-1"),
            ],
            "CONNECTOR_SEND_TO_DIRECTORY_RETENTION: found \"-1\"; allowed: a number of days",
        ),
        (
            &[("MQ_PORT", "70000")],
            "MQ_PORT: found \"70000\"; allowed: a port number",
        ),
        (
            &[("MQ_PORT", "0")],
            "MQ_PORT: found \"0\"; allowed: a port number",
        ),
        (
            &[("MQ_USE_SSL", "tls")],
            "MQ_USE_SSL: found \"tls\"; allowed: true or false",
        ),
        (
            &[("MQ_USE_SSL_REJECT_UNAUTHORIZED", "?")],
            "MQ_USE_SSL_REJECT_UNAUTHORIZED: found \"?\"",
        ),
        (
            &[("FEED_API_KEY", "")],
            "FEED_API_KEY: not set; expected a value",
        ),
        (
            &[("FEED_API_KEY", "ChangeMe")],
            "FEED_API_KEY: found \"ChangeMe\"; allowed: your own",
        ),
        (
            &[("FEED_API_URL", "www.virustotal.com")],
            "FEED_API_URL: the text is not an address",
        ),
        (
            &[("FEED_INTERVAL_SEC", "5m")],
            "FEED_INTERVAL_SEC: found \"5m\"; allowed: a number of seconds",
        ),
        (
            &[("FEED_INTERVAL_SEC", "-1")],
            "FEED_INTERVAL_SEC: found \"-1\"",
        ),
        (
            &[("FEED_LIMIT", "0")],
            "FEED_LIMIT: found \"0\"; allowed: a number of at least 1",
        ),
        (
            &[("FEED_REQUESTS_PER_MINUTE", "4/m")],
            "FEED_REQUESTS_PER_MINUTE: found \"4/m\"",
        ),
    ] {
        let problems = problems(given);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(expected), "{}", problems[0]);
    }
}

#[test]
fn all_problems_come_at_once() {
    let found = problems(&[
        ("OPENCTI_URL", "ChangeMe"),
        ("OPENCTI_TOKEN", "ChangeMe"),
        ("CONNECTOR_ID", "ChangeMe"),
        ("CONNECTOR_QUEUE_PROTOCOL", "smtp"),
        ("CONNECTOR_SEND_TO_DIRECTORY", "true"),
        ("CONNECTOR_DURATION_PERIOD", "soon"),
        ("FEED_INTERVAL_SEC", "soon"),
        ("FEED_API_KEY", ""),
        ("FEED_LIMIT", "none"),
    ]);
    let names: Vec<&str> = found
        .iter()
        .filter_map(|problem| Some(problem.split_once(':')?.0))
        .collect();
    assert_eq!(
        names,
        [
            "OPENCTI_URL",
            "OPENCTI_TOKEN",
            "CONNECTOR_ID",
            "CONNECTOR_DURATION_PERIOD",
            "FEED_INTERVAL_SEC",
            "CONNECTOR_QUEUE_PROTOCOL",
            "CONNECTOR_SEND_TO_DIRECTORY_PATH",
            "FEED_API_KEY",
            "FEED_LIMIT",
        ]
    );
    let whole = load(&Raw::default(), &guest()).unwrap_err().to_string();
    assert_eq!(whole.lines().count(), 1 + REQUIRED.len(), "{whole}");
}

#[test]
fn the_period_wins_over_the_interval() {
    for (period, interval, expected, runs_once) in [
        ("", "", 300, false),
        ("", "60", 60, false),
        ("PT10M", "", 600, false),
        ("PT10M", "60", 600, false),
        ("", "0", 0, true),
        ("PT0S", "60", 0, true),
    ] {
        let settings = settings(&[
            ("CONNECTOR_DURATION_PERIOD", period),
            ("FEED_INTERVAL_SEC", interval),
        ]);
        assert_eq!(
            settings.connector.period.as_secs(),
            expected,
            "{period} {interval}"
        );
        assert_eq!(
            settings.connector.run_and_terminate, runs_once,
            "{period} {interval}"
        );
        let both = !period.is_empty() && !interval.is_empty();
        let warning = "FEED_INTERVAL_SEC is not used: CONNECTOR_DURATION_PERIOD is set";
        assert_eq!(settings.warnings, if both { vec![warning] } else { vec![] });
    }
    assert!(
        settings(&[("CONNECTOR_RUN_AND_TERMINATE", "True")])
            .connector
            .run_and_terminate
    );
}

#[test]
fn addresses_are_bases_to_put_paths_behind() {
    for (given, opencti, api) in [
        ("http://a", "http://a/", "http://a/"),
        ("http://a/", "http://a/", "http://a/"),
        (" https://a:1/b ", "https://a:1/b", "https://a:1/b/"),
        ("https://a:1/b//", "https://a:1/b", "https://a:1/b/"),
    ] {
        let settings = settings(&[("OPENCTI_URL", given), ("FEED_API_URL", given)]);
        assert_eq!(settings.opencti.url.as_str(), opencti, "{given}");
        assert_eq!(settings.source.api_url.as_str(), api, "{given}");
    }
}

#[test]
fn certificates_are_verified_unless_the_user_says_otherwise() {
    for (text, expected, warned) in [
        ("true", Verify::Yes, false),
        ("Yes", Verify::Yes, false),
        ("1", Verify::Yes, false),
        ("false", Verify::No, true),
        ("NO", Verify::No, true),
        ("0", Verify::No, true),
        (" /etc/ca.pem ", Verify::With("/etc/ca.pem".into()), false),
    ] {
        let settings = settings(&[("OPENCTI_SSL_VERIFY", text)]);
        assert_eq!(settings.opencti.verify, expected, "{text}");
        assert_eq!(!settings.warnings.is_empty(), warned, "{text}");
    }
}

#[test]
fn custom_headers_are_pairs() {
    let value = "X-One: a:b; x-two:2;;no pair; bad name:x ;";
    let settings = settings(&[("OPENCTI_CUSTOM_HEADERS", value)]);
    let headers: Vec<(&str, &str)> = settings
        .opencti
        .custom_headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    assert_eq!(headers, [("x-one", "a:b"), ("x-two", "2")]);
    assert_eq!(settings.warnings.len(), 2, "{:?}", settings.warnings);
}

#[test]
fn bundles_go_where_the_settings_say() {
    let sinks = |given: &[(&str, &str)]| settings(given).connector.sinks;
    for name in ["CONNECTOR_QUEUE_PROTOCOL", "QUEUE_PROTOCOL"] {
        assert!(
            matches!(sinks(&[(name, "API")]).queue, Some(Queue::Api)),
            "{name}"
        );
        assert!(
            matches!(sinks(&[(name, "amqp")]).queue, Some(Queue::Amqp(_))),
            "{name}"
        );
    }
    let both = [
        ("CONNECTOR_QUEUE_PROTOCOL", "amqp"),
        ("QUEUE_PROTOCOL", "api"),
    ];
    assert!(matches!(sinks(&both).queue, Some(Queue::Amqp(_))));
    for (retention, expected) in [("", Some(7_u64)), ("30", Some(30)), ("0", None)] {
        let sinks = sinks(&[
            ("CONNECTOR_SEND_TO_QUEUE", "no"),
            ("CONNECTOR_SEND_TO_DIRECTORY", "yes"),
            ("CONNECTOR_SEND_TO_DIRECTORY_PATH", "/bundles"),
            ("CONNECTOR_SEND_TO_DIRECTORY_RETENTION", retention),
        ]);
        assert!(sinks.queue.is_none());
        let directory = sinks.directory.unwrap();
        assert_eq!(directory.path, Path::new("/bundles"));
        assert_eq!(
            directory.retention_days.map(Into::into),
            expected,
            "{retention}"
        );
    }
}

#[test]
fn every_part_of_the_broker_connection_can_be_overridden() {
    let settings = settings(&[
        ("MQ_HOST", "rabbit"),
        ("MQ_PORT", "5671"),
        ("MQ_VHOST", "/cti"),
        ("MQ_USE_SSL", "True"),
        ("MQ_USER", "worker"),
        ("MQ_PASS", " 'quoted' "),
        ("MQ_USE_SSL_CA", "/ca.pem"),
        ("MQ_USE_SSL_CERT", "/cert.pem"),
        ("MQ_USE_SSL_KEY", "/key.pem"),
        ("MQ_USE_SSL_PASSPHRASE", " open "),
        ("MQ_USE_SSL_REJECT_UNAUTHORIZED", "false"),
    ]);
    let Some(Queue::Amqp(broker)) = settings.connector.sinks.queue else {
        panic!("not AMQP");
    };
    assert_eq!(broker.host.as_deref(), Some("rabbit"));
    assert_eq!(broker.port, Some(5671));
    assert_eq!(broker.vhost.as_deref(), Some("/cti"));
    assert_eq!(broker.use_ssl, Some(true));
    assert_eq!(broker.user.as_deref(), Some("worker"));
    assert_eq!(broker.password.unwrap().expose_secret(), " 'quoted' ");
    assert_eq!(broker.ca.as_deref(), Some("/ca.pem"));
    assert_eq!(broker.client_certificate.as_deref(), Some("/cert.pem"));
    assert_eq!(broker.client_key.unwrap().expose_secret(), "/key.pem");
    assert_eq!(
        broker.client_key_passphrase.unwrap().expose_secret(),
        " open "
    );
    assert_eq!(broker.reject_unauthorized, Some(false));
    let warning = &settings.warnings[..];
    assert!(
        matches!(warning, [it] if it.starts_with("MQ_USE_SSL_REJECT_UNAUTHORIZED is false")),
        "{warning:?}"
    );
}

#[test]
fn quotes_that_became_part_of_a_value_are_left_out_with_a_warning() {
    let settings = settings(&[
        ("FEED_API_KEY", "\"the-key\""),
        ("CONNECTOR_NAME", "'Hunting'"),
        ("CONNECTOR_SCOPE", "'half"),
    ]);
    assert_eq!(settings.source.api_key.expose_secret(), "the-key");
    assert_eq!(settings.connector.name, "Hunting");
    assert_eq!(settings.connector.scope, ["'half"]);
    assert_eq!(
        settings.warnings,
        [
            "CONNECTOR_NAME: the quotes around the value are left out",
            "FEED_API_KEY: the quotes around the value are left out",
        ]
    );
}

#[test]
fn what_is_the_guests_reaches_it_as_it_was_written() {
    let settings = settings(&[
        ("FEED_EXTENSIONS", " 'exe, dll' "),
        ("FEED_LIMIT", "3"),
        ("FEED_CREATE_FILE", ""),
    ]);
    let expected = ("EXTENSIONS".to_owned(), " 'exe, dll' ".to_owned());
    assert_eq!(settings.guest, [expected]);
    assert_eq!(settings.warnings, Vec::<String>::new());
}

#[test]
fn a_name_that_nobody_knows_is_a_warning_with_the_nearest_name() {
    for (name, expected) in [
        (
            "CONNECTOR_QUEUE_TRESHOLD",
            "CONNECTOR_QUEUE_TRESHOLD is not a setting (did you mean CONNECTOR_QUEUE_THRESHOLD?)",
        ),
        ("CONNECTOR_COLOUR", "CONNECTOR_COLOUR is not a setting"),
        (
            "MQ_PASSWORD",
            "MQ_PASSWORD is not a setting (did you mean MQ_PASS?)",
        ),
        (
            "OPENCTI_SSL_VERFY",
            "OPENCTI_SSL_VERFY is not a setting (did you mean OPENCTI_SSL_VERIFY?)",
        ),
        (
            "FEED_EXTENSION",
            "FEED_EXTENSION is not a setting (did you mean FEED_EXTENSIONS?)",
        ),
        (
            "FEED_REQUEST_PER_MINUTE",
            "FEED_REQUEST_PER_MINUTE is not a setting (did you mean FEED_REQUESTS_PER_MINUTE?)",
        ),
        ("FEED_COLOUR", "FEED_COLOUR is not a setting"),
        (
            "S3_BUCKET_REGIO",
            "S3_BUCKET_REGIO is not a setting (did you mean S3_BUCKET_REGION?)",
        ),
    ] {
        assert_eq!(settings(&[(name, "true")]).warnings, [expected], "{name}");
    }
}

#[test]
fn names_of_others_are_no_warning() {
    for (name, value) in [
        ("CONNECTOR_TYPE", "EXTERNAL_IMPORT"),
        ("CONNECTOR_CONFIDENCE_LEVEL", "50"),
        // Of another program.
        ("S3_PREFIX", "backups"),
        // The platform's own, from a file for all containers.
        ("OPENCTI_ADMIN_PASSWORD", "TOP-SECRET"),
        // Kubernetes.
        ("OPENCTI_SERVICE_HOST", "10.0.0.1"),
        ("OPENCTI_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("CONNECTOR_PORT", "tcp://10.0.0.1:80"),
        ("PATH", "/bin"),
        ("HTTPS_PROXY", "http://proxy:3128"),
    ] {
        assert_eq!(
            settings(&[(name, value)]).warnings,
            Vec::<String>::new(),
            "{name}"
        );
    }
}

#[test]
fn unknown_names_in_the_file_are_warnings_too() {
    let yaml = "
        opencti: {admin_password: TOP-SECRET}
        connector: {type: EXTERNAL_IMPORT, colour: red}
        s3: {colour: red}
        virustotals: {api_key: TOP-SECRET}
        feed: {colour: red}
    ";
    // Once, though it stands in both places.
    let raw = with_file(
        environment(&[("FEED_COLOUR", "red"), ("CONNECTOR_COLOUR", "red")]),
        yaml,
    );
    assert_eq!(
        load(&raw.unwrap(), &guest()).unwrap().warnings,
        [
            "the configuration file's section virustotals is not read (did you mean virustotal?)",
            "OPENCTI_ADMIN_PASSWORD is not a setting",
            "CONNECTOR_COLOUR is not a setting",
            "S3_COLOUR is not a setting",
            "FEED_COLOUR is not a setting",
        ]
    );
}

#[test]
fn no_secret_shows_in_debug_warnings_and_problems() {
    let secrets = [
        ("OPENCTI_URL", "http://user:SECRET@opencti"),
        ("OPENCTI_TOKEN", "'SECRET'"),
        ("OPENCTI_CUSTOM_HEADERS", "authorization:SECRET;SECRET"),
        ("MQ_PASS", "SECRET"),
        ("MQ_USE_SSL_KEY", "SECRET"),
        ("MQ_USE_SSL_PASSPHRASE", "SECRET"),
        ("CONNECTOR_SEND_TO_S3", "true"),
        ("S3_ACCESS_KEY", "SECRET"),
        ("S3_SECRET_KEY", "SECRET"),
        ("FEED_API_KEY", "SECRET"),
        ("FEED_API_URL", "http://user:SECRET@proxy/api"),
        ("FEED_UNKNOWN", "SECRET"),
        ("CONNECTOR_UNKNOWN", "SECRET"),
    ];
    let shown = format!("{:?}", settings(&secrets));
    assert!(shown.contains("http://opencti/"), "{shown}");
    assert!(!shown.contains("SECRET"), "{shown}");
    let mut refused = secrets.to_vec();
    refused.extend([
        ("OPENCTI_URL", "opencti:SECRET@"),
        ("CONNECTOR_ID", ""),
        ("FEED_API_URL", "http://user:SECRET@"),
    ]);
    let shown = problems(&refused).join("\n");
    assert!(!shown.contains("SECRET"), "{shown}");
}

#[test]
fn status_is_served_where_the_settings_say() {
    assert_eq!(settings(&[]).connector.status, None);
    for (set, expected) in [
        (vec![], "127.0.0.1:9095"),
        (vec![("CONNECTOR_METRICS_PORT", "1")], "127.0.0.1:1"),
        (vec![("CONNECTOR_METRICS_ADDRESS", "::")], "[::]:9095"),
    ] {
        let mut all = vec![("CONNECTOR_EXPOSE_METRICS", "true")];
        all.extend(set);
        let found = settings(&all).connector.status.unwrap();
        assert_eq!(found.address, expected.parse().unwrap());
    }
    for (namespace, subsystem, expected) in [
        ("", "", None),
        ("soc", "", Some("soc")),
        ("", "vt", Some("vt")),
        ("soc", "vt_1", Some("soc_vt_1")),
    ] {
        let found = settings(&[
            ("CONNECTOR_EXPOSE_METRICS", "true"),
            ("CONNECTOR_METRICS_NAMESPACE", namespace),
            ("CONNECTOR_METRICS_SUBSYSTEM", subsystem),
        ]);
        let found = found.connector.status.unwrap().metrics_prefix;
        assert_eq!(found.as_deref(), expected);
    }
    let wrong = [
        ("CONNECTOR_METRICS_PORT", "70000"),
        ("CONNECTOR_METRICS_ADDRESS", "here"),
        ("CONNECTOR_METRICS_NAMESPACE", "a-b"),
        ("CONNECTOR_METRICS_SUBSYSTEM", "1st"),
    ];
    assert_eq!(problems(&wrong).len(), 4);
}

#[test]
fn where_the_guest_comes_from_is_read_before_all_else() {
    let digest = Digest::of(b"component");
    let read = |rest: &[(&str, &str)], given: Option<&str>| {
        let given = given.map(|text| text.parse().unwrap());
        load_guest(&environment(rest), given).unwrap()
    };
    let defaults = read(&[], None);
    assert_eq!(defaults.source.to_string(), "/guests/livehunt.wasm");
    assert_eq!(defaults.digest, None);
    assert_eq!(defaults.poll, Duration::from_secs(300));
    assert_eq!(defaults.docker_config, None);
    assert_eq!((defaults.memory, defaults.cache), (64 << 20, None));
    assert_eq!(defaults.deadline, Duration::from_secs(2));

    let all = [
        ("CONNECTOR_GUEST", "'oci://ghcr.io/acme/livehunt:1'"),
        ("CONNECTOR_GUEST_DIGEST", &format!("sha256:{digest}")),
        ("CONNECTOR_GUEST_POLL", "PT1M"),
        ("CONNECTOR_GUEST_CACHE", "/cache"),
        ("CONNECTOR_GUEST_DEADLINE", "PT0.5S"),
        ("CONNECTOR_GUEST_MEMORY", "8"),
        ("CONNECTOR_GUEST_REUSE", "1"),
        ("HOME", "/home/me"),
    ];
    let settings = read(&all, None);
    assert_eq!(settings.cache.as_deref(), Some(Path::new("/cache")));
    assert_eq!(settings.deadline, Duration::from_millis(500));
    assert_eq!(
        (settings.memory, settings.reuse),
        (8 << 20, NonZeroU32::MIN)
    );
    assert_eq!(settings.source.to_string(), "oci://ghcr.io/acme/livehunt:1");
    assert_eq!(settings.digest, Some(digest));
    assert_eq!(settings.poll, Duration::from_secs(60));
    assert_eq!(
        settings.docker_config.as_deref(),
        Some(Path::new("/home/me/.docker"))
    );
    assert_eq!(settings.warnings.len(), 1, "{:?}", settings.warnings);

    let settings = read(
        &[
            ("CONNECTOR_GUEST", "http://no"),
            ("DOCKER_CONFIG", "/login"),
        ],
        Some("a.wasm"),
    );
    assert_eq!(settings.source.to_string(), "a.wasm");
    assert_eq!(settings.docker_config.as_deref(), Some(Path::new("/login")));
}

#[test]
fn all_problems_with_the_guests_source_come_at_once() {
    let raw = environment(&[
        ("CONNECTOR_GUEST", "https://ghcr.io/acme/livehunt:1"),
        ("CONNECTOR_GUEST_DIGEST", "sha256:12"),
        ("CONNECTOR_GUEST_POLL", "PT0S"),
        ("CONNECTOR_GUEST_DEADLINE", "soon"),
        ("CONNECTOR_GUEST_MEMORY", "5000"),
        ("CONNECTOR_GUEST_REUSE", "0"),
    ]);
    let Invalid(problems) = load_guest(&raw, None).unwrap_err();
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        problems,
        [
            "CONNECTOR_GUEST: found an address that begins with \"https://\"; expected a path, or \
             oci://registry/repository:tag or oci://registry/repository@sha256:…",
            "CONNECTOR_GUEST_DIGEST: found \"sha256:12\"; allowed: `sha256:` and 64 hexadecimal digits",
            "CONNECTOR_GUEST_POLL: found \"PT0S\"; allowed: an ISO 8601 duration of at least one \
             second, such as PT5M",
            "CONNECTOR_GUEST_DEADLINE: found \"soon\"; allowed: an ISO 8601 duration of more than zero, such as PT2S",
            "CONNECTOR_GUEST_MEMORY: found \"5000\"; allowed: a number of mebibytes, 1 to 4096",
            "CONNECTOR_GUEST_REUSE: found \"0\"; allowed: a number of at least 1",
        ]
    );
}

#[test]
fn additional_authorities_come_from_text_or_file() {
    let authority = &webpki_root_certs::TLS_SERVER_ROOT_CERTS[0];
    let encoded = base64::engine::general_purpose::STANDARD.encode(authority);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{encoded}\n-----END CERTIFICATE-----\n");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &pem).unwrap();
    let without = Http::new(&environment(&[])).unwrap().authorities().len();
    for value in [
        pem.as_str(),
        &pem.replace('\n', "\\n"),
        file.path().to_str().unwrap(),
    ] {
        let http = Http::new(&environment(&[("HTTPS_CA_CERTIFICATES", value)])).unwrap();
        assert_eq!(http.authorities().len(), without + 1, "{value}");
        assert_eq!(http.authorities().last(), Some(authority), "{value}");
    }
}

#[test]
fn authorities_that_cannot_be_read_are_refused_by_the_setting_that_names_them() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let empty = empty.path().to_str().unwrap();
    for (setting, value, expected) in [
        (
            "HTTPS_CA_CERTIFICATES",
            "/nowhere.pem",
            "HTTPS_CA_CERTIFICATES: cannot read certificates from /nowhere.pem",
        ),
        ("REQUESTS_CA_BUNDLE", empty, "the file holds no certificate"),
        (
            "SSL_CERT_FILE",
            "-----BEGIN nothing",
            "SSL_CERT_FILE: no certificate in the PEM text",
        ),
        (
            "HTTPS_CA_CERTIFICATES",
            "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----",
            "HTTPS_CA_CERTIFICATES: cannot read certificates from the PEM text: certificate 1: ",
        ),
    ] {
        let error = Http::new(&environment(&[(setting, value)]))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    let http = Http::new(&environment(&[])).unwrap();
    let error = http
        .builder(&Verify::With("/nowhere.pem".into()))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("OPENCTI_SSL_VERIFY: cannot read"),
        "{error}"
    );
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_without_its_password() {
    for (setting, value, usable) in [
        ("HTTP_PROXY", "http://proxy:3128", true),
        ("https_proxy", "proxy:3128", true),
        ("HTTPS_PROXY", "https://user:SECRET@proxy", true),
        ("HTTPS_PROXY", " ", true),
        ("HTTPS_PROXY", "http://user:SECRET@proxy:port", false),
        ("HTTPS_PROXY", "http://user:SECRET@1@proxy:3128", false),
        ("HTTPS_PROXY", "http://user:SECRET%401@[::1]:3128", true),
        ("HTTP_PROXY", "http://", false),
        ("ALL_PROXY", "socks5://user:SECRET@proxy", false),
    ] {
        let http = Http::new(&environment(&[(setting, value)]));
        assert_eq!(http.is_ok(), usable, "{value}");
        if let Err(error) = http {
            let shown = format!("{error} {error:?}");
            assert!(
                shown.contains(setting) && !shown.contains("SECRET"),
                "{shown}"
            );
        }
    }
}

#[test]
fn a_login_in_the_platforms_address_is_left_out() {
    let settings = settings(&[("OPENCTI_URL", "http://user:SECRET@opencti:8080")]);
    assert_eq!(settings.opencti.url.as_str(), "http://opencti:8080/");
    assert_eq!(
        settings.warnings,
        [
            "OPENCTI_URL: user and password in the address are left out; the platform takes OPENCTI_TOKEN"
        ]
    );
}

#[test]
fn a_guest_asks_for_nothing_but_settings_of_its_own() {
    for (prefix, section, name, taken) in [
        ("FEED", "feed", "EXTENSIONS", None),
        ("FEED", "virustotal", "KEY_WORDS", None),
        ("FEED", "feed", "API_KEY", Some("FEED_API_KEY")),
        ("feed", "feed", "api_key", Some("FEED_API_KEY")),
        ("FEED", "feed", "API_URL", Some("FEED_API_URL")),
        (
            "FEED",
            "feed",
            "OF_ANOTHER_API_KEY",
            Some("FEED_OF_ANOTHER_API_KEY"),
        ),
        ("OPENCTI", "feed", "TOKEN", Some("OPENCTI_TOKEN")),
        (
            "OPENCTI_CUSTOM",
            "feed",
            "HEADERS",
            Some("OPENCTI_CUSTOM_HEADERS"),
        ),
        ("MQ", "feed", "PASS", Some("MQ_PASS")),
        ("HTTPS", "feed", "PROXY", Some("HTTPS_PROXY")),
        (
            "FEED",
            "OpenCTI",
            "TOKEN",
            Some("the section OpenCTI of the configuration file"),
        ),
    ] {
        let asked = GuestDefaults {
            environment_prefix: prefix.to_owned(),
            config_sections: vec![section.to_owned()],
            settings: vec![name.to_owned()],
            ..GuestDefaults::default()
        };
        let refused = asked.check().err().map(|error| error.to_string());
        let expected = taken.map(|it| format!("the guest asks for {it}, which is the host's"));
        assert_eq!(refused, expected, "{prefix} {name}");
    }
}
