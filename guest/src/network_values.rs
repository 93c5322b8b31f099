//! Addresses found in malware, made into observables that the platform takes, or refused.
//!
//! What is refused cannot be reached from the Internet (private networks, loopback, reserved names) or is
//! no address at all: extractors hand out whatever bytes stood where an address was expected.
//! Documentation ranges (192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32) and names under
//! `example` are taken: tests and demonstrations stand on them, and malware has no use for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A normalised network address in the terms of STIX 2.1, chapter 6.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Observable {
    /// Lower case, without a dot at the end, of at least two labels.
    DomainName(String),
    /// Four decimal numbers.
    Ipv4(String),
    /// The text of RFC 5952.
    Ipv6(String),
    /// Scheme and host in lower case, the rest as found.
    Url(String),
}

impl Observable {
    /// The observable's `value`.
    pub fn value(&self) -> &str {
        match self {
            Self::DomainName(value) | Self::Ipv4(value) | Self::Ipv6(value) | Self::Url(value) => {
                value
            }
        }
    }
}

/// Why a text is no observable.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("found {found:?}, expected {expected}")]
pub struct Rejection {
    /// The text, at most 200 characters of it.
    pub found: String,
    /// What would have been taken.
    pub expected: &'static str,
}

impl Rejection {
    fn new(found: &str, expected: &'static str) -> Self {
        Self {
            found: found.chars().take(200).collect(),
            expected,
        }
    }
}

/// Bytes of the longest domain name (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 253;

/// Characters of the longest label of a domain name (RFC 1035, section 2.3.4).
const LONGEST_LABEL: usize = 63;

/// Bytes of the longest URL that is taken.
const LONGEST_URL: usize = 4096;

/// Top-level domains that are not of the Internet: RFC 6761, RFC 6762 (`local`), RFC 8375 (`arpa`), and
/// names that ICANN keeps back or that routers use inside.
const RESERVED_SUFFIXES: &[&str] = &[
    "localhost",
    "local",
    "localdomain",
    "internal",
    "invalid",
    "test",
    "arpa",
];

/// Schemes whose URL says more than its host.
const WEB_SCHEMES: &[&str] = &["http", "https", "ftp", "ftps", "ws", "wss"];

/// Reads a domain name or an IP address, with or without a port, which is dropped.
///
/// Control characters are removed wherever they stand: extractors leave NULs inside and behind.
///
/// # Errors
/// The text is no host, or none that can be reached.
pub fn parse_host(text: &str) -> Result<Observable, Rejection> {
    let cleaned: String = text.chars().filter(|it| !it.is_control()).collect();
    let (host, _port) =
        split_port(cleaned.trim()).map_err(|expected| Rejection::new(text, expected))?;
    classify(host).map_err(|expected| Rejection::new(text, expected))
}

/// Reads a URL. Where the scheme is not one of the web (`tcp://host:port`), its host is all that it says,
/// and is what is returned.
///
/// # Errors
/// The text is no absolute URL, is longer than 4096 bytes, or its host is refused as by [`parse_host`].
pub fn parse_url(text: &str) -> Result<Observable, Rejection> {
    parse_trimmed_url(text.trim_matches(|it: char| it.is_whitespace() || it.is_control()))
        .map_err(|expected| Rejection::new(text, expected))
}

fn parse_trimmed_url(text: &str) -> Result<Observable, &'static str> {
    if text.len() > LONGEST_URL {
        return Err("a URL of at most 4096 bytes");
    }
    if text.chars().any(|it| it.is_whitespace() || it.is_control()) {
        return Err("a URL without blanks and control characters");
    }
    let (scheme, rest) = text
        .split_once("://")
        .ok_or("a URL with a scheme and a host, like `https://host/`")?;
    let scheme = scheme.to_ascii_lowercase();
    if !is_scheme(&scheme) {
        return Err("a URL that begins with a scheme, like `https://host/`");
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, address) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let (host, port) = split_port(address)?;
    let host = classify(host)?;
    if !WEB_SCHEMES.contains(&scheme.as_str()) {
        return Ok(host);
    }
    let host = match &host {
        Observable::Ipv6(address) => format!("[{address}]"),
        other => other.value().to_owned(),
    };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    Ok(Observable::Url(format!(
        "{scheme}://{user}{host}{port}{path}"
    )))
}

