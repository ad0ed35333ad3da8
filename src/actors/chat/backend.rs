//! What stands before a provider's cell: its breaker and its bounds.

use std::sync::{Mutex, MutexGuard, PoisonError};

use supervisors::CellRef;

use super::worker::ProviderWorker;
use crate::engines::chat::{Breaker, BreakerConfig, ChatError, Pace, ProviderConfig};
use crate::types::chat::ChatRequest;

/// A token is about so many bytes of English.
const BYTES_PER_TOKEN: usize = 4;

/// One provider: its cell, and what decides whether it is asked.
pub(super) struct Backend {
    pub(super) cell: CellRef<ProviderWorker>,
    breaker: Mutex<Breaker>,
    pace: Mutex<Pace>,
    /// Whether tokens are bounded, so that a guess is worth its time.
    counts_tokens: bool,
}

impl Backend {
    /// `own` are the provider's settings; the embedded one has none.
    pub(super) fn new(
        cell: CellRef<ProviderWorker>,
        breaker: &BreakerConfig,
        own: Option<&ProviderConfig>,
    ) -> Self {
        let (requests, tokens) = own.map_or((0, 0), |own| {
            (own.requests_per_minute, own.tokens_per_minute)
        });
        Self {
            cell,
            breaker: Mutex::new(Breaker::new(breaker)),
            pace: Mutex::new(Pace::new(requests, tokens)),
            counts_tokens: tokens > 0,
        }
    }

    /// Asks the provider's bounds and its breaker for leave; the ticket is for [`Pace::settle`].
    ///
    /// Errors: [`ChatError::Paced`] or [`ChatError::Open`].
    pub(super) fn admit(&self, provider: &str, now: u64, tokens: u64) -> Result<u64, ChatError> {
        let ticket = self.pace().admit(now, tokens);
        let ticket = ticket.map_err(|paced| ChatError::Paced {
            provider: provider.to_owned(),
            of: paced.of,
            limit: paced.limit,
            retry_after_ms: paced.retry_after_ms,
        })?;
        let admitted = self.breaker().admit(now);
        admitted.map_err(|retry_after_ms| {
            self.pace().forget(ticket);
            ChatError::Open {
                provider: provider.to_owned(),
                retry_after_ms,
            }
        })?;
        Ok(ticket)
    }

    pub(super) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        lock(&self.breaker)
    }

    pub(super) fn pace(&self) -> MutexGuard<'_, Pace> {
        lock(&self.pace)
    }

    /// Guesses the tokens of a request before anyone has counted them.
    pub(super) fn estimate(&self, request: &ChatRequest) -> u64 {
        if !self.counts_tokens {
            return 0;
        }
        let bytes: usize = request
            .messages
            .iter()
            .map(|message| message.text().len())
            .sum();
        (bytes / BYTES_PER_TOKEN) as u64
    }
}

/// The transitions of what is locked here do not panic, so a poisoned one is whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
