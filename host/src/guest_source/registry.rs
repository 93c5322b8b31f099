//! Guests in OCI registries, as `wkg oci push` and `oras push` put them there: a manifest with one layer of the
//! media type `application/wasm`.

use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use oci_client::client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{OciDescriptor, OciManifest};
use oci_client::{Client, Reference, RegistryOperation};
use rustls::pki_types::CertificateDer;

use super::found::{MAX_BYTES, Refusal};
use super::login::login;
use super::registry_error::RegistryError;

const MEDIA_TYPE: &str = "application/wasm";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// For all requests of one look.
const TIMEOUT: Duration = Duration::from_secs(300);

/// How registries are reached. Proxies come from the environment, as for all peers.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    authorities: Vec<Certificate>,
    docker_config: Option<PathBuf>,
}

/// What a reference stands for.
pub(super) struct Pulled {
    /// Digest of the manifest.
    pub(super) manifest: String,
    /// The component; or why this manifest has none, which no repetition changes.
    pub(super) component: Result<Bytes, Refusal>,
}

impl Registry {
    /// Trusts these authorities, and logs in as the `config.json` in the folder `docker_config` says.
    #[must_use]
    pub fn new(authorities: &[CertificateDer<'static>], docker_config: Option<PathBuf>) -> Self {
        let certificate = |authority: &CertificateDer<'static>| Certificate {
            encoding: CertificateEncoding::Der,
            data: authority.to_vec(),
        };
        Self {
            authorities: authorities.iter().map(certificate).collect(),
            docker_config,
        }
    }

    /// Asks for the manifest's digest, and pulls unless it is the one that was `seen`.
    pub(super) async fn pull(
        &self,
        reference: &Reference,
        seen: Option<&str>,
    ) -> Result<Option<Pulled>, RegistryError> {
        // A digest always stands for the same.
        if seen.is_some() && seen == reference.digest() {
            return Ok(None);
        }
        match tokio::time::timeout(TIMEOUT, self.ask(reference, seen)).await {
            Ok(answer) => answer,
            Err(_) => Err(RegistryError::unreachable(
                reference,
                format!("no answer within {TIMEOUT:?}"),
            )),
        }
    }

    /// With a new client each time: the login is read anew, which credential helpers change every few hours.
    async fn ask(
        &self,
        reference: &Reference,
        seen: Option<&str>,
    ) -> Result<Option<Pulled>, RegistryError> {
        let auth = login(self.docker_config.as_deref(), reference).await?;
        let failed = |error| RegistryError::new(reference, &auth, error);
        let client = Client::try_from(self.client_config(reference)).map_err(failed)?;
        // The client itself would go on without a login that fails here.
        client
            .auth(reference, &auth, RegistryOperation::Pull)
            .await
            .map_err(failed)?;
        let digest = client.fetch_manifest_digest(reference, &auth).await;
        if Some(digest.map_err(failed)?.as_str()) == seen {
            return Ok(None);
        }
        let (manifest, digest) = client
            .pull_manifest(reference, &auth)
            .await
            .map_err(failed)?;
        let component = match component_layer(&manifest) {
            Ok(layer) => pull_layer(&client, reference, layer)
                .await
                .map_err(failed)?,
            Err(refusal) => Err(refusal),
        };
        Ok(Some(Pulled {
            manifest: digest,
            component,
        }))
    }

    fn client_config(&self, reference: &Reference) -> ClientConfig {
        let registry = reference.resolve_registry();
        let plain = is_loopback(registry).then(|| registry.to_owned());
        ClientConfig {
            protocol: ClientProtocol::HttpsExcept(plain.into_iter().collect()),
            tls_certs_only: self.authorities.clone(),
            connect_timeout: Some(CONNECT_TIMEOUT),
            read_timeout: Some(READ_TIMEOUT),
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        }
    }
}

/// Such a registry is asked over http, as docker does.
fn is_loopback(registry: &str) -> bool {
    let host = registry.split_once(':').map_or(registry, |(host, _)| host);
    host == "localhost"
        || host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

fn component_layer(manifest: &OciManifest) -> Result<&OciDescriptor, Refusal> {
    let manifest = match manifest {
        OciManifest::Image(manifest) => manifest,
        OciManifest::ImageIndex(_) => return Err(Refusal::Index),
    };
    let components: Vec<_> = manifest
        .layers
        .iter()
        .filter(|layer| layer.media_type == MEDIA_TYPE)
        .collect();
    let [component] = components[..] else {
        let found = manifest.layers.iter().map(|layer| layer.media_type.clone());
        return Err(Refusal::Layers(found.collect()));
    };
    if u64::try_from(component.size).is_ok_and(|size| size <= MAX_BYTES) {
        Ok(component)
    } else {
        Err(Refusal::TooLarge)
    }
}

/// The client compares the bytes with the layer's digest.
async fn pull_layer(
    client: &Client,
    reference: &Reference,
    layer: &OciDescriptor,
) -> Result<Result<Bytes, Refusal>, OciDistributionError> {
    // By its digest alone: the manifest may name other addresses to fetch it from.
    let mut stream = client
        .pull_blob_stream(reference, layer.digest.as_str())
        .await?
        .stream;
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.try_next().await? {
        if (bytes.len() + chunk.len()) as u64 > MAX_BYTES {
            return Ok(Err(Refusal::TooLarge));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Ok(bytes.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked_without_tls() {
        for (registry, expected) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.8.0.1", true),
            ("ghcr.io", false),
            ("10.0.0.1:5000", false),
            ("localhost.example:80", false),
        ] {
            assert_eq!(is_loopback(registry), expected, "{registry}");
        }
    }
}
