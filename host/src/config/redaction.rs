//! Secrets in the words of others.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// What a peer is told and may repeat: it is struck out of the peer's words before they stand in a message.
#[derive(Clone, Default)]
pub struct Redaction(Vec<(SecretString, &'static str)>);

impl Redaction {
    /// Strikes out a secret too; `instead` stands in its place.
    #[must_use]
    pub fn with(mut self, secret: &str, instead: &'static str) -> Self {
        if !secret.is_empty() {
            self.0.push((secret.into(), instead));
        }
        self
    }

    /// Strikes out the password in an address too, also in the form in which it is sent.
    #[must_use]
    pub fn with_login_of(self, address: &Url) -> Self {
        let Some(encoded) = address.password() else {
            return self;
        };
        let decode = |text| percent_encoding::percent_decode_str(text).decode_utf8_lossy();
        let password = decode(encoded);
        let login = STANDARD.encode(format!("{}:{password}", decode(address.username())));
        self.with(&login, "[login]")
            .with(encoded, "[password]")
            .with(&password, "[password]")
    }

    /// The words without the secrets.
    #[must_use]
    pub fn strike(&self, words: &str) -> String {
        self.0
            .iter()
            .fold(words.to_owned(), |words, (secret, instead)| {
                words.replace(secret.expose_secret(), instead)
            })
    }
}

impl std::fmt::Debug for Redaction {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Redaction").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_struck_out_in_each_form() {
        let address = "https://user:pass%2Fword@mirror/api".parse().unwrap();
        let redaction = Redaction::default()
            .with("the-key", "[key]")
            .with("", "[nothing]")
            .with_login_of(&address);
        let login = STANDARD.encode("user:pass/word");
        for (words, expected) in [
            ("nothing of it", "nothing of it"),
            ("x-apikey: the-key", "x-apikey: [key]"),
            ("pass/word, pass%2Fword", "[password], [password]"),
            (&format!("Basic {login}"), "Basic [login]"),
        ] {
            assert_eq!(redaction.strike(words), expected);
        }
        assert!(!format!("{redaction:?}").contains("the-key"));
    }
}
