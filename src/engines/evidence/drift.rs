//! Whether production is another than it was: two profiles beside each other, measure by measure.

use std::collections::BTreeSet;

use serde::Serialize;

use super::profile::{Mix, Profile, share};

/// Names that a mix's measure tells of, those that moved most.
const MOVED: usize = 3;

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Total variation distance of two mixes, 0 to 1: the share that is elsewhere now.
    Distance,
    /// How many times as large the larger one is, at least 1.
    Ratio,
    /// How far apart two shares are, 0 to 1.
    Difference,
}

enum Value<'a> {
    Mix(&'a Mix),
    Number(f64),
}

/// A value, and of how many calls or tasks.
type Sample<'a> = (u64, Value<'a>);

struct Spec {
    name: &'static str,
    way: Way,
    threshold: f64,
    /// Added to both sides of a ratio, so that differences of about this size are none.
    noise: f64,
    of: fn(&Profile) -> Sample<'_>,
}

const fn mix(name: &'static str, of: fn(&Profile) -> Sample<'_>) -> Spec {
    Spec {
        name,
        way: Way::Distance,
        threshold: 0.15,
        noise: 0.0,
        of,
    }
}

const fn ratio(name: &'static str, noise: f64, of: fn(&Profile) -> Sample<'_>) -> Spec {
    Spec {
        name,
        way: Way::Ratio,
        threshold: 1.5,
        noise,
        of,
    }
}

const fn difference(name: &'static str, threshold: f64, of: fn(&Profile) -> Sample<'_>) -> Spec {
    Spec {
        name,
        way: Way::Difference,
        threshold,
        noise: 0.0,
        of,
    }
}

fn of_mix(mix: &Mix) -> Sample<'_> {
    (mix.total(), Value::Mix(mix))
}

fn of_share(part: u64, all: u64) -> Sample<'static> {
    (all, Value::Number(share(part, all)))
}

static MEASURES: [Spec; 12] = [
    mix("outcomes", |of| of_mix(&of.outcomes)),
    mix("providers", |of| of_mix(&of.providers)),
    mix("models", |of| of_mix(&of.models)),
    ratio("latency_p50_ms", 10.0, |of| {
        (of.latency.calls, Value::Number(of.latency.p50_ms as f64))
    }),
    ratio("latency_p95_ms", 10.0, |of| {
        (of.latency.calls, Value::Number(of.latency.p95_ms as f64))
    }),
    difference("failed", 0.05, |of| of_share(of.failed, of.calls)),
    difference("retrieved", 0.1, |of| {
        of_share(of.retrieval.calls, of.calls)
    }),
    ratio("passages", 0.5, |of| {
        (of.retrieval.calls, Value::Number(of.retrieval.passages))
    }),
    // Scores of a fused ranking are a few hundredths.
    ratio("top_score", 0.001, |of| {
        (of.retrieval.calls, Value::Number(of.retrieval.top_score))
    }),
    difference("cited", 0.1, |of| {
        of_share(of.retrieval.cited, of.retrieval.calls)
    }),
    ratio("prompt_tokens", 1.0, |of| {
        (of.tokens.calls, Value::Number(of.tokens.prompt))
    }),
    ratio("completion_tokens", 1.0, |of| {
        (of.tokens.calls, Value::Number(of.tokens.completion))
    }),
];

/// From when on a measure has drifted.
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    own: Vec<(&'static str, f64)>,
    least: u64,
}

impl Default for Thresholds {
    /// With fewer, a share of a half moves by 0.07 by chance.
    fn default() -> Self {
        Self {
            own: Vec::new(),
            least: 100,
        }
    }
}

impl Thresholds {
    /// Sets the threshold of one measure.
    ///
    /// Errors: no such measure, or no such value of it; in words.
    pub fn set(&mut self, name: &str, value: f64) -> Result<(), String> {
        let Some(spec) = MEASURES.iter().find(|spec| spec.name == name) else {
            let known: Vec<_> = MEASURES.iter().map(|spec| spec.name).collect();
            return Err(format!(
                "no such measure: {name}; there are {}",
                known.join(", ")
            ));
        };
        let (least, most) = match spec.way {
            Way::Ratio => (1.0, f64::MAX),
            Way::Distance | Way::Difference => (0.0, 1.0),
        };
        if !(least..=most).contains(&value) {
            let most = if most > 1.0 { "or more" } else { "to 1" };
            return Err(format!("{name} must be {least} {most}, got {value}"));
        }
        self.own.push((spec.name, value));
        Ok(())
    }

