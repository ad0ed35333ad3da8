//! What a chat answer must hold before it counts.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::validation::{Finding, Verdict};

/// Validators that judge an answer, and what follows when it does not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// Who judges: names, or objects with `kind`, `context` and `extract`.
    #[cfg_attr(feature = "server", schema(value_type = Vec<Written>, min_items = 1, max_items = 16))]
    #[cfg_attr(feature = "server", schemars(with = "Vec<Written>"))]
    pub kinds: Vec<KindDemand>,
    /// What follows when one of them finds something: `annotate`, `reject` or `iterate`. Default
    /// `annotate`; `POST /v1/iterate` always iterates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_fail: Option<OnFail>,
    /// Most answers that are asked for, where it iterates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1))]
    pub max_attempts: Option<u32>,
    /// Tokens after which no further answer is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1))]
    pub max_tokens: Option<u64>,
    /// When the attempt under way is given up, milliseconds from the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(minimum = 1))]
    pub deadline_ms: Option<u64>,
}

/// What follows when an answer does not pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnFail {
    /// The answer goes out with what was found.
    #[default]
    Annotate,
    /// No answer goes out.
    Reject,
    /// The model is told and asked again; what does not pass in the end is rejected.
    Iterate,
}

/// One validator, with what it is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct KindDemand {
    /// Its name.
    pub kind: String,
    /// What is known about the task.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub context: Map<String, Value>,
    /// What of the answer is its payload: `text`, `json`, `passages`, or a JSON Pointer into the JSON
    /// of the answer. Default: by the payload that the validator describes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extract: Option<String>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = ValidatorDemand))]
#[serde(
    untagged,
    expecting = "validation.kinds must hold names, or objects with kind, context and extract"
)]
enum Written {
    Name(String),
    Whole(Whole),
}

#[derive(Deserialize)]
#[cfg_attr(feature = "server", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema), schema(as = ValidatorWithContext))]
#[serde(deny_unknown_fields)]
struct Whole {
    kind: String,
    #[serde(default)]
    context: Map<String, Value>,
    #[serde(default)]
    extract: Option<String>,
}

impl From<Written> for KindDemand {
    fn from(written: Written) -> Self {
        match written {
            Written::Name(kind) => Self {
                kind,
                context: Map::new(),
                extract: None,
            },
            Written::Whole(whole) => Self {
                kind: whole.kind,
                context: whole.context,
                extract: whole.extract,
            },
        }
    }
}

/// What the validators said of one answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Judgement {
    /// The worst of them.
    pub verdict: Verdict,
    /// Of all, in the order of the demand.
    pub findings: Vec<Finding>,
    /// How many answers were asked for, where it iterated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_names_or_objects() {
        let text = r#"{"kinds": ["email", {"kind": "json_schema", "context": {"schema": {}},
            "extract": "/a"}], "on_fail": "iterate"}"#;
        let demand: Demand = serde_json::from_str(text).unwrap();
        assert_eq!(demand.kinds[0].kind, "email");
        assert_eq!(demand.kinds[1].extract.as_deref(), Some("/a"));
        assert_eq!(demand.on_fail, Some(OnFail::Iterate));
        for (text, expected) in [
            (r#"{"kinds": [3]}"#, "must hold names, or objects"),
            (
                r#"{"kinds": [{"kin": "x"}]}"#,
                "must hold names, or objects",
            ),
            (r#"{"kinds": [], "on_fail": "shout"}"#, "unknown variant"),
            (
                r#"{"kinds": [], "attempts": 3}"#,
                "unknown field `attempts`",
            ),
            (r#"{"on_fail": "reject"}"#, "missing field `kinds`"),
        ] {
            let error = serde_json::from_str::<Demand>(text)
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
