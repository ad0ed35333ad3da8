//! The kernels of x86-64: each exists only where the processor has its instructions.

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
            let (x, y) = unsafe { (_mm512_loadu_ps(a.add(from)), _mm512_loadu_ps(b.add(from))) };
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
    let wide = !aim.high.is_empty();
    let len = match wide {
        true => codes.len().min(aim.low.len()).min(aim.high.len()),
        false => codes.len().min(aim.low.len()),
    } / 64;
    let (codes, lows, highs) = (codes.as_ptr(), aim.low.as_ptr(), aim.high.as_ptr());
    let zero = _mm512_setzero_si512();
    // Two of each, for the instruction takes its time; by name, for the compiler keeps arrays in memory.
    let (mut low_a, mut low_b, mut high_a, mut high_b) = (zero, zero, zero, zero);
    let mut at = 0;
    while at < len {
        let from = 64 * at;
        // SAFETY: `from + 64` is within all that are read.
        unsafe {
            let x = _mm512_xor_si512(_mm512_loadu_si512(codes.add(from).cast()), flip);
            low_a = _mm512_dpbusd_epi32(low_a, x, _mm512_loadu_si512(lows.add(from).cast()));
            if wide {
                high_a = _mm512_dpbusd_epi32(high_a, x, _mm512_loadu_si512(highs.add(from).cast()));
            }
        }
        if at + 1 < len {
            let from = from + 64;
            // SAFETY: as above.
            unsafe {
                let x = _mm512_xor_si512(_mm512_loadu_si512(codes.add(from).cast()), flip);
                low_b = _mm512_dpbusd_epi32(low_b, x, _mm512_loadu_si512(lows.add(from).cast()));
                if wide {
                    high_b =
                        _mm512_dpbusd_epi32(high_b, x, _mm512_loadu_si512(highs.add(from).cast()));
                }
            }
        }
        at += 2;
    }
    let low = _mm512_add_epi32(low_a, low_b);
    let high = _mm512_slli_epi32::<7>(_mm512_add_epi32(high_a, high_b));
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
