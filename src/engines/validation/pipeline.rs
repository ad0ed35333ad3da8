//! Several validators in order, with one verdict.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::fields::{Fields, kind_of};
use super::rule::Rule;
use super::shown::quoted;
use crate::types::plain::plain;
use crate::types::validation::{Finding, Report, Verdict};

/// The kind whose steps come with the request.
pub(super) const KIND: &str = "pipeline";
/// Most steps.
const MAX_STEPS: usize = 20;
/// Longest JSON Pointer of a step, bytes.
const MAX_POINTER: usize = 1_000;

const CONTEXT: Rule = Rule::critical(
    "pipeline.context",
    "The context is as the schema says, so that the steps can be run.",
);
const UNKNOWN_KIND: Rule = Rule::critical(
    "pipeline.unknown_kind",
    "Each step names a validator, and none a pipeline.",
);
const MISSING: Rule = Rule::critical(
    "pipeline.missing",
    "Each step finds what it judges in the payload.",
);
const STOPPED: Rule = Rule::warning("pipeline.stopped", "All steps are run.");

/// The rules of every pipeline, beside those of its steps.
pub(super) const RULES: &[Rule] = &[CONTEXT, UNKNOWN_KIND, MISSING, STOPPED];

/// `[validation.pipelines.NAME]`, and the context of the kind `pipeline`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PipelineConfig {
    /// When the steps that are left are not run. Default never.
    #[serde(default)]
    pub stop_on: StopOn,
    /// What is run, in order; 1 to 20.
    #[cfg_attr(feature = "server", schemars(length(min = 1, max = 20)))]
    pub steps: Vec<Step>,
}

/// The verdict of a step after which no other is run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StopOn {
    /// All steps are run.
    #[default]
    Never,
    /// `fail`.
    Fail,
    /// `repairable` or `fail`.
    Repairable,
}

/// One validator of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Which validator; not a pipeline.
    pub kind: String,
    /// JSON Pointer to what it judges. Default empty: the whole payload.
    #[serde(default)]
    pub payload: String,
    /// What is known about the task. Default empty.
    #[serde(default)]
    pub context: Map<String, Value>,
}

/// Refuses names and steps that cannot be run, whatever validators there are.
pub(super) fn validate(name: &str, config: &PipelineConfig) -> Result<(), String> {
    super::registry::name(name)?;
    check(config)
}

fn check(config: &PipelineConfig) -> Result<(), String> {
    let count = config.steps.len();
    if !(1..=MAX_STEPS).contains(&count) {
        return Err(format!("steps has {count} items: use 1 to {MAX_STEPS}"));
    }
    for (at, step) in config.steps.iter().enumerate() {
        let pointer = &step.payload;
        let whole = pointer.is_empty();
        if pointer.len() > MAX_POINTER || !(whole || pointer.starts_with('/')) {
            let pointer = quoted(pointer);
            return Err(format!(
                "steps[{at}].payload is {pointer}: use a JSON Pointer such as /mail, or leave it out for the whole"
            ));
        }
    }
    Ok(())
}

/// Reads the context of the kind `pipeline`.
pub(super) fn of_context(context: &Value) -> Result<PipelineConfig, Finding> {
    let wrong = |said: String| CONTEXT.finding("", format!("context: {said}"));
    if !context.is_object() {
        return Err(wrong(format!(
            "must be an object with steps, is {}",
            kind_of(context)
        )));
    }
    let config = PipelineConfig::deserialize(context);
    // What serde says may repeat a value.
    let config = config.map_err(|error| wrong(quoted(&plain(&error.to_string()))))?;
    check(&config).map_err(wrong)?;
    Ok(config)
}

/// Runs the steps. `judge` gives a validator's findings, or none for a kind that no step can have.
pub(super) fn run(
    config: &PipelineConfig,
    payload: &Value,
    judge: impl Fn(&str, &Value, &Value) -> Option<Vec<Finding>>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, step) in config.steps.iter().enumerate() {
        let found = judged(at, step, payload, &judge);
        let verdict = Report::new(found.clone()).verdict;
        findings.extend(found);
        let stops = match config.stop_on {
            StopOn::Never => false,
            StopOn::Fail => verdict == Verdict::Fail,
            StopOn::Repairable => verdict != Verdict::Pass,
        };
        let left = config.steps.len() - at - 1;
        if stops && left > 0 {
            let message = format!(
                "{left} of {} steps not run, since step {} ({}) found errors",
                config.steps.len(),
                at + 1,
                quoted(&step.kind)
            );
            findings.push(STOPPED.finding("", message));
            break;
        }
    }
    findings
}

