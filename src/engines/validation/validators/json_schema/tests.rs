use serde_json::{Value, json};

use super::*;

fn findings(payload: &Value, context: &Value) -> Vec<Finding> {
    let validator = JsonSchema {
        config: JsonSchemaConfig::default(),
    };
    validator.validate(payload, context)
}

/// Rule and path of each finding.
fn told(payload: &Value, context: &Value) -> String {
    let found = findings(payload, context);
    let found = found.iter().map(|one| {
        let rule = one.rule.strip_prefix("json_schema.").unwrap();
        format!("{rule}{}", one.path)
    });
    found.collect::<Vec<_>>().join(" ")
}

fn person() -> Value {
    json!({
        "type": "object", "required": ["name"], "additionalProperties": false,
        "properties": {
            "name": {"type": "string", "minLength": 2},
            "a/b": {"type": "integer"},
            "tags": {"type": "array", "items": {"enum": ["x", "y"]}},
        },
    })
}

#[test]
fn each_violation_has_its_place() {
    let context = json!({"schema": person()});
    for (payload, expected) in [
        (json!({"name": "Li"}), ""),
        (json!({"name": "L"}), "violation/name"),
        (json!({}), "violation"),
        (json!({"name": "Li", "a/b": "1"}), "violation/a~1b"),
        (
            json!({"name": "Li", "tags": ["x", "z", 3]}),
            "violation/tags/1 violation/tags/2",
        ),
        (json!({"name": "Li", "more": 1}), "violation"),
        (json!([]), "violation"),
        (json!(null), "violation"),
        // Texts are searched.
        (json!("{\"name\": \"Li\"}"), ""),
        (
            json!("Sure:\n```json\n{\"name\": \"L\"}\n```"),
            "violation/name",
        ),
        (json!("No idea."), "no_json"),
        (json!("{\"name\": "), "no_json"),
    ] {
        assert_eq!(told(&payload, &context), expected, "{payload}");
    }
}

#[test]
fn a_text_can_be_the_value_itself() {
    let schema = json!({"type": "string", "pattern": "^[A-Z]{3}$"});
    let context = json!({"schema": schema, "as": "value"});
    assert_eq!(told(&json!("ABC"), &context), "");
    assert_eq!(told(&json!("abc"), &context), "violation");
    assert_eq!(told(&json!("ABC"), &json!({"schema": schema})), "no_json");
}

#[test]
fn old_drafts_are_refused_wherever_a_schema_names_one() {
    for (name, draft) in [("draft-04", "4"), ("draft-06", "6")] {
        let says = format!("http://json-schema.org/{name}/schema#");
        let nested = json!({"properties": {"a": {"$id": "https://x.example/a", "$schema": says}}});
        for schema in [json!({"$schema": says}), nested] {
            let findings = findings(&json!({}), &json!({ "schema": schema }));
            let message = format!("names draft {draft}: write");
            assert_eq!(findings[0].rule, "json_schema.schema", "{schema}");
            assert!(findings[0].message.contains(&message), "{findings:?}");
        }
    }
    let newer = json!({"schema": {"$schema": "http://json-schema.org/draft-07/schema#"}});
    assert_eq!(findings(&json!({}), &newer), []);
}

#[test]
fn drafts_differ() {
    let tuple = json!({"items": [{"type": "string"}], "additionalItems": false});
    let prefix = json!({"prefixItems": [{"type": "string"}], "items": false});
    let unevaluated =
        json!({"allOf": [{"properties": {"a": true}}], "unevaluatedProperties": false});
    for (schema, draft, payload, expected) in [
        (&tuple, "7", json!(["a"]), ""),
        (&tuple, "7", json!(["a", 1]), "violation"),
        (&tuple, "2019-09", json!([1]), "violation/0"),
        (&tuple, "2020-12", json!(["a"]), "schema"),
        (&prefix, "2020-12", json!(["a", 1]), "violation/1"),
        (&prefix, "7", json!(["a", 1]), "violation/0 violation/1"),
        (&unevaluated, "2019-09", json!({"b": 1}), "violation"),
        (&unevaluated, "7", json!({"b": 1}), ""),
    ] {
        let context = json!({"schema": schema, "draft": draft});
        assert_eq!(
            told(&payload, &context),
            expected,
            "{draft} {schema} {payload}"
        );
    }
    let says = json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]});
    assert_eq!(told(&json!([1]), &json!({"schema": says})), "violation/0");
}

