//! Restart policies: defaults that every supervisor and cell inherits, and what differs for some.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use supervisors::{Backoff, ChildPolicy, OnExhausted, Policy, Restart, Strategy};

/// The supervisors that `groups` may name, in the order of their start.
const GROUPS: [&str; 6] = [
    "root",
    "storage",
    "engines",
    "collections",
    "chat",
    "datasets",
];
/// The cells that `children` may name; `collection` and `provider` stand for each of theirs.
const CHILDREN: [&str; 13] = [
    "evidence",
    "embedding",
    "validation",
    "tables",
    "collection",
    "provider",
    "dataset",
    "imports",
    "review",
    "refine",
    "reembed",
    "moves",
    "push",
];

/// `[supervisors]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SupervisorsConfig {
    /// Serve `POST /v1/supervisors/{id}/crash`.
    pub allow_crash: bool,
    /// Note what runs in a small file, so that after an abort the next start names it.
    pub black_box: bool,
    /// Inherited by all.
    pub defaults: Defaults,
    /// What differs for a supervisor.
    pub groups: BTreeMap<String, GroupPatch>,
    /// What differs for a cell.
    pub children: BTreeMap<String, ChildPatch>,
}

impl Default for SupervisorsConfig {
    fn default() -> Self {
        let embedding = ChildPatch {
            workers: Some(2),
            inbox: Some(4_096),
            ..ChildPatch::default()
        };
        let validation = ChildPatch {
            workers: Some(2),
            ..ChildPatch::default()
        };
        let collection = ChildPatch {
            workers: Some(2),
            critical: Some(false),
            deadline_ms: Some(600_000),
            ..ChildPatch::default()
        };
        let provider = ChildPatch {
            critical: Some(false),
            deadline_ms: Some(600_000),
            ..ChildPatch::default()
        };
        let dataset = ChildPatch {
            critical: Some(false),
            inbox: Some(16),
            deadline_ms: Some(60_000),
            ..ChildPatch::default()
        };
        let refine = ChildPatch {
            critical: Some(false),
            inbox: Some(1),
            deadline_ms: Some(60_000),
            ..ChildPatch::default()
        };
        let push = ChildPatch {
            // The longest that one file may take.
            deadline_ms: Some(600_000),
            ..refine.clone()
        };
        let rest_for_one = GroupPatch {
            strategy: Some(Strategy::RestForOne),
            ..GroupPatch::default()
        };
        let escalate = GroupPatch {
            on_exhausted: Some(OnExhausted::Escalate),
            ..GroupPatch::default()
        };
        Self {
            allow_crash: false,
            black_box: true,
            defaults: Defaults::default(),
            groups: [
                (
                    "root".to_owned(),
                    GroupPatch {
                        on_exhausted: escalate.on_exhausted,
                        ..rest_for_one
                    },
                ),
                ("storage".to_owned(), escalate),
            ]
            .into(),
            children: [
                ("embedding".to_owned(), embedding),
                ("validation".to_owned(), validation),
                ("tables".to_owned(), dataset.clone()),
                ("collection".to_owned(), collection),
                ("provider".to_owned(), provider),
                ("dataset".to_owned(), dataset.clone()),
                ("imports".to_owned(), dataset.clone()),
                ("review".to_owned(), dataset),
                ("refine".to_owned(), refine.clone()),
                ("reembed".to_owned(), refine.clone()),
                ("moves".to_owned(), refine),
                ("push".to_owned(), push),
            ]
            .into(),
        }
    }
}

/// What every supervisor and cell inherits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// Which children restart together.
    pub strategy: Strategy,
    /// Most restarts within `period_ms`.
    pub intensity: u32,
    /// The window.
    #[schemars(range(min = 1))]
    pub period_ms: u64,
    /// Delay before a restart.
    pub backoff: Backoff,
    /// What happens past `intensity`.
    pub on_exhausted: OnExhausted,
    /// Which exits lead to a restart.
    pub restart: Restart,
    /// Whether readiness needs a cell.
    pub critical: bool,
    /// Threads of a cell.
    #[schemars(range(min = 1, max = 1_024))]
    pub workers: usize,
    /// Most requests admitted and not yet answered.
    #[schemars(range(min = 1))]
    pub inbox: usize,
    /// Longest a message may run without a sign of progress.
    #[schemars(range(min = 1))]
    pub deadline_ms: u64,
    /// Longest wait for running messages when a cell stops.
    pub shutdown_ms: u64,
    /// Crashes after which a request is refused; 0 = never.
    pub quarantine_after: u32,
    /// Most stuck threads of a cell.
    pub max_zombies: usize,
}