fn judged(
    at: usize,
    step: &Step,
    payload: &Value,
    judge: impl Fn(&str, &Value, &Value) -> Option<Vec<Finding>>,
) -> Vec<Finding> {
    let Some(part) = payload.pointer(&step.payload) else {
        let pointer = quoted(&step.payload);
        let message = format!("there is nothing at {pointer} for step {}", at + 1);
        return vec![MISSING.finding("", message)];
    };
    let context = Value::Object(step.context.clone());
    let Some(mut found) = judge(&step.kind, part, &context) else {
        let kind = quoted(&step.kind);
        let message = format!("step {} names {kind}, which no step can run", at + 1);
        return vec![UNKNOWN_KIND.finding("", message)];
    };
    for finding in &mut found {
        finding.path.insert_str(0, &step.payload);
    }
    found
}

/// Gives the steps of a named pipeline what a request knows: an object of contexts by the kinds of the steps.
/// What the settings say of a step wins.
pub(super) fn with_contexts(
    config: &PipelineConfig,
    context: &Value,
    findings: &mut Vec<Finding>,
) -> PipelineConfig {
    let mut config = config.clone();
    let kinds: Vec<String> = config.steps.iter().map(|step| step.kind.clone()).collect();
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let mut fields = Fields::of_context(context, CONTEXT, findings);
    fields.only(&kinds, CONTEXT, Some(CONTEXT));
    for step in &mut config.steps {
        match fields.get(&step.kind) {
            None => {}
            Some(Value::Object(known)) => {
                let mut known = known.clone();
                known.append(&mut step.context);
                step.context = known;
            }
            Some(other) => {
                let said = format!("must be an object, is {}", kind_of(other));
                fields.wrong(&step.kind, &said);
            }
        }
    }
    config
}

/// The schema of the kind `pipeline`.
pub(super) fn schema<'k>(kinds: impl Iterator<Item = &'k str>) -> Value {
    let kinds: Vec<&str> = kinds.collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["payload", "context"],
        "properties": {
            "payload": {"description": "any JSON"},
            "context": {
                "type": "object",
                "required": ["steps"],
                "properties": {
                    "steps": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MAX_STEPS,
                        "items": {
                            "type": "object",
                            "required": ["kind"],
                            "properties": {
                                "kind": {"enum": kinds},
                                "payload": {"type": "string", "description": "JSON Pointer to what it judges; default the whole"},
                                "context": {"type": "object"},
                            },
                            "additionalProperties": false,
                        },
                    },
                    "stop_on": {"enum": ["never", "fail", "repairable"], "default": "never"},
                },
                "additionalProperties": false,
            },
        },
    })
}

