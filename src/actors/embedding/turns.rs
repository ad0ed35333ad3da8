//! Requests that are being answered, since when each. Texts that wait for their cell wait in its queue; where the cell is faster
//! than reading requests and writing answers, they wait here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Those under way. Their bodies are read already: a slow connection is no slow server.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<Begun>);

#[derive(Debug, Default)]
struct Begun {
    count: u64,
    since: BTreeMap<u64, Instant>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    number: u64,
}

impl Turns {
    pub(super) fn begin(self: &Arc<Self>, now: Instant) -> Turn {
        let mut begun = self.begun();
        begun.count += 1;
        let number = begun.count;
        begun.since.insert(number, now);
        drop(begun);
        let turns = Arc::clone(self);
        Turn { turns, number }
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

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.begun().since.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_of_which_the_first_takes_long_are_a_crowd() {
        let (turns, start) = (Arc::new(Turns::default()), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let is_crowded = |ms| turns.is_crowded(2, Duration::from_millis(100), at(ms));
        let first = turns.begin(at(0));
        let second = turns.begin(at(50));
        assert!(!is_crowded(1_000), "a few may take as long as they do");
        let third = turns.begin(at(60));
        assert!(!is_crowded(100));
        assert!(is_crowded(101));
        drop(first);
        assert!(!is_crowded(1_000), "they are few again");
        let fourth = turns.begin(at(140));
        assert!(!is_crowded(150), "the second is the first now");
        assert!(is_crowded(151));
        drop((second, third, fourth));
        assert!(!is_crowded(1_000));
    }
}
