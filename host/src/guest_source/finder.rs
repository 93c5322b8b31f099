//! Looking at a source.

use std::io;
use std::path::PathBuf;

use oci_client::Reference;

use super::files::{self, Listed};
use super::found::{Error, Found, Refusal};
use super::registry::Registry;
use super::{Digest, GuestSource};

/// Looks at a source again and again, and reads only what is not as it was.
#[derive(Debug)]
pub struct Finder {
    source: GuestSource,
    pin: Option<Digest>,
    registry: Registry,
    seen: Option<Seen>,
}

/// What the last look that brought something saw.
#[derive(Debug)]
enum Seen {
    Files(Vec<Listed>),
    /// The digest of the manifest.
    Manifest(String),
}

impl Finder {
    /// Takes nothing but the bytes with the digest `pin`, where one is given.
    #[must_use]
    pub fn new(source: GuestSource, pin: Option<Digest>, registry: Registry) -> Self {
        Self {
            source,
            pin,
            registry,
            seen: None,
        }
    }

    /// The source, for messages.
    #[must_use]
    pub fn source(&self) -> &GuestSource {
        &self.source
    }

    /// Looks. `None` when nothing has changed since the last look that brought something; then nothing was
    /// read either. What could not be read counts as changed, so that it is tried again.
    ///
    /// # Errors
    /// When the source itself cannot be read; the next look reads everything.
    pub async fn look(&mut self) -> Result<Option<Found>, Error> {
        let seen = self.seen.take();
        let (found, seen) = match (&self.source, seen) {
            (GuestSource::Path(path), Some(Seen::Files(seen))) => {
                look_at_files(path.clone(), seen, self.pin).await?
            }
            (GuestSource::Path(path), _) => {
                look_at_files(path.clone(), Vec::new(), self.pin).await?
            }
            (GuestSource::Oci(reference), Some(Seen::Manifest(seen))) => {
                self.look_at_registry(reference, Some(seen)).await?
            }
            (GuestSource::Oci(reference), _) => self.look_at_registry(reference, None).await?,
        };
        self.seen = seen;
        Ok(found)
    }

    /// Makes the next look read everything, changed or not.
    pub fn forget(&mut self) {
        self.seen = None;
    }

    async fn look_at_registry(
        &self,
        reference: &Reference,
        seen: Option<String>,
    ) -> Result<(Option<Found>, Option<Seen>), Error> {
        let Some(pulled) = self.registry.pull(reference, seen.as_deref()).await? else {
            return Ok((None, seen.map(Seen::Manifest)));
        };
        let mut found = Found::default();
        found.add(self.source.to_string(), pulled.component, self.pin);
        Ok((Some(found), Some(Seen::Manifest(pulled.manifest))))
    }
}

async fn look_at_files(
    path: PathBuf,
    seen: Vec<Listed>,
    pin: Option<Digest>,
) -> Result<(Option<Found>, Option<Seen>), Error> {
    let source = path.clone();
    let look = move || {
        let listed = files::list(&path)?;
        if listed == seen && listed.iter().all(|file| file.stamp.is_some()) {
            return Ok((None, Some(Seen::Files(listed))));
        }
        let mut found = Found::default();
        for file in &listed {
            found.add(
                file.path.display().to_string(),
                files::read(&file.path),
                pin,
            );
        }
        let complete = found
            .refused
            .iter()
            .all(|refused| !matches!(refused.reason, Refusal::Read(_)));
        Ok((Some(found), complete.then_some(Seen::Files(listed))))
    };
    tokio::task::spawn_blocking(look)
        .await
        .unwrap_or_else(|error| {
            Err(Error::Path {
                path: source,
                error: io::Error::other(error),
            })
        })
}

#[cfg(test)]
mod tests;
