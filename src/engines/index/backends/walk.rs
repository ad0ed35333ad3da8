//! The walk: best-first search over neighbour lists. Source: Malkov & Yashunin, arXiv:1603.09320,
//! Alg. 2.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::space::Space;

/// Vectors that are fetched before they are compared: about as many as the processor waits for at a time.
const AHEAD: usize = 16;

/// A likeness and a row in one number; the greater the more alike, and the lower row on a tie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Near(u64);

impl Near {
    #[inline(always)]
    pub(super) fn new(likeness: f32, row: u32) -> Self {
        let bits = likeness.to_bits();
        // Floats in their total order, as whole numbers.
        let order = bits ^ ((bits.cast_signed() >> 31).cast_unsigned() | 1 << 31);
        Self(u64::from(order) << 32 | u64::from(!row))
    }

    #[inline(always)]
    pub(super) fn row(self) -> u32 {
        !((self.0 & u64::from(u32::MAX)) as u32)
    }

    #[inline(always)]
    pub(super) fn likeness(self) -> f32 {
        let order = (self.0 >> 32) as u32;
        let negative = order >> 31 == 0;
        f32::from_bits(if negative { !order } else { order ^ 1 << 31 })
    }
}

/// What a walk needs; kept between walks, so that none of them allocates.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The number of the last walk that came by, for each row.
    seen: Vec<u16>,
    walk: u16,
    todo: BinaryHeap<Near>,
    found: BinaryHeap<Reverse<Near>>,
    batch: Vec<u32>,
    nears: Vec<Near>,
    /// What the last walk found, best first.
    pub(super) best: Vec<Near>,
    /// Vectors that it compared.
    pub(super) compared: usize,
}

impl Scratch {
    /// Walks from `start` over `links`; what it finds is in `best`. Returns whether it gave up, which
    /// it does after `budget` comparisons. When `start` leads to fewer than `ef`, it goes on from
    /// `entry`, which leads to all.
    #[inline(always)]
    #[expect(
        clippy::too_many_arguments,
        reason = "one inner loop, compiled for each use"
    )]
    pub(super) fn walk<'g, S: Space>(
        &mut self,
        space: S,
        aim: &S::Aim,
        start: Near,
        entry: Option<Near>,
        rows: u32,
        links: impl Fn(u32) -> &'g [u32],
        ef: usize,
        budget: usize,
        accept: impl Fn(u32) -> bool,
    ) -> bool {
        self.begin(rows as usize);
        let mut gave_up = false;
        self.seen[start.row() as usize] = self.walk;
        self.todo.push(start);
        if accept(start.row()) {
            self.found.push(Reverse(start));
        }
        let mut entry = entry.filter(|entry| entry.row() != start.row());
        loop {
            let Some(next) = self.todo.pop() else {
                match entry.take() {
                    Some(entry) if self.seen[entry.row() as usize] != self.walk => {
                        self.seen[entry.row() as usize] = self.walk;
                        self.todo.push(entry);
                        if accept(entry.row()) {
                            self.found.push(Reverse(entry));
                        }
                        continue;
                    }
                    _ => break,
                }
            };
            let full = self.found.len() >= ef;
            if full
                && self
                    .found
                    .peek()
                    .is_some_and(|worst| next.0 >> 32 < worst.0.0 >> 32)
            {
                break;
            }
            if self.compared > budget {
                gave_up = true;
                break;
            }
            if let Some(after) = self.todo.peek() {
                space.prefetch_links(links(after.row()));
            }
            // First all that are new; then a few of them are on their way while others are compared.
            self.batch.clear();
            for &row in links(next.row()) {
                let seen = &mut self.seen[row as usize];
                if *seen != self.walk {
                    *seen = self.walk;
                    self.batch.push(row);
                    if self.batch.len() <= AHEAD {
                        space.prefetch(row);
                    }
                }
            }
            self.compared += self.batch.len();
            // All are compared before any is ranked: whether one is good enough is a branch that the processor guesses
            // wrong, and what it has computed ahead by then would be lost.
            self.nears.clear();
            for (at, &row) in self.batch.iter().enumerate() {
                if let Some(&soon) = self.batch.get(at + AHEAD) {
                    space.prefetch(soon);
                }
                self.nears.push(Near::new(space.likeness(aim, row), row));
            }
            let mut next = self.todo.peek().copied();
            for &near in &self.nears {
                let row = near.row();
                let full = self.found.len() >= ef;
                if full && self.found.peek().is_some_and(|worst| near <= worst.0) {
                    continue;
                }
                if next.is_none_or(|next| near > next) {
                    next = Some(near);
                    space.prefetch_links(links(row));
                }
                self.todo.push(near);
                if !accept(row) {
                    continue;
                }
                if !full {
                    self.found.push(Reverse(near));
                } else if let Some(mut worst) = self.found.peek_mut() {
                    // One sift instead of two.
                    *worst = Reverse(near);
                }
            }
        }
        self.best.clear();
        self.best.extend(self.found.drain().map(|near| near.0));
        self.best.sort_unstable_by(|a, b| b.cmp(a));
        gave_up
    }

    /// Goes to the node most alike, from each to its neighbour most alike.
    #[inline(always)]
    pub(super) fn descend<'g, S: Space>(
        &mut self,
        space: S,
        aim: &S::Aim,
        mut best: Near,
        links: impl Fn(u32) -> &'g [u32],
    ) -> Near {
        loop {
            let links = links(best.row());
            for &row in links {
                space.prefetch(row);
            }
            self.compared += links.len();
            let next = links
                .iter()
                .map(|&row| Near::new(space.likeness(aim, row), row))
                .max();
            match next {
                Some(next) if next.likeness() > best.likeness() => best = next,
                _ => return best,
            }
        }
    }

    fn begin(&mut self, rows: usize) {
        self.todo.clear();
        self.found.clear();
        if self.seen.len() < rows {
            self.seen.resize(rows, 0);
        }
        self.walk = self.walk.wrapping_add(1);
        if self.walk == 0 {
            self.seen.fill(0);
            self.walk = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_order_is_that_of_likenesses_then_rows(a: f32, b: f32, x: u32, y: u32) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            let (near, far) = (Near::new(a, x), Near::new(b, y));
            prop_assert_eq!((near.likeness().to_bits(), near.row()), (a.to_bits(), x));
            let expected = a.total_cmp(&b).then(y.cmp(&x));
            prop_assert_eq!(near.cmp(&far), expected);
        }
    }
}
