//! Settings that change while the process serves: what is taken over at once, and what waits for a restart.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use super::supervision::{self, NewPolicies};
use super::{ServiceError, Services, tables};
use crate::types::roster::TableStatus;

/// Settings by their dotted keys, such as `http.port`, each as TOML.
pub type FlatSettings = BTreeMap<String, String>;

/// The settings as they are now.
pub struct NewSettings {
    /// For the tree.
    pub policies: NewPolicies,
    /// What is logged.
    pub log_filter: String,
    /// All of them.
    pub flat: FlatSettings,
}

/// Reads the settings again, for the nodes of a tree. The text says what is wrong with them.
pub type Source =
    Box<dyn Fn(&supervisors::TreeSnapshot) -> Result<NewSettings, String> + Send + Sync>;

/// Takes over another filter of the log. The text says why it cannot.
pub type SetLogFilter = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// The keys that are taken over while the process serves, and those below them.
const LIVE: [&str; 4] = [
    "log.filter",
    "supervisors.children",
    "supervisors.defaults",
    "supervisors.groups",
];

/// What is in force, and where the settings come from.
pub struct Reloading {
    source: Source,
    in_force: Mutex<FlatSettings>,
    log_filter: OnceLock<SetLogFilter>,
}

impl Reloading {
    /// Begins with the settings of the start.
    pub fn new(source: Source, in_force: FlatSettings) -> Self {
        Self {
            source,
            in_force: Mutex::new(in_force),
            log_filter: OnceLock::new(),
        }
    }

    /// Lets the log's filter be changed, too. The first one stays.
    pub fn set_log_filter(&self, set: SetLogFilter) {
        let _ = self.log_filter.set(set);
    }

    fn in_force(&self) -> MutexGuard<'_, FlatSettings> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer of `POST /v1/reload`.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Reloaded {
    /// Keys that changed and are in force now.
    #[schema(example = json!(["log.filter"]))]
    pub applied: Vec<String>,
    /// Keys that changed and are in force after a restart.
    #[schema(example = json!(["http.port"]))]
    pub needs_restart: Vec<String>,
    /// Changes that could not be made, each with the reason; what was before stays in force.
    pub failed: Vec<String>,
    /// Rosters and calendars, which were read again, with their rows and what is wrong with them.
    #[schema(value_type = Vec<Object>)]
    pub tables: Vec<TableStatus>,
}

/// Reads the settings again and takes over what can change while the process serves; rosters and calendars are read again, too.
///
/// Errors: settings that cannot be used; then nothing changed.
pub async fn reload(services: &Services) -> Result<Reloaded, ServiceError> {
    let new = read(services)?;
    let (mut applied, mut needs_restart) = (Vec::new(), Vec::new());
    for key in changed(&services.reloading.in_force(), &new.flat) {
        match is_live(&key) {
            true => applied.push(key),
            false => needs_restart.push(key),
        }
    }
    supervision::take_over(services, new.policies)?;
    let mut failed = Vec::new();
    if applied.iter().any(|key| key == "log.filter") {
        let set = services.reloading.log_filter.get();
        let taken = match set {
            Some(set) => set(&new.log_filter),
            None => Err("this process does not write its log".to_owned()),
        };
        if let Err(reason) = taken {
            applied.retain(|key| key != "log.filter");
            failed.push(format!("log.filter: {reason}"));
        }
    }
    note_applied(services, &new.flat, &applied);
    if let Err(error) = tables::renew(services, true).await {
        failed.push(format!("rosters and calendars: {}", error.message));
    }
    let tables = tables::status(services);
    for table in &tables {
        failed.extend(table.error.clone());
    }
    Ok(Reloaded {
        applied,
        needs_restart,
        failed,
        tables,
    })
}

/// The same for the restart policies alone.
pub fn reload_policies(services: &Services) -> Result<(), ServiceError> {
    let new = read(services)?;
    let policies = changed(&services.reloading.in_force(), &new.flat);
    let policies: Vec<String> = policies
        .into_iter()
        .filter(|key| is_live(key) && key != "log.filter")
        .collect();
    supervision::take_over(services, new.policies)?;
    note_applied(services, &new.flat, &policies);
    Ok(())
}

fn read(services: &Services) -> Result<NewSettings, ServiceError> {
    (services.reloading.source)(&services.tree.snapshot()).map_err(|problem| {
        ServiceError::bad_request(format!("{problem}; nothing was changed")).code("bad_settings")
    })
}

/// From here on these keys are what they are now.
fn note_applied(services: &Services, now: &FlatSettings, keys: &[String]) {
    let mut in_force = services.reloading.in_force();
    for key in keys {
        match now.get(key) {
            Some(value) => in_force.insert(key.clone(), value.clone()),
            None => in_force.remove(key),
        };
    }
}

/// The keys whose values differ, are new or are gone.
fn changed(before: &FlatSettings, now: &FlatSettings) -> Vec<String> {
    let differs = |key: &&String| before.get(*key) != now.get(*key);
    let mut keys: Vec<String> = now.keys().filter(differs).cloned().collect();
    let gone = before.keys().filter(|key| !now.contains_key(*key));
    keys.extend(gone.cloned());
    keys.sort();
    keys
}

fn is_live(key: &str) -> bool {
    // A cell has its threads from its start on.
    if key.ends_with(".workers") {
        return false;
    }
    LIVE.iter().any(|live| {
        key.strip_prefix(live)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_apart() {
        let flat = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let pairs = pairs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            pairs.collect::<FlatSettings>()
        };
        let before = flat(&[("a.b", "1"), ("a.c", "2"), ("d", "3")]);
        let now = flat(&[("a.b", "1"), ("a.c", "4"), ("e", "5")]);
        assert_eq!(changed(&before, &now), ["a.c", "d", "e"]);
        assert!(changed(&now, &now).is_empty());
        for (key, live) in [
            ("log.filter", true),
            ("log.format", false),
            ("log.filters", false),
            ("supervisors.children.embedding.workers", false),
            ("supervisors.defaults.workers", false),
            ("supervisors.children.embedding.inbox", true),
            ("supervisors.allow_crash", false),
            ("http.port", false),
        ] {
            assert_eq!(is_live(key), live, "{key}");
        }
    }
}
