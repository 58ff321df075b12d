//! Files beside the configuration whose contents are renewed while the program runs: certificates and tokens.

use std::path::Path;

use sha2::{Digest, Sha256};

/// Something that is read from files.
pub trait Renewed: Send + Sync {
    /// Its section of the configuration.
    fn name(&self) -> &'static str;

    /// Reads it again if a file has changed, and says so once for each change. An error leaves what was there.
    fn renew(&self) -> Option<Result<(), String>>;
}

/// What files held when they were looked at last. A file that cannot be read is a state of its own, so that it is told once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen([u8; 32]);

impl Seen {
    /// As they are now.
    pub(crate) fn of<'a>(files: impl Iterator<Item = &'a Path>) -> Self {
        let mut hash = Sha256::new();
        for file in files {
            match std::fs::read(file) {
                Ok(text) => {
                    hash.update((text.len() as u64).to_le_bytes());
                    hash.update(text);
                }
                Err(error) => hash.update(format!("{:?}", error.kind())),
            }
        }
        Self(hash.finalize().into())
    }

    /// Whether they differ from the last look, which this one becomes.
    pub(crate) fn changed<'a>(&mut self, files: impl Iterator<Item = &'a Path>) -> bool {
        let now = Self::of(files);
        let changed = now != *self;
        *self = now;
        changed
    }
}
