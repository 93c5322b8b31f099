//! What a component's bytes are known by.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

const ALGORITHM: &str = "sha256:";

/// SHA-256 of a component's bytes. Shown and read as 64 lower-case hexadecimal digits; reading also takes
/// `sha256:` before them, and upper case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// A text that is no SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found {0:?}; allowed: `sha256:` and 64 hexadecimal digits")]
pub struct InvalidDigest(String);

impl Digest {
    /// Of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let invalid = || InvalidDigest(text.to_owned());
        let digits = text.strip_prefix(ALGORITHM).unwrap_or(text).as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(invalid());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = [nibble(pair[0]), nibble(pair[1])];
            *byte = high
                .zip(low)
                .map(|(high, low)| high << 4 | low)
                .ok_or_else(invalid)?;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_in_each_form_in_which_tools_print_it() {
        let digest = Digest::of(b"component");
        let plain = digest.to_string();
        assert_eq!(plain.len(), 64);
        for text in [
            plain.clone(),
            format!("sha256:{plain}"),
            format!("sha256:{}", plain.to_uppercase()),
        ] {
            assert_eq!(text.parse(), Ok(digest), "{text}");
        }
        assert_ne!(Digest::of(b"another"), digest);
    }

    #[test]
    fn anything_else_is_refused_with_what_is_allowed() {
        let plain = Digest::of(b"component").to_string();
        for text in [
            String::new(),
            "sha256:".to_owned(),
            plain[1..].to_owned(),
            format!("{plain}0"),
            format!("g{}", &plain[1..]),
            format!("é{}", &plain[2..]),
            format!("sha512:{plain}"),
        ] {
            let error = text.parse::<Digest>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("found {text:?}; allowed: `sha256:` and 64 hexadecimal digits")
            );
        }
    }
}
