//! The circuit breaker of one upstream: a state machine with the time as an argument.

use serde::{Deserialize, Serialize};

/// Leaving a provider that fails alone for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Failures in a row after which it is left alone; 0 never. Default 5.
    pub failures: u32,
    /// For how long, milliseconds; then one request probes it. Default 10,000.
    #[cfg_attr(feature = "server", schemars(range(min = 1)))]
    pub open_ms: u64,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            open_ms: 10_000,
        }
    }
}

impl BreakerConfig {
    /// Refuses nonsense.
    ///
    /// Errors: the field at fault below its section, and what would be right.
    pub(in crate::engines) fn validate(&self) -> Result<(), String> {
        if self.open_ms == 0 {
            return Err("breaker.open_ms: must be at least 1".to_owned());
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Requests pass; so many failed in a row.
    Closed { failures: u32 },
    /// Requests are refused until then.
    Open { until_ms: u64 },
    /// One request is out to probe; when it does not report by then, another goes.
    Probing { until_ms: u64 },
}

/// Refuses requests to a provider that failed repeatedly, so that they cost nothing. Times: any
/// clock, milliseconds.
#[derive(Debug)]
pub struct Breaker {
    failures: u32,
    open_ms: u64,
    state: State,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(config: &BreakerConfig) -> Self {
        Self {
            failures: config.failures,
            open_ms: config.open_ms,
            state: State::Closed { failures: 0 },
        }
    }

    /// Asks for leave to send a request.
    ///
    /// Errors: how long the provider still rests, milliseconds.
    pub fn admit(&mut self, now_ms: u64) -> Result<(), u64> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until_ms } | State::Probing { until_ms } if now_ms < until_ms => {
                Err(until_ms - now_ms)
            }
            State::Open { .. } | State::Probing { .. } => {
                self.state = State::Probing {
                    until_ms: now_ms.saturating_add(self.open_ms),
                };
                Ok(())
            }
        }
    }

    /// Reports that the provider answered, be it with a refusal of this one request.
    pub fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// Reports that the provider failed.
    pub fn failed(&mut self, now_ms: u64) {
        let open = State::Open {
            until_ms: now_ms.saturating_add(self.open_ms),
        };
        self.state = match self.state {
            // Never opens when the limit is 0.
            State::Closed { .. } if self.failures == 0 => State::Closed { failures: 0 },
            State::Closed { failures } if failures + 1 < self.failures => State::Closed {
                failures: failures + 1,
            },
            State::Closed { .. } | State::Probing { .. } => open,
            // A request from before: the rest is not prolonged.
            State::Open { until_ms } => State::Open { until_ms },
        };
    }

    /// Whether requests pass freely.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(&BreakerConfig {
            failures: 3,
            open_ms: 100,
        })
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_probes_once() {
        let mut breaker = breaker();
        breaker.failed(0);
        breaker.failed(0);
        breaker.succeeded();
        breaker.failed(1);
        breaker.failed(2);
        assert_eq!(breaker.admit(3), Ok(()));
        breaker.failed(10);
        assert_eq!(breaker.admit(11), Err(99));
        // A late failure of an earlier request does not prolong the rest.
        breaker.failed(50);
        assert_eq!(breaker.admit(110), Ok(()), "the probe");
        assert_eq!(breaker.admit(111), Err(99), "only one");
        breaker.failed(120);
        assert_eq!(breaker.admit(121), Err(99));
        assert_eq!(breaker.admit(220), Ok(()));
        breaker.succeeded();
        assert!(breaker.is_closed());
        assert_eq!(breaker.admit(221), Ok(()));
    }

    #[test]
    fn a_probe_that_never_reports_does_not_block_for_ever() {
        let mut breaker = breaker();
        (0..3).for_each(|_| breaker.failed(0));
        assert_eq!(breaker.admit(100), Ok(()));
        assert_eq!(breaker.admit(199), Err(1));
        assert_eq!(breaker.admit(200), Ok(()));
    }

    #[test]
    fn a_limit_of_zero_switches_it_off() {
        let mut breaker = Breaker::new(&BreakerConfig {
            failures: 0,
            open_ms: 100,
        });
        (0..50).for_each(|now| breaker.failed(now));
        assert_eq!(breaker.admit(50), Ok(()));
    }
}
