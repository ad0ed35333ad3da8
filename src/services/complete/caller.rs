//! What the edge knows of a chat request besides its body.

use crate::engines::access::Grant;
use crate::services::Asker;
use crate::types::trace::Trace;

/// Longest name of a replay that is kept, characters.
const MAX_REPLAY_CHARS: usize = 64;
/// Longest id of an answer that is kept, characters.
const MAX_ANSWER_CHARS: usize = 200;

/// Who asks.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The request.
    pub request_id: String,
    /// Whose use it counts as.
    pub key: String,
    /// Most tokens that this key may take in a day.
    pub tokens_per_day: Option<u64>,
    /// An answer that was kept is not wanted; this one may be kept.
    pub no_cache: bool,
    /// The same, and this one is not to be kept.
    pub no_store: bool,
    /// The replay that asks.
    pub replay: Option<String>,
    /// Id of the answer that this one is meant to be better than.
    pub repairs: Option<String>,
    /// Where the spans of the answer begin.
    pub trace: Option<Trace>,
}

impl Caller {
    /// A caller with the `cache-control` that it sent, if any.
    pub fn new(asker: Asker, cache_control: Option<&str>) -> Self {
        let says = |word: &str| {
            let mut directives = cache_control.unwrap_or_default().split(',');
            directives.any(|directive| directive.trim().eq_ignore_ascii_case(word))
        };
        let Asker {
            request_id,
            key,
            trace,
        } = asker;
        Self {
            request_id,
            key,
            tokens_per_day: None,
            no_cache: says("no-cache"),
            no_store: says("no-store"),
            replay: None,
            repairs: None,
            trace,
        }
    }

    /// The same, within the bounds of its key, where the server has keys.
    pub fn bounded_by(mut self, key: Option<&Grant>) -> Self {
        self.tokens_per_day = key.and_then(|key| key.tokens_per_day);
        self
    }

    /// Who it is, for what it leaves besides its own evidence.
    pub(super) fn asker(&self) -> Asker {
        Asker {
            request_id: self.request_id.clone(),
            key: self.key.clone(),
            trace: self.trace.clone(),
        }
    }

    /// The same, of the replay that it names, if any.
    pub fn of_replay(mut self, name: Option<&str>) -> Self {
        self.replay = named(name, MAX_REPLAY_CHARS);
        self
    }

    /// The same, with the answer that is to be repaired, if any.
    pub fn repairing(mut self, answer: Option<&str>) -> Self {
        self.repairs = named(answer, MAX_ANSWER_CHARS);
        self
    }
}

fn named(name: Option<&str>, max_chars: usize) -> Option<String> {
    let name = name.map(str::trim).filter(|name| !name.is_empty());
    name.map(|name| name.chars().take(max_chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_one_by_one() {
        for (sent, expected) in [
            (None, (false, false)),
            (Some("no-cache"), (true, false)),
            (Some("max-age=0, No-Store"), (false, true)),
            (Some("no-cache,no-store"), (true, true)),
            (Some("x-no-cache"), (false, false)),
        ] {
            let caller = Caller::new(Asker::new(String::new(), None), sent);
            assert_eq!((caller.no_cache, caller.no_store), expected, "{sent:?}");
        }
    }
}
