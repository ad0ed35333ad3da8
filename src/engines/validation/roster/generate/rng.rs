//! Numbers that look random and are the same everywhere (SplitMix64, Steele and others 2014).

pub(super) struct Rng(u64);

impl Rng {
    /// A stream of its own for each place, so that rows do not depend on those before them.
    pub(super) fn new(seed: u64, place: u64) -> Self {
        let mut rng = Self(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ place);
        rng.next();
        Self(rng.next() ^ place.rotate_left(32))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From 0 to below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound.max(1));
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// One of a list, each as likely as the others.
    pub(super) fn any<'l>(&mut self, list: &[&'l str]) -> &'l str {
        let at = self.below(list.len() as u64) as usize;
        list.get(at).copied().unwrap_or_default()
    }

    /// One of a list, the first far more often than the last.
    pub(super) fn common<'l>(&mut self, list: &'l [&'l str]) -> &'l str {
        let len = list.len() as u64;
        let at = (0..4).map(|_| self.below(len)).min().unwrap_or(0) as usize;
        list.get(at).copied().unwrap_or_default()
    }
}
