//! Fail points: faults of a worker, injected on demand or at random. Behind the feature `chaos`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::call::Cx;
use crate::cell::StartError;
use crate::workers::crash_on_purpose;

/// A fault to inject into a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chaos {
    /// The worker panics.
    Panic,
    /// The worker blocks its thread until it is given up; an async one never finishes.
    Hang,
    /// The request takes so much longer.
    Slow(Duration),
    /// The worker panics, and so does the drop of what it panicked with.
    DropPanic,
    /// The next `times` starts of a worker fail.
    FactoryFailure {
        /// How often.
        times: u32,
    },
}

/// When an injected fault strikes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// The next request, and no other.
    Next,
    /// Each request with this probability, drawn from a sequence of its own.
    Chance {
        /// From 0 to 1.
        probability: f64,
        /// The same seed gives the same sequence.
        seed: u64,
    },
}

/// How often faults struck a cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Struck {
    /// Panics of both kinds.
    pub panics: u64,
    /// Hangs.
    pub hangs: u64,
    /// Slow requests.
    pub slow: u64,
    /// Starts that failed.
    pub factories: u64,
}

struct Injection {
    what: Chaos,
    when: When,
    state: u64,
}

/// The injections of one cell.
#[derive(Default)]
pub(crate) struct FailPoint {
    injections: Mutex<Vec<Injection>>,
    failing_starts: AtomicU64,
    panics: AtomicU64,
    hangs: AtomicU64,
    slow: AtomicU64,
    factories: AtomicU64,
}

impl FailPoint {
    fn lock(&self) -> MutexGuard<'_, Vec<Injection>> {
        self.injections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn inject(&self, what: Chaos, when: When) {
        if let Chaos::FactoryFailure { times } = what {
            self.failing_starts
                .fetch_add(u64::from(times), Ordering::AcqRel);
            return;
        }
        let state = match when {
            When::Next => 0,
            When::Chance { seed, .. } => seed,
        };
        self.lock().push(Injection { what, when, state });
    }

    pub(crate) fn calm(&self) {
        self.lock().clear();
        self.failing_starts.store(0, Ordering::Release);
    }

    pub(crate) fn struck(&self) -> Struck {
        Struck {
            panics: self.panics.load(Ordering::Acquire),
            hangs: self.hangs.load(Ordering::Acquire),
            slow: self.slow.load(Ordering::Acquire),
            factories: self.factories.load(Ordering::Acquire),
        }
    }

    /// What strikes the request that is about to run.
    pub(crate) fn draw(&self) -> Option<Strike> {
        let mut injections = self.lock();
        let index = injections
            .iter_mut()
            .position(|injection| match injection.when {
                When::Next => true,
                When::Chance { probability, .. } => uniform(&mut injection.state) < probability,
            })?;
        let what = injections[index].what;
        if injections[index].when == When::Next {
            injections.remove(index);
        }
        let counter = match what {
            Chaos::Panic | Chaos::DropPanic => &self.panics,
            Chaos::Hang => &self.hangs,
            Chaos::Slow(_) => &self.slow,
            Chaos::FactoryFailure { .. } => return None,
        };
        counter.fetch_add(1, Ordering::AcqRel);
        Some(Strike(what))
    }

    /// Whether the start of a worker is to fail.
    pub(crate) fn factory(&self) -> Result<(), StartError> {
        let fails = self
            .failing_starts
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(1)
            });
        if fails.is_ok() {
            self.factories.fetch_add(1, Ordering::AcqRel);
            return Err(StartError::new("chaos: this start fails"));
        }
        Ok(())
    }
}

/// The next number in `[0, 1)` of SplitMix64 (Steele, Lea, Flood, 2014).
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    // 53 bits: what an f64 holds exactly.
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// A fault on its way into one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strike(Chaos);

#[expect(clippy::panic, reason = "a crash on purpose is asked for, and fenced")]
fn panic_with_bomb() -> ! {
    std::panic::panic_any(Bomb)
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        crash_on_purpose();
    }
}

impl Strike {
    /// Strikes inside the fence of a worker that may block.
    pub(crate) fn on_thread(self, cx: &Cx) {
        match self.0 {
            Chaos::Panic => crash_on_purpose(),
            Chaos::DropPanic => panic_with_bomb(),
            Chaos::Hang => block_while(|| !cx.is_stale()),
            Chaos::Slow(time) => {
                let until = Instant::now() + time;
                block_while(|| Instant::now() < until);
            }
            Chaos::FactoryFailure { .. } => {}
        }
    }

    /// Strikes inside the fence of a task.
    pub(crate) async fn in_task(self) {
        match self.0 {
            Chaos::Panic => crash_on_purpose(),
            Chaos::DropPanic => panic_with_bomb(),
            Chaos::Hang => std::future::pending().await,
            Chaos::Slow(time) => tokio::time::sleep(time).await,
            Chaos::FactoryFailure { .. } => {}
        }
    }
}

fn block_while(condition: impl Fn() -> bool) {
    while condition() {
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_shots_strike_once_and_chances_repeat_with_their_seed() {
        let strikes = |seed| {
            let point = FailPoint::default();
            let when = When::Chance {
                probability: 0.1,
                seed,
            };
            point.inject(Chaos::Panic, when);
            point.inject(Chaos::Hang, When::Next);
            let seen: Vec<_> = (0..1_000)
                .map(|_| point.draw().map(|strike| strike.0))
                .collect();
            assert_eq!(point.struck().hangs, 1);
            assert_eq!(
                seen.iter().flatten().count() as u64,
                point.struck().panics + 1
            );
            assert!((60..140).contains(&point.struck().panics));
            seen
        };
        assert_eq!(strikes(3), strikes(3));
        assert_ne!(strikes(3), strikes(4));
    }

    #[test]
    fn a_bomb_is_contained() {
        crate::fence::install_hook();
        let panic = crate::fence::fenced(|| -> () { std::panic::panic_any(Bomb) }).unwrap_err();
        assert!(panic.message.contains("not text"));
    }
}
