//! How a command fails, and with which exit status.

use crate::app::StartError;
use crate::config::ConfigError;

/// What the exit statuses mean, for every help text.
pub(super) const STATUSES: &str = "Exit status:
    0  done, or drained after a signal; of validate: pass
    1  failed, and stderr says why; of checks, also: something is not as it should be
    2  wrong arguments; of doctor: something is broken
    3  of validate: repairable
    4  of validate: fail
   64  wrong settings
   70  supervision gave up: start the server anew
  130  stopped by Ctrl-C";

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
    /// Ctrl-C, with what became of the work.
    #[error("{0}")]
    Interrupted(String),
    /// Anything else, said in full.
    #[error("{0}")]
    Failed(String),
}

impl CliError {
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    pub(super) fn interrupted(message: impl Into<String>) -> Self {
        Self::Interrupted(message.into())
    }

    /// The exit status, as [`STATUSES`] tells: EX_USAGE for settings and EX_SOFTWARE for supervision, of sysexits.h.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Start(StartError::Config(_)) => 64,
            Self::Exhausted => 70,
            Self::Judged(status) => *status,
            Self::Interrupted(_) => 130,
            Self::Start(_) | Self::Failed(_) => 1,
        }
    }
}
