//! What is wrong, or soon will be, before anybody has to find out: settings, data, models and upstreams. What only the machine
//! knows is looked at by the command.

mod backends;
mod data;
mod models;
mod objects;
mod upstreams;

use serde::Serialize;

pub use backends::backends;
pub use data::data;
pub use models::models;
pub use objects::objects;
pub use upstreams::upstreams;

use crate::config::Settings;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It serves, but not as it should, or not for long.
    Warn,
    /// It does not serve, or loses something.
    Fail,
}

/// One thing that was looked at. Holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at.
    pub check: &'static str,
    /// What was seen.
    pub what: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    /// All well.
    pub fn ok(check: &'static str, what: impl Into<String>) -> Self {
        Self {
            level: Level::Ok,
            check,
            what: what.into(),
            fix: None,
        }
    }

    /// Not as it should be.
    pub fn warn(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Warn,
            check,
            what: what.into(),
            fix: Some(fix.into()),
        }
    }

    /// Broken.
    pub fn fail(check: &'static str, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            level: Level::Fail,
            ..Self::warn(check, what, fix)
        }
    }
}

/// Checks the settings, and the files that they name, as a start would.
pub fn settings(settings: &Settings) -> Vec<Finding> {
    const CHECK: &str = "settings";
    let mut found = vec![match super::check(settings) {
        Ok(()) => Finding::ok(
            CHECK,
            "can be used, with the tables and rules that they name",
        ),
        Err(error) => Finding::fail(
            CHECK,
            error.to_string(),
            "correct it; docs/CONFIG.md has every setting with its range",
        ),
    }];
    if let Some(path) = &settings.dataset.recipe
        && let Err(error) = super::read_setting("dataset", "recipe", path)
    {
        found.push(Finding::fail(
            CHECK,
            error.to_string(),
            "correct the path, or leave it out",
        ));
    }
    if settings.supervisors.allow_crash {
        found.push(Finding::warn(
            CHECK,
            "supervisors.allow_crash = true lets any client crash cells",
            "set it to false where others can reach the server",
        ));
    }
    found
}

#[cfg(test)]
mod tests;
