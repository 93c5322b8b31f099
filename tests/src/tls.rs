//! HTTPS in front of a simulator, with certificates of an authority that the tests make.

use std::sync::Arc;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::door::{Door, address_and_path};

/// A certificate authority that nobody knows yet.
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a server shows, and the key that goes with it.
#[derive(Clone)]
pub struct Identity(Arc<ServerConfig>);

impl Authority {
    /// Makes one of this name.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        Ok(Self {
            pem: params.self_signed(&key)?.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Its certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these host names and addresses.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn identity(&self, names: &[&str]) -> Result<Identity> {
        self.issue(params(names)?)
    }

    /// One that was valid until 2020.
    ///
    /// # Errors
    /// When the library refuses.
    pub fn expired(&self, names: &[&str]) -> Result<Identity> {
        let mut params = params(names)?;
        params.not_after = date_time_ymd(2020, 1, 1);
        self.issue(params)
    }

    fn issue(&self, params: CertificateParams) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], key)?;
        Ok(Identity(Arc::new(config)))
    }
}

fn params(names: &[&str]) -> Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    Ok(CertificateParams::new(names)?)
}

/// HTTPS on a free port of the loopback interface, before a server that speaks HTTP. It ends with this value.
pub struct Https {
    door: Door,
    path: String,
}

impl Https {
    /// Stands before the server of `url`, `http://127.0.0.1:port/path`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn before(url: &str, identity: &Identity) -> Result<Self> {
        let (server, path) = address_and_path(url)?;
        let acceptor = TlsAcceptor::from(Arc::clone(&identity.0));
        let door = Door::open(move |connection| {
            let acceptor = acceptor.clone();
            async move {
                let mut client = acceptor.accept(connection).await?;
                let mut server = TcpStream::connect(server).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await?;
                Ok(())
            }
        });
        Ok(Self {
            door: door.await?,
            path,
        })
    }

    /// `https://localhost:port/path`.
    #[must_use]
    pub fn url(&self) -> String {
        format!(
            "https://localhost:{}{}",
            self.door.address.port(),
            self.path
        )
    }
}
