//! The order of strings, told by numbers.

use super::super::Order;

/// Bytes of a string in one number: 257^6 is below 2^53, so that a `f64` holds it exactly.
const IN_ONE: usize = 6;
/// Numbers of a string. What comes after their bytes orders nothing.
const MOST: usize = 5;
/// Longest string that others are compared with: its end must still be told.
pub(super) const LONGEST: usize = MOST * IN_ONE - 1;

/// The beginning of a string: its bytes, six in a number, and nothing at all as 0. In the order of their numbers strings are in
/// the order of their bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// Without zeros at the end, but for the first.
    pub parts: Vec<f64>,
    /// Whether it is a moment.
    pub is_moment: bool,
}

impl Word {
    /// Of a string.
    pub fn of(text: &str, is_moment: bool) -> Self {
        let bytes = text.as_bytes();
        let mut parts: Vec<f64> = bytes.chunks(IN_ONE).take(MOST).map(part).collect();
        if parts.is_empty() {
            parts.push(0.0);
        }
        Self { parts, is_moment }
    }

    /// One of its numbers.
    fn part(&self, at: usize) -> f64 {
        self.parts.get(at).copied().unwrap_or(0.0)
    }

    /// Whether it is so ordered against the string of these numbers.
    pub(super) fn is(&self, order: Order, bound: &[f64]) -> bool {
        let own = (0..bound.len()).map(|at| self.part(at));
        let found = own.partial_cmp(bound.iter().copied());
        found.is_some_and(|found| order.holds(found))
    }
}

/// The numbers that tell the order of other strings against this one; `None`: it is too long.
pub(super) fn bound(text: &str) -> Option<Vec<f64>> {
    if text.len() > LONGEST {
        return None;
    }
    let mut parts = Word::of(text, false).parts;
    // One more, where the string ends with a number: what goes on is after it.
    parts.resize(text.len() / IN_ONE + 1, 0.0);
    Some(parts)
}

fn part(bytes: &[u8]) -> f64 {
    let byte = |at: usize| bytes.get(at).map_or(0.0, |byte| f64::from(*byte) + 1.0);
    (0..IN_ONE).fold(0.0, |sum, at| sum * 257.0 + byte(at))
}
