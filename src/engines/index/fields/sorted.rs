//! A column of numbers in their order, so that a range is one slice.

use std::cmp::Ordering;

use super::super::Bits;

/// Values and their rows: most in order, the newest few as they came.
#[derive(Debug)]
pub(super) struct Sorted<T> {
    /// Ascending by value.
    ordered: Vec<(T, u32)>,
    newest: Vec<(T, u32)>,
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self {
            ordered: Vec::new(),
            newest: Vec::new(),
        }
    }
}

/// The newest are merged in when they are more than this, and more than a share of the rest: then a row
/// is moved a few times in its life, and a search looks at few that are out of order.
const NEWEST: usize = 256;
const NEWEST_SHARE: usize = 16;

impl<T: Copy> Sorted<T> {
    /// Adds the value of a row. `order` must be the same in every call.
    pub(super) fn push(&mut self, value: T, row: u32, order: fn(&T, &T) -> Ordering) {
        self.newest.push((value, row));
        if self.newest.len() > NEWEST.max(self.ordered.len() / NEWEST_SHARE) {
            self.ordered.append(&mut self.newest);
            // Merges the two runs; the first is found sorted.
            self.ordered
                .sort_by(|a, b| order(&a.0, &b.0).then(a.1.cmp(&b.1)));
        }
    }

    /// Adds the rows to `found` whose order to a bound `holds`. `order` must grow with the value, and `holds`
    /// be true for one stretch of orders that are neighbours.
    pub(super) fn add_where(
        &self,
        order: impl Fn(&T) -> Ordering,
        holds: impl Fn(Ordering) -> bool,
        found: &mut Bits,
    ) {
        let less = self
            .ordered
            .partition_point(|(value, _)| order(value).is_lt());
        let rest = &self.ordered[less..];
        let equal = rest.partition_point(|(value, _)| order(value).is_eq());
        let parts = [
            (Ordering::Less, &self.ordered[..less]),
            (Ordering::Equal, &rest[..equal]),
            (Ordering::Greater, &rest[equal..]),
        ];
        for (which, part) in parts {
            if holds(which) {
                for (_, row) in part {
                    found.insert(*row);
                }
            }
        }
        for (value, row) in &self.newest {
            if holds(order(value)) {
                found.insert(*row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_range_is_what_a_scan_finds(
            values in proptest::collection::vec(-20_i64..20, 0..900), bound in -25_i64..25
        ) {
            let mut column = Sorted::default();
            for (value, row) in values.iter().zip(0..) {
                column.push(*value, row, i64::cmp);
            }
            type Holds = fn(Ordering) -> bool;
            let tests: [Holds; 5] = [
                Ordering::is_lt, Ordering::is_le, Ordering::is_eq, Ordering::is_ge, Ordering::is_gt,
            ];
            for holds in tests {
                let mut found = Bits::default();
                column.add_where(|value| value.cmp(&bound), holds, &mut found);
                let rows = values.iter().zip(0_u32..).filter(|(value, _)| holds((*value).cmp(&bound)));
                prop_assert!(found.iter().eq(rows.map(|(_, row)| row)));
            }
        }
    }
}
