//! JSON Schemas of what the journal holds, for whoever reads or writes it in another language. They are made of the types
//! by `just schemas`.

/// File name and text of each schema, from `config/schemas/`.
pub static SCHEMAS: &[(&str, &str)] = &[
    (
        "evidence-record.v1.json",
        include_str!("../../../config/schemas/evidence-record.v1.json"),
    ),
    (
        "evidence-record.v2.json",
        include_str!("../../../config/schemas/evidence-record.v2.json"),
    ),
    (
        "chat.v1.json",
        include_str!("../../../config/schemas/chat.v1.json"),
    ),
    (
        "search.v1.json",
        include_str!("../../../config/schemas/search.v1.json"),
    ),
    (
        "search.v2.json",
        include_str!("../../../config/schemas/search.v2.json"),
    ),
    (
        "validation.v1.json",
        include_str!("../../../config/schemas/validation.v1.json"),
    ),
    (
        "validation.v2.json",
        include_str!("../../../config/schemas/validation.v2.json"),
    ),
    (
        "feedback.v1.json",
        include_str!("../../../config/schemas/feedback.v1.json"),
    ),
    (
        "feedback.v2.json",
        include_str!("../../../config/schemas/feedback.v2.json"),
    ),
    (
        "erasure.v1.json",
        include_str!("../../../config/schemas/erasure.v1.json"),
    ),
    (
        "retention.v1.json",
        include_str!("../../../config/schemas/retention.v1.json"),
    ),
];

