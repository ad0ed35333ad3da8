//! Which side of the split a task is on: by its key alone, so growing data moves nothing.

/// A side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// To learn from.
    Train,
    /// Held out.
    Test,
}

impl Side {
    /// Its word, and its file's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }
}

/// Whether a share can be held out.
pub(super) fn fraction_is_valid(fraction: f64) -> bool {
    (0.0..=0.5).contains(&fraction)
}

/// Puts a key on a side; about `test_fraction` of all keys are on the test side.
pub(super) fn side(key: &str, test_fraction: f64) -> Side {
    let hash = blake3::hash(key.as_bytes());
    // 53 bits are what a float holds exactly.
    let bits = hash
        .as_bytes()
        .iter()
        .take(8)
        .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let place = (bits >> 11) as f64 / (1_u64 << 53) as f64;
    if place < test_fraction {
        Side::Test
    } else {
        Side::Train
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_met_and_grow_without_moving() {
        let keys: Vec<String> = (0..10_000).map(|n| format!("question {n}")).collect();
        let held = |fraction| {
            keys.iter()
                .filter(|key| side(key, fraction) == Side::Test)
                .collect::<Vec<_>>()
        };
        assert!(held(0.0).is_empty());
        let (tenth, half) = (held(0.1), held(0.5));
        assert!((900..1_100).contains(&tenth.len()), "{}", tenth.len());
        assert!((4_800..5_200).contains(&half.len()), "{}", half.len());
        assert!(tenth.iter().all(|key| half.contains(key)));
    }

    #[test]
    fn shares_outside_the_range_are_refused() {
        for (fraction, valid) in [
            (0.0, true),
            (0.5, true),
            (0.51, false),
            (-0.1, false),
            (f64::NAN, false),
        ] {
            assert_eq!(fraction_is_valid(fraction), valid, "{fraction}");
        }
    }
}
