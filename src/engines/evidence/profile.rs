//! How production was in a stretch of time: who answered, how fast, with which passages, how well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::quantiles::Quantiles;
use crate::types::evidence::ChatEvidence;

/// Version of a profile's shape.
pub const PROFILE_FORMAT: u32 = 1;

/// Names that a mix tells apart; the rest is one more.
const NAMES: usize = 200;
/// What that one is called.
const OTHERS: &str = "(others)";

/// How often each of some names was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mix(BTreeMap<String, u64>);

impl Mix {
    /// Counts one.
    pub fn add(&mut self, name: &str) {
        let known = self.0.contains_key(name) || self.0.len() < NAMES;
        let name = if known { name } else { OTHERS };
        match self.0.get_mut(name) {
            Some(count) => *count += 1,
            None => {
                self.0.insert(name.to_owned(), 1);
            }
        }
    }

    /// All that was counted.
    pub fn total(&self) -> u64 {
        self.0.values().copied().fold(0, u64::saturating_add)
    }

    /// The share of a name, 0 to 1.
    pub fn share(&self, name: &str) -> f64 {
        share(self.0.get(name).copied().unwrap_or_default(), self.total())
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Time of the calls that were answered, from request to the last byte.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// How many these are.
    pub calls: u64,
    /// Half took no longer, milliseconds; within 0.8 %.
    pub p50_ms: u64,
    /// 19 of 20 took no longer.
    pub p95_ms: u64,
}

/// What was retrieved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Retrieved {
    /// Calls that were given passages.
    pub calls: u64,
    /// Those of them whose answer cites one.
    pub cited: u64,
    /// Passages of such a call, mean.
    pub passages: f64,
    /// Score of the best one, mean.
    pub top_score: f64,
}

/// Tokens of the calls whose provider counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    /// How many these are.
    pub calls: u64,
    /// Read, mean.
    pub prompt: f64,
    /// Written, mean.
    pub completion: f64,
}

/// How production was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// [`PROFILE_FORMAT`] at the time of writing.
    pub format: u32,
    /// Its first moment, Unix milliseconds; none: from the beginning.
    pub since_ms: Option<u64>,
    /// The moment after its last one.
    pub until_ms: Option<u64>,
    /// Chat calls that clients made, also failed ones.
    pub calls: u64,
    /// Those that no provider answered, or that broke off.
    pub failed: u64,
    /// Records of replays and imports, which say nothing of production: left out.
    pub left_out: u64,
    /// Tasks that were materialized of it, by outcome.
    pub outcomes: Mix,
    /// Answered calls by provider.
    pub providers: Mix,
    /// Answered calls by `provider/model`.
    pub models: Mix,
    /// Their time.
    pub latency: Latency,
    /// Passages.
    pub retrieval: Retrieved,
    /// Tokens.
    pub tokens: Tokens,
}

/// A profile in the making.
#[derive(Debug, Clone, Default)]
pub struct Profiler {
    profile: Profile,
    latencies: Quantiles,
    passages: u64,
    top_scores: f64,
    prompt_tokens: u64,
    completion_tokens: u64,
}

impl Profiler {
    /// Begins one of the time from `since_ms` until before `until_ms`.
    pub fn new(since_ms: Option<u64>, until_ms: Option<u64>) -> Self {
        let profile = Profile {
            format: PROFILE_FORMAT,
            since_ms,
            until_ms,
            ..Profile::default()
        };
        Self {
            profile,
            ..Self::default()
        }
    }

    /// Whether a moment is part of it.
    pub fn spans(&self, ts: u64) -> bool {
        let (since, until) = (self.profile.since_ms, self.profile.until_ms);
        since.is_none_or(|since| ts >= since) && until.is_none_or(|until| ts < until)
    }

    /// Takes a chat record of its time.
    pub fn chat(&mut self, chat: &ChatEvidence) {
        let profile = &mut self.profile;
        if chat.replay.is_some() || chat.imported.is_some() {
            profile.left_out += 1;
            return;
        }
        profile.calls += 1;
        profile.failed += u64::from(chat.error.is_some() || chat.answered_by.is_none());
        if let Some(model) = &chat.answered_by {
            let provider = model.split_once('/').map_or(model.as_str(), |(one, _)| one);
            profile.providers.add(provider);
            profile.models.add(model);
            self.latencies.add(chat.latency_ms);
            profile.latency.calls += 1;
        }
        let best = chat.passages.iter().map(|passage| passage.score);
        if let Some(best) = best.reduce(f32::max) {
            profile.retrieval.calls += 1;
            let cited = chat.passages.iter().any(|passage| passage.cited);
            profile.retrieval.cited += u64::from(cited);
            self.passages += chat.passages.len() as u64;
            self.top_scores += f64::from(best);
        }
        if let Some(usage) = chat.usage {
            profile.tokens.calls += 1;
            self.prompt_tokens = self.prompt_tokens.saturating_add(usage.prompt_tokens);
            let completion = usage.completion_tokens;
            self.completion_tokens = self.completion_tokens.saturating_add(completion);
        }
    }

