//! Salts of contents.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::storage::evidence_log::Salt;

/// Mints a salt that nobody can guess, nor tell from others: a keyed hash of a counter, under a key that only this process
/// has and never writes.
pub(super) fn salt() -> Salt {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| {
        // The standard library seeds its hashers with 128 bits of the operating system's randomness.
        let mut seeds = blake3::Hasher::new();
        for number in 0..4_u64 {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u64(number);
            seeds.update(&hasher.finish().to_le_bytes());
        }
        *seeds.finalize().as_bytes()
    });
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut salt = [0; 16];
    let mut hasher = blake3::Hasher::new_keyed(&KEY);
    hasher.update(&number.to_le_bytes());
    hasher.finalize_xof().fill(&mut salt);
    Salt::new(salt)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_are_alike() {
        let salts: HashSet<String> = (0..1_000).map(|_| salt().to_string()).collect();
        assert_eq!(salts.len(), 1_000);
        assert!(salts.iter().all(|salt| salt.len() == 32));
    }
}
