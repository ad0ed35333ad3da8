//! New policies for a running tree: validated whole, then swapped; history, queues and workers are kept.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use serde::Deserialize;

use crate::node::{Member, Node};
use crate::policy::{ChildPolicy, Policy, PolicyError};
use crate::supervisor::Command;
use crate::tree::{Place, Tree};

/// Which nodes get which policy, by id or by path below the root. Those not named keep theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReloadPlan {
    /// For supervisors; the root too.
    pub supervisors: BTreeMap<String, Policy>,
    /// For cells.
    pub children: BTreeMap<String, ChildPolicy>,
}

/// Why a plan was refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// There is no such supervisor.
    #[error("no supervisor named {id}; known: {}", known.join(", "))]
    UnknownSupervisor {
        /// The name asked for.
        id: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// There is no such cell.
    #[error("no cell named {id}; known: {}", known.join(", "))]
    UnknownChild {
        /// The name asked for.
        id: String,
        /// The paths that there are.
        known: Vec<String>,
    },
    /// A policy makes no sense.
    #[error("{id}: {error}")]
    Invalid {
        /// Whose.
        id: String,
        /// The field at fault.
        error: PolicyError,
    },
}

impl Tree {
    /// Swaps policies while everything runs.
    ///
    /// Restart counters, windows, epochs, queues and requests in flight are kept. All fields apply at once,
    /// except `workers`: a cell has the new number when it next restarts, fewer only when all of it restarts.
    /// An inbox that shrinks below what it holds loses nothing and admits again when it is below. A running
    /// backoff or stop keeps its time.
    ///
    /// Errors: the first thing wrong in the plan, after which nothing has changed.
    pub fn reload(&self, plan: &ReloadPlan) -> Result<(), ReloadError> {
        // Two plans at once must not mix.
        let _turn = self
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let places = self.places();
        let supervisors = self.find_supervisors(plan, &places)?;
        let cells = self.find_cells(plan, &places)?;
        for (node, policy) in supervisors {
            node.set_policy(policy.clone());
            let command = Command::Reload {
                policy: Some(policy.clone()),
                children: Vec::new(),
            };
            // One that is down reads it when it starts.
            let _ = node.send(command);
        }
        for (place, policy) in cells {
            if let Member::Cell(cell) = &place.member {
                cell.set_policy(policy.clone());
                let command = Command::Reload {
                    policy: None,
                    children: vec![place.member.kernel_child()],
                };
                let _ = place.parent.send(command);
            }
        }
        Ok(())
    }

    fn find_supervisors<'plan>(
        &self,
        plan: &'plan ReloadPlan,
        places: &[Place],
    ) -> Result<Vec<(Arc<Node>, &'plan Policy)>, ReloadError> {
        let mut found = Vec::new();
        for (id, policy) in &plan.supervisors {
            let name = self.below_root(id);
            let below = places.iter().filter(|place| place.is_named(name));
            let below = below.filter_map(|place| match &place.member {
                Member::Supervisor(node) => Some(Arc::clone(node)),
                Member::Cell(_) => None,
            });
            let root = (**id == *self.root.id).then(|| Arc::clone(&self.root));
            let node = root.into_iter().chain(below).next();
            let node = node.ok_or_else(|| ReloadError::UnknownSupervisor {
                id: id.clone(),
                known: std::iter::once(self.root.id.to_string())
                    .chain(paths(places, |member| {
                        matches!(member, Member::Supervisor(_))
                    }))
                    .collect(),
            })?;
            policy.validate().map_err(|error| ReloadError::Invalid {
                id: id.clone(),
                error,
            })?;
            found.push((node, policy));
        }
        Ok(found)
    }

    fn find_cells<'plan, 'tree>(
        &self,
        plan: &'plan ReloadPlan,
        places: &'tree [Place],
    ) -> Result<Vec<(&'tree Place, &'plan ChildPolicy)>, ReloadError> {
        let is_cell = |member: &Member| matches!(member, Member::Cell(_));
        let mut found = Vec::new();
        for (id, policy) in &plan.children {
            let name = self.below_root(id);
            let place = places
                .iter()
                .find(|place| is_cell(&place.member) && place.is_named(name))
                .ok_or_else(|| ReloadError::UnknownChild {
                    id: id.clone(),
                    known: paths(places, is_cell).collect(),
                })?;
            policy.validate().map_err(|error| ReloadError::Invalid {
                id: id.clone(),
                error,
            })?;
            found.push((place, policy));
        }
        Ok(found)
    }
}

fn paths(places: &[Place], which: impl Fn(&Member) -> bool) -> impl Iterator<Item = String> {
    let wanted = places.iter().filter(move |place| which(&place.member));
    wanted.map(|place| place.path.clone())
}
