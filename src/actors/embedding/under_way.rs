//! Requests that are being answered, since when each. Texts that wait for their cell wait in its queue; where the cell is faster
//! than reading requests and writing answers, they wait here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Those under way. Their bodies are read already: a slow connection is no slow server.
#[derive(Debug, Default)]
pub(super) struct UnderWay(Mutex<Begun>);

#[derive(Debug, Default)]
struct Begun {
    count: u64,
    since: BTreeMap<u64, Instant>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Answering {
    all: Arc<UnderWay>,
    number: u64,
}

impl UnderWay {
    pub(super) fn answering(self: &Arc<Self>, now: Instant) -> Answering {
        let mut begun = self.begun();
        begun.count += 1;
        let number = begun.count;
        begun.since.insert(number, now);
        drop(begun);
        let all = Arc::clone(self);
        Answering { all, number }
    }

    /// Whether there are more than `few`, and the first of them has taken longer than `max`: another one would take as long.
    pub(super) fn is_crowded(&self, few: usize, max: Duration, now: Instant) -> bool {
        let begun = self.begun();
        let first = begun.since.first_key_value().map(|(_, since)| *since);
        begun.since.len() > few
            && first.is_some_and(|since| now.saturating_duration_since(since) > max)
    }

    /// Every change leaves it whole.
    fn begun(&self) -> MutexGuard<'_, Begun> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.all.begun().since.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_of_which_the_first_takes_long_are_a_crowd() {
        let (all, start) = (Arc::new(UnderWay::default()), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let is_crowded = |ms| all.is_crowded(2, Duration::from_millis(100), at(ms));
        let first = all.answering(at(0));
        let second = all.answering(at(50));
        assert!(!is_crowded(1_000), "a few may take as long as they do");
        let third = all.answering(at(60));
        assert!(!is_crowded(100));
        assert!(is_crowded(101));
        drop(first);
        assert!(!is_crowded(1_000), "they are few again");
        let fourth = all.answering(at(140));
        assert!(!is_crowded(150), "the second is the first now");
        assert!(is_crowded(151));
        drop((second, third, fourth));
        assert!(!is_crowded(1_000));
    }
}
