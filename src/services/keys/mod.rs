//! API keys: made, listed and revoked in the data folder, and checked by a running server.

mod book;
mod sessions;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

pub use book::{KeyInfo, NewKey, NewKeyOutput, list, make, revoke};
pub use sessions::SESSION_MS;

use super::{ServiceError, now_ms};
pub use crate::engines::access::{Denied, Grant, KeyRing};
use crate::storage::disk::StorageError;
use crate::storage::key_file::{self, Stamp};
use crate::types::api_key::{ApiKey, Scope};
use crate::types::error_kind::ErrorKind;
use crate::types::plain::counted;
use sessions::Sessions;

/// The command that makes a key, for messages.
pub const HOW_TO_MAKE: &str = "boathouse keys new NAME --scope read,write,chat";

/// The keys of a running server.
pub struct Keys {
    path: PathBuf,
    /// What was read, and when that was another file.
    seen: Mutex<Option<Stamp>>,
    ring: RwLock<Arc<KeyRing>>,
    /// 0 while everybody is served; another number with each change of the ring.
    version: AtomicU64,
    sessions: Sessions,
    /// Of who has the data folder; kept in no file.
    owner: OnceLock<ApiKey>,
}

impl Keys {
    /// Reads the keys of a data folder. With `required`, nobody is served without one, even when there is none.
    ///
    /// Errors: a file that cannot be read, or makes no sense.
    pub fn open(data_dir: &Path, required: bool) -> Result<Self, ServiceError> {
        let path = key_file::path_in(data_dir);
        let seen = key_file::stamp(&path)?;
        let ring = ring_of(&path, None, None)?;
        let version = u64::from(required || !ring.is_empty());
        Ok(Self {
            path,
            seen: Mutex::new(seen),
            ring: RwLock::new(Arc::new(ring)),
            version: AtomicU64::new(version),
            sessions: Sessions::default(),
            owner: OnceLock::new(),
        })
    }

    /// 0 while everybody is served without a key; another number whenever the keys changed.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The keys as they are now.
    pub fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks whether the file is another one, and reads it then.
    ///
    /// Once there were keys, nobody is served without, also when the file is gone: that is for a restart to say.
    /// Errors: a file that cannot be read, or makes no sense; the keys before it hold on, and where there were none, keys are needed
    /// from then on.
    pub fn refresh(&self) -> Result<bool, ServiceError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = key_file::stamp(&self.path)?;
        if *seen == found {
            return Ok(false);
        }
        let before = self.ring();
        let ring = ring_of(&self.path, self.owner.get(), Some(&before));
        let ring = ring.inspect_err(|_| {
            // Somebody made keys: not to be able to tell which is no reason to go on without.
            if found.is_some() && self.version() == 0 {
                self.version.store(1, Ordering::Release);
            }
        })?;
        let closed = !ring.is_empty() || self.version() > 0;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        if closed {
            self.version.fetch_add(1, Ordering::Release);
        }
        *seen = found;
        Ok(true)
    }

    /// Lets who has the data folder in: a key that opens everything for as long as this process runs. `None` while
    /// everybody is served.
    ///
    /// Errors: a file that cannot be read, or makes no sense; no randomness; there is such a key already.
    pub fn admit_owner(&self) -> Result<Option<String>, ServiceError> {
        let _seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if self.version() == 0 {
            return Ok(None);
        }
        let (token, key) = book::owner()?;
        let before = self.ring();
        let ring = ring_of(&self.path, Some(&key), Some(&before))?;
        self.owner.set(key).map_err(|_| {
            ServiceError::new(ErrorKind::Internal, "the owner of the folder has a key")
        })?;
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        self.version.fetch_add(1, Ordering::Release);
        Ok(Some(token))
    }

    /// Opens a session of the console for who shows a key; returns its secret.
    ///
    /// Errors: see [`denied`]; no randomness.
    pub fn log_in(&self, token: &str) -> Result<String, ServiceError> {
        let now = now_ms();
        let ring = self.ring();
        let grant = ring.admit(token.trim(), now).map_err(denied)?;
        self.sessions.open(&grant.id, now)
    }

    /// The key of a session, as long as both are good.
    pub fn of_session(&self, secret: &str) -> Option<String> {
        self.sessions.find(secret, now_ms())
    }

    /// Ends a session.
    pub fn log_out(&self, secret: &str) {
        self.sessions.close(secret);
    }
}

/// Checks that a server that other machines reach has a key that opens it.
///
/// Errors: it has none; the file of keys cannot be read.
pub fn check_reachable(data_dir: &Path, bind: &str) -> Result<(), ServiceError> {
    if Keys::open(data_dir, true)?.ring().opens_at(now_ms()) {
        return Ok(());
    }
    Err(ServiceError::bad_request(format!(
        "bind = {bind:?} is reachable from other machines, which needs API keys, and {} has none that is good; \
         make one with `{HOW_TO_MAKE}`, or write 127.0.0.1",
        data_dir.display()
    )))
}

fn ring_of(
    path: &Path,
    owner: Option<&ApiKey>,
    before: Option<&KeyRing>,
) -> Result<KeyRing, ServiceError> {
    let mut keys = key_file::read(path)?;
    keys.extend(owner.cloned());
    KeyRing::new(keys, before).map_err(|reason| StorageError::damaged(path, 0, reason).into())
}

