//! What a record says, ready to be written.

use serde_json::Value;

use super::canonical::{self, MAX_DEPTH, deeper_than};
use super::error::EvidenceLogError;

/// The body of a record in canonical form: whoever has something to record writes it, so that the journal's one writer
/// only joins bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body(Vec<u8>);

/// Room for most bodies, bytes.
const USUAL_BYTES: usize = 2048;

impl Body {
    /// Writes `value`.
    ///
    /// Errors: [`EvidenceLogError::TooDeep`].
    pub fn of(value: &Value) -> Result<Self, EvidenceLogError> {
        if deeper_than(value, MAX_DEPTH) {
            return Err(EvidenceLogError::TooDeep { max: MAX_DEPTH });
        }
        let mut written = Vec::with_capacity(USUAL_BYTES);
        canonical::write(&mut written, value);
        Ok(Self(written))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
