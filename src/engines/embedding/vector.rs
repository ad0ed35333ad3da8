//! Inner product and length of a vector.

/// Independent sums, so that one addition need not wait for the one before.
const LANES: usize = 8;

/// Returns the inner product of two vectors of the same length.
pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (left_blocks, left_rest) = left.as_chunks::<LANES>();
    let (right_blocks, right_rest) = right.as_chunks::<LANES>();
    let mut sums = [0.0_f32; LANES];
    for (x, y) in left_blocks.iter().zip(right_blocks) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

/// Scales `vector` to length 1. Returns false, and leaves it as it is, when it has no direction.
#[must_use]
pub(super) fn normalize(vector: &mut [f32]) -> bool {
    let norm = dot(vector, vector).sqrt();
    if !norm.is_normal() {
        return false;
    }
    for value in vector {
        *value /= norm;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_agrees_with_the_plain_sum_at_every_length() {
        for len in 0..40_u8 {
            let left: Vec<f32> = (0..len).map(f32::from).collect();
            let right: Vec<f32> = (0..len).map(|at| 1.0 - f32::from(at)).collect();
            let plain: f32 = left.iter().zip(&right).map(|(x, y)| x * y).sum();
            assert!((dot(&left, &right) - plain).abs() < 1e-3, "length {len}");
        }
    }

    #[test]
    fn only_a_vector_with_a_direction_is_normalised() {
        let mut vector = [3.0, 4.0];
        assert!(normalize(&mut vector));
        assert_eq!(vector, [0.6, 0.8]);
        for mut bad in [
            [0.0, 0.0],
            [f32::NAN, 1.0],
            [f32::INFINITY, 1.0],
            [1e30, 1e30],
        ] {
            let before = bad;
            assert!(!normalize(&mut bad), "{before:?}");
            assert_eq!(bad.map(f32::to_bits), before.map(f32::to_bits));
        }
        assert!(!normalize(&mut []));
    }
}
