//! Where RabbitMQ is, and how to log in: what the platform says, with the `MQ_*` settings over it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use lapin::tcp::RustlsConnector;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use pkcs8::EncryptedPrivateKeyInfo;
use pkcs8::der::SecretDocument;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use secrecy::{ExposeSecret, SecretString};

use super::Error;
use crate::config::{BrokerOverrides, Http};
use crate::opencti::BrokerConnection;

/// As pycti asks for it.
const HEARTBEAT_SECONDS: u16 = 10;

/// What the platform says of its broker, with the overrides over it.
#[derive(Clone)]
pub(super) struct Broker {
    pub(super) host: String,
    pub(super) port: u16,
    vhost: String,
    pub(super) use_ssl: bool,
    user: String,
    password: SecretString,
}

impl Broker {
    pub(super) fn new(platform: &BrokerConnection, overrides: &BrokerOverrides) -> Self {
        Self {
            host: overrides
                .host
                .clone()
                .unwrap_or_else(|| platform.host.clone()),
            port: overrides.port.unwrap_or(platform.port),
            vhost: overrides
                .vhost
                .clone()
                .unwrap_or_else(|| platform.vhost.clone()),
            use_ssl: overrides.use_ssl.unwrap_or(platform.use_ssl),
            user: overrides
                .user
                .clone()
                .unwrap_or_else(|| platform.user.clone()),
            password: overrides
                .password
                .clone()
                .unwrap_or_else(|| platform.password.clone()),
        }
    }

    /// Whether address or login is another.
    pub(super) fn differs_from(&self, other: &Self) -> bool {
        self.use_ssl != other.use_ssl || self.plain_uri() != other.plain_uri()
    }

    /// Without TLS, whatever `use_ssl` says: the caller wraps the connection with its own settings.
    pub(super) fn plain_uri(&self) -> AMQPUri {
        AMQPUri {
            scheme: AMQPScheme::AMQP,
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: self.user.clone(),
                    password: self.password.expose_secret().to_owned(),
                },
                host: self.host.clone(),
                port: self.port,
            },
            vhost: self.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: Some(HEARTBEAT_SECONDS),
                ..AMQPQueryString::default()
            },
        }
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

/// TLS to the broker, of the settings. Built once, whether it will be used or not, so that a bad setting is
/// told at start.
pub(super) fn tls(overrides: &BrokerOverrides, http: &Http) -> Result<RustlsConnector, Error> {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = builder(provider)?;
    let builder = if overrides.reject_unauthorized == Some(false) {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(algorithms)))
    } else {
        builder.with_root_certificates(authorities(overrides, http)?)
    };
    let config = match client_identity(overrides)? {
        Some((certificates, key)) => builder
            .with_client_auth_cert(certificates, key)
            .map_err(|error| setting("MQ_USE_SSL_CERT", error))?,
        None => builder.with_no_client_auth(),
    };
    Ok(config.into())
}

fn builder(
    provider: Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| setting("MQ_USE_SSL", error))
}

fn authorities(overrides: &BrokerOverrides, http: &Http) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    // What cannot be parsed among the system's authorities is no reason to stop.
    store.add_parsable_certificates(http.authorities().iter().cloned());
    if let Some(ca) = &overrides.ca {
        for certificate in certificates("MQ_USE_SSL_CA", ca)? {
            store
                .add(certificate)
                .map_err(|error| setting("MQ_USE_SSL_CA", error))?;
        }
    }
    Ok(store)
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_identity(overrides: &BrokerOverrides) -> Result<Option<Identity>, Error> {
    match (&overrides.client_certificate, &overrides.client_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => {
            let pem = pem("MQ_USE_SSL_KEY", key.expose_secret())?;
            let key = private_key(&pem, overrides.client_key_passphrase.as_ref())?;
            Ok(Some((certificates("MQ_USE_SSL_CERT", certificate)?, key)))
        }
        (Some(_), None) => Err(setting("MQ_USE_SSL_KEY", "missing: MQ_USE_SSL_CERT is set")),
        (None, Some(_)) => Err(setting("MQ_USE_SSL_CERT", "missing: MQ_USE_SSL_KEY is set")),
    }
}

/// A key in any form, or an encrypted one as PKCS #8 (RFC 5958) has it.
fn private_key(
    pem: &[u8],
    passphrase: Option<&SecretString>,
) -> Result<PrivateKeyDer<'static>, Error> {
    let refused = |reason| setting("MQ_USE_SSL_KEY", reason);
    let text = String::from_utf8_lossy(pem);
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(refused(
            "encrypted in OpenSSL's old form: `openssl pkcs8 -topk8` makes one that can be read",
        ));
    }
    if !text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
        return PrivateKeyDer::from_pem_slice(pem).map_err(|_| refused("no private key in it"));
    }
    let passphrase = passphrase
        .ok_or_else(|| refused("it is encrypted, and MQ_USE_SSL_PASSPHRASE is missing"))?;
    let (_, encrypted) =
        SecretDocument::from_pem(&text).map_err(|_| refused("it cannot be read"))?;
    let key = EncryptedPrivateKeyInfo::try_from(encrypted.as_bytes())
        .map_err(|_| refused("it cannot be read"))?
        .decrypt(passphrase.expose_secret())
        .map_err(|_| setting("MQ_USE_SSL_PASSPHRASE", "it does not open MQ_USE_SSL_KEY"))?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

