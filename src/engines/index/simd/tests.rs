use proptest::prelude::*;

use super::*;

/// Asks the kernel of this processor, and the lesser ones that it has.
struct All<'a> {
    a: &'a [f32],
    b: &'a [f32],
    wide: Whole,
    narrow: Whole,
    codes: &'a [i8],
}

impl Work for &All<'_> {
    type Output = (f32, f32, i32, i32);

    fn run(self, kernel: impl Kernel) -> Self::Output {
        kernel.prefetch(self.codes);
        (
            kernel.dot(self.a, self.b),
            kernel.l2_squared(self.a, self.b),
            kernel.dot_codes(&self.wide, self.codes),
            kernel.dot_codes(&self.narrow, self.codes),
        )
    }
}

proptest! {
    #[test]
    fn every_kernel_agrees_with_the_plain_one(
        numbers in proptest::collection::vec((-9.0_f32..9.0, -9.0_f32..9.0), 0..200),
        codes in proptest::collection::vec((-8191_i16..=8191, -127_i8..=127), 0..4),
    ) {
        let (a, b): (Vec<f32>, Vec<f32>) = numbers.into_iter().unzip();
        let (wide, codes): (Vec<i16>, Vec<i8>) =
            codes.iter().flat_map(|pair| (0..STRIDE as i16).map(move |at| (pair.0 - at, pair.1))).unzip();
        let product: i32 = wide.iter().zip(&codes).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
        let square: i32 = codes.iter().map(|x| i32::from(*x) * i32::from(*x)).sum();
        let (mut whole, mut narrow) = (Whole::default(), Whole::default());
        whole.set(wide.into_iter(), codes.len());
        narrow.set_codes(&codes);
        let all = All { a: &a, b: &b, wide: whole, narrow, codes: &codes };
        let plain = all.run(Plain);
        prop_assert_eq!((plain.2, plain.3), (product, square));
        let mut others = vec![run(&all)];
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the processor has both.
            others.push(unsafe { x86::run_avx2(&all) });
            if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512bw") {
                // SAFETY: the processor has these, too.
                others.push(unsafe { x86::run_avx512(&all) });
            }
        }
        for other in others {
            prop_assert!((other.0 - plain.0).abs() < 1e-2, "{other:?} {plain:?}");
            prop_assert!((other.1 - plain.1).abs() < 2e-2, "{other:?} {plain:?}");
            prop_assert_eq!((other.2, other.3), (plain.2, plain.3));
        }
    }

    #[test]
    fn the_loops_agree_with_the_definitions(
        pairs in proptest::collection::vec((-10.0_f32..10.0, -10.0_f32..10.0), 0..70)
    ) {
        let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
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
}
