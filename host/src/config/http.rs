//! How HTTP peers are reached: certificate authorities and proxies, the same for all of them.
//!
//! Proxies come from `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, which reqwest reads itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::ClientBuilder;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::raw::Raw;
use super::settings::Verify;

/// Why certificate authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A PEM file that a setting names cannot be read.
    #[error("{setting}: cannot read certificates from {path}: {reason}")]
    Certificates {
        /// Name of the setting.
        setting: String,
        /// The file.
        path: PathBuf,
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
}

/// Certificate authorities that every peer is verified against. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Http {
    authorities: Arc<Vec<CertificateDer<'static>>>,
}

impl Http {
    /// The system's authorities, and those of `HTTPS_CA_CERTIFICATES`, `SSL_CERT_FILE` and
    /// `REQUESTS_CA_BUNDLE` in addition: OpenCTI's integration manager sets the latter two to a file that
    /// holds the proxy's authority alone. Where the system has none (a container from scratch), and where
    /// `SSL_CERT_FILE` hides them, those of Mozilla.
    ///
    /// # Errors
    /// When a setting names certificates that cannot be read.
    pub fn new(raw: &Raw) -> Result<Self, HttpError> {
        let native = rustls_native_certs::load_native_certs();
        let mut authorities = native.certs;
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
        Ok(Self {
            authorities: Arc::new(authorities),
        })
    }

    /// Starts an HTTP client for a peer.
    ///
    /// # Errors
    /// When the peer's own authorities cannot be read.
    pub fn builder(&self, verify: &Verify) -> Result<ClientBuilder, HttpError> {
        let mut certificates_in_use = self.authorities.to_vec();
        let builder = ClientBuilder::new();
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
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .filter_map(Result::ok)
        .collect();
    if certificates.is_empty() {
        return Err(HttpError::Empty {
            setting: setting.to_owned(),
        });
    }
    Ok(certificates)
}

fn from_file(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let error = |reason: String| HttpError::Certificates {
        setting: setting.to_owned(),
        path: path.to_owned(),
        reason,
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|reason| error(reason.to_string()))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|reason| error(reason.to_string()))?;
    if certificates.is_empty() {
        return Err(error("the file holds no certificate".to_owned()));
    }
    Ok(certificates)
}
