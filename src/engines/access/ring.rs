//! The keys that open the server, and how each is asked for leave.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::token;
use crate::engines::chat::Pace;
use crate::types::api_key::{ApiKey, Scope};

/// Why a key does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// It has not the form of a key of ours, or is mistyped.
    Malformed,
    /// No such key. It may be one of another server.
    Unknown,
    /// It was revoked.
    Revoked,
    /// Its time is over.
    Expired,
    /// It asks too often.
    Busy {
        /// Most requests in a minute.
        limit: u64,
        /// When there is room again, milliseconds.
        retry_after_ms: u64,
    },
}

/// A good key, as far as the server must know it.
#[derive(Debug)]
pub struct Grant {
    /// Its id.
    pub id: String,
    /// Whose use it counts as.
    pub name: Arc<str>,
    /// Most tokens of chat calls in a day.
    pub tokens_per_day: Option<u64>,
    scopes: Vec<Scope>,
}

impl Grant {
    /// Whether the key may do what needs `scope`.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

struct Held {
    grant: Arc<Grant>,
    key: ApiKey,
    salt: [u8; 32],
    hash: blake3::Hash,
    /// Counts the key's requests, where they are bounded.
    pace: Option<Arc<Mutex<Pace>>>,
}

/// All keys of the file.
#[derive(Default)]
pub struct KeyRing {
    held: HashMap<String, Held>,
}

impl KeyRing {
    /// Takes the keys of the file. Requests that `before` counted are not forgotten.
    ///
    /// Errors: a salt or a hash that is none.
    pub fn new(keys: Vec<ApiKey>, before: Option<&Self>) -> Result<Self, String> {
        let mut held = HashMap::with_capacity(keys.len());
        for key in keys {
            let broken = |what: &str| format!("key {}: its {what} is no 64 hex digits", key.id);
            // A hash of blake3 is 32 bytes as well.
            let salt = blake3::Hash::from_hex(&key.salt).map_err(|_| broken("salt"))?;
            let hash = blake3::Hash::from_hex(&key.hash).map_err(|_| broken("hash"))?;
            let known = before.and_then(|before| before.held.get(&key.id));
            let known =
                known.filter(|known| known.key.requests_per_minute == key.requests_per_minute);
            let limit = key.requests_per_minute;
            let pace = known.map_or_else(
                || limit.map(|limit| Arc::new(Mutex::new(Pace::new(limit, 0)))),
                |known| known.pace.clone(),
            );
            let grant = Grant {
                id: key.id.clone(),
                name: key.name.as_str().into(),
                tokens_per_day: key.tokens_per_day,
                scopes: key.scopes.clone(),
            };
            let one = Held {
                grant: Arc::new(grant),
                salt: *salt.as_bytes(),
                hash,
                pace,
                key,
            };
            if let Some(twice) = held.insert(one.key.id.clone(), one) {
                return Err(format!("key {} stands there twice", twice.key.id));
            }
        }
        Ok(Self { held })
    }

    /// Whether there is no key, not even a revoked one.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether any key opens at this time.
    pub fn opens_at(&self, now_ms: u64) -> bool {
        self.held.values().any(|held| held.key.is_good_at(now_ms))
    }

    /// Names of keys whose tokens are bounded: their use must always be told apart.
    pub fn names_with_tokens_bounded(&self) -> Vec<String> {
        let held = self.held.values().map(|held| &held.key);
        let bounded = held.filter(|key| key.tokens_per_day.is_some());
        bounded.map(|key| key.name.clone()).collect()
    }

    /// Checks a key that a request carries, and counts the request.
    ///
    /// What is secret is only ever compared as hashes, in constant time: those of `blake3::Hash` compare so. That a
    /// key was revoked is told only to who holds it.
    pub fn admit(&self, token: &str, now_ms: u64) -> Result<&Arc<Grant>, Denied> {
        let held = self.verified(token)?;
        Self::counted(held, now_ms)
    }

    /// The same for the key of this id, which somebody has shown before.
    pub fn admit_id(&self, id: &str, now_ms: u64) -> Result<&Arc<Grant>, Denied> {
        let held = self.held.get(id).ok_or(Denied::Unknown)?;
        Self::counted(held, now_ms)
    }

    fn verified(&self, token: &str) -> Result<&Held, Denied> {
        let id = token::id_of(token).ok_or(Denied::Malformed)?;
        let held = self.held.get(id).ok_or(Denied::Unknown)?;
        if token::hash(&held.salt, token) == held.hash {
            Ok(held)
        } else {
            Err(Denied::Unknown)
        }
    }

