//! What a record says, ready to be written.

use serde::Serialize;

use super::canonical::{self, MAX_DEPTH};
use super::error::EvidenceLogError;

/// The body of a record in canonical form: whoever has something to record writes it, so that the journal's one writer
/// only joins bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body(Vec<u8>);

impl Body {
    /// Writes whatever is JSON.
    ///
    /// Errors: [`EvidenceLogError::TooDeep`]; [`EvidenceLogError::NotJson`].
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, EvidenceLogError> {
        let written = canonical::write(value, MAX_DEPTH);
        written.map(Self).map_err(|error| match error.is_io() {
            true => EvidenceLogError::TooDeep { max: MAX_DEPTH },
            false => EvidenceLogError::NotJson(error.to_string()),
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
