//! The schema against the manual, the defaults, and what the settings themselves refuse.

use jsonschema::Validator;
use serde_json::{Value, json};

use super::*;
use crate::config::load::DEFAULT;

/// Something under every name that users choose, and every key that has no default.
const SAMPLE: &str = r#"
[embedding.embedders.own]
kind = "ollama"
base_url = "http://127.0.0.1:11434"
model = "m"
dim = 3
max_tokens = 9
[chat.providers.up]
kind = "openai"
base_url = "http://127.0.0.1:8000/v1"
[chat.routes.main]
candidates = ["up/m"]
validation = { kinds = ["email", { kind = "json_schema", context = { schema = {} } }], on_fail = "reject", max_attempts = 2, max_tokens = 9, deadline_ms = 9 }
[chat.prices]
"up/*" = { input = 1, output = 2, cached_input = 0.5, cache_write = 0.5 }
[chat.budgets]
app = { usd = 5, period = "day" }
[validation.rules]
"fill.unknown_field" = "error"
email.pii = "off"
[validation.pipelines.outgoing]
stop_on = "fail"
steps = [{ kind = "secrets" }, { kind = "email", payload = "/mail", context = { max_body = 2000 } }]
[evidence]
retain_days = 365
retain_bytes = 107374182400
[supervisors.groups.engines]
strategy = "one_for_all"
intensity = 3
period_ms = 1000
backoff = { first_ms = 0, base_ms = 50, max_ms = 30000, jitter = "none", reset_after_ms = 60000 }
on_exhausted = "stop"
[supervisors.children.validation]
restart = "transient"
critical = true
workers = 2
inbox = 9
deadline_ms = 9
shutdown_ms = 9
quarantine_after = 9
max_zombies = 9
"#;

/// Keys whose values are bounded by others, or in pieces: their schema says what holds of all.
const BOUND_BY_OTHERS: [&str; 9] = [
    "embedding.cache_save_ms",
    "embedding.retry.base_ms",
    "embedding.retry.max_ms",
    "chat.retry.base_ms",
    "chat.retry.max_ms",
    "validation.fill.reload_ms",
    "evidence.segment_bytes",
    "evidence.retain_bytes",
    // Of a backoff: the greatest must not be below the others.
    "backoff",
];

fn validator() -> Validator {
    jsonschema::draft7::new(&schema()).unwrap()
}

fn of_toml(text: &str) -> Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

fn problems(settings: &Value) -> Vec<String> {
    let validator = validator();
    let errors = validator.iter_errors(settings);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// The defaults with the sample in them.
fn sample() -> Value {
    fn merge(into: &mut Value, from: &Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                for (name, value) in from {
                    merge(into.entry(name).or_insert(Value::Null), value);
                }
            }
            (into, from) => *into = from.clone(),
        }
    }
    let mut all = of_toml(DEFAULT);
    merge(&mut all, &of_toml(SAMPLE));
    all
}

/// Whether the settings themselves take it.
fn is_taken(settings: &Value) -> Result<(), String> {
    let settings = serde_json::from_value::<Settings>(settings.clone());
    let settings = settings.map_err(|error| error.to_string())?;
    settings.validate().map_err(|error| error.to_string())
}

/// Path and schema of each key that is no table of keys, where `value` has it or a table of it.
fn leaves(schema: &Value, value: &Value, path: &[String], found: &mut Vec<(Vec<String>, Value)>) {
    let below = |name: &String| [path, std::slice::from_ref(name)].concat();
    if let Some(members) = schema["properties"].as_object() {
        for (name, member) in members {
            leaves(member, &value[name], &below(name), found);
        }
    } else if schema["additionalProperties"].get("properties").is_some() {
        let named = value.as_object().into_iter().flatten();
        for (name, value) in named {
            leaves(&schema["additionalProperties"], value, &below(name), found);
        }
    } else {
        found.push((path.to_vec(), schema.clone()));
    }
}

#[test]
fn the_manual_and_a_file_of_everything_are_as_the_schema_says() {
    assert_eq!(problems(&of_toml(DEFAULT)), [""; 0]);
    assert_eq!(problems(&sample()), [""; 0]);
    assert_eq!(is_taken(&sample()), Ok(()));
}

