//! The storm: every request gets its one answer, and afterwards nothing is left of it.
//!
//! Alone in its binary, for it counts the threads of the process.

mod storm;

use std::time::{Duration, Instant};

/// Threads of this process, where the system tells.
fn threads() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"))?;
    line.trim().parse().ok()
}

#[test]
fn only_the_poisoned_fail_and_nothing_is_left_behind() {
    actix::System::new().block_on(async {
        let before = threads();
        let figures = storm::run(10_000, 4, 42).await.unwrap();
        assert_eq!(figures.wrong, Vec::<String>::new());
        assert_eq!(
            figures.ok + figures.crashed + figures.hung,
            figures.requests
        );
        assert!((50..200).contains(&figures.crashed), "{figures:?}");
        assert!((2..=4).contains(&figures.hung), "{figures:?}");
        assert!(figures.restarts > 0 && figures.drained, "{figures:?}");
        let patience = Instant::now() + Duration::from_secs(60);
        while threads() != before {
            assert!(Instant::now() < patience, "{before:?}, now {:?}", threads());
            tokio::task::yield_now().await;
        }
    });
}