    /// Sets how many calls or tasks a measure needs on either side.
    pub fn least(&mut self, least: u64) {
        self.least = least.max(1);
    }

    fn of(&self, spec: &Spec) -> f64 {
        let own = self.own.iter().rev().find(|(name, _)| *name == spec.name);
        own.map_or(spec.threshold, |(_, value)| *value)
    }
}

/// A name whose share is another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moved {
    /// Of an outcome, a provider or a model.
    pub name: String,
    /// Its share then.
    pub before: f64,
    /// Its share now.
    pub now: f64,
}

/// One measure of two profiles.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measure {
    /// Which.
    pub name: &'static str,
    /// How it compares.
    pub way: Way,
    /// Its value then; none of a mix.
    pub before: Option<f64>,
    /// Its value now; none of a mix.
    pub now: Option<f64>,
    /// Of a mix, what moved most.
    pub moved: Vec<Moved>,
    /// Calls or tasks then, and now.
    pub samples: (u64, u64),
    /// How far apart they are; none when there are too few to tell.
    pub value: Option<f64>,
    /// Above this it has drifted.
    pub threshold: f64,
    /// Whether it has.
    pub drifted: bool,
}

/// Compares a profile with an earlier one.
pub fn compare(before: &Profile, now: &Profile, thresholds: &Thresholds) -> Vec<Measure> {
    let measure = |spec: &Spec| {
        let ((had, then), (have, today)) = ((spec.of)(before), (spec.of)(now));
        let (apart, moved) = match (&then, &today) {
            (Value::Mix(then), Value::Mix(today)) => apart(then, today),
            (Value::Number(then), Value::Number(today)) => (spec.apart(*then, *today), Vec::new()),
            // Invariant: a measure is the same of every profile.
            _ => (0.0, Vec::new()),
        };
        let enough = had.min(have) >= thresholds.least;
        let threshold = thresholds.of(spec);
        Measure {
            name: spec.name,
            way: spec.way,
            before: number(&then),
            now: number(&today),
            moved,
            samples: (had, have),
            value: enough.then_some(apart),
            threshold,
            drifted: enough && apart > threshold,
        }
    };
    MEASURES.iter().map(measure).collect()
}

impl Spec {
    fn apart(&self, then: f64, now: f64) -> f64 {
        match self.way {
            Way::Ratio => {
                // A score may be below 0; nothing is a multiple of that.
                let floor = then.min(now).min(0.0);
                let (then, now) = (then - floor + self.noise, now - floor + self.noise);
                (now / then).max(then / now)
            }
            Way::Distance | Way::Difference => (now - then).abs(),
        }
    }
}

fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Mix(_) => None,
        Value::Number(number) => Some(*number),
    }
}

/// Total variation distance, and the names that moved most.
fn apart(then: &Mix, now: &Mix) -> (f64, Vec<Moved>) {
    let names: BTreeSet<&str> = then.names().chain(now.names()).collect();
    let mut moved: Vec<Moved> = names
        .into_iter()
        .map(|name| Moved {
            name: name.to_owned(),
            before: then.share(name),
            now: now.share(name),
        })
        .collect();
    let far = |one: &Moved| (one.now - one.before).abs();
    let sum: f64 = moved.iter().map(far).sum();
    moved.retain(|one| far(one) > 0.0);
    moved.sort_by(|a, b| far(b).total_cmp(&far(a)));
    moved.truncate(MOVED);
    (sum / 2.0, moved)
}

#[cfg(test)]
mod tests {
    use super::super::profile::{Latency, Retrieved};
    use super::*;

    fn mix(counts: &[(&str, usize)]) -> Mix {
        let mut mix = Mix::default();
        for (name, count) in counts {
            (0..*count).for_each(|_| mix.add(name));
        }
        mix
    }

