//! The loops over vectors, for the processor at hand. The one file of the engines with `unsafe`.
//!
//! [`dot`] and [`l2_squared`] give the same bits on every processor; they rank what is answered. A
//! [`Kernel`] is faster and gives nearly those: it steers walks and builds. Its functions are inlined
//! only into code that is compiled for the same processor, and a call of each of them costs four
//! times as much, so a whole walk is a [`Work`] that [`run`] compiles once for each kernel.

#![expect(
    unsafe_code,
    reason = "a kernel exists only where the processor has its instructions; loads stay in their slices"
)]

/// Numbers that are summed independently, which is what lets the compiler use wide registers.
const LANES: usize = 16;

/// Inner product. Vectors of unequal length are compared over the shorter one.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { dot_avx2(a, b) };
    }
    dot_lanes(a, b)
}

/// Squared Euclidean distance. Vectors of unequal length are compared over the shorter one.
pub(super) fn l2_squared(a: &[f32], b: &[f32]) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
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

/// Comparisons by the instructions of one kind of processor.
pub(super) trait Kernel: Copy {
    /// Inner product over the shorter one.
    fn dot(self, a: &[f32], b: &[f32]) -> f32;

    /// Squared Euclidean distance over the shorter one.
    fn l2_squared(self, a: &[f32], b: &[f32]) -> f32;

    /// Inner product of small whole numbers. Both have the same length, a multiple of [`STRIDE`].
    fn dot_codes(self, aim: &Whole, codes: &[i8]) -> i32;

    /// Starts to fetch what will be compared soon.
    fn prefetch<T>(self, soon: &[T]);
}

/// Lengths of codes are a multiple of this: what one cache line holds.
pub(super) const STRIDE: usize = 64;

/// Whole numbers that codes are compared with, in the forms that kernels read.
#[derive(Debug, Clone, Default)]
pub(super) struct Whole {
    wide: Vec<i16>,
    /// `wide = 128 * high + low`; no `high` where all of it is 0.
    high: Vec<i8>,
    low: Vec<i8>,
    sum: i32,
}

impl Whole {
    /// Becomes `numbers`, each of them 13 bits and a sign at most, and zeros up to `len`.
    #[inline(always)]
    pub(super) fn set(&mut self, numbers: impl Iterator<Item = i16>, len: usize) {
        self.wide.clear();
        self.wide.extend(numbers);
        self.wide.resize(len, 0);
        self.sum = self.wide.iter().map(|number| i32::from(*number)).sum();
        // The nearest multiple of 128, so that both parts are bytes.
        let high = |number: &i16| ((number + 64) >> 7) as i8;
        self.high.clear();
        self.high.extend(self.wide.iter().map(high));
        self.low.clear();
        let parts = self.wide.iter().zip(&self.high);
        self.low
            .extend(parts.map(|(number, high)| (number - (i16::from(*high) << 7)) as i8));
    }

    /// Becomes `codes`, whose length is a multiple of [`STRIDE`].
    #[inline(always)]
    pub(super) fn set_codes(&mut self, codes: &[i8]) {
        self.wide.clear();
        self.wide.extend(codes.iter().map(|code| i16::from(*code)));
        self.sum = codes.iter().map(|code| i32::from(*code)).sum();
        self.high.clear();
        self.low.clear();
        self.low.extend_from_slice(codes);
    }
}

/// Something to be compiled for every kind of processor.
pub(super) trait Work {
    /// What it gives.
    type Output;

    /// Does it. Implementations are `inline(always)`, as is what they call per vector.
    fn run(self, kernel: impl Kernel) -> Self::Output;
}

/// Does the work with the best kernel that the processor has.
pub(super) fn run<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if has!("avx512f") && has!("avx512bw") && has!("avx2") && has!("fma") {
            if has!("avx512vnni") {
                // SAFETY: the processor has these.
                return unsafe { x86::run_vnni(work) };
            }
            // SAFETY: the processor has these.
            return unsafe { x86::run_avx512(work) };
        }
        if has!("avx2") && has!("fma") {
            // SAFETY: the processor has these.
            return unsafe { x86::run_avx2(work) };
        }
    }
    work.run(Plain)
}

