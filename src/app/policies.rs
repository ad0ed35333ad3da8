//! Restart policies for the nodes of a running tree, as the settings have them.

use supervisors::{ChildPolicy, NodeKind, ReloadPlan, TreeSnapshot};

use crate::config::{Settings, SupervisorsConfig};
use crate::engines::chat::ChatConfig;
use crate::services::supervision::NewPolicies;

/// Reads each node's policy out of `settings`.
pub(super) fn policies_of(settings: &Settings, tree: &TreeSnapshot) -> NewPolicies {
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
            let policy = cell_policy(config, &settings.chat, &group.id, &cell.id);
            plan.children
                .insert(format!("{}/{}", group.id, cell.id), policy);
        }
    }
    NewPolicies {
        plan,
        collection: config.child("collection"),
    }
}

fn cell_policy(
    config: &SupervisorsConfig,
    chat: &ChatConfig,
    group: &str,
    cell: &str,
) -> ChildPolicy {
    match group {
        "collections" => config.child("collection"),
        "chat" => match chat.providers.get(cell) {
            Some(provider) => ChildPolicy {
                inbox: provider.max_concurrency,
                critical: false,
                ..config.child("provider")
            },
            None => config.child("provider"),
        },
        "engines" if cell.starts_with("embedder.") => config.child("provider"),
        "engines" if cell.starts_with("embedding.") => config.child("embedding"),
        // One writer, one job at a time: see their `child_spec`.
        "storage" | "datasets" => ChildPolicy {
            workers: 1,
            ..config.child(cell)
        },
        _ => config.child(cell),
    }
}