    /// Takes a task of its time, of a client's call.
    pub fn task(&mut self, outcome: &str) {
        self.profile.outcomes.add(outcome);
    }

    /// Ends it.
    pub fn finish(mut self) -> Profile {
        let profile = &mut self.profile;
        profile.latency.p50_ms = self.latencies.quantile(0.5);
        profile.latency.p95_ms = self.latencies.quantile(0.95);
        let calls = profile.retrieval.calls;
        profile.retrieval.passages = share(self.passages, calls);
        profile.retrieval.top_score = match calls {
            0 => 0.0,
            calls => self.top_scores / calls as f64,
        };
        profile.tokens.prompt = share(self.prompt_tokens, profile.tokens.calls);
        profile.tokens.completion = share(self.completion_tokens, profile.tokens.calls);
        self.profile
    }
}

/// `part` of `all`; 0 of nothing.
pub(super) fn share(part: u64, all: u64) -> f64 {
    match all {
        0 => 0.0,
        all => part as f64 / all as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::evidence::{ImportedEvidence, PassageEvidence, TokenUsage};

    fn answered(model: &str, latency_ms: u64) -> ChatEvidence {
        ChatEvidence {
            answered_by: Some(model.to_owned()),
            latency_ms,
            ..ChatEvidence::default()
        }
    }

    fn passage(score: f32, cited: bool) -> PassageEvidence {
        PassageEvidence {
            collection: "docs".to_owned(),
            id: "p".to_owned(),
            score,
            text: String::new(),
            cited,
        }
    }

    #[test]
    fn a_profile_counts_what_clients_asked() {
        let mut profiler = Profiler::new(Some(5), Some(9));
        assert_eq!(
            [4, 5, 8, 9].map(|ts| profiler.spans(ts)),
            [false, true, true, false]
        );
        let mut first = answered("up/small", 10);
        first.passages = vec![passage(0.25, false), passage(0.75, true)];
        first.usage = Some(TokenUsage {
            prompt_tokens: 30,
            completion_tokens: 4,
            ..TokenUsage::default()
        });
        let mut second = answered("up/large", 30);
        second.passages = vec![passage(0.25, false)];
        second.error = Some("cut".to_owned());
        let mut replayed = answered("up/small", 900);
        replayed.replay = Some("r".to_owned());
        let mut imported = answered("elsewhere", 0);
        imported.imported = Some(ImportedEvidence {
            source: "s".to_owned(),
            id: "i".to_owned(),
            ts: None,
            tags: Vec::new(),
            scores: Vec::new(),
        });
        let failed = ChatEvidence::default();
        for chat in [&first, &second, &replayed, &imported, &failed] {
            profiler.chat(chat);
        }
        profiler.task("accepted");
        let profile = profiler.finish();
        assert_eq!((profile.calls, profile.failed, profile.left_out), (3, 2, 2));
        assert_eq!(profile.providers.names().collect::<Vec<_>>(), ["up"]);
        assert_eq!(profile.models.share("up/small"), 0.5);
        assert_eq!(profile.outcomes.total(), 1);
        let latency = Latency {
            calls: 2,
            p50_ms: 10,
            p95_ms: 30,
        };
        assert_eq!(profile.latency, latency);
        let retrieval = Retrieved {
            calls: 2,
            cited: 1,
            passages: 1.5,
            top_score: 0.5,
        };
        assert_eq!(profile.retrieval, retrieval);
        let tokens = Tokens {
            calls: 1,
            prompt: 30.0,
            completion: 4.0,
        };
        assert_eq!(profile.tokens, tokens);
        let text = serde_json::to_string(&profile).unwrap();
        assert_eq!(serde_json::from_str::<Profile>(&text).unwrap(), profile);
    }

    #[test]
    fn a_mix_of_many_names_stays_small() {
        let mut mix = Mix::default();
        for name in 0..5_000 {
            mix.add(&name.to_string());
        }
        assert_eq!((mix.total(), mix.names().count()), (5_000, NAMES + 1));
        assert_eq!(mix.share(OTHERS), 4_800.0 / 5_000.0);
    }
}
