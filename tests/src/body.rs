//! File contents that need no memory: any number of bytes from a seed.

use bytes::Bytes;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::random::Random;

/// Bytes generated at a time.
const CHUNK: usize = 64 * 1024;

/// The content of a simulated sample: its size, and its true hashes.
#[derive(Clone, Debug)]
pub struct FileBody {
    /// Bytes.
    pub size: u64,
    /// Lower-case hexadecimal.
    pub sha256: String,
    /// Lower-case hexadecimal.
    pub sha1: String,
    /// Lower-case hexadecimal.
    pub md5: String,
    /// What every chunk is made of, after the chunk's own number.
    pattern: Bytes,
}

impl FileBody {
    /// A body of `size` bytes; another seed gives other bytes. Hashes them all once.
    #[must_use]
    pub fn new(seed: u64, size: u64) -> Self {
        let mut random = Random::new(seed);
        let pattern: Vec<u8> = (0..CHUNK / 8)
            .flat_map(|_| random.next().to_le_bytes())
            .collect();
        let mut body = Self {
            size,
            sha256: String::new(),
            sha1: String::new(),
            md5: String::new(),
            pattern: Bytes::from(pattern),
        };
        let mut hashes = Hashes::default();
        for chunk in body.chunks() {
            hashes.update(&chunk);
        }
        (body.sha256, body.sha1, body.md5) = hashes.finish();
        body
    }

    /// A file that is only heard of: its size and hashes, which no content has.
    #[must_use]
    pub fn made_up(size: u64, sha256: String, sha1: String, md5: String) -> Self {
        Self {
            size,
            sha256,
            sha1,
            md5,
            pattern: Bytes::new(),
        }
    }

    /// The bytes, piece by piece; none of a file that is made up.
    pub fn chunks(&self) -> impl Iterator<Item = Bytes> + Send + 'static {
        let size = if self.pattern.is_empty() {
            0
        } else {
            self.size
        };
        let pattern = self.pattern.clone();
        (0..size.div_ceil(CHUNK as u64)).map(move |number| {
            let left = size - number * CHUNK as u64;
            let length = CHUNK.min(usize::try_from(left).unwrap_or(CHUNK));
            let mut chunk = pattern[..length].to_vec();
            let head = length.min(8);
            chunk[..head].copy_from_slice(&number.to_be_bytes()[8 - head..]);
            Bytes::from(chunk)
        })
    }
}

/// The three hashes that both services know a file by, fed piece by piece.
#[derive(Clone, Default)]
pub(crate) struct Hashes {
    sha256: Sha256,
    sha1: Sha1,
    md5: Md5,
}

impl Hashes {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.sha1.update(bytes);
        self.md5.update(bytes);
    }

    /// SHA-256, SHA-1 and MD5 as lower-case hexadecimal.
    pub(crate) fn finish(self) -> (String, String, String) {
        (
            hex(&self.sha256.finalize()),
            hex(&self.sha1.finalize()),
            hex(&self.md5.finalize()),
        )
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chunks_are_the_size_and_the_hash_that_was_said() {
        for size in [0, 1, 7, 8, CHUNK as u64, CHUNK as u64 + 1, 3 * CHUNK as u64] {
            let body = FileBody::new(7, size);
            let bytes: Vec<u8> = body.chunks().flatten().collect();
            assert_eq!(bytes.len() as u64, size);
            assert_eq!(hex(&Sha256::digest(&bytes)), body.sha256);
            assert_eq!(hex(&Sha1::digest(&bytes)), body.sha1);
            assert_eq!(hex(&Md5::digest(&bytes)), body.md5);
        }
    }

    #[test]
    fn bodies_differ_by_seed_and_chunks_by_position() {
        assert_ne!(FileBody::new(1, 100).sha256, FileBody::new(2, 100).sha256);
        let chunks: Vec<Bytes> = FileBody::new(1, 2 * CHUNK as u64).chunks().collect();
        assert_ne!(chunks[0], chunks[1]);
    }
}