    fn counted(held: &Held, now_ms: u64) -> Result<&Arc<Grant>, Denied> {
        if held.key.revoked_ms.is_some() {
            return Err(Denied::Revoked);
        }
        if !held.key.is_good_at(now_ms) {
            return Err(Denied::Expired);
        }
        if let Some(pace) = &held.pace {
            // Its transitions do not panic, so a poisoned one is whole.
            let mut pace = pace.lock().unwrap_or_else(PoisonError::into_inner);
            pace.admit(now_ms, 0).map_err(|paced| Denied::Busy {
                limit: paced.limit,
                retry_after_ms: paced.retry_after_ms,
            })?;
        }
        Ok(&held.grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::access::{Random, mint};

    const NOW: u64 = 1_000_000;

    fn made(seed: u8, change: impl FnOnce(&mut ApiKey)) -> (String, ApiKey) {
        let random: Random = [seed; 68];
        let minted = mint(&random);
        let mut key = ApiKey {
            id: minted.id,
            name: format!("app-{seed}"),
            scopes: vec![Scope::Read],
            created_ms: 0,
            expires_ms: None,
            revoked_ms: None,
            requests_per_minute: None,
            tokens_per_day: None,
            salt: minted.salt,
            hash: minted.hash,
        };
        change(&mut key);
        (minted.token, key)
    }

    #[test]
    fn a_key_opens_until_it_is_revoked_or_over() {
        let (good, a) = made(1, |_| {});
        let (revoked, b) = made(2, |key| key.revoked_ms = Some(5));
        let (over, c) = made(3, |key| key.expires_ms = Some(NOW));
        let (absent, _) = made(4, |_| {});
        // The same id, another secret.
        let (_, mut other) = made(5, |_| {});
        let (forged, same) = made(6, |_| {});
        other.id = same.id;
        let ring = KeyRing::new(vec![a, b, c, other], None).unwrap();
        let why = |token: &str, now| ring.admit(token, now).err();
        assert_eq!(ring.admit(&good, NOW).unwrap().name.as_ref(), "app-1");
        assert_eq!(why(&revoked, NOW), Some(Denied::Revoked));
        assert_eq!(why(&over, NOW), Some(Denied::Expired));
        assert_eq!(why(&over, NOW - 1), None);
        assert_eq!(why(&absent, NOW), Some(Denied::Unknown));
        assert_eq!(why(&forged, NOW), Some(Denied::Unknown));
        assert_eq!(why("sk-test", NOW), Some(Denied::Malformed));
        assert!(ring.opens_at(NOW) && !ring.is_empty());
        assert!(ring.admit_id("02020202", NOW).is_err());
    }

    #[test]
    fn admin_may_everything_and_others_what_they_say() {
        let (token, key) = made(1, |key| key.scopes = vec![Scope::Write, Scope::Chat]);
        let (chief, admin) = made(2, |key| key.scopes = vec![Scope::Admin]);
        let ring = KeyRing::new(vec![key, admin], None).unwrap();
        let may = |token: &str| {
            let grant = ring.admit(token, NOW).unwrap();
            Scope::ALL.map(|scope| grant.may(scope))
        };
        assert_eq!(may(&token), [false, true, true, false]);
        assert_eq!(may(&chief), [true; 4]);
    }

    #[test]
    fn a_bound_holds_across_a_look_at_the_file() {
        let (token, key) = made(1, |key| key.requests_per_minute = Some(2));
        let ring = KeyRing::new(vec![key.clone()], None).unwrap();
        ring.admit(&token, NOW).unwrap();
        ring.admit(&token, NOW + 1).unwrap();
        let refused = ring.admit(&token, NOW + 10_000).unwrap_err();
        let expected = Denied::Busy {
            limit: 2,
            retry_after_ms: 50_000,
        };
        assert_eq!(refused, expected);
        let again = KeyRing::new(vec![key.clone()], Some(&ring)).unwrap();
        assert_eq!(again.admit(&token, NOW + 10_000).unwrap_err(), expected);
        let wider = ApiKey {
            requests_per_minute: Some(3),
            ..key
        };
        let wider = KeyRing::new(vec![wider], Some(&again)).unwrap();
        assert!(wider.admit(&token, NOW + 10_000).is_ok());
    }

    #[test]
    fn damaged_entries_are_refused() {
        let (_, key) = made(1, |key| key.hash.truncate(10));
        assert!(
            KeyRing::new(vec![key], None)
                .err()
                .unwrap()
                .contains("hash")
        );
        let (_, key) = made(1, |_| {});
        let twice = KeyRing::new(vec![key.clone(), key], None);
        assert!(twice.err().unwrap().contains("twice"));
    }
}
