//! Making, listing and revoking keys, in the data folder, beside a running server or without one.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::engines::access::{MintedKey, Random, mint};
use crate::services::{ServiceError, now_ms};
use crate::storage::key_file;
use crate::types::api_key::{ApiKey, Scope};
use crate::types::error_kind::ErrorKind;

/// Whose use counts as of nobody.
const ANONYMOUS: &str = "anonymous";
/// Words that stand for something else where names of keys stand.
const RESERVED: [&str; 3] = [ANONYMOUS, "other", "*"];
/// Most keys of a file, revoked ones too.
const MAX_KEYS: usize = 10_000;
/// Longest life of a key, milliseconds: a hundred years.
const MAX_LIFE_MS: u64 = 100 * 366 * 86_400_000;

/// A key that is wanted.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Whose use it will count as.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it ends by itself, from now on.
    pub expires_in_ms: Option<u64>,
    /// Most requests in any minute.
    pub requests_per_minute: Option<u64>,
    /// Most tokens of chat calls in a day.
    pub tokens_per_day: Option<u64>,
}

/// What may be told of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInfo {
    /// Names it on the command line.
    pub id: String,
    /// Whose use it counts as.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// `good`, `expired` or `revoked`.
    pub state: &'static str,
    /// When it was made.
    pub created: String,
    /// When it ends by itself.
    pub expires: Option<String>,
    /// When it was revoked.
    pub revoked: Option<String>,
    /// Most requests in any minute.
    pub requests_per_minute: Option<u64>,
    /// Most tokens of chat calls in a day.
    pub tokens_per_day: Option<u64>,
}

/// A key that was made. Only here does the key itself stand.
#[derive(Clone, Serialize)]
pub struct NewKeyOutput {
    /// The key itself.
    pub key: String,
    /// What may be told of it.
    #[serde(flatten)]
    pub info: KeyInfo,
}

/// Makes a key.
///
/// Errors: a name or a bound that is none; another command is at it; the disk refuses; no randomness.
pub fn make(data_dir: &Path, wanted: NewKey) -> Result<NewKeyOutput, ServiceError> {
    let now = now_ms();
    let scopes = checked(&wanted)?;
    std::fs::create_dir_all(data_dir).map_err(|error| {
        let folder = data_dir.display();
        ServiceError::new(
            ErrorKind::Unavailable,
            format!("data folder {folder}: {error}"),
        )
    })?;
    changed(data_dir, |keys| {
        if keys.len() >= MAX_KEYS {
            let message = format!("there are {MAX_KEYS} keys already");
            return Err(ServiceError::new(ErrorKind::TooLarge, message));
        }
        let minted = loop {
            let minted: MintedKey = mint(&random::<{ size_of::<Random>() }>()?);
            if keys.iter().all(|key| key.id != minted.id) {
                break minted;
            }
        };
        let key = ApiKey {
            id: minted.id,
            name: wanted.name,
            scopes,
            created_ms: now,
            expires_ms: wanted.expires_in_ms.map(|life| now.saturating_add(life)),
            revoked_ms: None,
            requests_per_minute: wanted.requests_per_minute,
            tokens_per_day: wanted.tokens_per_day,
            salt: minted.salt,
            hash: minted.hash,
        };
        let info = told(&key, now);
        keys.push(key);
        Ok(NewKeyOutput {
            key: minted.token,
            info,
        })
    })
}

/// A key that opens everything, for who has the data folder; the use counts as of nobody. It is kept nowhere.
///
/// Errors: no randomness.
pub(super) fn owner() -> Result<(String, ApiKey), ServiceError> {
    let minted = mint(&random::<{ size_of::<Random>() }>()?);
    let key = ApiKey {
        id: minted.id,
        name: ANONYMOUS.to_owned(),
        scopes: vec![Scope::Admin],
        created_ms: now_ms(),
        expires_ms: None,
        revoked_ms: None,
        requests_per_minute: None,
        tokens_per_day: None,
        salt: minted.salt,
        hash: minted.hash,
    };
    Ok((minted.token, key))
}

/// Lists the keys in the order they were made.
///
/// Errors: a file that cannot be read.
pub fn list(data_dir: &Path) -> Result<Vec<KeyInfo>, ServiceError> {
    let now = now_ms();
    let keys = key_file::read(&key_file::path_in(data_dir))?;
    Ok(keys.iter().map(|key| told(key, now)).collect())
}

/// Revokes the key of this id, or the only good one of this name.
///
/// Errors: no such key, or several; another command is at it; the disk refuses.
pub fn revoke(data_dir: &Path, wanted: &str) -> Result<KeyInfo, ServiceError> {
    let now = now_ms();
    if key_file::stamp(&key_file::path_in(data_dir))?.is_none() {
        return Err(unknown(wanted));
    }
    changed(data_dir, |keys| {
        let by_id = keys.iter().position(|key| key.id == wanted);
        let place = by_id.map_or_else(|| by_name(keys, wanted, now), Ok)?;
        let key = keys.get_mut(place).ok_or_else(|| unknown(wanted))?;
        key.revoked_ms = key.revoked_ms.or(Some(now));
        Ok(told(key, now))
    })
}

fn unknown(wanted: &str) -> ServiceError {
    ServiceError::not_found(format!(
        "no key {wanted:?} that could be revoked; `boathouse keys list` shows ids and names"
    ))
}

