//! A query as whole numbers, in the forms that kernels read.

/// Whole numbers that codes are compared with, in the forms that kernels read.
#[derive(Debug, Clone, Default)]
pub(in crate::engines::index) struct Whole {
    pub(super) wide: Vec<i16>,
    /// `wide = 128 * high + low`; no `high` where all of it is 0.
    pub(super) high: Vec<i8>,
    pub(super) low: Vec<i8>,
    pub(super) sum: i32,
}

impl Whole {
    /// Becomes `numbers`, each of them 13 bits and a sign at most, and zeros up to `len`.
    #[inline(always)]
    pub(in crate::engines::index) fn set(
        &mut self,
        numbers: impl Iterator<Item = i16>,
        len: usize,
    ) {
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

    /// Becomes `codes`, whose length is a multiple of [`STRIDE`](super::STRIDE).
    #[inline(always)]
    pub(in crate::engines::index) fn set_codes(&mut self, codes: &[i8]) {
        self.wide.clear();
        self.wide.extend(codes.iter().map(|code| i16::from(*code)));
        self.sum = codes.iter().map(|code| i32::from(*code)).sum();
        self.high.clear();
        self.low.clear();
        self.low.extend_from_slice(codes);
    }
}
