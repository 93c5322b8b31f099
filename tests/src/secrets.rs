//! Secrets of the tests, and the search for them in what must not show any.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

/// Texts with fewer bytes occur by accident, as `guest` does, the password of a fresh RabbitMQ.
const SHORTEST: usize = 8;

/// Texts that must not be shown, each with the name of what it opens.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// Name by text.
    names: BTreeMap<String, String>,
    search: Option<Search>,
}

#[derive(Clone, Debug)]
struct Search {
    forms: AhoCorasick,
    /// Name of each form.
    names: Vec<String>,
}

impl Secrets {
    /// What a process is told that has these environment variables: keys, tokens, passwords, also those in
    /// addresses, in files that are named, and in a docker configuration.
    #[must_use]
    pub fn of_environment(environment: &BTreeMap<String, String>) -> Self {
        let mut secrets = Self::default();
        for (name, value) in environment {
            let upper = name.to_uppercase();
            let ends = [
                "API_KEY",
                "TOKEN",
                "PASS",
                "PASSPHRASE",
                "SSL_KEY",
                "ACCESS_KEY",
                "SECRET_KEY",
            ];
            if ends.iter().any(|end| upper.ends_with(end)) {
                let file = std::fs::read_to_string(value).ok();
                secrets.add(name, file.as_deref().unwrap_or(value));
            }
            if upper == "OPENCTI_CUSTOM_HEADERS" {
                let values = value.split(';').filter_map(|pair| pair.split_once(':'));
                values.for_each(|(_, value)| secrets.add(name, value.trim()));
            }
            if upper == "DOCKER_CONFIG" {
                secrets.add_docker_logins(name, Path::new(value));
            }
            secrets.add_user_of_address(name, value);
        }
        secrets
    }

    /// Adds a secret; of one with several lines, as a key in PEM, each line. What is too short to be told from
    /// other text is left out.
    pub fn add(&mut self, name: &str, secret: &str) {
        let lines = secret.lines().map(str::trim);
        for line in lines.filter(|line| line.len() >= SHORTEST && !line.starts_with("-----")) {
            self.names.insert(line.to_owned(), name.to_owned());
        }
        self.search = Search::new(&self.names);
    }

    /// Adds all of the others.
    pub fn extend(&mut self, others: &Self) {
        self.names.extend(others.names.clone());
        self.search = Search::new(&self.names);
    }

    /// `scheme://user:password@host`.
    fn add_user_of_address(&mut self, name: &str, value: &str) {
        let Some((user, _)) = value
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('@'))
        else {
            return;
        };
        self.add(name, user);
        let decoded = percent_decode_str(user).decode_utf8_lossy().into_owned();
        self.add(name, &decoded);
        if let Some((_, password)) = decoded.split_once(':') {
            self.add(name, password);
        }
    }

    fn add_docker_logins(&mut self, name: &str, folder: &Path) {
        let text = std::fs::read_to_string(folder.join("config.json")).unwrap_or_default();
        let config: Value = serde_json::from_str(&text).unwrap_or_default();
        let logins = config["auths"].as_object().into_iter().flatten();
        for login in logins.filter_map(|(_, login)| login["auth"].as_str()) {
            let plain = STANDARD.decode(login).unwrap_or_default();
            let plain = String::from_utf8_lossy(&plain);
            self.add(name, &plain);
            self.add(name, plain.split_once(':').map_or("", |(_, it)| it));
        }
    }

    /// Names of the secrets that stand in a text: as they are, percent-encoded, or within anything in Base64.
    #[must_use]
    pub fn shown_in(&self, text: &[u8]) -> Vec<&str> {
        let Some(search) = &self.search else {
            return Vec::new();
        };
        let found = search.forms.find_overlapping_iter(text);
        let mut names: Vec<&str> = found
            .map(|form| search.names[form.pattern().as_usize()].as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl Search {
    fn new(secrets: &BTreeMap<String, String>) -> Option<Self> {
        let (forms, names): (Vec<_>, Vec<_>) = secrets
            .iter()
            .flat_map(|(secret, name)| forms(secret).into_iter().map(|form| (form, name.clone())))
            .unzip();
        // The digits of percent-encoding may have either case.
        let forms = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(forms);
        Some(Self {
            forms: forms.ok()?,
            names,
        })
    }
}

/// How a text may look in others.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![
        secret.to_owned(),
        utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
    ];
    // A character of Base64 holds six bits, so it depends on what stands before; at the ends, on the neighbours.
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(secret.as_bytes());
        let own = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
        forms.push(STANDARD_NO_PAD.encode(&bytes)[own.clone()].to_owned());
        forms.push(URL_SAFE_NO_PAD.encode(&bytes)[own].to_owned());
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// Looks for secrets in all that reaches a simulator.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    secrets: Mutex<Secrets>,
    found: Mutex<Vec<String>>,
}

