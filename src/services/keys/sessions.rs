//! Sessions of the console: a browser shows its key once, and a secret of its own from then on.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::book::random;
use crate::services::ServiceError;

/// How long a session lasts, milliseconds.
pub const SESSION_MS: u64 = 12 * 3_600_000;
/// Most sessions at a time; one more ends the oldest.
const MAX_SESSIONS: usize = 1_000;

struct Session {
    key_id: String,
    ends_ms: u64,
}

/// The sessions by the hash of their secret: to look one up tells nothing of the secrets of others. They end with the
/// process.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

impl Sessions {
    /// Opens one for the key of this id; returns its secret.
    pub(super) fn open(&self, key_id: &str, now_ms: u64) -> Result<String, ServiceError> {
        let secret: String = random::<32>()?
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut all = self.all();
        all.retain(|_, session| now_ms < session.ends_ms);
        if all.len() >= MAX_SESSIONS {
            let oldest = all.iter().min_by_key(|(_, session)| session.ends_ms);
            if let Some(oldest) = oldest.map(|(place, _)| *place) {
                all.remove(&oldest);
            }
        }
        let session = Session {
            key_id: key_id.to_owned(),
            ends_ms: now_ms.saturating_add(SESSION_MS),
        };
        all.insert(place(&secret), session);
        Ok(secret)
    }

    /// The key's id of a session that has not ended.
    pub(super) fn find(&self, secret: &str, now_ms: u64) -> Option<String> {
        let all = self.all();
        let session = all.get(&place(secret))?;
        (now_ms < session.ends_ms).then(|| session.key_id.clone())
    }

    pub(super) fn close(&self, secret: &str) {
        self.all().remove(&place(secret));
    }

    // Nothing below the lock panics, so what it holds is whole.
    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_and_take_bounded_room() {
        let sessions = Sessions::default();
        let first = sessions.open("a", 0).unwrap();
        assert_eq!(sessions.find(&first, SESSION_MS - 1).as_deref(), Some("a"));
        assert_eq!(sessions.find(&first, SESSION_MS), None);
        for _ in 0..MAX_SESSIONS {
            sessions.open("b", 1).unwrap();
        }
        assert_eq!(sessions.all().len(), MAX_SESSIONS);
        assert_eq!(sessions.find(&first, 2), None, "the oldest went");
    }
}
