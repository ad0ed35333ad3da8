//! Restart policies for the nodes of a running tree, as the settings have them.

use std::collections::BTreeMap;

use supervisors::{ChildPolicy, NodeKind, ReloadPlan, TreeSnapshot};

use crate::config::{Settings, SupervisorsConfig};
use crate::services::supervision::NewPolicies;

/// How many calls each upstream takes at once, by the path of its cell. Cells are made at the start, by the settings of then:
/// what other settings say of upstreams waits for a restart.
pub(super) struct Upstreams(BTreeMap<String, usize>);

impl Upstreams {
    /// Those of the start.
    pub(super) fn of(settings: &Settings) -> Self {
        let chat = settings.chat.providers.iter();
        let chat = chat.map(|(name, one)| (format!("chat/{name}"), one.max_concurrency));
        let embedders = settings.embedding.embedders.iter();
        let embedders = embedders.map(|(name, one)| {
            let path = format!("engines/embedder.{name}");
            (path, one.max_concurrency)
        });
        Self(chat.chain(embedders).collect())
    }
}

/// Reads each node's policy out of `settings`.
pub(super) fn policies_of(
    settings: &Settings,
    upstreams: &Upstreams,
    tree: &TreeSnapshot,
) -> NewPolicies {
    let config = &settings.supervisors;
    let mut plan = ReloadPlan::default();
    plan.supervisors
        .insert(tree.id.clone(), config.group(&tree.id));
    for group in &tree.children {
        plan.supervisors
            .insert(group.id.clone(), config.group(&group.id));
        let cells = group
            .children
            .iter()
            .filter(|cell| cell.kind != NodeKind::Supervisor);
        for cell in cells {
            let path = format!("{}/{}", group.id, cell.id);
            let policy = match upstreams.0.get(&path) {
                // As their `child_spec` has it: the rest serves without it.
                Some(&inbox) => ChildPolicy {
                    inbox,
                    critical: false,
                    ..config.child("provider")
                },
                None => cell_policy(config, &group.id, &cell.id),
            };
            plan.children.insert(path, policy);
        }
    }
    NewPolicies {
        plan,
        collection: config.child("collection"),
    }
}

fn cell_policy(config: &SupervisorsConfig, group: &str, cell: &str) -> ChildPolicy {
    match group {
        "collections" => config.child("collection"),
        "chat" => config.child("provider"),
        "engines" if cell.starts_with("embedding.") => config.child("embedding"),
        // One writer, one job at a time: see their `child_spec`.
        "storage" | "datasets" => ChildPolicy {
            workers: 1,
            ..config.child(cell)
        },
        _ => config.child(cell),
    }
}
