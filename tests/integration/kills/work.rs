//! What the writers write: each step follows from its writer's number and its own, so that whoever reads knows it too.

use std::collections::BTreeMap;

use boathouse::engines::index::IndexConfig;
use boathouse::types::collection::{CollectionSpec, Schema};
use boathouse::types::point::{Metric, Point};
use serde_json::{Value, json};

pub(super) const DIM: usize = 4;
/// Ids of one writer; two writers together are over the size from which a graph is built.
const IDS: u64 = 90;
const GROUPS: u64 = 9;

/// Snapshots, compactions and graphs as often as the settings allow.
pub(super) fn config() -> IndexConfig {
    IndexConfig {
        hnsw_threshold: 100,
        snapshot_wal_bytes: 4_096,
        ..IndexConfig::default()
    }
}

pub(super) fn spec() -> CollectionSpec {
    CollectionSpec {
        name: "docs".to_owned(),
        dim: DIM,
        metric: Metric::Dot,
        embedder: None,
        fingerprint: None,
        refiner: None,
        schema: Schema::default(),
        backend: Default::default(),
        created_ms: 1,
    }
}

/// Numbers that look random and are the same in every process (splitmix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// One write.
pub(super) enum Step {
    Upsert(Vec<Point>),
    DeleteIds(Vec<String>),
    /// A filter, and the group of ids that it means.
    DeleteWhere(Value, u64),
}

impl Step {
    pub(super) fn of(writer: usize, number: u64) -> Self {
        let mut dice = Dice::new((number << 8) + writer as u64);
        let kind = dice.below(10);
        let count = match kind {
            0 => 40,
            _ => 1 + dice.below(7),
        };
        let ids: Vec<u64> = (0..count).map(|_| dice.below(IDS)).collect();
        match kind {
            0..=6 => Self::Upsert(ids.iter().map(|n| point(writer, *n, number)).collect()),
            7 | 8 => Self::DeleteIds(ids.iter().map(|n| id(writer, *n)).collect()),
            _ => {
                let group = dice.below(GROUPS);
                Self::DeleteWhere(json!({"writer": writer, "group": group}), group)
            }
        }
    }
}

fn id(writer: usize, n: u64) -> String {
    format!("{writer}-{n:03}")
}

fn point(writer: usize, n: u64, step: u64) -> Point {
    let mut dice = Dice::new((step << 16) + n);
    let payload = json!({"writer": writer, "group": n % GROUPS, "step": step});
    let number = |dice: &mut Dice| f32::from(u16::try_from(dice.below(60_000)).unwrap()) - 3e4;
    Point {
        id: id(writer, n),
        vector: (0..DIM).map(|_| number(&mut dice) / 7.0).collect(),
        text: Some(format!("written by {writer} in step {step}")),
        payload: payload.as_object().unwrap().clone(),
    }
}

/// What one writer's points should be.
#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) steps: u64,
    points: BTreeMap<String, Point>,
}

impl Model {
    pub(super) fn take(&mut self, writer: usize) {
        match Step::of(writer, self.steps) {
            Step::Upsert(points) => {
                let points = points.into_iter().map(|point| (point.id.clone(), point));
                self.points.extend(points);
            }
            Step::DeleteIds(ids) => self.points.retain(|id, _| !ids.contains(id)),
            Step::DeleteWhere(_, group) => {
                self.points
                    .retain(|_, point| point.payload["group"] != group);
            }
        }
        self.steps += 1;
    }

    fn is(&self, found: &[&Point]) -> bool {
        self.points.values().eq(found.iter().copied())
    }
}

/// Brings the models up to what was found after a kill: all that was acknowledged, and of each writer's next step
/// either all or nothing. `acknowledged` counts the steps of each writer. Returns how many steps were under way and done.
pub(super) fn settle(models: &mut [Model], acknowledged: &[u64], found: &[Point]) -> usize {
    let mut done = 0;
    for (writer, model) in models.iter_mut().enumerate() {
        while model.steps < acknowledged[writer] {
            model.take(writer);
        }
        let prefix = format!("{writer}-");
        let own: Vec<&Point> = found
            .iter()
            .filter(|point| point.id.starts_with(&prefix))
            .collect();
        let mut next = model.clone();
        next.take(writer);
        // Where the step changes nothing both are right, and the step may be repeated.
        if !model.is(&own) {
            assert!(
                next.is(&own),
                "writer {writer}, after step {}: found {own:?}",
                model.steps
            );
            *model = next;
            done += 1;
        }
    }
    let all: usize = models.iter().map(|model| model.points.len()).sum();
    assert_eq!(found.len(), all, "points that nobody wrote");
    done
}
