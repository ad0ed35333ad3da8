//! Likeness of two vectors, and the score that is told of it.

use super::simd::{dot, l2_squared};
use crate::types::point::Metric;

/// Likeness by which candidates are ranked; the more alike, the higher. See [`score`].
pub(super) fn likeness(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    match metric {
        // Cosine vectors are normalised when they are stored, and so are queries.
        Metric::Cosine | Metric::Dot => dot(a, b),
        Metric::L2 => -l2_squared(a, b),
    }
}

/// Turns a likeness into the score that hits carry.
pub(super) fn score(metric: Metric, likeness: f32) -> f32 {
    match metric {
        Metric::Cosine => likeness.clamp(-1.0, 1.0),
        // Adding zero turns -0 into 0: both must rank alike.
        Metric::Dot => likeness + 0.0,
        Metric::L2 => 1.0 / (1.0 + (-likeness).max(0.0).sqrt()),
    }
}

/// Scales `vector` to length 1. Returns false, and leaves it, when its length is 0.
pub(super) fn normalise(vector: &mut [f32]) -> bool {
    let squares: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    let length = squares.sqrt();
    if length == 0.0 {
        return false;
    }
    // Stored again unchanged when it is normalised already, so that a read can be written back.
    if (squares - 1.0).abs() > 1e-6 {
        for x in vector {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the quotient is within [-1, 1]"
            )]
            let scaled = (f64::from(*x) / length) as f32;
            *x = scaled;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_normalised_vector_stays_as_it_is(
            mut a in proptest::collection::vec(-9.0_f32..9.0, 1..40)
        ) {
            prop_assume!(normalise(&mut a));
            prop_assert!((dot(&a, &a) - 1.0).abs() < 1e-5);
            let once = a.clone();
            normalise(&mut a);
            prop_assert_eq!(a, once);
        }
    }

    #[test]
    fn tiny_and_huge_vectors_are_normalised_and_zero_is_told() {
        for size in [f32::MIN_POSITIVE / 8.0, 1e-30, 1e30, f32::MAX] {
            let mut vector = [size, -size];
            assert!(normalise(&mut vector));
            assert!((vector[0] - 0.5_f32.sqrt()).abs() < 1e-6, "{vector:?}");
        }
        assert!(!normalise(&mut [0.0, -0.0]));
    }

    #[test]
    fn scores_are_in_their_documented_ranges() {
        assert_eq!(score(Metric::Cosine, 1.000_001), 1.0);
        assert_eq!(score(Metric::L2, -0.0), 1.0);
        assert_eq!(
            score(Metric::L2, likeness(Metric::L2, &[0.0, 0.0], &[3.0, 4.0])),
            1.0 / 6.0
        );
        assert_eq!(score(Metric::Dot, -0.0).to_bits(), 0.0_f32.to_bits());
    }
}
