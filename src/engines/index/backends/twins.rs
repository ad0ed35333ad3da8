//! Rows with the very same vector. Many of them would be each other's only neighbours and hide all else,
//! so one of them is built in and the others hang on it.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use crate::engines::index::rows::Rows;

/// Twins that hang on one row; more hang on those.
const BRANCHES: usize = 8;

/// The live rows, told apart by their vectors.
pub(super) struct Twins {
    /// The first of each kind, ascending.
    pub(super) firsts: Vec<u32>,
    /// By their first one, and that one too.
    families: HashMap<u32, Vec<u32>>,
}

impl Twins {
    pub(super) fn among(rows: &Rows) -> Self {
        let hashes = RandomState::new();
        let mut known: HashMap<u64, Vec<u32>> = HashMap::new();
        let (mut firsts, mut families) = (Vec::new(), HashMap::<u32, Vec<u32>>::new());
        for row in rows.alive().iter() {
            let vector = rows.vector(row);
            let mut hash = hashes.build_hasher();
            vector.iter().for_each(|x| x.to_bits().hash(&mut hash));
            let alike = known.entry(hash.finish()).or_default();
            match alike.iter().find(|first| rows.vector(**first) == vector) {
                Some(first) => families
                    .entry(*first)
                    .or_insert_with(|| vec![*first])
                    .push(row),
                None => {
                    alike.push(row);
                    firsts.push(row);
                }
            }
        }
        Self { firsts, families }
    }

    /// Hangs them on.
    pub(super) fn link(&self, base: &mut [Vec<u32>]) {
        for (first, family) in &self.families {
            for (at, twin) in family.iter().enumerate().skip(1) {
                let parent = family[(at - 1) / BRANCHES];
                base[parent as usize].push(*twin);
                base[*twin as usize].push(*first);
            }
        }
    }
}
