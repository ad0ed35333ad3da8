//! Links for points that a build left unreachable.

use super::graph::Layer;
use super::space::Space;
use super::walk::{Near, Scratch};
use crate::engines::index::Bits;

/// Candidates weighed to link such a point.
const EF: usize = 64;

/// Gives every point of `points` that cannot be reached from the entry a link from a near one that can.
#[inline(always)]
pub(super) fn link_unreachable<S: Space>(
    space: S,
    points: impl Iterator<Item = u32>,
    m: usize,
    entry: u32,
    base: &mut [Vec<u32>],
    upper: &[Layer],
) {
    let rows = u32::try_from(base.len()).unwrap_or(u32::MAX);
    let mut reached = Bits::default();
    spread(entry, base, &mut reached);
    let mut scratch = Scratch::default();
    let mut aim = S::Aim::default();
    let mut last: Option<u32> = None;
    for row in points {
        if reached.contains(row) {
            continue;
        }
        space.aim_at(row, &mut aim);
        let near = |other| Near::new(space.likeness(&aim, other), other);
        let mut start = near(entry);
        for layer in upper.iter().rev() {
            start = scratch.descend(space, &aim, start, |node| layer.of(node));
        }
        // A sparse layer may lead to a point that the lowest one does not: start from one it does.
        if !reached.contains(start.row()) {
            start = near(entry);
        }
        let links = |node: u32| base[node as usize].as_slice();
        let entry = Some(near(entry));
        scratch.walk(
            space,
            &aim,
            start,
            entry,
            rows,
            links,
            EF,
            usize::MAX,
            |_| true,
        );
        // Many equal points would all hang on one: the nearest with room takes it, and among many
        // equal ones the last that was linked has room.
        let found = scratch.best.iter().map(|near| near.row()).chain(last);
        let has_room = |node: &u32| base[*node as usize].len() < 4 * m;
        let room = found.clone().find(has_room);
        if let Some(from) = room.or_else(|| found.clone().next()) {
            base[from as usize].push(row);
            if base[row as usize].is_empty() {
                base[row as usize].push(from);
            }
            last = Some(row);
            spread(row, base, &mut reached);
        }
    }
}

/// Marks all that can be reached from `start`.
fn spread(start: u32, base: &[Vec<u32>], reached: &mut Bits) {
    let mut todo = vec![start];
    reached.insert(start);
    while let Some(node) = todo.pop() {
        for &link in &base[node as usize] {
            if !reached.contains(link) {
                reached.insert(link);
                todo.push(link);
            }
        }
    }
}
