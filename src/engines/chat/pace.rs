//! Bounds on what a provider is asked in a minute: a sliding window with the time as an argument.

use std::collections::VecDeque;

/// The window, milliseconds.
const MINUTE_MS: u64 = 60_000;

/// Counts what was asked within the last minute. Times: any clock, milliseconds.
///
/// A window and not a bucket that refills: in no minute are there more than the bound, also not
/// right after a pause, which is what providers count.
#[derive(Debug)]
pub struct Pace {
    /// 0 is no bound.
    max_requests: u64,
    max_tokens: u64,
    /// By their time and ticket, oldest first.
    asked: VecDeque<Asked>,
    /// Of all in `asked`.
    tokens: u64,
    next_ticket: u64,
}

#[derive(Debug)]
struct Asked {
    at_ms: u64,
    ticket: u64,
    tokens: u64,
}

/// Which bound is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paced {
    /// What there would be too many of.
    pub of: &'static str,
    /// The bound.
    pub limit: u64,
    /// When there is room again.
    pub retry_after_ms: u64,
}

impl Pace {
    /// Bounds for a minute; 0 is none.
    pub fn new(max_requests: u64, max_tokens: u64) -> Self {
        Self {
            max_requests,
            max_tokens,
            asked: VecDeque::new(),
            tokens: 0,
            next_ticket: 0,
        }
    }

    /// Asks for leave to send a request of about so many tokens, and returns a ticket for
    /// [`Self::settle`]. A request that is larger than the whole bound passes when it is alone.
    ///
    /// Errors: which bound is reached.
    pub fn admit(&mut self, now_ms: u64, tokens: u64) -> Result<u64, Paced> {
        if self.max_requests == 0 && self.max_tokens == 0 {
            return Ok(0);
        }
        while let Some(first) = self.asked.front()
            && first.at_ms.saturating_add(MINUTE_MS) <= now_ms
        {
            self.tokens -= first.tokens;
            self.asked.pop_front();
        }
        let full = [self.too_many_requests(), self.too_many_tokens(tokens)];
        let full = full.into_iter().flatten();
        // Both must have room, so the longer wait counts.
        if let Some((of, limit, at_ms)) = full.max_by_key(|(.., at_ms)| *at_ms) {
            let retry_after_ms = at_ms.saturating_add(MINUTE_MS).saturating_sub(now_ms);
            return Err(Paced {
                of,
                limit,
                retry_after_ms,
            });
        }
        self.next_ticket += 1;
        self.asked.push_back(Asked {
            at_ms: now_ms,
            ticket: self.next_ticket,
            tokens,
        });
        self.tokens += tokens;
        Ok(self.next_ticket)
    }

    /// The bound, and when the request was asked that must leave the window first.
    fn too_many_requests(&self) -> Option<(&'static str, u64, u64)> {
        let bound = usize::try_from(self.max_requests).unwrap_or(usize::MAX);
        let over = self.asked.len().checked_sub(bound)?;
        let last = self.asked.get(over).filter(|_| bound > 0)?;
        Some(("requests", self.max_requests, last.at_ms))
    }

    /// The same of tokens, for a request of so many more.
    fn too_many_tokens(&self, tokens: u64) -> Option<(&'static str, u64, u64)> {
        let fits = |taken: u64| taken == 0 || taken.saturating_add(tokens) <= self.max_tokens;
        if self.max_tokens == 0 || fits(self.tokens) {
            return None;
        }
        let mut left = self.tokens;
        let last = self.asked.iter().find(|asked| {
            left -= asked.tokens;
            fits(left)
        })?;
        Some(("tokens", self.max_tokens, last.at_ms))
    }

    /// Puts what a request really took in place of the guess.
    pub fn settle(&mut self, ticket: u64, tokens: u64) {
        let place = self
            .asked
            .binary_search_by_key(&ticket, |asked| asked.ticket);
        if let Some(asked) = place.ok().and_then(|place| self.asked.get_mut(place)) {
            self.tokens = self.tokens - asked.tokens + tokens;
            asked.tokens = tokens;
        }
    }

    /// Takes back a request that was not sent.
    pub fn forget(&mut self, ticket: u64) {
        let place = self
            .asked
            .binary_search_by_key(&ticket, |asked| asked.ticket);
        if let Some(asked) = place.ok().and_then(|place| self.asked.remove(place)) {
            self.tokens -= asked.tokens;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_minute_holds_so_many_requests() {
        let mut pace = Pace::new(2, 0);
        assert!(pace.admit(0, 9).is_ok());
        let ticket = pace.admit(10_000, 9).unwrap();
        let refused = pace.admit(30_000, 9).unwrap_err();
        assert_eq!((refused.of, refused.retry_after_ms), ("requests", 30_000));
        // One that was not sent after all makes room.
        pace.forget(ticket);
        assert!(pace.admit(30_000, 9).is_ok());
        assert!(pace.admit(59_999, 9).is_err());
        assert!(pace.admit(60_000, 9).is_ok());
    }

    #[test]
    fn a_minute_holds_so_many_tokens_as_were_really_taken() {
        let mut pace = Pace::new(0, 100);
        let first = pace.admit(0, 40).unwrap();
        pace.settle(first, 90);
        let refused = pace.admit(5_000, 20).unwrap_err();
        assert_eq!((refused.of, refused.retry_after_ms), ("tokens", 55_000));
        pace.settle(first, 10);
        assert!(pace.admit(5_000, 20).is_ok());
    }

    #[test]
    fn a_request_above_the_whole_bound_passes_alone() {
        let mut pace = Pace::new(0, 100);
        assert!(pace.admit(0, 500).is_ok());
        assert_eq!(pace.admit(1, 500).unwrap_err().retry_after_ms, 59_999);
        assert!(pace.admit(60_000, 500).is_ok());
    }

    #[test]
    fn without_bounds_nothing_is_kept() {
        let mut pace = Pace::new(0, 0);
        for now in 0..1_000 {
            pace.admit(now, 1).unwrap();
        }
        assert!(pace.asked.is_empty());
    }

    proptest! {
        #[test]
        fn no_minute_holds_more_and_waiting_as_told_is_enough(
            steps in prop::collection::vec((0..20_000u64, 1..60u64, 0..80u64), 1..60),
        ) {
            let mut pace = Pace::new(4, 100);
            let (mut now, mut sent) = (0, Vec::<(u64, u64)>::new());
            for (pause, guess, real) in steps {
                now += pause;
                match pace.admit(now, guess) {
                    Ok(ticket) => {
                        pace.settle(ticket, real);
                        sent.push((now, real));
                    }
                    Err(refused) => {
                        now += refused.retry_after_ms;
                        let ticket = pace.admit(now, guess);
                        prop_assert!(ticket.is_ok(), "{refused:?} {ticket:?}");
                        pace.settle(ticket.unwrap(), real);
                        sent.push((now, real));
                    }
                }
                let within = sent.iter().filter(|(at, _)| at + MINUTE_MS > now);
                prop_assert!(within.count() <= 4);
            }
        }
    }
}
