//! The rows of one value: a list while they are few, a bitmap when that is smaller.

use super::super::Bits;

/// Rows, which are added in ascending order and never taken out.
#[derive(Debug)]
pub(super) enum Posting {
    /// Ascending.
    List(Vec<u32>),
    /// The count is beside it: it decides when a list is smaller again.
    Bitmap(Bits, usize),
}

impl Default for Posting {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// Bits of a row in a list: a bitmap up to the last row is smaller when there are more rows than this.
const LIST_BITS: usize = 32;

impl Posting {
    /// Adds a row that is not less than any before.
    pub(super) fn push(&mut self, row: u32) {
        let end = row as usize + 1;
        match self {
            Self::List(rows) => {
                if rows.last() == Some(&row) {
                    return;
                }
                rows.push(row);
                if rows.len() * LIST_BITS > end {
                    *self = Self::Bitmap(rows.iter().copied().collect(), rows.len());
                }
            }
            Self::Bitmap(bits, count) => {
                if bits.contains(row) {
                    return;
                }
                // Only well after the bitmap has outgrown the list: not to and fro with every row.
                if *count * LIST_BITS * 4 < end {
                    let rows = bits.iter().chain([row]).collect();
                    *self = Self::List(rows);
                } else {
                    bits.insert(row);
                    *count += 1;
                }
            }
        }
    }

    /// Adds the rows to `found`.
    pub(super) fn add_to(&self, found: &mut Bits) {
        match self {
            Self::List(rows) => {
                for row in rows {
                    found.insert(*row);
                }
            }
            Self::Bitmap(bits, _) => found.add_all(bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_was_added_in_either_form(steps in proptest::collection::vec(0_u32..400, 0..120)) {
            let (mut posting, mut model, mut row) = (Posting::default(), BTreeSet::new(), 0);
            // Runs of neighbours, then far jumps: both forms, and the ways between them.
            for step in steps {
                row += match step { 0..300 => step % 3, far => far * 50 };
                posting.push(row);
                model.insert(row);
            }
            let mut found = Bits::default();
            posting.add_to(&mut found);
            prop_assert!(found.iter().eq(model));
        }
    }

    #[test]
    fn the_smaller_form_is_taken() {
        let mut posting = Posting::default();
        (0..64).for_each(|row| posting.push(row));
        assert!(matches!(posting, Posting::Bitmap(_, 64)));
        posting.push(1_000_000);
        assert!(matches!(&posting, Posting::List(rows) if rows.len() == 65));
    }
}