impl Watch {
    /// From now on these must not arrive.
    pub(crate) fn forbid(&self, secrets: &Secrets) {
        lock(&self.secrets).extend(secrets);
    }

    /// Notes the secrets in what arrived; those whose name is `allowed` belong there.
    pub(crate) fn look(&self, place: &str, text: &[u8], allowed: impl Fn(&str) -> bool) {
        let secrets = lock(&self.secrets);
        for name in secrets.shown_in(text).into_iter().filter(|it| !allowed(it)) {
            lock(&self.found).push(format!("{name} in {place}"));
        }
    }

    /// Fails the test in which a secret arrived.
    pub(crate) fn assert_nothing_found(&self) {
        let found = lock(&self.found);
        assert!(
            found.is_empty() || std::thread::panicking(),
            "a simulator was sent secrets: {found:?}"
        );
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(environment: &[(&str, &str)]) -> Secrets {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Secrets::of_environment(&environment)
    }

    #[test]
    fn a_secret_is_found_in_each_of_its_forms() {
        const KEY: &str = "k?y>of/the+feed=";
        let secrets = secrets(&[("FEED_API_KEY", KEY), ("OPENCTI_URL", "http://platform")]);
        let wrapped = |before: &str| format!("{before}{KEY} and more");
        for text in [
            format!("the key is {KEY}!"),
            KEY.to_uppercase(),
            format!("a=1&key={}", utf8_percent_encode(KEY, NON_ALPHANUMERIC)),
            STANDARD.encode(KEY),
            STANDARD.encode(wrapped("a")),
            STANDARD.encode(wrapped("ab")),
            STANDARD.encode(wrapped("abc")),
            URL_SAFE_NO_PAD.encode(wrapped("abcd")),
            STANDARD.encode(wrapped("{\"bundle\": \"")),
        ] {
            assert_eq!(
                secrets.shown_in(text.as_bytes()),
                ["FEED_API_KEY"],
                "{text}"
            );
        }
        for text in [
            "",
            "http://platform",
            "the key is k?y>of/the+fee",
            "FEED_API_KEY",
        ] {
            assert!(secrets.shown_in(text.as_bytes()).is_empty(), "{text}");
        }
    }

    #[test]
    fn secrets_are_found_wherever_an_environment_holds_them() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let key = folder.path().join("key.pem");
        std::fs::write(
            &key,
            "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n",
        )?;
        let login = STANDARD.encode("reader:password-of-the-registry");
        let docker = format!(r#"{{"auths": {{"registry": {{"auth": "{login}"}}}}}}"#);
        std::fs::write(folder.path().join("config.json"), docker)?;
        for (name, value, shown) in [
            ("OPENCTI_TOKEN", "platforms-token", "platforms-token"),
            ("MQ_PASS", "brokers-password", "brokers-password"),
            (
                "MQ_USE_SSL_KEY",
                &key.display().to_string(),
                "hkiG9w0BAQEFAASC",
            ),
            (
                "OPENCTI_CUSTOM_HEADERS",
                "a:1;b: header-value",
                "header-value",
            ),
            ("https_proxy", "http://u:pass%2Fword@proxy", "pass/word"),
            ("https_proxy", "http://u:pass%2Fword@proxy", "pass%2Fword"),
            (
                "DOCKER_CONFIG",
                &folder.path().display().to_string(),
                &login,
            ),
            (
                "DOCKER_CONFIG",
                &folder.path().display().to_string(),
                "password-of-the-registry",
            ),
        ] {
            let secrets = secrets(&[(name, value)]);
            assert_eq!(secrets.shown_in(shown.as_bytes()), [name], "{value}");
        }
        let secrets = secrets(&[("MQ_PASS", "guest"), ("CONNECTOR_NAME", "a name of ours")]);
        assert!(secrets.shown_in(b"guest, a name of ours").is_empty());
        Ok(())
    }

    #[test]
    fn what_belongs_somewhere_may_arrive_there() {
        let watch = Watch::default();
        watch.forbid(&secrets(&[("FEED_API_KEY", "key-of-the-feed")]));
        watch.look("a header", b"key-of-the-feed", |name| {
            name == "FEED_API_KEY"
        });
        watch.assert_nothing_found();
    }

    #[test]
    #[should_panic(expected = "FEED_API_KEY in a body")]
    fn what_arrives_elsewhere_fails_the_test() {
        let watch = Watch::default();
        watch.forbid(&secrets(&[("FEED_API_KEY", "key-of-the-feed")]));
        watch.look("a body", b"the key-of-the-feed", |_| false);
        watch.assert_nothing_found();
    }
}
