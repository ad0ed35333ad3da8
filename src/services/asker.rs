//! Who makes a request: what evidence names of it.

use sha2::{Digest as _, Sha256};

use crate::engines::access::Grant;
use crate::engines::usage::ANONYMOUS;
use crate::types::trace::Trace;

/// Who asks, for whatever leaves evidence.
#[derive(Debug, Clone)]
pub struct Asker {
    /// The request.
    pub request_id: String,
    /// Whose use it counts as: the name of its API key; on a server without keys, the label of its token.
    pub key: String,
    /// Where the spans of its answer begin, where somebody wants them.
    pub trace: Option<Trace>,
}

impl Asker {
    /// Somebody with the token that it sent, if any.
    pub fn new(request_id: String, token: Option<&str>) -> Self {
        Self {
            request_id,
            key: key_of(token),
            trace: None,
        }
    }

    /// Somebody with a key of this server.
    pub fn with_key(request_id: String, key: &Grant) -> Self {
        Self {
            request_id,
            key: key.name.as_ref().to_owned(),
            trace: None,
        }
    }

    /// The same, at its place in a trace, if anybody wants it.
    pub fn within(mut self, trace: Option<Trace>) -> Self {
        self.trace = trace;
        self
    }

    /// The same, for one part of its request.
    pub(super) fn part(&self, at: usize) -> Self {
        Self {
            request_id: format!("{}-{at}", self.request_id),
            ..self.clone()
        }
    }
}

/// The label of a token: the same for the same token, and no way back to it.
fn key_of(token: Option<&str>) -> String {
    match token.map(str::trim) {
        None | Some("") => ANONYMOUS.to_owned(),
        Some(token) => {
            let digest = Sha256::digest(token);
            let start: String = digest
                .iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            format!("key-{start}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_what_sha256sum_begins_with() {
        // printf %s sk-test | sha256sum
        assert_eq!(key_of(Some("sk-test")), "key-f3abf2a6cc4f0098");
        assert_eq!(key_of(Some(" sk-test ")), key_of(Some("sk-test")));
        assert_ne!(key_of(Some("sk-tesT")), key_of(Some("sk-test")));
        for none in [None, Some(""), Some(" ")] {
            assert_eq!(key_of(none), "anonymous");
        }
    }
}
