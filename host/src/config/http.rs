//! How HTTP peers are reached: certificate authorities and proxies, the same for all of them.
//!
//! Proxies come from `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, which reqwest reads itself. It passes over what it
//! cannot use, and would go without a proxy then; so they are looked at here first.

use std::path::Path;
use std::sync::Arc;

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::ClientBuilder;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use url::Url;

use super::raw::Raw;
use super::settings::Verify;

/// Why certificate authorities or proxies cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Certificates that a setting names or holds cannot be read.
    #[error("{setting}: cannot read certificates from {place}: {reason}")]
    Certificates {
        /// Name of the setting.
        setting: String,
        /// The file, or words for the text of the setting.
        place: String,
        /// Why.
        reason: String,
    },
    /// PEM text without a certificate in it.
    #[error("{setting}: no certificate in the PEM text")]
    Empty {
        /// Name of the setting.
        setting: String,
    },
    /// The HTTP client refuses a certificate.
    #[error("cannot use a certificate authority: {0}")]
    Refused(reqwest::Error),
    /// Not an address of a proxy. It may hold a password, so it is not shown.
    #[error(
        "{setting}: the text is not the address of a proxy such as http://proxy:3128; the proxy must speak http or https"
    )]
    Proxy {
        /// Name of the setting.
        setting: &'static str,
    },
}

impl HttpError {
    /// The setting to change, where it is known.
    #[must_use]
    pub fn setting(&self) -> Option<&str> {
        match self {
            Self::Certificates { setting, .. } | Self::Empty { setting } => Some(setting),
            Self::Proxy { setting } => Some(setting),
            Self::Refused(_) => None,
        }
    }
}

/// Certificate authorities that every peer is verified against, and whether proxies are used. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Http {
    authorities: Arc<Vec<CertificateDer<'static>>>,
    /// `NO_PROXY=*`, which reqwest takes for all names, but not for addresses in numbers.
    never_by_proxy: bool,
}

impl Http {
    /// The system's authorities, and those of `HTTPS_CA_CERTIFICATES`, `SSL_CERT_FILE` and
    /// `REQUESTS_CA_BUNDLE` in addition: OpenCTI's integration manager sets the latter two to a file that
    /// holds the proxy's authority alone. Where the system has none (a container from scratch), and where
    /// `SSL_CERT_FILE` hides them, those of Mozilla.
    ///
    /// # Errors
    /// When a setting names certificates that cannot be read, or a proxy that cannot be used.
    pub fn new(raw: &Raw) -> Result<Self, HttpError> {
        check_proxies(raw)?;
        let mut authorities = rustls_native_certs::load_native_certs().certs;
        // One bad certificate of the system is no reason to refuse all of them.
        authorities.retain(|authority| usable(authority).is_ok());
        if authorities.is_empty() || raw.get("SSL_CERT_FILE").is_some() {
            authorities.extend(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        }
        for setting in [
            "HTTPS_CA_CERTIFICATES",
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
        ] {
            if let Some(value) = raw.get(setting) {
                authorities.extend(certificates(setting, value)?);
            }
        }
        let exempt = raw.get("NO_PROXY").unwrap_or_default();
        Ok(Self {
            authorities: Arc::new(authorities),
            never_by_proxy: exempt.split(',').any(|host| host.trim() == "*"),
        })
    }

    /// Starts an HTTP client for a peer.
    ///
    /// # Errors
    /// When the peer's own authorities cannot be read.
    pub fn builder(&self, verify: &Verify) -> Result<ClientBuilder, HttpError> {
        let mut certificates_in_use = self.authorities.to_vec();
        let builder = match self.never_by_proxy {
            true => ClientBuilder::new().no_proxy(),
            false => ClientBuilder::new(),
        };
        match verify {
            Verify::No => return Ok(builder.tls_danger_accept_invalid_certs(true)),
            Verify::Yes => {}
            Verify::With(path) => {
                certificates_in_use.extend(from_file("OPENCTI_SSL_VERIFY", path)?)
            }
        }
        let certificates = certificates_in_use
            .iter()
            .map(|certificate| reqwest::Certificate::from_der(certificate))
            .collect::<Result<Vec<_>, _>>()
            .map_err(HttpError::Refused)?;
        Ok(builder.tls_certs_only(certificates))
    }

    /// Host and port of the proxy that requests to an address go through, as reqwest finds it in the environment of
    /// the process; none where they go directly.
    #[must_use]
    pub fn proxy_of(&self, address: &Url) -> Option<String> {
        let address = address.as_str().parse::<Uri>().ok()?;
        let proxy = Matcher::from_env().intercept(&address)?;
        let host = proxy.uri().host()?;
        let is_used = !self.never_by_proxy;
        is_used.then(|| match proxy.uri().port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        })
    }

    /// The authorities, for peers that do not speak HTTP.
    #[must_use]
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }
}

/// Reads certificates from PEM text or from a file of it.
fn certificates(setting: &str, value: &str) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    if !value.contains("-----BEGIN") {
        return from_file(setting, Path::new(value.trim()));
    }
    // An environment file cannot hold line ends; people write them as \n.
    let text = value.replace("\\n", "\n");
    let sections: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    if !sections.iter().any(Result::is_ok) {
        return Err(HttpError::Empty {
            setting: setting.to_owned(),
        });
    }
    all_usable(sections).map_err(|reason| HttpError::Certificates {
        setting: setting.to_owned(),
        place: "the PEM text".to_owned(),
        reason,
    })
}

fn from_file(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|error| error.to_string())
        .and_then(all_usable)
        .and_then(|certificates| match certificates.is_empty() {
            true => Err("the file holds no certificate".to_owned()),
            false => Ok(certificates),
        });
    certificates.map_err(|reason| HttpError::Certificates {
        setting: setting.to_owned(),
        place: path.display().to_string(),
        reason,
    })
}

fn all_usable(
    sections: impl IntoIterator<Item = Result<CertificateDer<'static>, pem::Error>>,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let numbered = (1..).zip(sections);
    let certificates = numbered.map(|(number, section)| {
        let certificate = section.map_err(|error| error.to_string())?;
        usable(&certificate).map_err(|error| format!("certificate {number}: {error}"))?;
        Ok(certificate)
    });
    certificates.collect()
}

/// Whether a certificate can be an authority.
fn usable(certificate: &CertificateDer<'static>) -> Result<(), rustls::Error> {
    RootCertStore::empty().add(certificate.clone())
}

fn check_proxies(raw: &Raw) -> Result<(), HttpError> {
    for setting in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        if raw.get(setting).is_some_and(|text| !is_proxy(text)) {
            return Err(HttpError::Proxy { setting });
        }
    }
    Ok(())
}

/// Whether reqwest, which reads it in this way, is led to what is meant: a port that is no number, and an `@` in a
/// password, end up in the host.
fn is_proxy(text: &str) -> bool {
    let proxy = Matcher::builder()
        .http(text)
        .build()
        .intercept(&Uri::from_static("http://peer"));
    proxy.is_some_and(|proxy| {
        let uri = proxy.uri();
        let host = uri.host().unwrap_or_default();
        let place = match uri.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|it| it.as_str() == place)
    })
}
