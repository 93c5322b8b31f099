//! The login to a registry, from docker's configuration.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::Reference;
use oci_client::secrets::RegistryAuth;

use super::registry_error::RegistryError;

/// The key of docker's own registry in its configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// What every credential helper says of a registry that it does not know.
const NOT_FOUND: &str = "credentials not found";

/// No configuration, and none for this registry, means no login. May run a credential helper.
pub(super) async fn login(
    folder: Option<&Path>,
    reference: &Reference,
) -> Result<RegistryAuth, RegistryError> {
    let Some(path) = folder.map(|folder| folder.join("config.json")) else {
        return Ok(RegistryAuth::Anonymous);
    };
    let server = match reference.registry() {
        "docker.io" => DOCKER_HUB.to_owned(),
        registry => registry.to_owned(),
    };
    tokio::task::spawn_blocking(move || read(&path, &server))
        .await
        .map_err(|error| error.to_string())
        .flatten()
        .map_err(|reason| RegistryError::login(reference, reason))
}

fn read(path: &Path, server: &str) -> Result<RegistryAuth, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(RegistryAuth::Anonymous);
        }
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    };
    match docker_credential::get_credential_from_reader(BufReader::new(file), server) {
        Ok(DockerCredential::UsernamePassword(name, password)) => {
            Ok(RegistryAuth::Basic(name, password))
        }
        Ok(DockerCredential::IdentityToken(_)) => Err(format!(
            "{} holds an identity token; log in with a password or an access token",
            path.display()
        )),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(RegistryAuth::Anonymous),
        Err(CredentialRetrievalError::HelperFailure { stdout, stderr, .. })
            if stdout.contains(NOT_FOUND) || stderr.contains(NOT_FOUND) =>
        {
            Ok(RegistryAuth::Anonymous)
        }
        // What a helper prints may be a secret.
        Err(CredentialRetrievalError::HelperFailure { helper, .. }) => Err(format!(
            "the credential helper {helper} of {} failed",
            path.display()
        )),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}
