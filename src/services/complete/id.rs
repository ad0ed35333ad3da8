//! Ids of completions.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Mints an id: unguessable prefix for each process, then a counter.
///
/// `prefix` is what the client's API begins ids with. Never made of the request's id: clients choose that, and may
/// send the same one again.
pub(super) fn completion_id(prefix: Option<&str>) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static PREFIX: LazyLock<String> = LazyLock::new(|| {
        // The standard library seeds its hasher from the operating system's randomness.
        let seed = RandomState::new().build_hasher().finish();
        format!("{seed:016x}")
    });
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}{}-{number:x}", prefix.unwrap_or("chatcmpl-"), *PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minted_ids_differ() {
        let (one, two) = (completion_id(None), completion_id(None));
        assert!(completion_id(Some("msg_")).starts_with("msg_"));
        assert!(one.starts_with("chatcmpl-") && one != two, "{one} {two}");
    }
}
