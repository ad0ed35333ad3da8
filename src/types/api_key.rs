//! API keys as they are kept: what a key may do, and what checks it; never the key itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a key may do. Each route needs one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Search and read collections, see the state of the server.
    Read,
    /// Create, change and remove collections and points, bring evidence, make datasets.
    Write,
    /// Ask models, have answers judged, say what became of them.
    Chat,
    /// Everything: what the others may, the evidence of all callers, erasing, reviewing, restarting.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Chat, Self::Admin];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Chat => "chat",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.name() == word);
        found.ok_or_else(|| format!("no scope {word:?}: known are read, write, chat, admin"))
    }
}

/// One key of the file of keys.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Names it in the key itself and on the command line.
    pub id: String,
    /// Whose use it counts as.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Unix time, milliseconds.
    pub created_ms: u64,
    /// When it ends by itself, Unix time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// When it was revoked, Unix time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<u64>,
    /// Most requests in any minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Most tokens of chat calls in a day, UTC, read and written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Hex of 32 random bytes.
    pub salt: String,
    /// Hex of blake3, keyed with the salt, over the characters of the key.
    pub hash: String,
}

impl ApiKey {
    /// Whether it opens anything at this time.
    pub fn is_good_at(&self, now_ms: u64) -> bool {
        self.revoked_ms.is_none() && self.expires_ms.is_none_or(|end| now_ms < end)
    }
}

/// Shows nothing that checks it.
impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ApiKey")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_scopes() {
        for scope in Scope::ALL {
            assert_eq!(scope.to_string().parse::<Scope>(), Ok(scope));
        }
        assert!("root".parse::<Scope>().unwrap_err().contains("admin"));
    }
}