/// For any processor.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Kernel for Plain {
    #[inline(always)]
    fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        dot_lanes(a, b)
    }

    #[inline(always)]
    fn l2_squared(self, a: &[f32], b: &[f32]) -> f32 {
        l2_squared_lanes(a, b)
    }

    #[inline(always)]
    fn dot_codes(self, aim: &Whole, codes: &[i8]) -> i32 {
        let (wide, _) = aim.wide.as_chunks::<LANES>();
        let (codes, _) = codes.as_chunks::<LANES>();
        let mut sums = [0_i32; LANES];
        for (x, y) in wide.iter().zip(codes) {
            for lane in 0..LANES {
                sums[lane] += i32::from(x[lane]) * i32::from(y[lane]);
            }
        }
        sums.iter().sum()
    }

    #[inline(always)]
    fn prefetch<T>(self, _: &[T]) {}
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernel, Whole, Work};

    /// Bytes of a cache line.
    const LINE: usize = 64;

    /// Made only where the processor has AVX-512 F and BW.
    #[derive(Clone, Copy)]
    pub(super) struct Avx512(());

    /// The same with VNNI: four products of bytes to a lane at once.
    #[derive(Clone, Copy)]
    pub(super) struct Vnni(Avx512);

    /// Made only where the processor has AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub(super) struct Avx2(());

    #[target_feature(enable = "avx512f,avx512bw,avx2,fma")]
    pub(super) fn run_avx512<W: Work>(work: W) -> W::Output {
        work.run(Avx512(()))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
    pub(super) fn run_vnni<W: Work>(work: W) -> W::Output {
        work.run(Vnni(Avx512(())))
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn run_avx2<W: Work>(work: W) -> W::Output {
        work.run(Avx2(()))
    }

    impl Kernel for Avx512 {
        #[inline(always)]
        fn dot(self, a: &[f32], b: &[f32]) -> f32 {
            // SAFETY: the kernel exists, so the processor has AVX-512.
            unsafe { dot_512(a, b) }
        }

        #[inline(always)]
        fn l2_squared(self, a: &[f32], b: &[f32]) -> f32 {
            // SAFETY: as above.
            unsafe { l2_512(a, b) }
        }

        #[inline(always)]
        fn dot_codes(self, aim: &Whole, codes: &[i8]) -> i32 {
            // SAFETY: as above.
            unsafe { codes_512(&aim.wide, codes) }
        }

        #[inline(always)]
        fn prefetch<T>(self, soon: &[T]) {
            fetch(soon);
        }
    }

    impl Kernel for Vnni {
        #[inline(always)]
        fn dot(self, a: &[f32], b: &[f32]) -> f32 {
            self.0.dot(a, b)
        }

        #[inline(always)]
        fn l2_squared(self, a: &[f32], b: &[f32]) -> f32 {
            self.0.l2_squared(a, b)
        }

        #[inline(always)]
        fn dot_codes(self, aim: &Whole, codes: &[i8]) -> i32 {
            // SAFETY: the kernel exists, so the processor has VNNI.
            unsafe { codes_vnni(aim, codes) }
        }

        #[inline(always)]
        fn prefetch<T>(self, soon: &[T]) {
            fetch(soon);
        }
    }

    impl Kernel for Avx2 {
        #[inline(always)]
        fn dot(self, a: &[f32], b: &[f32]) -> f32 {
            // SAFETY: the kernel exists, so the processor has AVX2 and FMA.
            unsafe { dot_256(a, b) }
        }

        #[inline(always)]
        fn l2_squared(self, a: &[f32], b: &[f32]) -> f32 {
            // SAFETY: as above.
            unsafe { l2_256(a, b) }
        }

        #[inline(always)]
        fn dot_codes(self, aim: &Whole, codes: &[i8]) -> i32 {
            // SAFETY: as above.
            unsafe { codes_256(&aim.wide, codes) }
        }

        #[inline(always)]
        fn prefetch<T>(self, soon: &[T]) {
            fetch(soon);
        }
    }

    #[inline(always)]
    fn fetch<T>(soon: &[T]) {
        let start = soon.as_ptr().cast::<i8>();
        for at in (0..size_of_val(soon)).step_by(LINE) {
            // SAFETY: within the slice; and a prefetch of any address does nothing but that.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(at)) };
        }
    }

    /// The first `left` of sixteen lanes.
    #[inline]
    fn mask(left: usize) -> __mmask16 {
        if left >= 16 {
            u16::MAX
        } else {
            (1 << left) - 1
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx2,fma")]
    fn dot_512(a: &[f32], b: &[f32]) -> f32 {
        let len = a.len().min(b.len());
        let (a, b) = (a.as_ptr(), b.as_ptr());
        let mut sums = [_mm512_setzero_ps(); 4];
        let mut at = 0;
        while at + 64 <= len {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let from = at + 16 * lane;
                // SAFETY: `from + 16 <= len`.
                let (x, y) =
                    unsafe { (_mm512_loadu_ps(a.add(from)), _mm512_loadu_ps(b.add(from))) };
                *sum = _mm512_fmadd_ps(x, y, *sum);
            }
            at += 64;
        }
        while at < len {
            let some = mask(len - at);
            // SAFETY: the mask keeps the load below `len`.
            let (x, y) = unsafe {
                (
                    _mm512_maskz_loadu_ps(some, a.add(at)),
                    _mm512_maskz_loadu_ps(some, b.add(at)),
                )
            };
            sums[0] = _mm512_fmadd_ps(x, y, sums[0]);
            at += 16;
        }
        let [p, q, r, s] = sums;
        _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(p, q), _mm512_add_ps(r, s)))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx2,fma")]
    fn l2_512(a: &[f32], b: &[f32]) -> f32 {
        let len = a.len().min(b.len());
        let (a, b) = (a.as_ptr(), b.as_ptr());
        let mut sums = [_mm512_setzero_ps(); 2];
        let mut at = 0;
        while at < len {
            for sum in &mut sums {
                let some = mask(len.saturating_sub(at));
                // SAFETY: the mask keeps the load below `len`, and is empty past it.
                let (x, y) = unsafe {
                    let from = at.min(len);
                    (
                        _mm512_maskz_loadu_ps(some, a.add(from)),
                        _mm512_maskz_loadu_ps(some, b.add(from)),
                    )
                };
                let apart = _mm512_sub_ps(x, y);
                *sum = _mm512_fmadd_ps(apart, apart, *sum);
                at += 16;
            }
        }
        _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx2,fma")]
    fn codes_512(wide: &[i16], codes: &[i8]) -> i32 {
        let len = wide.len().min(codes.len()) / 64 * 64;
        let (wide, codes) = (wide.as_ptr(), codes.as_ptr());
        let mut sums = [_mm512_setzero_si512(); 2];
        for at in (0..len).step_by(64) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let from = at + 32 * lane;
                // SAFETY: `from + 32 <= len`.
                let (x, y) = unsafe {
                    (
                        _mm512_loadu_si512(wide.add(from).cast()),
                        _mm512_cvtepi8_epi16(_mm256_loadu_si256(codes.add(from).cast())),
                    )
                };
                *sum = _mm512_add_epi32(*sum, _mm512_madd_epi16(x, y));
            }
        }
        _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma")]
    fn codes_vnni(aim: &Whole, codes: &[i8]) -> i32 {
        // The instruction multiplies unsigned bytes by signed ones: codes are taken 128 higher than they are, and what
        // that adds comes off again.
        let flip = _mm512_set1_epi8(i8::MIN);
        let mut low = [_mm512_setzero_si512(); 2];
        let mut high = [_mm512_setzero_si512(); 2];
        let (codes, _) = codes.as_chunks::<64>();
        let (lows, _) = aim.low.as_chunks::<64>();
        let (highs, _) = aim.high.as_chunks::<64>();
        for (at, (codes, lows)) in codes.iter().zip(lows).enumerate() {
            // SAFETY: each is 64 bytes long.
            let (x, y) = unsafe {
                (
                    _mm512_xor_si512(_mm512_loadu_si512(codes.as_ptr().cast()), flip),
                    _mm512_loadu_si512(lows.as_ptr().cast()),
                )
            };
            low[at % 2] = _mm512_dpbusd_epi32(low[at % 2], x, y);
            if let Some(highs) = highs.get(at) {
                // SAFETY: it is 64 bytes long.
                let y = unsafe { _mm512_loadu_si512(highs.as_ptr().cast()) };
                high[at % 2] = _mm512_dpbusd_epi32(high[at % 2], x, y);
            }
        }
        let low = _mm512_add_epi32(low[0], low[1]);
        let high = _mm512_slli_epi32::<7>(_mm512_add_epi32(high[0], high[1]));
        _mm512_reduce_add_epi32(_mm512_add_epi32(low, high)).wrapping_sub(aim.sum << 7)
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn sum_256(sums: __m256) -> f32 {
        let half = _mm_add_ps(
            _mm256_castps256_ps128(sums),
            _mm256_extractf128_ps::<1>(sums),
        );
        let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
        _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn dot_256(a: &[f32], b: &[f32]) -> f32 {
        let len = a.len().min(b.len());
        let mut sums = [_mm256_setzero_ps(); 4];
        for at in (0..len / 32 * 32).step_by(32) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let from = at + 8 * lane;
                // SAFETY: `from + 8 <= len`.
                let (x, y) = unsafe {
                    (
                        _mm256_loadu_ps(a.as_ptr().add(from)),
                        _mm256_loadu_ps(b.as_ptr().add(from)),
                    )
                };
                *sum = _mm256_fmadd_ps(x, y, *sum);
            }
        }
        let [p, q, r, s] = sums;
        let rest: f32 = (len / 32 * 32..len).map(|at| a[at] * b[at]).sum();
        sum_256(_mm256_add_ps(_mm256_add_ps(p, q), _mm256_add_ps(r, s))) + rest
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn l2_256(a: &[f32], b: &[f32]) -> f32 {
        let len = a.len().min(b.len());
        let mut sums = [_mm256_setzero_ps(); 2];
        for at in (0..len / 16 * 16).step_by(16) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let from = at + 8 * lane;
                // SAFETY: `from + 8 <= len`.
                let (x, y) = unsafe {
                    (
                        _mm256_loadu_ps(a.as_ptr().add(from)),
                        _mm256_loadu_ps(b.as_ptr().add(from)),
                    )
                };
                let apart = _mm256_sub_ps(x, y);
                *sum = _mm256_fmadd_ps(apart, apart, *sum);
            }
        }
        let rest: f32 = (len / 16 * 16..len).map(|at| (a[at] - b[at]).powi(2)).sum();
        sum_256(_mm256_add_ps(sums[0], sums[1])) + rest
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn codes_256(wide: &[i16], codes: &[i8]) -> i32 {
        let len = wide.len().min(codes.len()) / 32 * 32;
        let mut sums = [_mm256_setzero_si256(); 2];
        for at in (0..len).step_by(32) {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let from = at + 16 * lane;
                // SAFETY: `from + 16 <= len`.
                let (x, y) = unsafe {
                    (
                        _mm256_loadu_si256(wide.as_ptr().add(from).cast()),
                        _mm256_cvtepi8_epi16(_mm_loadu_si128(codes.as_ptr().add(from).cast())),
                    )
                };
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(x, y));
            }
        }
        let all = _mm256_add_epi32(sums[0], sums[1]);
        let half = _mm_add_epi32(
            _mm256_castsi256_si128(all),
            _mm256_extracti128_si256::<1>(all),
        );
        let pair = _mm_add_epi32(half, _mm_shuffle_epi32::<0b01_00_11_10>(half));
        _mm_cvtsi128_si32(_mm_add_epi32(
            pair,
            _mm_shuffle_epi32::<0b10_11_00_01>(pair),
        ))
    }
}

#[cfg(test)]
mod tests {
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
}