#[test]
fn contexts_and_schemas_that_are_no_good_are_told() {
    for (context, rule, expected) in [
        (json!({}), "context", "context.schema is missing"),
        (json!(null), "context", "context.schema is missing"),
        (json!([]), "context", "context must be an object"),
        (
            json!({"schema": 3}),
            "context",
            "must be an object or a boolean, is a number",
        ),
        (
            json!({"schema": {}, "draft": "5"}),
            "context",
            "use 7, 2019-09 or 2020-12",
        ),
        (
            json!({"schema": {}, "sckema": {}}),
            "context",
            "unknown field",
        ),
        (
            json!({"schema": {"type": "objekt"}}),
            "schema",
            "cannot be used at /type",
        ),
        (
            json!({"schema": {"pattern": "("}}),
            "schema",
            "cannot be used at /pattern",
        ),
        (
            json!({"schema": {"pattern": "(?=a)b"}}),
            "schema",
            "cannot be used at /pattern",
        ),
        (
            json!({"schema": {"pattern": "((a{100}){100}){100}"}}),
            "schema",
            "cannot be used",
        ),
        (
            json!({"schema": {"$ref": "#/$defs/none"}}),
            "schema",
            "cannot be used",
        ),
        (
            json!({"schema": {"$ref": "http://h/s.json"}}),
            "schema",
            "names another document",
        ),
        (
            json!({"schema": {"$ref": "file:///etc/passwd"}}),
            "schema",
            "names another document",
        ),
        (
            json!({"schema": {"$schema": "http://x/y"}}),
            "schema",
            "cannot be used",
        ),
        (
            json!({"schema": {"$ref": "#"}}),
            "schema",
            "refers to itself",
        ),
        (
            json!({"schema": {"$ref": "#/$defs/a", "$defs": {
                "a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}}}),
            "schema",
            "refers to itself",
        ),
        (
            json!({"schema": {"$dynamicAnchor": "n", "allOf": [{"$dynamicRef": "#n"}]}}),
            "schema",
            "refers to itself",
        ),
    ] {
        let found = findings(&json!({"a": "b"}), &context);
        let text = found.first().map_or("", |one| &one.message);
        assert_eq!(
            told(&json!({"a": "b"}), &context).split(' ').next(),
            Some(rule),
            "{context}: {text}"
        );
        assert!(text.contains(expected), "{context}: {text}");
    }
}

#[test]
fn references_within_the_schema_are_followed() {
    let tree = json!({"$ref": "#/$defs/node", "$defs": {"node": {
        "type": "object", "required": ["v"],
        "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/$defs/node"}}}}});
    let mut list = json!({"v": 1});
    for _ in 0..60 {
        list = json!({"v": 1, "next": list});
    }
    assert_eq!(told(&list, &json!({"schema": tree})), "");
    assert_eq!(
        told(
            &json!({"v": 1, "next": {"v": "x"}}),
            &json!({"schema": tree})
        ),
        "violation/next/v"
    );
    let anchored = json!({"$ref": "#here", "$defs": {"a": {"$anchor": "here", "type": "integer"}}});
    assert_eq!(told(&json!(1), &json!({"schema": anchored})), "");
    let bundled = json!({"$id": "http://h/root.json", "$ref": "part.json",
        "$defs": {"p": {"$id": "part.json", "type": "integer"}}});
    assert_eq!(
        told(&json!("x"), &json!({"schema": bundled, "as": "value"})),
        "violation"
    );
}

#[test]
fn hostile_schemas_cost_a_finding_and_no_more() {
    let doubling = |keyword: &str| {
        let mut defs = serde_json::Map::new();
        for level in 0..40 {
            let next = json!({"$ref": format!("#/$defs/a{}", level + 1)});
            defs.insert(format!("a{level}"), json!({keyword: [next, next]}));
        }
        defs.insert("a40".to_owned(), json!({"type": "string"}));
        json!({"$defs": defs, "$ref": "#/$defs/a0"})
    };
    let chain = |links: usize| {
        let mut defs = serde_json::Map::new();
        for link in 0..links {
            let next = json!({"$ref": format!("#/$defs/a{}", link + 1)});
            defs.insert(format!("a{link}"), json!({"oneOf": [next, false]}));
        }
        defs.insert(format!("a{links}"), json!({"type": "string"}));
        json!({"$defs": defs, "$ref": "#/$defs/a0"})
    };
    let mut unevaluated = json!({"type": "object"});
    for _ in 0..40 {
        unevaluated = json!({"allOf": [unevaluated], "unevaluatedProperties": false});
    }
    let mut deep = json!({});
    for _ in 0..300 {
        deep = json!({"not": deep});
    }
    let wide = json!({"enum": (0..30_000).collect::<Vec<_>>()});
    let recursive = json!({"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]});
    let mut nested = json!(1);
    for _ in 0..60 {
        nested = json!({"a": nested});
    }
    for (schema, payload, rule) in [
        (doubling("allOf"), json!(3), "too_complex"),
        (doubling("oneOf"), json!(3), "too_complex"),
        (chain(1_500), json!(3), "too_complex"),
        (chain(2_500), json!(3), "schema"),
        (unevaluated, json!({"a": 1}), "too_complex"),
        (deep, json!(3), "schema"),
        (wide, json!(3), "schema"),
        (recursive, nested, "too_complex"),
    ] {
        assert_eq!(
            told(&payload, &json!({"schema": schema})),
            rule,
            "{:.80}",
            schema.to_string()
        );
    }
    // A pattern that backtracking engines hang on.
    let slow = json!({"schema": {"pattern": "^(a+)+$"}, "as": "value"});
    assert_eq!(
        told(&json!(format!("{}!", "a".repeat(10_000))), &slow),
        "violation"
    );
}

#[test]
fn many_violations_are_cut_and_values_are_not_repeated() {
    let payload = json!(vec!["4111 1111 1111 1111"; 500]);
    let found = findings(&payload, &json!({"schema": {"items": {"type": "integer"}}}));
    assert_eq!(found.len(), 101);
    assert_eq!(found[100].rule, "json_schema.cut");
    assert!(
        found.iter().all(|one| !one.message.contains("4111")),
        "{:?}",
        found[0]
    );
    let key = "4111 1111 1111 1111";
    let schema = json!({"schema": {"additionalProperties": {"type": "integer"}}});
    let found = findings(&json!({key: "x"}), &schema);
    assert_eq!((found[0].path.as_str(), found.len()), ("", 1));
    let found = findings(
        &json!({key: 1}),
        &json!({"schema": {"additionalProperties": false}}),
    );
    assert!(!found[0].message.contains("4111"), "{:?}", found[0]);
}
