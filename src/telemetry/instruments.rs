//! What is counted of every span, exported or not.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};

use super::spans::key_value;
use crate::types::trace::{Attribute, Span, SpanKind};

/// The bounds that OpenTelemetry's semantic conventions advise.
const HTTP_SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const GEN_AI_SECONDS: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const GEN_AI_TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Attributes of spans that metrics have too: few values each.
const HTTP_LABELS: [&str; 5] = [
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "url.scheme",
    "error.type",
];
const GEN_AI_LABELS: [&str; 5] = [
    OPERATION,
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "error.type",
];
const OPERATION: &str = "gen_ai.operation.name";

/// Clients choose these values, so metrics tell only so many of them apart.
const MODEL_LABELS: [&str; 2] = ["gen_ai.request.model", "gen_ai.response.model"];
/// Models that metrics tell apart; as many as those of one key in `/metrics`.
const MAX_MODELS: usize = 100;
/// What the others are counted under.
const OTHER: &str = "other";

/// The names of models that answered.
#[derive(Default)]
struct Models(Mutex<BTreeSet<String>>);

impl Models {
    /// The name that a model is counted under. One that has never answered may be an invention.
    fn fold(&self, name: &str, answered: bool) -> String {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(name) {
            return name.to_owned();
        }
        if !answered || known.len() >= MAX_MODELS {
            return OTHER.to_owned();
        }
        known.insert(name.to_owned());
        name.to_owned()
    }
}

/// The histograms.
pub(super) struct Instruments {
    models: Models,
    http: Histogram<f64>,
    gen_ai: Histogram<f64>,
    tokens: Histogram<u64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        Self {
            models: Models::default(),
            http: meter
                .f64_histogram("http.server.request.duration")
                .with_description("Time until the head of the answer.")
                .with_unit("s")
                .with_boundaries(HTTP_SECONDS.to_vec())
                .build(),
            gen_ai: meter
                .f64_histogram("gen_ai.client.operation.duration")
                .with_description("Time of a chat or embedding request, with all its attempts.")
                .with_unit("s")
                .with_boundaries(GEN_AI_SECONDS.to_vec())
                .build(),
            tokens: meter
                .u64_histogram("gen_ai.client.token.usage")
                .with_description("Tokens of a chat or embedding request.")
                .with_unit("{token}")
                .with_boundaries(GEN_AI_TOKENS.to_vec())
                .build(),
        }
    }

    pub(super) fn count(&self, span: &Span) {
        let of = |name: &str| {
            let mut attributes = span.story.attributes.iter();
            attributes
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value)
        };
        let labels = |names: &[&'static str]| -> Vec<KeyValue> {
            let found = names
                .iter()
                .filter_map(|name| Some((*name, of(name)?.clone())));
            found.map(key_value).collect()
        };
        let seconds = span
            .end
            .duration_since(span.start)
            .unwrap_or_default()
            .as_secs_f64();
        if span.story.kind == SpanKind::Server {
            return self.http.record(seconds, &labels(&HTTP_LABELS));
        }
        if of(OPERATION).is_none() {
            return;
        }
        let mut labels = labels(&GEN_AI_LABELS);
        let answered = span.story.error.is_none();
        for label in &mut labels {
            if MODEL_LABELS.contains(&label.key.as_str()) {
                let name = self.models.fold(&label.value.as_str(), answered);
                label.value = name.into();
            }
        }
        self.gen_ai.record(seconds, &labels);
        for (name, kind) in [
            ("gen_ai.usage.input_tokens", "input"),
            ("gen_ai.usage.output_tokens", "output"),
        ] {
            if let Some(Attribute::Integer(tokens)) = of(name) {
                labels.push(KeyValue::new("gen_ai.token.type", kind));
                self.tokens
                    .record(u64::try_from(*tokens).unwrap_or_default(), &labels);
                labels.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_models_are_counted_as_one() {
        let models = Models::default();
        assert_eq!(models.fold("main", false), OTHER);
        assert_eq!(models.fold("main", true), "main");
        // From then on its failures are its own.
        assert_eq!(models.fold("main", false), "main");
        for number in 0..MAX_MODELS - 1 {
            let name = format!("m{number}");
            assert_eq!(models.fold(&name, true), name);
        }
        assert_eq!(models.fold("one more", true), OTHER);
        assert_eq!(models.fold("m0", true), "m0");
    }
}