/// The answer to a key that does not open.
pub fn denied(why: Denied) -> ServiceError {
    let unauthorized =
        |message: &str| ServiceError::new(ErrorKind::Unauthorized, message).code("invalid_api_key");
    match why {
        Denied::Malformed => unauthorized(
            "this is no API key of this server: it has another form, or is mistyped or cut",
        ),
        Denied::Unknown => unauthorized("no such API key"),
        Denied::Revoked => unauthorized("the API key was revoked"),
        Denied::Expired => unauthorized("the API key has expired"),
        Denied::Busy {
            limit,
            retry_after_ms,
        } => ServiceError {
            retry_after_ms: Some(retry_after_ms),
            ..ServiceError::new(
                ErrorKind::TooManyRequests,
                format!(
                    "the API key may send {} a minute",
                    counted(limit, "request")
                ),
            )
        }
        .code("rate_limit_exceeded"),
    }
}

/// The answer to a good key that may not do what it asks for.
pub fn out_of_scope(grant: &Grant, scope: Scope, what: &str) -> ServiceError {
    let what: String = what.chars().take(200).collect();
    let message = format!(
        "{what} needs a key with the scope {scope}, which {:?} has not",
        grant.name
    );
    ServiceError::new(ErrorKind::Forbidden, message).code("insufficient_scope")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::api_key::Scope;

    fn new_key(folder: &Path, name: &str) -> NewKeyOutput {
        let input = NewKey {
            name: name.to_owned(),
            scopes: vec![Scope::Read],
            expires_in_ms: None,
            requests_per_minute: None,
            tokens_per_day: None,
        };
        make(folder, input).unwrap()
    }

    #[test]
    fn a_server_is_open_until_there_is_a_key_and_stays_closed() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path(), false).unwrap();
        assert_eq!(keys.version(), 0);
        assert!(!keys.refresh().unwrap());
        let made = new_key(folder.path(), "app");
        assert!(keys.refresh().unwrap());
        let first = keys.version();
        assert!(first > 0);
        assert!(keys.ring().admit(&made.key, now_ms()).is_ok());
        revoke(folder.path(), &made.info.id).unwrap();
        assert!(keys.refresh().unwrap());
        assert_ne!(keys.version(), first);
        let why = keys.ring().admit(&made.key, now_ms()).err();
        assert_eq!(why, Some(Denied::Revoked));
        std::fs::remove_file(key_file::path_in(folder.path())).unwrap();
        assert!(keys.refresh().unwrap());
        assert!(keys.version() > 0, "closed though the file is gone");
        assert_eq!(Keys::open(folder.path(), false).unwrap().version(), 0);
        assert!(Keys::open(folder.path(), true).unwrap().version() > 0);
    }

    #[test]
    fn who_has_the_folder_is_let_in_by_this_process_alone() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path(), false).unwrap();
        assert_eq!(keys.admit_owner().unwrap(), None);
        let app = new_key(folder.path(), "app");
        keys.refresh().unwrap();
        let version = keys.version();
        let owner = keys.admit_owner().unwrap().unwrap();
        assert_ne!(keys.version(), version);
        new_key(folder.path(), "other-app");
        assert!(keys.refresh().unwrap());
        let ring = keys.ring();
        assert!(ring.admit(&owner, now_ms()).unwrap().may(Scope::Admin));
        assert!(ring.admit(&app.key, now_ms()).is_ok());
        let elsewhere = Keys::open(folder.path(), false).unwrap();
        let why = elsewhere.ring().admit(&owner, now_ms()).err();
        assert_eq!(why, Some(Denied::Unknown));
    }

    #[test]
    fn a_damaged_file_leaves_the_keys_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let made = new_key(folder.path(), "app");
        let keys = Keys::open(folder.path(), false).unwrap();
        std::fs::write(key_file::path_in(folder.path()), "{").unwrap();
        assert!(keys.refresh().is_err());
        assert!(keys.ring().admit(&made.key, now_ms()).is_ok());
        assert!(Keys::open(folder.path(), false).is_err());
    }

    #[test]
    fn a_file_that_cannot_be_read_closes_an_open_server() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path(), false).unwrap();
        assert_eq!(keys.version(), 0);
        // As of another user: it is there, and that is all that can be seen.
        std::fs::create_dir(key_file::path_in(folder.path())).unwrap();
        assert!(keys.refresh().is_err());
        let closed = keys.version();
        assert!(closed > 0);
        assert!(keys.refresh().is_err(), "it is tried again");
        std::fs::remove_dir(key_file::path_in(folder.path())).unwrap();
        let made = new_key(folder.path(), "app");
        assert!(keys.refresh().unwrap());
        assert_ne!(keys.version(), closed);
        assert!(keys.ring().admit(&made.key, now_ms()).is_ok());
    }

    #[test]
    fn other_machines_are_served_only_with_a_good_key() {
        let folder = tempfile::tempdir().unwrap();
        let check = || check_reachable(folder.path(), "0.0.0.0");
        assert!(check().unwrap_err().message.contains("boathouse keys new"));
        let made = new_key(folder.path(), "app");
        check().unwrap();
        revoke(folder.path(), &made.info.id).unwrap();
        assert!(check().is_err());
    }

    #[test]
    fn a_session_ends_with_its_key_or_when_it_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let made = new_key(folder.path(), "app");
        let keys = Keys::open(folder.path(), false).unwrap();
        assert!(keys.log_in("bh_nothing").is_err());
        let secret = keys.log_in(&made.key).unwrap();
        assert!(!made.key.contains(&secret));
        assert_eq!(keys.of_session(&secret).as_deref(), Some(&*made.info.id));
        assert_eq!(keys.of_session(&made.key), None);
        keys.log_out(&secret);
        assert_eq!(keys.of_session(&secret), None);
    }
}
