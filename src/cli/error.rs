//! How a command fails, and with which exit status.

use crate::app::StartError;
use crate::config::ConfigError;

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The process did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The root supervisor gave up.
    #[error("supervision gave up after too many restarts; see the log above")]
    Exhausted,
    /// A verdict other than pass, told already, with its exit status.
    #[error("the verdict is not pass")]
    Judged(u8),
    /// Anything else, said in full.
    #[error("{0}")]
    Failed(String),
}

impl CliError {
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// The exit status: EX_USAGE for settings and EX_SOFTWARE for supervision, of sysexits.h.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Start(StartError::Config(_)) => 64,
            Self::Exhausted => 70,
            Self::Judged(status) => *status,
            Self::Start(_) | Self::Failed(_) => 1,
        }
    }
}
