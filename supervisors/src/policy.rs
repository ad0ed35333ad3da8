//! How a supervisor and its children behave: plain data, validated whole.

use serde::{Deserialize, Serialize};

/// Which children restart together when one fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Only the one that failed.
    #[default]
    OneForOne,
    /// All of them.
    OneForAll,
    /// The one that failed and those started after it.
    RestForOne,
}

/// Which exits lead to a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Every exit.
    #[default]
    Permanent,
    /// Failures only; a normal exit is final.
    Transient,
    /// None: any exit is final.
    Temporary,
}

/// What happens when restarts come faster than `intensity` in `period_ms`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnExhausted {
    /// The child answers `Unavailable` at once; after a backoff it is tried again.
    #[default]
    Open,
    /// The supervisor stops its children and fails to its own parent.
    Escalate,
    /// The child stays stopped; its siblings go on.
    Stop,
}

/// Whether the end of a significant child ends its supervisor, as in OTP 24.
///
/// Only an end of its own counts: a crash of a temporary child, a normal end of a transient or temporary one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoShutdown {
    /// It goes on.
    Never,
    /// The first that ends ends it.
    #[default]
    AnySignificant,
    /// The last that ends ends it.
    AllSignificant,
}

/// Randomness in the delay before a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Uniform between zero and the delay.
    #[default]
    Full,
    /// The delay itself.
    None,
}

/// A policy that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct PolicyError {
    /// The field at fault.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl PolicyError {
    /// What always starts again cannot take its supervisor along by ending.
    pub(crate) fn check_significant(significant: bool, restart: Restart) -> Result<(), Self> {
        if significant && restart == Restart::Permanent {
            let problem = "needs restart = transient or temporary";
            return Err(wrong("significant", problem));
        }
        Ok(())
    }
}

fn wrong(field: &'static str, problem: impl Into<String>) -> PolicyError {
    PolicyError {
        field,
        problem: problem.into(),
    }
}

/// Delay before a restart: `first_ms`, then exponential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// Before the first restart, milliseconds. Default 0: at once.
    pub first_ms: u64,
    /// Before the second restart; doubles from there. Default 50.
    #[cfg_attr(feature = "schemars", schemars(range(min = 1)))]
    pub base_ms: u64,
    /// Longest delay. Default 30,000.
    pub max_ms: u64,
    /// Spreads restarts of many children. Default full.
    pub jitter: Jitter,
    /// Uptime after which a child counts as stable and starts from `first_ms` again. Default 60,000.
    pub reset_after_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first_ms: 0,
            base_ms: 50,
            max_ms: 30_000,
            jitter: Jitter::Full,
            reset_after_ms: 60_000,
        }
    }
}

impl Backoff {
    /// Longest delay before the restart that follows `failures` earlier ones.
    pub(crate) fn ceiling_ms(&self, failures: u32) -> u64 {
        match failures {
            0 => self.first_ms,
            n => self
                .base_ms
                .saturating_mul(1 << (n - 1).min(32))
                .min(self.max_ms),
        }
    }

    fn validate(&self) -> Result<(), PolicyError> {
        if self.base_ms == 0 {
            return Err(wrong("backoff.base_ms", "must be at least 1"));
        }
        if self.max_ms < self.base_ms || self.max_ms < self.first_ms {
            return Err(wrong(
                "backoff.max_ms",
                "must not be below base_ms or first_ms",
            ));
        }
        Ok(())
    }
}

/// How a supervisor treats failures of its children.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Which children restart together.
    pub strategy: Strategy,
    /// Most restarts within `period_ms`. Default 5.
    pub intensity: u32,
    /// The window, milliseconds. Default 10,000.
    pub period_ms: u64,
    /// Delay before a restart.
    pub backoff: Backoff,
    /// What happens past `intensity`.
    pub on_exhausted: OnExhausted,
    /// Whether the end of a significant child ends the supervisor.
    pub auto_shutdown: AutoShutdown,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            strategy: Strategy::OneForOne,
            intensity: 5,
            period_ms: 10_000,
            backoff: Backoff::default(),
            on_exhausted: OnExhausted::Open,
            auto_shutdown: AutoShutdown::AnySignificant,
        }
    }
}

impl Policy {
    /// Refuses nonsense once, so that the kernel needs no checks.
    ///
    /// Errors: the first field at fault.
    pub fn validate(&self) -> Result<(), PolicyError> {
        if self.period_ms == 0 {
            return Err(wrong("period_ms", "must be at least 1"));
        }
        self.backoff.validate()
    }
}

/// How one child runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChildPolicy {
    /// Which exits lead to a restart.
    pub restart: Restart,
    /// When it ends for good, its supervisor may end too: see [`AutoShutdown`].
    pub significant: bool,
    /// Readiness needs it. Default true.
    pub critical: bool,
    /// Threads of a sync cell. An async cell has one arbiter. Default 1. Another number applies when the cell
    /// next restarts.
    pub workers: usize,
    /// Most requests admitted and not yet answered; one more gets `Busy`. Default 1,024.
    pub inbox: usize,
    /// Longest a message may run without `progress()`, milliseconds. Default 30,000.
    pub deadline_ms: u64,
    /// Longest wait for running messages when it stops. Default 5,000.
    pub shutdown_ms: u64,
    /// A request that crashed its worker so often is refused; 0 switches this off. Default 3.
    pub quarantine_after: u32,
    /// Most stuck threads; one more hang counts as exhausted. Default 2.
    pub max_zombies: usize,
}

impl Default for ChildPolicy {
    fn default() -> Self {
        Self {
            restart: Restart::Permanent,
            significant: false,
            critical: true,
            workers: 1,
            inbox: 1024,
            deadline_ms: 30_000,
            shutdown_ms: 5_000,
            quarantine_after: 3,
            max_zombies: 2,
        }
    }
}

impl ChildPolicy {
    /// Refuses nonsense once.
    ///
    /// Errors: the first field at fault.
    pub fn validate(&self) -> Result<(), PolicyError> {
        if !(1..=1024).contains(&self.workers) {
            return Err(wrong(
                "workers",
                format!("must be 1 to 1024, got {}", self.workers),
            ));
        }
        if self.inbox == 0 {
            return Err(wrong("inbox", "must be at least 1"));
        }
        if self.deadline_ms == 0 {
            return Err(wrong("deadline_ms", "must be at least 1"));
        }
        PolicyError::check_significant(self.significant, self.restart)
    }
}