#[cfg(test)]
mod generated;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde::Serialize;
    use serde_json::{Value, json};

    use super::super::fixture;
    use super::*;
    use crate::types::evidence::{
        AttemptEvidence, Erased, ErasureEvidence, EvidenceRecord, FeedbackEvidence, FrameEvidence,
        HitEvidence, ImportedEvidence, ImportedScore, Kind, Rating, RetentionEvidence,
        SCHEMA_VERSION, SearchEvidence, TokenUsage,
    };
    use crate::types::validation::{Finding, Severity, Verdict};

    /// The file of a shape: records have a version of their own.
    fn file(name: &str) -> String {
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let version = kind.map_or(SCHEMA_VERSION, Kind::body_version);
        format!("{name}.v{version}.json")
    }

    fn schema(name: &str) -> Value {
        let name = file(name);
        let text = SCHEMAS.iter().find(|schema| schema.0 == name).unwrap().1;
        serde_json::from_str(text).unwrap()
    }

    fn names(value: &Value) -> BTreeSet<String> {
        match value {
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().unwrap().to_owned())
                .collect(),
            other => other.as_object().unwrap().keys().cloned().collect(),
        }
    }

    fn type_name(value: &Value) -> &'static str {
        match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }

    /// Checks a value that has every member (`full`) or only those that are always written.
    fn check(schema: &Value, value: &Value, full: bool, path: &str) {
        let found = type_name(value);
        let types = match &schema["type"] {
            Value::Null => return,
            Value::String(one) => vec![one.as_str()],
            many => many
                .as_array()
                .unwrap()
                .iter()
                .filter_map(Value::as_str)
                .collect(),
        };
        let fits = types.contains(&found) || (found == "integer" && types.contains(&"number"));
        assert!(fits, "{path}: {found} is not {types:?}");
        if let Some(allowed) = schema["enum"].as_array() {
            assert!(
                allowed.contains(value),
                "{path}: {value} is not in {allowed:?}"
            );
        }
        match value {
            Value::Object(members) if schema.get("properties").is_some() => {
                assert_eq!(schema["additionalProperties"], false, "{path}");
                let declared = &schema[if full { "properties" } else { "required" }];
                assert_eq!(names(value), names(declared), "{path}");
                for (name, member) in members {
                    let path = format!("{path}/{name}");
                    check(&schema["properties"][name], member, full, &path);
                }
            }
            Value::Array(items) => {
                for item in items {
                    check(&schema["items"], item, full, &format!("{path}/-"));
                }
            }
            _ => {}
        }
    }

    fn both(name: &str, full: &impl Serialize, least: &impl Serialize) {
        let schema = schema(name);
        assert!(schema["$id"].as_str().unwrap().ends_with(&file(name)));
        check(&schema, &serde_json::to_value(full).unwrap(), true, name);
        check(&schema, &serde_json::to_value(least).unwrap(), false, name);
    }

    #[test]
    fn chat_is_as_its_schema_says() {
        let least = fixture::chat("q", "a");
        let mut full = least.clone();
        full.tools = vec![json!({})];
        full.tool_calls = vec![json!({})];
        full.passages = vec![fixture::passage("p", true)];
        full.usage = Some(TokenUsage {
            prompt_tokens: 1,
            completion_tokens: 2,
            cached_tokens: 1,
            cache_write_tokens: 1,
        });
        full.cost_usd = Some(0.5);
        full.key = Some("k".to_owned());
        full.cache = Some("hit".to_owned());
        full.attempts = vec![AttemptEvidence {
            candidate: "a/b".to_owned(),
            outcome: "ok".to_owned(),
            latency_ms: 3,
        }];
        full.error = Some("e".to_owned());
        full.user = Some("u".to_owned());
        full.replay = Some("small".to_owned());
        full.repairs = Some("chatcmpl-1".to_owned());
        full.imported = Some(ImportedEvidence {
            source: "s".to_owned(),
            id: "i".to_owned(),
            ts: Some(1),
            tags: vec!["t".to_owned()],
            scores: vec![ImportedScore {
                name: "n".to_owned(),
                value: Some(0.5),
                label: Some("l".to_owned()),
            }],
        });
        both("chat", &full, &least);
    }

    #[test]
    fn search_is_as_its_schema_says() {
        let search = |hits, key| SearchEvidence {
            request_id: "r".to_owned(),
            collection: "c".to_owned(),
            query: "q".to_owned(),
            mode: "dense".to_owned(),
            k: 3,
            hits,
            latency_ms: 4,
            key,
        };
        let hit = HitEvidence {
            id: "p".to_owned(),
            score: 0.5,
        };
        let full = search(vec![hit], Some("k".to_owned()));
        both("search", &full, &search(Vec::new(), None));
    }

    #[test]
    fn validation_is_as_its_schema_says() {
        let mut full = fixture::validation("t", Verdict::Repairable);
        let mut least = full.clone();
        least.target = None;
        full.key = Some("k".to_owned());
        let severities = [Severity::Warning, Severity::Error, Severity::Critical];
        full.findings = severities
            .map(|severity| Finding {
                rule: "r".to_owned(),
                severity,
                path: "/p".to_owned(),
                message: "m".to_owned(),
                suggestion: Some("s".to_owned()),
            })
            .into();
        least.findings = full
            .findings
            .iter()
            .map(|one| Finding {
                suggestion: None,
                ..one.clone()
            })
            .collect();
        both("validation", &full, &least);
        for verdict in [Verdict::Pass, Verdict::Fail] {
            let mut one = fixture::validation("t", verdict);
            one.key = Some("k".to_owned());
            both(
                "validation",
                &one,
                &crate::types::evidence::ValidationEvidence {
                    target: None,
                    key: None,
                    ..one.clone()
                },
            );
        }
    }

    #[test]
    fn feedback_is_as_its_schema_says() {
        for rating in [
            Rating::Accepted,
            Rating::PartiallyAccepted,
            Rating::Rejected,
        ] {
            let least = fixture::feedback("t", rating);
            let full = FeedbackEvidence {
                score: Some(0.5),
                comment: Some("c".to_owned()),
                edited_answer: Some("e".to_owned()),
                user: Some("u".to_owned()),
                review: true,
                imported: Some("s".to_owned()),
                key: Some("k".to_owned()),
                ..least.clone()
            };
            both("feedback", &full, &least);
        }
    }

    #[test]
    fn what_was_done_to_the_journal_is_as_its_schema_says() {
        for by in ["id", "seq", "key", "user"] {
            let least = ErasureEvidence {
                reason: "r".to_owned(),
                by: by.to_owned(),
                records: vec![(1, 2)],
                frames: Vec::new(),
            };
            let frames = vec![FrameEvidence {
                seq: 1,
                digest: "0".repeat(64),
            }];
            let full = ErasureEvidence {
                frames,
                ..least.clone()
            };
            both("erasure", &full, &least);
        }
        for reason in ["retain_days", "retain_bytes"] {
            let removed = RetentionEvidence {
                reason: reason.to_owned(),
                first: 1,
                last: 2,
                last_hash: "0".repeat(64),
                files: 1,
                bytes: 9,
            };
            both("retention", &removed, &removed);
        }
    }

    #[test]
    fn records_are_as_their_schema_says() {
        for kind in Kind::ALL {
            let least = EvidenceRecord {
                seq: 1,
                ts: 2,
                schema: SCHEMA_VERSION,
                kind,
                id: "i".to_owned(),
                body: Value::Null,
                content: Some("0".repeat(64)),
                salt: None,
                erased: None,
                prev: "0".repeat(64),
                hash: "0".repeat(64),
            };
            // No record has both.
            let full = EvidenceRecord {
                body: json!({}),
                salt: Some("0".repeat(32)),
                erased: Some(Erased {
                    at: 1,
                    by: 2,
                    reason: "r".to_owned(),
                }),
                ..least.clone()
            };
            both("evidence-record", &full, &least);
            assert_eq!(
                schema("evidence-record")["properties"]["schema"]["const"],
                SCHEMA_VERSION
            );
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        let known = SCHEMAS.iter().map(|(name, _)| *name);
        assert!(
            known.clone().any(|name| name == "evidence-record.v1.json"),
            "old journals are read"
        );
        for kind in Kind::ALL {
            assert!(known.clone().any(|name| name == file(kind.name())));
        }
    }

    #[test]
    fn records_of_an_old_journal_are_as_the_old_schema_says() {
        let text = SCHEMAS
            .iter()
            .find(|(name, _)| *name == "evidence-record.v1.json");
        let old: Value = serde_json::from_str(text.unwrap().1).unwrap();
        let journal = include_str!("../../../tests/data/evidence-v1/evidence-00000001.jsonl");
        for line in journal.lines() {
            check(&old, &serde_json::from_str(line).unwrap(), true, "old");
        }
    }
}