impl Default for Defaults {
    fn default() -> Self {
        let (policy, child) = (Policy::default(), ChildPolicy::default());
        Self {
            strategy: policy.strategy,
            intensity: policy.intensity,
            period_ms: policy.period_ms,
            backoff: policy.backoff,
            on_exhausted: policy.on_exhausted,
            restart: child.restart,
            critical: child.critical,
            workers: child.workers,
            inbox: child.inbox,
            deadline_ms: child.deadline_ms,
            shutdown_ms: child.shutdown_ms,
            quarantine_after: child.quarantine_after,
            max_zombies: child.max_zombies,
        }
    }
}

/// What differs for one supervisor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GroupPatch {
    /// See [`Defaults::strategy`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// See [`Defaults::intensity`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intensity: Option<u32>,
    /// See [`Defaults::period_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub period_ms: Option<u64>,
    /// See [`Defaults::backoff`]; replaced whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// See [`Defaults::on_exhausted`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_exhausted: Option<OnExhausted>,
}

/// What differs for one cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChildPatch {
    /// See [`Defaults::restart`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// See [`Defaults::critical`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical: Option<bool>,
    /// See [`Defaults::workers`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_024))]
    pub workers: Option<usize>,
    /// See [`Defaults::inbox`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub inbox: Option<usize>,
    /// See [`Defaults::deadline_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub deadline_ms: Option<u64>,
    /// See [`Defaults::shutdown_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown_ms: Option<u64>,
    /// See [`Defaults::quarantine_after`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine_after: Option<u32>,
    /// See [`Defaults::max_zombies`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_zombies: Option<usize>,
}

impl SupervisorsConfig {
    /// The policy of a supervisor.
    pub fn group(&self, name: &str) -> Policy {
        let defaults = &self.defaults;
        let patch = self.groups.get(name).cloned().unwrap_or_default();
        Policy {
            strategy: patch.strategy.unwrap_or(defaults.strategy),
            intensity: patch.intensity.unwrap_or(defaults.intensity),
            period_ms: patch.period_ms.unwrap_or(defaults.period_ms),
            backoff: patch.backoff.unwrap_or_else(|| defaults.backoff.clone()),
            on_exhausted: patch.on_exhausted.unwrap_or(defaults.on_exhausted),
            ..Policy::default()
        }
    }

    /// The policy of a cell.
    pub fn child(&self, name: &str) -> ChildPolicy {
        let defaults = &self.defaults;
        let patch = self.children.get(name).cloned().unwrap_or_default();
        ChildPolicy {
            restart: patch.restart.unwrap_or(defaults.restart),
            significant: false,
            critical: patch.critical.unwrap_or(defaults.critical),
            workers: patch.workers.unwrap_or(defaults.workers),
            inbox: patch.inbox.unwrap_or(defaults.inbox),
            deadline_ms: patch.deadline_ms.unwrap_or(defaults.deadline_ms),
            shutdown_ms: patch.shutdown_ms.unwrap_or(defaults.shutdown_ms),
            quarantine_after: patch.quarantine_after.unwrap_or(defaults.quarantine_after),
            max_zombies: patch.max_zombies.unwrap_or(defaults.max_zombies),
        }
    }

    /// Refuses unknown names and policies that make no sense.
    pub fn validate(&self) -> Result<(), String> {
        known("groups", self.groups.keys(), &GROUPS)?;
        known("children", self.children.keys(), &CHILDREN)?;
        for name in GROUPS {
            self.group(name)
                .validate()
                .map_err(|error| format!("groups.{name}: {error}"))?;
        }
        for name in CHILDREN {
            self.child(name)
                .validate()
                .map_err(|error| format!("children.{name}: {error}"))?;
        }
        Ok(())
    }
}

fn known<'a>(
    table: &str,
    names: impl Iterator<Item = &'a String>,
    all: &[&str],
) -> Result<(), String> {
    for name in names {
        if !all.contains(&name.as_str()) {
            return Err(format!(
                "{table}.{name} does not exist; there are {}",
                all.join(", ")
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_only_what_it_names() {
        let config = SupervisorsConfig::default();
        let (embedding, evidence) = (config.child("embedding"), config.child("evidence"));
        assert_eq!((embedding.workers, embedding.inbox), (2, 4_096));
        assert_eq!(embedding.deadline_ms, evidence.deadline_ms);
        assert_eq!(config.group("root").strategy, Strategy::RestForOne);
        assert_eq!(config.group("chat"), Policy::default());
    }

    #[test]
    fn unknown_names_are_refused() {
        let mut config = SupervisorsConfig::default();
        config
            .children
            .insert("embeding".to_owned(), ChildPatch::default());
        let problem = config.validate().unwrap_err();
        assert!(
            problem.contains("embeding") && problem.contains("embedding"),
            "{problem}"
        );
    }
}
