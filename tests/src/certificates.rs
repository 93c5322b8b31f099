//! Certificates for tests over TLS: an authority of the test's own, and what it signs.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

/// Counts the authorities: one that had the name of another would be taken for it, with a bad signature.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A certificate authority that nobody knows.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, both as PEM text.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The key, PKCS #8.
    pub key: String,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::new([])?;
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        params
            .distinguished_name
            .push(DnType::CommonName, format!("authority {number} of a test"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        Ok(Self(CertifiedIssuer::self_signed(
            params,
            KeyPair::generate()?,
        )?))
    }

    /// Its certificate as PEM text.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate for a host name or address.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate.
    pub fn sign(&self, host: &str) -> Result<Identity> {
        self.issue(params(host)?)
    }

    /// Signs one that was valid until 2020.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate.
    pub fn sign_expired(&self, host: &str) -> Result<Identity> {
        let mut params = params(host)?;
        params.not_after = date_time_ymd(2020, 1, 1);
        self.issue(params)
    }

    fn issue(&self, params: CertificateParams) -> Result<Identity> {
        let key = KeyPair::generate()?;
        Ok(Identity {
            certificate: params.signed_by(&key, &self.0)?.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn params(host: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new([host.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, host);
    Ok(params)
}
