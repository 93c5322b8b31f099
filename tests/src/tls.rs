//! HTTPS in front of a simulator.

use std::sync::Arc;

use anyhow::Result;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::certificates::Identity;
use crate::door::{Door, address_and_path};

/// HTTPS on a free port of the loopback interface, before a server that speaks HTTP. It ends with this value.
pub struct Https {
    door: Door,
    path: String,
}

impl Https {
    /// Stands before the server of `url`, `http://127.0.0.1:port/path`.
    ///
    /// # Errors
    /// When the identity cannot be used, or no port can be bound.
    pub async fn before(url: &str, identity: &Identity) -> Result<Self> {
        let (server, path) = address_and_path(url)?;
        let acceptor = TlsAcceptor::from(Arc::new(config(identity)?));
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

fn config(identity: &Identity) -> Result<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(config)
}