#[test]
fn what_the_settings_refuse_is_marked_in_an_editor() {
    for text in [
        "htp = 1",
        "[http]\nprot = 1",
        "[http]\nport = \"many\"",
        "[http]\nport = 65536",
        "[http]\nmax_body_bytes = 1",
        "[log]\nformat = \"xml\"",
        "[chat.routes.main]\nprefer = \"luck\"",
        "[chat.routes.main.validation]\non_fail = \"reject\"",
        "[chat.providers.up]\nmax_concurrency = 0",
        "[chat.budgets]\napp = { usd = 5 }",
        "[supervisors.children.validation]\nworkers = 0",
        "[supervisors.defaults]\nstrategy = \"all_for_one\"",
        "[validation.rules]\nx = \"loud\"",
    ] {
        let value = of_toml(text);
        assert_ne!(problems(&value), [""; 0], "{text}");
        assert!(is_taken(&value).is_err(), "{text}");
    }
}

#[test]
fn defaults_are_those_of_the_manual() {
    let manual = of_toml(DEFAULT);
    let mut found = Vec::new();
    leaves(&schema(), &manual, &[], &mut found);
    assert!(found.len() > 120, "{}", found.len());
    for (path, schema) in found {
        let told = path.iter().fold(&manual, |value, name| &value[name]);
        let said = schema.get("default").unwrap_or(&Value::Null);
        // Nothing, an empty list and an empty table are not set.
        let empty = |value: &Value| match value {
            Value::Null => true,
            Value::Array(all) => all.is_empty(),
            Value::Object(all) => all.is_empty(),
            _ => false,
        };
        let named = path.join(".");
        if empty(told) {
            // What differs for a cell stands in the defaults of the table, not of its keys.
            let patch = named.starts_with("supervisors.groups.")
                || named.starts_with("supervisors.children.");
            assert!(empty(said) || patch, "{named}: {said} is not in the manual");
        } else if !empty(said) {
            let same = told == said
                || told
                    .as_f64()
                    .is_some_and(|told| said.as_f64() == Some(told));
            assert!(same, "{named}: the manual has {told}, the type {said}");
        } else {
            let table = path
                .iter()
                .rev()
                .skip(1)
                .any(|name| name == "groups" || name == "children");
            assert!(table, "{named}: the manual has {told}, the type nothing");
        }
    }
}

#[test]
fn the_manual_names_every_key_of_the_types() {
    let mut found = Vec::new();
    leaves(&schema(), &sample(), &[], &mut found);
    let word = |c: char| !(c.is_alphanumeric() || c == '_');
    for (path, _) in found {
        let (section, key) = (&path[0], &path[path.len() - 1]);
        let manual = manual_of(section);
        let named = manual.split(word).any(|found| found == key);
        assert!(named, "{} is not in the manual", path.join("."));
    }
}

/// What the manual says under a heading and those below it.
fn manual_of(section: &str) -> String {
    let mut inside = false;
    let mut text = String::new();
    for line in DEFAULT.lines() {
        if let Some(name) = line.strip_prefix('[') {
            let rest = name.trim_end_matches(']').strip_prefix(section);
            inside = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        }
        if inside {
            text.push_str(line);
            text.push('\n');
        }
    }
    assert!(!text.is_empty(), "[{section}] is not in the manual");
    text
}

#[test]
fn bounds_are_those_that_the_settings_keep() {
    let sample = sample();
    let mut found = Vec::new();
    leaves(&schema(), &sample, &[], &mut found);
    let mut seen = 0;
    for (path, schema) in found {
        let named = path.join(".");
        let apart = BOUND_BY_OTHERS
            .iter()
            .any(|known| named == *known || path.iter().any(|part| part == known));
        let step = match schema["type"].as_str() {
            Some("integer") => 1.0,
            Some("number") => 0.001,
            _ => continue,
        };
        if apart {
            continue;
        }
        seen += 1;
        let with = |number: f64| {
            let mut settings = sample.clone();
            let place = path
                .iter()
                .fold(&mut settings, |value, name| &mut value[name]);
            #[expect(clippy::cast_possible_truncation, reason = "whole numbers of 53 bits")]
            let whole = number as i64;
            *place = if step == 1.0 {
                json!(whole)
            } else {
                json!(number)
            };
            (is_taken(&settings), problems(&settings).is_empty())
        };
        let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
        // Where the schema has no bound, there is none.
        let far = f64::from(u32::MAX) * 16.0;
        for (number, good) in [
            (least.unwrap_or(-far), true),
            (least.unwrap_or(-far) - step, least.is_none()),
            (most.unwrap_or(far), true),
            (most.unwrap_or(far) + step, most.is_none()),
        ] {
            let (taken, fits) = with(number);
            assert_eq!(fits, good, "{named} = {number}: the schema");
            assert_eq!(taken.is_ok(), good, "{named} = {number}: {taken:?}");
        }
    }
    assert!(seen > 90, "{seen}");
}