/// Whether a text begins like a URL that names a host.
pub fn has_scheme(text: &str) -> bool {
    text.split_once("://")
        .is_some_and(|(scheme, rest)| is_scheme(&scheme.to_ascii_lowercase()) && !rest.is_empty())
}

/// RFC 3986, section 3.1; `scheme` is in lower case.
fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|it: char| it.is_ascii_lowercase())
        && scheme
            .chars()
            .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || "+-.".contains(it))
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`; an IPv6 address without brackets has no port.
fn split_port(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest
            .split_once(']')
            .ok_or("a bracket behind the IPv6 address")?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err("an IPv6 address between the brackets");
        }
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err("a port or nothing behind the bracket"),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        }
    };
    let is_port = |port: &str| {
        port.bytes().all(|it| it.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    match port {
        Some(port) if !is_port(port) => Err("a port from 1 to 65535 behind the host"),
        _ => Ok((host, port)),
    }
}

fn classify(host: &str) -> Result<Observable, &'static str> {
    match host.parse() {
        Ok(IpAddr::V4(address)) => classify_v4(address),
        Ok(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
            // The same host, in the form under which others know it.
            Some(address) => classify_v4(address),
            None if is_public_v6(address) => Ok(Observable::Ipv6(address.to_string())),
            None => Err("an IPv6 address of the Internet (2000::/3)"),
        },
        Err(_) => domain_name(host).map(Observable::DomainName),
    }
}

fn classify_v4(address: Ipv4Addr) -> Result<Observable, &'static str> {
    if is_public_v4(address) {
        Ok(Observable::Ipv4(address.to_string()))
    } else {
        Err("an IPv4 address of the Internet, not a private, local, multicast or reserved one")
    }
}

/// RFC 6890, but for the documentation ranges.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_other_reserved = match address.octets() {
        // This network; 0.0.0.0 with it.
        [0, ..] => true,
        // Carrier-grade NAT (RFC 6598): 100.64.0.0/10.
        [100, second, ..] => second & 0xc0 == 64,
        // Protocol assignments.
        [192, 0, 0, _] => true,
        // Benchmarks (RFC 2544).
        [198, 18..=19, ..] => true,
        // Class E, and broadcast with it.
        [first, ..] => first >= 240,
    };
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || is_other_reserved)
}

/// All that IANA hands out for the Internet; the documentation range lies in it.
fn is_public_v6(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xe000 == 0x2000
}

/// A name as the platform accepts it: letters of any script, digits, hyphens and underscores, but no
/// hyphen at a label's end, no underscore at the start or in the top-level domain.
fn domain_name(text: &str) -> Result<String, &'static str> {
    let name = text.strip_suffix('.').unwrap_or(text).to_lowercase();
    if name.len() > LONGEST_NAME {
        return Err("a domain name of at most 253 bytes");
    }
    let (_, top) = name
        .rsplit_once('.')
        .ok_or("an IP address, or a domain name of at least two labels")?;
    if name.starts_with('_') || !name.split('.').all(is_label) {
        return Err("an IP address, or a domain name of letters, digits, hyphens and underscores");
    }
    if top.len() < 2 || top.contains('_') || top.bytes().all(|it| it.is_ascii_digit()) {
        return Err("an IP address, or a domain name that ends in a top-level domain");
    }
    if RESERVED_SUFFIXES.contains(&top) {
        return Err("a domain name of the Internet, not one under a reserved name");
    }
    Ok(name)
}

fn is_label(label: &str) -> bool {
    (1..=LONGEST_LABEL).contains(&label.chars().count())
        && label
            .chars()
            .all(|it| it.is_alphanumeric() || it == '-' || it == '_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn domain(value: &str) -> Option<Observable> {
        Some(Observable::DomainName(value.to_owned()))
    }

    fn v4(value: &str) -> Option<Observable> {
        Some(Observable::Ipv4(value.to_owned()))
    }

    fn v6(value: &str) -> Option<Observable> {
        Some(Observable::Ipv6(value.to_owned()))
    }

    fn url(value: &str) -> Option<Observable> {
        Some(Observable::Url(value.to_owned()))
    }

    #[test]
    fn hosts() {
        let label = "a".repeat(LONGEST_LABEL);
        let longest = format!("{label}.{label}.{label}.{}.com", "a".repeat(57));
        let cases = [
            ("evil.example.com", domain("evil.example.com")),
            (" EVIL.Example.COM. ", domain("evil.example.com")),
            ("0.tcp.example.io:18354", domain("0.tcp.example.io")),
            ("evil.example.com\0", domain("evil.example.com")),
            ("evil\0.exam\u{1}ple.com\r\n", domain("evil.example.com")),
            ("bücher.example", domain("bücher.example")),
            ("BÜCHER.example", domain("bücher.example")),
            ("mvix.온라인.한국", domain("mvix.온라인.한국")),
            ("xn--bcher-kva.example", domain("xn--bcher-kva.example")),
            ("test._sub_.domain.io", domain("test._sub_.domain.io")),
            ("c2.onion", domain("c2.onion")),
            (&longest, domain(&longest)),
            (&format!("a{longest}"), None),
            (&format!("a{label}.com"), None),
            ("localhost", None),
            ("evil", None),
            ("a.localhost", None),
            ("printer.local", None),
            ("a.localdomain", None),
            ("a.internal", None),
            ("a.invalid", None),
            ("a.test", None),
            ("1.2.0.192.in-addr.arpa", None),
            ("-bad-.label.example", None),
            ("_a.example", None),
            ("a.ex_ample", None),
            ("a..example", None),
            (".example", None),
            ("a.example..", None),
            (".", None),
            ("", None),
            ("a b.example", None),
            ("a.example/path", None),
            ("http://a.example", None),
            ("a.example:", None),
            ("a.example:0", None),
            ("a.example:65536", None),
            ("a.example:+80", None),
            ("a.example:80:90", None),
            ("1.2.3", None),
            ("1.2.3.4.5", None),
            ("256.2.3.4", None),
            ("08.8.8.8", None),
            ("\u{3f2}\u{0}172.94.9\u{0}6.90", None),
            ("8.8.8.8", v4("8.8.8.8")),
            ("172.94.9\u{0}6.90", v4("172.94.96.90")),
            ("198.51.100.23:4443", v4("198.51.100.23")),
            ("192.0.2.1", v4("192.0.2.1")),
            ("203.0.113.255", v4("203.0.113.255")),
            ("0.0.0.0", None),
            ("0.1.2.3", None),
            ("10.1.2.3", None),
            ("127.0.0.1", None),
            ("127.9.9.9", None),
            ("169.254.1.1", None),
            ("172.15.255.255", v4("172.15.255.255")),
            ("172.16.0.0", None),
            ("172.31.255.255", None),
            ("172.32.0.0", v4("172.32.0.0")),
            ("192.168.1.1", None),
            ("100.63.255.255", v4("100.63.255.255")),
            ("100.64.0.0", None),
            ("100.127.255.255", None),
            ("100.128.0.0", v4("100.128.0.0")),
            ("192.0.0.8", None),
            ("198.18.0.1", None),
            ("198.19.255.255", None),
            ("198.20.0.1", v4("198.20.0.1")),
            ("223.255.255.255", v4("223.255.255.255")),
            ("224.0.0.1", None),
            ("240.0.0.1", None),
            ("255.255.255.255", None),
            ("2001:DB8:0:0:0::beef", v6("2001:db8::beef")),
            ("2001:db8:0:1:1:1:1:1", v6("2001:db8:0:1:1:1:1:1")),
            ("[2001:db8::beef]", v6("2001:db8::beef")),
            ("[2001:db8::beef]:443", v6("2001:db8::beef")),
            ("::ffff:8.8.8.8", v4("8.8.8.8")),
            ("::ffff:10.0.0.1", None),
            ("[2001:db8::beef", None),
            ("[2001:db8::beef]443", None),
            ("[2001:db8::beef]:0", None),
            ("[8.8.8.8]", None),
            ("[a.example]", None),
            ("::", None),
            ("::1", None),
            ("::8.8.8.8", None),
            ("fe80::1", None),
            ("fe80::1%eth0", None),
            ("fc00::1", None),
            ("fd12:3456::1", None),
            ("ff02::1", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_host(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn urls() {
        let longest = format!("http://a.example/{}", "a".repeat(LONGEST_URL - 17));
        let cases = [
            ("http://a.example", url("http://a.example")),
            (
                " HTTP://A.Example:8080/Gate.php?Id=1#X\0",
                url("http://a.example:8080/Gate.php?Id=1#X"),
            ),
            (
                "https://User:p@ss@A.example/@b",
                url("https://User:p@ss@a.example/@b"),
            ),
            (
                "https://[2001:DB8::BEEF]:8443/p",
                url("https://[2001:db8::beef]:8443/p"),
            ),
            ("http://a.example?q=://x", url("http://a.example?q=://x")),
            ("ftp://8.8.8.8/x", url("ftp://8.8.8.8/x")),
            ("wss://a.example/s", url("wss://a.example/s")),
            ("http://bücher.example/é", url("http://bücher.example/é")),
            (&longest, url(&longest)),
            (&format!("{longest}a"), None),
            ("tcp://198.51.100.23:4443", v4("198.51.100.23")),
            ("tcp://A.example", domain("a.example")),
            ("udp://[2001:db8::1]:53", v6("2001:db8::1")),
            ("ssl://a.example:443/x", domain("a.example")),
            ("a.example/gate.php", None),
            ("://a.example", None),
            ("1http://a.example", None),
            ("hé://a.example", None),
            ("http://", None),
            ("http:///x", None),
            ("file:///C:/x", None),
            ("http://user@/x", None),
            ("http://localhost/x", None),
            ("http://192.168.0.1/x", None),
            ("http://[::1]/x", None),
            ("http://evil/x", None),
            ("http://a.example:99999/", None),
            ("http://a.example:/", None),
            ("http://a.exa\\mple/", None),
            ("http://a.example/a b", None),
            ("http://a.example/a\0b", None),
            ("http://a.example/a\nb", None),
            ("tcp://\u{3f2}\u{0}172.94.9\u{0}6.90:599\u{0}9", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_url(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_rejection_says_what_was_found_and_expected() {
        assert_eq!(
            parse_host("10.0.0.1:80\0").unwrap_err().to_string(),
            "found \"10.0.0.1:80\\0\", expected an IPv4 address of the Internet, not a private, local, \
             multicast or reserved one"
        );
        assert_eq!(parse_url(&"x".repeat(9999)).unwrap_err().found.len(), 200);
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_accepted_again_unchanged(text in any::<String>()) {
            for observable in [parse_host(&text), parse_url(&text)].into_iter().flatten() {
                let again = match &observable {
                    Observable::Url(value) => parse_url(value),
                    other => parse_host(other.value()),
                };
                prop_assert_eq!(again, Ok(observable));
            }
        }

        #[test]
        fn near_addresses_are_normalised_once(
            text in r"((https?|tcp|WS)://)?([a-z]@)?\[?([0-9a-fA-F:.]{0,12}|[a-zéÉİ_.-]{0,12}(\.com)?)\]?(:[0-9]{0,5})?(/[ -~]{0,8})?"
        ) {
            for observable in [parse_host(&text), parse_url(&text)].into_iter().flatten() {
                let again = match &observable {
                    Observable::Url(value) => parse_url(value),
                    other => parse_host(other.value()),
                };
                prop_assert_eq!(again, Ok(observable));
            }
        }
    }
}
