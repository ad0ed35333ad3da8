//! Settings of the journal.

use serde::{Deserialize, Serialize};

use super::records::MAX_LINE_BYTES;

/// When an append is acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Ack {
    /// Once the operating system has the bytes: a crash of the process loses nothing, a power cut
    /// at most what was written since the last sync.
    #[default]
    Written,
    /// Once the bytes are on the disk: a power cut loses nothing; costs an fsync, which
    /// those that wait for one share.
    Synced,
}

/// Settings of the evidence journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct EvidenceConfig {
    /// When an append is acknowledged: `written` or `synced`. Default `written`.
    pub ack: Ack,
    /// Time between two syncs under `ack = "written"`, milliseconds, 10 to 600000. Default 1000. It
    /// is what a power cut may lose.
    #[cfg_attr(feature = "server", schemars(range(min = 10, max = 600_000)))]
    pub sync_interval_ms: u64,
    /// Size at which a new segment is begun, bytes, 1024 to 4 GiB. Default 64 MiB. The newest
    /// segment is checked whole at start, about 200 MB/s.
    #[cfg_attr(feature = "server", schemars(range(min = 1_024, max = 4_u64 << 30)))]
    pub segment_bytes: u64,
    /// Largest record, bytes of its line, 1024 to 64 MiB. Default 8 MiB.
    #[cfg_attr(feature = "server", schemars(range(min = 1_024, max = MAX_LINE_BYTES)))]
    pub max_record_bytes: usize,
    /// Age past which old files are removed whole, days, 1 to 36500; not set: never. A file goes once its newest record is
    /// that old, and no file is written to for longer than a day, so a record stays one day more at most.
    #[cfg_attr(feature = "server", schemars(range(min = 1, max = 36_500)))]
    pub retain_days: Option<u32>,
    /// Size of the whole journal past which its oldest files are removed, bytes, at least `segment_bytes`; not set: never.
    #[cfg_attr(feature = "server", schemars(range(min = 1_024)))]
    pub retain_bytes: Option<u64>,
}

impl Default for EvidenceConfig {
    fn default() -> Self {
        Self {
            ack: Ack::Written,
            sync_interval_ms: 1_000,
            segment_bytes: 64 * 1024 * 1024,
            max_record_bytes: 8 * 1024 * 1024,
            retain_days: None,
            retain_bytes: None,
        }
    }
}

impl EvidenceConfig {
    /// Checks the ranges.
    ///
    /// Errors: names the setting, its range and its value.
    pub fn validate(&self) -> Result<(), String> {
        if !(10..=600_000).contains(&self.sync_interval_ms) {
            return Err(format!(
                "sync_interval_ms must be 10 to 600000, got {}",
                self.sync_interval_ms
            ));
        }
        if !(1024..=4 << 30).contains(&self.segment_bytes) {
            return Err(format!(
                "segment_bytes must be 1024 to {}, got {}",
                4_u64 << 30,
                self.segment_bytes
            ));
        }
        if !(1024..=MAX_LINE_BYTES).contains(&self.max_record_bytes) {
            return Err(format!(
                "max_record_bytes must be 1024 to {MAX_LINE_BYTES}, got {}",
                self.max_record_bytes
            ));
        }
        if let Some(days) = self.retain_days
            && !(1..=36_500).contains(&days)
        {
            return Err(format!("retain_days must be 1 to 36500, got {days}"));
        }
        if let Some(bytes) = self.retain_bytes
            && bytes < self.segment_bytes
        {
            return Err(format!(
                "retain_bytes must be at least segment_bytes = {}, got {bytes}",
                self.segment_bytes
            ));
        }
        Ok(())
    }
}
