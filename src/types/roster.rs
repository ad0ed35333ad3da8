//! Rows of a roster, and what the server tells of the tables it judges by.

use serde::Serialize;

/// One worker, as rosters are written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RosterRow {
    /// Unique.
    pub worker_id: String,
    /// Full name.
    pub name: String,
    /// What the worker does.
    pub role: String,
    /// Where the worker works.
    pub city: String,
    /// The state of that city.
    pub state: String,
    /// `active`, or why not.
    pub status: String,
    /// Clients who refuse the worker.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub barred_clients: Vec<String>,
    /// `name`, or `name:2027-01-31` with the last day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
    /// First day, as a date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_from: Option<String>,
    /// Last day, as a date.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_to: Option<String>,
}

impl RosterRow {
    /// The columns, in the order of [`texts`](Self::texts).
    pub const COLUMNS: [&'static str; 10] = [
        "worker_id",
        "name",
        "role",
        "city",
        "state",
        "status",
        "barred_clients",
        "certificates",
        "available_from",
        "available_to",
    ];

    /// The row as a table of texts has it: lists are split by `;`, what is not there is empty.
    pub fn texts(&self) -> [String; 10] {
        [
            self.worker_id.clone(),
            self.name.clone(),
            self.role.clone(),
            self.city.clone(),
            self.state.clone(),
            self.status.clone(),
            self.barred_clients.join(";"),
            self.certificates.join(";"),
            self.available_from.clone().unwrap_or_default(),
            self.available_to.clone().unwrap_or_default(),
        ]
    }
}

/// How a table that validators look things up in is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct TableStatus {
    /// `roster` or `calendar`.
    pub table: &'static str,
    /// Where it comes from: a file, `collection:NAME`, or `demo`.
    pub source: String,
    /// Rows of the table that counts.
    pub rows: usize,
    /// When that was read, Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loaded_at_ms: Option<u64>,
    /// Why the newest state of the source is not used; the table before it counts on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