fn certificates(name: &'static str, value: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = pem(name, value)?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| setting(name, error))?;
    if certificates.is_empty() {
        return Err(setting(name, "no certificate in the PEM text"));
    }
    Ok(certificates)
}

/// PEM text as it is, or read from the file that the value names.
fn pem<'a>(name: &'static str, value: &'a str) -> Result<Cow<'a, [u8]>, Error> {
    if value.contains("-----BEGIN") {
        // An environment file cannot hold line ends; people write them as \n.
        return Ok(match value.contains("\\n") {
            true => Cow::Owned(value.replace("\\n", "\n").into_bytes()),
            false => Cow::Borrowed(value.as_bytes()),
        });
    }
    std::fs::read(value.trim())
        .map(Cow::Owned)
        .map_err(|error| setting(name, format!("cannot read {}: {error}", value.trim())))
}

fn setting(setting: &'static str, reason: impl ToString) -> Error {
    Error::Setting {
        setting,
        reason: reason.to_string(),
    }
}

/// `MQ_USE_SSL_REJECT_UNAUTHORIZED=false`: whoever answers is taken for the broker. Signatures of the
/// handshake are still checked, as TLS itself needs them.
#[derive(Debug)]
struct Unverified(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform() -> BrokerConnection {
        serde_json::from_value(serde_json::json!({
            "host": "rabbitmq", "port": 5672, "vhost": "/", "use_ssl": false,
            "user": "opencti", "pass": "hidden",
        }))
        .unwrap()
    }

    #[test]
    fn overrides_win() {
        let overrides = BrokerOverrides {
            host: Some("broker.example".to_owned()),
            port: Some(5671),
            vhost: Some("cti".to_owned()),
            use_ssl: Some(true),
            user: Some("me".to_owned()),
            password: Some("mine".into()),
            ..BrokerOverrides::default()
        };
        for (overrides, address, vhost, use_ssl, user, password) in [
            (
                BrokerOverrides::default(),
                "rabbitmq:5672",
                "/",
                false,
                "opencti",
                "hidden",
            ),
            (overrides, "broker.example:5671", "cti", true, "me", "mine"),
        ] {
            let broker = Broker::new(&platform(), &overrides);
            assert_eq!(broker.to_string(), address);
            assert_eq!(broker.use_ssl, use_ssl);
            let uri = broker.plain_uri();
            assert_eq!(uri.vhost, vhost);
            assert_eq!(uri.authority.userinfo.username, user);
            assert_eq!(uri.authority.userinfo.password, password);
            assert_eq!(uri.query.heartbeat, Some(HEARTBEAT_SECONDS));
        }
    }

    #[test]
    fn bad_tls_settings_are_named() {
        let cases = [
            (
                BrokerOverrides {
                    ca: Some("/nowhere.pem".to_owned()),
                    ..Default::default()
                },
                "MQ_USE_SSL_CA",
            ),
            (
                BrokerOverrides {
                    ca: Some("-----BEGIN NOTHING-----\n-----END NOTHING-----".to_owned()),
                    ..Default::default()
                },
                "MQ_USE_SSL_CA",
            ),
            (
                BrokerOverrides {
                    client_key: Some("x".into()),
                    ..Default::default()
                },
                "MQ_USE_SSL_CERT",
            ),
            (
                BrokerOverrides {
                    client_certificate: Some("x".to_owned()),
                    ..Default::default()
                },
                "MQ_USE_SSL_KEY",
            ),
            (
                BrokerOverrides {
                    client_certificate: Some("x".to_owned()),
                    client_key: Some(
                        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED".into(),
                    ),
                    ..Default::default()
                },
                "MQ_USE_SSL_KEY: encrypted in OpenSSL's old form",
            ),
        ];
        for (overrides, name) in cases {
            let error = tls(&overrides, &Http::default()).unwrap_err();
            assert!(error.to_string().starts_with(name), "{error}");
            assert!(!error.is_transient());
        }
        assert!(tls(&BrokerOverrides::default(), &Http::default()).is_ok());
        let unverified = BrokerOverrides {
            reject_unauthorized: Some(false),
            ..Default::default()
        };
        assert!(tls(&unverified, &Http::default()).is_ok());
    }
}
