//! Likeness of two vectors.
//!
//! The loops keep sixteen sums that do not depend on each other, which is what lets the compiler
//! put them into wide registers. They are compiled twice, for any processor and for AVX2, and the
//! sums are the same bits in both.

use crate::types::point::Metric;

const LANES: usize = 16;

/// Inner product. Vectors of unequal length are compared over the shorter one.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "the processor has AVX2, as just asked")]
        return unsafe { dot_avx2(a, b) };
    }
    dot_lanes(a, b)
}

/// Squared Euclidean distance. Vectors of unequal length are compared over the shorter one.
pub(super) fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "the processor has AVX2, as just asked")]
        return unsafe { l2_squared_avx2(a, b) };
    }
    l2_squared_lanes(a, b)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn dot_avx2(a: &[f32], b: &[f32]) -> f32 {
    dot_lanes(a, b)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn l2_squared_avx2(a: &[f32], b: &[f32]) -> f32 {
    l2_squared_lanes(a, b)
}

#[inline(always)]
fn dot_lanes(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (x, y) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    total(sums) + rest
}

#[inline(always)]
fn l2_squared_lanes(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (x, y) in a.iter().zip(b) {
        for lane in 0..LANES {
            let apart = x[lane] - y[lane];
            sums[lane] += apart * apart;
        }
    }
    let rest: f32 = a_rest
        .iter()
        .zip(b_rest)
        .map(|(x, y)| (x - y) * (x - y))
        .sum();
    total(sums) + rest
}

#[inline(always)]
fn total(mut sums: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

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

    fn vectors() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        (0..70_usize).prop_flat_map(|len| {
            let one = || proptest::collection::vec(-10.0_f32..10.0, len);
            (one(), one())
        })
    }

    proptest! {
        #[test]
        fn the_loops_agree_with_the_definitions((a, b) in vectors()) {
            let wide = |f: fn(f64, f64) -> f64| -> f64 {
                a.iter().zip(&b).map(|(x, y)| f(f64::from(*x), f64::from(*y))).sum()
            };
            let dot_wide = wide(|x, y| x * y);
            let l2_wide = wide(|x, y| (x - y) * (x - y));
            prop_assert!((f64::from(dot(&a, &b)) - dot_wide).abs() < 1e-2);
            prop_assert!((f64::from(l2_squared(&a, &b)) - l2_wide).abs() < 2e-2);
            prop_assert_eq!(dot(&a, &b).to_bits(), dot_lanes(&a, &b).to_bits());
            prop_assert_eq!(l2_squared(&a, &b).to_bits(), l2_squared_lanes(&a, &b).to_bits());
        }

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
