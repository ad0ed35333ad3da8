//! What a record says, ready to be written.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::canonical::{self, MAX_DEPTH};
use super::error::EvidenceLogError;

/// Random bytes that keep an erased content from being guessed: the chain holds a hash of both, and they go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 16]);

impl Salt {
    /// Takes bytes that nobody else knows.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl Display for Salt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The body of a record in canonical form, hashed: whoever has something to record does that work, so that the journal's
/// one writer only joins bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    text: Vec<u8>,
    salt: String,
    content: String,
}

impl Body {
    /// Writes whatever is JSON and hashes it with `salt`.
    ///
    /// Errors: [`EvidenceLogError::TooDeep`]; [`EvidenceLogError::NotJson`].
    pub fn of<T: Serialize + ?Sized>(value: &T, salt: Salt) -> Result<Self, EvidenceLogError> {
        let text = canonical::write(value, MAX_DEPTH).map_err(|error| match error.is_io() {
            true => EvidenceLogError::TooDeep { max: MAX_DEPTH },
            false => EvidenceLogError::NotJson(error.to_string()),
        })?;
        let salt = salt.to_string();
        Ok(Self {
            content: content(&salt, &text),
            text,
            salt,
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn salt(&self) -> &str {
        &self.salt
    }

    pub(super) fn content(&self) -> &str {
        &self.content
    }
}

/// The hash that stands for a content in the chain.
pub(super) fn content(salt: &str, text: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(salt.as_bytes());
    hasher.update(text);
    hasher.finalize().to_hex().to_string()
}
