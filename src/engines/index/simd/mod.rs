//! The loops over vectors, for the processor at hand. The one folder of the engines with `unsafe`.
//!
//! [`dot`] and [`l2_squared`] give the same bits on every processor; they rank what is answered. A
//! [`Kernel`] is faster and gives nearly those: it steers walks and builds. Its functions are inlined
//! only into code that is compiled for the same processor, and a call of each of them costs four
//! times as much, so a whole walk is a [`Work`] that [`run`] compiles once for each kernel.

#![expect(
    unsafe_code,
    reason = "a kernel exists only where the processor has its instructions; loads stay in their slices"
)]

#[cfg(test)]
mod tests;
mod whole;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use whole::Whole;

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
        // No range: unoptimised, as tests are compiled, that takes five times as long.
        let mut lane = 0;
        while lane < LANES {
            sums[lane] += x[lane] * y[lane];
            lane += 1;
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