fn by_name(keys: &[ApiKey], name: &str, now: u64) -> Result<usize, ServiceError> {
    let good = |(_, key): &(usize, &ApiKey)| key.name == name && key.is_good_at(now);
    let found: Vec<(usize, &ApiKey)> = keys.iter().enumerate().filter(good).collect();
    match found.as_slice() {
        [(place, _)] => Ok(*place),
        [] => Err(unknown(name)),
        several => {
            let ids: Vec<&str> = several.iter().map(|(_, key)| key.id.as_str()).collect();
            let message = format!(
                "several keys are named {name:?}: say which by its id, of {}",
                ids.join(", ")
            );
            Err(ServiceError::new(ErrorKind::Conflict, message))
        }
    }
}

/// Refuses nonsense; returns the scopes, each once.
fn checked(wanted: &NewKey) -> Result<Vec<Scope>, ServiceError> {
    let name = &wanted.name;
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if !(1..=64).contains(&name.len()) || !name.bytes().all(sane) {
        let message = format!("{name:?} is no name for a key: 1 to 64 of a-z A-Z 0-9 - _ . @");
        return Err(ServiceError::bad_request(message).param("name"));
    }
    if RESERVED.contains(&name.as_str()) || name.starts_with("key-") {
        let message = format!("the name {name:?} stands for callers without a key of this server");
        return Err(ServiceError::bad_request(message).param("name"));
    }
    let scopes: BTreeSet<Scope> = wanted.scopes.iter().copied().collect();
    if scopes.is_empty() {
        let message = "a key needs a scope: read, write, chat, admin";
        return Err(ServiceError::bad_request(message).param("scopes"));
    }
    for (what, value, most) in [
        ("expires", wanted.expires_in_ms, MAX_LIFE_MS),
        ("requests a minute", wanted.requests_per_minute, 1_000_000),
        ("tokens a day", wanted.tokens_per_day, 1 << 50),
    ] {
        if value.is_some_and(|value| !(1..=most).contains(&value)) {
            let message = format!("{what} must be 1 to {most}");
            return Err(ServiceError::bad_request(message));
        }
    }
    Ok(scopes.into_iter().collect())
}

fn changed<T>(
    data_dir: &Path,
    change: impl FnOnce(&mut Vec<ApiKey>) -> Result<T, ServiceError>,
) -> Result<T, ServiceError> {
    key_file::change(&key_file::path_in(data_dir), change)?.ok_or_else(|| {
        let message = "another command is changing the keys; try again";
        ServiceError::new(ErrorKind::Conflict, message)
    })
}

fn told(key: &ApiKey, now: u64) -> KeyInfo {
    let state = match () {
        () if key.revoked_ms.is_some() => "revoked",
        () if !key.is_good_at(now) => "expired",
        () => "good",
    };
    KeyInfo {
        id: key.id.clone(),
        name: key.name.clone(),
        scopes: key.scopes.clone(),
        state,
        created: moment(key.created_ms),
        expires: key.expires_ms.map(moment),
        revoked: key.revoked_ms.map(moment),
        requests_per_minute: key.requests_per_minute,
        tokens_per_day: key.tokens_per_day,
    }
}

/// `2026-03-01T12:00:00Z`.
fn moment(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms / 1_000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| unix_ms.to_string(), |at| at.to_string())
}

/// Bytes of the operating system's generator.
pub(super) fn random<const N: usize>() -> Result<[u8; N], ServiceError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        let message = format!("the operating system gives no randomness: {error}");
        ServiceError::new(ErrorKind::Internal, message)
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str) -> NewKey {
        NewKey {
            name: name.to_owned(),
            scopes: vec![Scope::Chat, Scope::Read, Scope::Chat],
            expires_in_ms: Some(60_000),
            requests_per_minute: Some(5),
            tokens_per_day: None,
        }
    }

    #[test]
    fn a_key_is_made_listed_and_revoked_and_kept_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let made = make(&data, wanted("app")).unwrap();
        assert_eq!(made.info.scopes, [Scope::Read, Scope::Chat]);
        assert_eq!(list(&data).unwrap(), std::slice::from_ref(&made.info));
        let file = std::fs::read_to_string(key_file::path_in(&data)).unwrap();
        assert!(file.contains(&made.info.id) && !file.contains(&made.key[12..76]));
        let revoked = revoke(&data, "app").unwrap();
        assert_eq!(
            (revoked.state, revoked.id),
            ("revoked", made.info.id.clone())
        );
        // Once more changes nothing.
        let again = revoke(&data, &made.info.id).unwrap();
        assert_eq!(again.revoked, revoked.revoked);
        assert_eq!(revoke(&data, "app").unwrap_err().kind, ErrorKind::NotFound);
    }

    #[test]
    fn a_name_of_several_keys_revokes_none() {
        let folder = tempfile::tempdir().unwrap();
        let one = make(folder.path(), wanted("app")).unwrap();
        let two = make(folder.path(), wanted("app")).unwrap();
        assert_ne!(one.key, two.key);
        let error = revoke(folder.path(), "app").unwrap_err();
        assert!(error.message.contains(&one.info.id), "{error}");
        revoke(folder.path(), &one.info.id).unwrap();
        assert_eq!(revoke(folder.path(), "app").unwrap().id, two.info.id);
        assert!(revoke(&folder.path().join("nowhere"), "app").is_err());
    }

    #[test]
    fn nonsense_makes_no_key() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["", "a b", "key-0123", "anonymous", "*", &"x".repeat(65)] {
            assert!(make(folder.path(), wanted(name)).is_err(), "{name:?}");
        }
        let without = NewKey {
            scopes: Vec::new(),
            ..wanted("app")
        };
        assert!(make(folder.path(), without).is_err());
        let never = NewKey {
            requests_per_minute: Some(0),
            ..wanted("app")
        };
        assert!(make(folder.path(), never).is_err());
        assert!(list(folder.path()).unwrap().is_empty());
    }
}