    fn profile() -> Profile {
        Profile {
            calls: 200,
            failed: 4,
            outcomes: mix(&[("accepted", 150), ("rejected", 50)]),
            providers: mix(&[("up", 200)]),
            models: mix(&[("up/a", 100), ("up/b", 100)]),
            latency: Latency {
                calls: 196,
                p50_ms: 190,
                p95_ms: 990,
            },
            retrieval: Retrieved {
                calls: 100,
                cited: 80,
                passages: 4.0,
                top_score: 0.5,
            },
            ..Profile::default()
        }
    }

    fn drifted(now: &Profile, thresholds: &Thresholds) -> Vec<&'static str> {
        let measures = compare(&profile(), now, thresholds);
        let drifted = measures.iter().filter(|measure| measure.drifted);
        drifted.map(|measure| measure.name).collect()
    }

    #[test]
    fn a_profile_has_not_drifted_from_itself() {
        let measures = compare(&profile(), &profile(), &Thresholds::default());
        for measure in &measures {
            assert!(!measure.drifted && measure.moved.is_empty(), "{measure:?}");
            let same = if measure.way == Way::Ratio { 1.0 } else { 0.0 };
            let known = !measure.name.ends_with("tokens");
            assert_eq!(measure.value, known.then_some(same), "{measure:?}");
        }
        assert_eq!(measures.len(), MEASURES.len());
    }

    #[test]
    fn what_moved_past_its_threshold_is_named_and_nothing_else() {
        let check = |change: fn(&mut Profile), expected: &[&str]| {
            let mut now = profile();
            change(&mut now);
            assert_eq!(drifted(&now, &Thresholds::default()), expected);
        };
        check(
            |of| of.outcomes = mix(&[("accepted", 70), ("rejected", 30)]),
            &[],
        );
        check(
            |of| of.outcomes = mix(&[("accepted", 50), ("needs_review", 50)]),
            &["outcomes"],
        );
        check(
            |of| of.models = mix(&[("up/a", 66), ("up/b", 34)]),
            &["models"],
        );
        check(
            |of| of.providers = mix(&[("elsewhere", 200)]),
            &["providers"],
        );
        check(|of| of.latency.p50_ms = 290, &[]);
        check(|of| of.latency.p50_ms = 291, &["latency_p50_ms"]);
        check(|of| of.latency.p95_ms = 600, &["latency_p95_ms"]);
        check(|of| of.failed = 15, &["failed"]);
        check(|of| of.retrieval.calls = 125, &["retrieved", "cited"]);
        check(|of| of.retrieval.passages = 8.0, &["passages"]);
        check(|of| of.retrieval.top_score = -0.1, &["top_score"]);
        // What is a millisecond or two is no drift, even if it is twice as long.
        let (mut short, mut long) = (profile(), profile());
        (short.latency.p50_ms, long.latency.p50_ms) = (1, 3);
        let measures = compare(&short, &long, &Thresholds::default());
        assert!(!measures.iter().any(|measure| measure.drifted));
    }

    #[test]
    fn a_mix_tells_what_moved_most() {
        let mut now = profile();
        now.models = mix(&[("up/a", 50), ("up/c", 50)]);
        let measures = compare(&profile(), &now, &Thresholds::default());
        let models = measures.iter().find(|measure| measure.name == "models");
        let models = models.unwrap();
        assert_eq!(models.value, Some(0.5));
        let moved: Vec<_> = models.moved.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(moved, ["up/b", "up/c"]);
        assert_eq!((models.moved[1].before, models.moved[1].now), (0.0, 0.5));
    }

    #[test]
    fn thresholds_are_set_by_name_and_too_few_calls_tell_nothing() {
        let mut now = profile();
        now.models = mix(&[("up/a", 30), ("up/b", 10)]);
        let mut thresholds = Thresholds::default();
        assert_eq!(drifted(&now, &thresholds), [""; 0]);
        thresholds.least(40);
        assert_eq!(drifted(&now, &thresholds), ["models"]);
        thresholds.set("models", 0.3).unwrap();
        assert_eq!(drifted(&now, &thresholds), [""; 0]);
        for (name, value, said) in [
            ("model", 0.1, "no such measure: model; there are outcomes, "),
            ("models", 1.1, "models must be 0 to 1, got 1.1"),
            (
                "latency_p50_ms",
                0.5,
                "latency_p50_ms must be 1 or more, got 0.5",
            ),
            ("failed", f64::NAN, "failed must be 0 to 1"),
        ] {
            let error = thresholds.set(name, value).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