/// The schema of a named pipeline; `contexts` are those of its steps' validators.
pub(super) fn named_schema(contexts: Map<String, Value>) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["payload"],
        "properties": {
            "payload": {"description": "what holds the parts that the steps judge"},
            "context": {
                "type": "object",
                "description": "the context of each step, by its kind",
                "properties": contexts,
                "additionalProperties": false,
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::validation::{DEMO_ROSTER, Roster, ValidationConfig, Validators};

    fn validators(settings: &str) -> Result<Validators, String> {
        let config: ValidationConfig = toml::from_str(settings).unwrap();
        let roster = Roster::parse_csv(DEMO_ROSTER).unwrap();
        Validators::new(&config, roster).map_err(|error| error.to_string())
    }

    fn rules(report: &Report) -> Vec<(&str, &str)> {
        let findings = report.findings.iter();
        findings
            .map(|one| (one.rule.as_str(), one.path.as_str()))
            .collect()
    }

    fn mail(body: &str) -> Value {
        json!({"to": "a@b.example", "subject": "s", "body": body})
    }

    fn bad_and_good() -> Value {
        let fills = json!({"fills": [{"worker_id": "W-9999", "name": "Nobody Known"}]});
        json!({"parts": {"a/b": fills, "mail": mail("Hello {{name}}")}})
    }

    #[test]
    fn paths_are_of_the_whole_payload_and_the_worst_decides() {
        let context = json!({"steps": [
            {"kind": "email", "payload": "/parts/mail"},
            {"kind": "fill", "payload": "/parts/a~1b", "context": {"target_count": 1}},
        ]});
        let validators = validators("").unwrap();
        let report = validators.run(KIND, &bad_and_good(), &context).unwrap();
        assert_eq!(report.verdict, Verdict::Fail);
        assert_eq!(
            rules(&report),
            [
                ("email.placeholder", "/parts/mail/body"),
                ("fill.worker_unknown", "/parts/a~1b/fills/0/worker_id"),
            ]
        );
    }

    #[test]
    fn it_stops_where_it_is_told_to_and_says_so() {
        let run = |stop_on: &str, settings: &str| {
            let context = json!({"stop_on": stop_on, "steps": [
                {"kind": "email", "payload": "/parts/mail"},
                {"kind": "fill", "payload": "/parts/a~1b"},
            ]});
            let validators = validators(settings).unwrap();
            let report = validators.run(KIND, &bad_and_good(), &context).unwrap();
            let second = report.findings.get(1).map(|one| one.rule.clone());
            second.unwrap_or_default()
        };
        assert_eq!(run("repairable", ""), "pipeline.stopped");
        assert_eq!(run("fail", ""), "fill.worker_unknown");
        // The policy's severity is what stops.
        let critical = "[rules.email]\nplaceholder = 'critical'";
        assert_eq!(run("fail", critical), "pipeline.stopped");
    }

    #[test]
    fn steps_that_cannot_run_are_findings() {
        let validators = validators("").unwrap();
        let too_many = vec![json!({"kind": "email"}); 21];
        for (context, rule) in [
            (json!(null), "pipeline.context"),
            (json!({}), "pipeline.context"),
            (json!({"steps": []}), "pipeline.context"),
            (json!({"steps": too_many}), "pipeline.context"),
            (
                json!({"steps": [{"kind": "email", "payload": "mail"}]}),
                "pipeline.context",
            ),
            (
                json!({"steps": [{"kind": "email"}], "stop": 1}),
                "pipeline.context",
            ),
            (
                json!({"steps": [{"kind": "pipeline", "context": {"steps": []}}]}),
                "pipeline.unknown_kind",
            ),
            (
                json!({"steps": [{"kind": "poem"}]}),
                "pipeline.unknown_kind",
            ),
            (
                json!({"steps": [{"kind": "email", "payload": "/none"}]}),
                "pipeline.missing",
            ),
        ] {
            let report = validators.run(KIND, &json!({}), &context).unwrap();
            assert_eq!(rules(&report), [(rule, "")], "{context}");
            assert_eq!(report.verdict, Verdict::Fail);
        }
    }

    const NAMED: &str = "[pipelines.outgoing]\nsteps = [{ kind = 'email', payload = '/mail', context = { max_body = 3 } }, { kind = 'secrets' }]";

    #[test]
    fn a_named_pipeline_is_a_kind_and_takes_contexts_by_the_kinds_of_its_steps() {
        let validators = validators(NAMED).unwrap();
        let run = |context: Value| {
            let payload = json!({"mail": mail("Dear Ann")});
            validators.run("outgoing", &payload, &context).unwrap()
        };
        assert_eq!(rules(&run(json!({}))), [("email.body_long", "/mail/body")]);
        // What the settings say wins over what the request says.
        let widened = run(json!({"email": {"max_body": 100, "worker_id": "W-1001"}}));
        assert_eq!(
            rules(&widened),
            [
                ("email.body_long", "/mail/body"),
                ("email.name_mismatch", "/mail/body")
            ]
        );
        let misspelt = run(json!({"emial": {}}));
        assert_eq!(misspelt.findings[0].rule, "pipeline.context");
        let described = validators.describe();
        let listed = described.as_array().unwrap();
        let entry = listed
            .iter()
            .find(|entry| entry["name"] == "outgoing")
            .unwrap();
        assert!(entry["schema"]["properties"]["context"]["properties"]["email"].is_object());
        let ids: Vec<&str> = entry["rules"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|rule| rule["id"].as_str())
            .collect();
        assert!(ids.contains(&"email.pii") && ids.contains(&"pipeline.stopped"));
    }

    #[test]
    fn bad_pipelines_are_refused_at_the_start() {
        for (settings, expected) in [
            ("[pipelines.a]\nsteps = []", "pipelines.a: steps has 0"),
            (
                "[pipelines.email]\nsteps = [{kind='fill'}]",
                "email is taken",
            ),
            (
                "[pipelines.'A b']\nsteps = [{kind='fill'}]",
                "use small letters",
            ),
            (
                "[pipelines.a]\nsteps = [{kind='emial'}]",
                "did you mean email?",
            ),
            (
                "[pipelines.a]\nsteps = [{kind='b'}]\n[pipelines.b]\nsteps = [{kind='a'}]",
                "is a pipeline",
            ),
            (
                "[pipelines.a]\nsteps = [{kind='email', payload='x'}]",
                "JSON Pointer",
            ),
        ] {
            let said = validators(settings).err().unwrap();
            assert!(said.contains(expected), "{settings}: {said}");
        }
    }
}
