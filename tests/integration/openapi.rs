//! The description of the API against the running server.

use std::collections::{BTreeMap, BTreeSet};

use boathouse::types::http::Method;
use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::harness::{Answer, Api, serve};

const EXAMPLES: &str = include_str!("../../src/api/openapi/examples.json");

/// An operation of the document.
struct Operation {
    method: Method,
    path: String,
    described: Value,
}

fn method(name: &str) -> Method {
    match name {
        "get" => Method::Get,
        "put" => Method::Put,
        "post" => Method::Post,
        "delete" => Method::Delete,
        other => panic!("no test sends {other}"),
    }
}

fn operations(document: &Value) -> BTreeMap<String, Operation> {
    let mut found = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (name, described) in operations.as_object().unwrap() {
            let id = described["operationId"].as_str().unwrap().to_owned();
            let (path, described) = (path.clone(), described.clone());
            let method = method(name);
            found.insert(
                id,
                Operation {
                    method,
                    path,
                    described,
                },
            );
        }
    }
    found
}

impl Operation {
    /// Its path with these parameters, those of the query behind it.
    fn address(&self, parameters: &Map<String, Value>) -> String {
        let mut address = self.path.clone();
        let mut query = Vec::new();
        for (name, value) in parameters {
            let (value, place) = (value.as_str().unwrap(), format!("{{{name}}}"));
            match address.contains(&place) {
                true => address = address.replace(&place, value),
                false => query.push(format!("{name}={value}")),
            }
        }
        match query.is_empty() {
            true => address,
            false => format!("{address}?{}", query.join("&")),
        }
    }

    /// What the document says of an answer: its content, and the schema of its body.
    fn check(&self, document: &Value, answer: &Answer) {
        let (path, status) = (&self.path, answer.status.to_string());
        let described = &self.described["responses"][&status];
        let described = match described["$ref"].as_str() {
            Some(reference) => document.pointer(&reference[1..]).unwrap(),
            None => described,
        };
        let content = described["content"].as_object();
        let content = content.unwrap_or_else(|| panic!("{path}: {status} is not described"));
        let kind = answer.header("content-type").split(';').next().unwrap();
        let content = content.get(kind);
        let content = content.unwrap_or_else(|| panic!("{path}: {kind} is not described"));
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
        // Lines of JSON are no JSON.
        if kind == "application/json" || kind.ends_with("+json") {
            let validator = validator(document, &content["schema"]);
            let body = answer.json();
            let errors: Vec<String> = validator
                .iter_errors(&body)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{path}: {errors:?} in {body}");
        }
    }
}

impl Operation {
    /// Whether its body may be so.
    fn allows(&self, document: &Value, body: &Value) -> bool {
        let content = &self.described["requestBody"]["content"]["application/json"];
        validator(document, &content["schema"]).is_valid(body)
    }
}

fn validator(document: &Value, schema: &Value) -> Validator {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    jsonschema::draft202012::new(&schema).unwrap()
}

async fn described(api: &Api) -> Value {
    let answer = api.get("/openapi.json").await;
    assert_eq!(answer.status, 200);
    answer.json()
}

#[test]
fn every_example_is_answered_as_the_document_says() {
    serve(async |api| {
        let document = described(&api).await;
        let operations = operations(&document);
        let examples: Vec<Value> = serde_json::from_str(EXAMPLES).unwrap();
        let mut seen = BTreeSet::new();
        for example in &examples {
            let id = example["operation"].as_str().unwrap();
            let operation = operations
                .get(id)
                .unwrap_or_else(|| panic!("{id} is no operation"));
            let none = Map::new();
            let parameters = example["parameters"].as_object().unwrap_or(&none);
            let body = match &example["request"] {
                Value::Null => String::new(),
                body => body.to_string(),
            };
            let address = operation.address(parameters);
            let headers = [
                ("content-type", "application/json"),
                ("accept", "application/json, text/event-stream"),
            ];
            let headers = &headers[..if id == "mcp" { 2 } else { 0 }];
            let answer = api
                .send_with(headers, operation.method, &address, body)
                .await;
            // What is not there from the start cannot be named by an example.
            let expected = example["status"].as_u64().unwrap_or(200);
            assert_eq!(
                u64::from(answer.status),
                expected,
                "{id}: {}",
                answer.text()
            );
            operation.check(&document, &answer);
            seen.insert(id);
        }
        for id in operations.keys() {
            assert!(
                seen.contains(id.as_str()),
                "{id} has no example: add one to src/api/openapi/examples.json"
            );
        }
    });
}

#[test]
fn streams_are_of_the_documented_type() {
    serve(async |api| {
        let document = described(&api).await;
        let operations = operations(&document);
        api.collection("docs", &["Lock 7 opens again at Easter."])
            .await;
        for id in [
            "create_chat_completion",
            "create_response",
            "create_message",
            "ollama_chat",
            "ollama_generate",
            "iterate",
        ] {
            let operation = &operations[id];
            let body = &operation.described["requestBody"]["content"]["application/json"];
            let mut body = body["example"].clone();
            body["stream"] = true.into();
            let answer = api.post(&operation.path, body).await;
            assert_eq!(answer.status, 200, "{id}: {}", answer.text());
            let kind = answer.header("content-type");
            assert!(!kind.starts_with("application/json"), "{id}: {kind}");
            operation.check(&document, &answer);
        }
    });
}

#[test]
fn what_a_schema_allows_is_taken_and_what_it_forbids_is_not() {
    serve(async |api| {
        let document = described(&api).await;
        let operations = operations(&document);
        api.collection("docs", &["Lock 7 opens again at Easter."])
            .await;
        let none = operations["get_reembedding"].address(&names("docs"));
        let none = api.get(&none).await;
        assert_eq!(none.status, 200, "{}", none.text());
        operations["get_reembedding"].check(&document, &none);
        for (id, body, status) in [
            // A whole number, to JSON.
            ("scroll_points", r#"{"limit": 14.0}"#, 200),
            ("scroll_points", r#"{"limit": 14.5}"#, 400),
            (
                "search_collection",
                r#"{"query": "lock", "mmr": {"lambda": 0.5}}"#,
                200,
            ),
            // Not an object, though serde would take it for one.
            (
                "search_collection",
                r#"{"query": "lock", "mmr": [0.5, null]}"#,
                400,
            ),
        ] {
            let operation = &operations[id];
            let body: Value = serde_json::from_str(body).unwrap();
            let address = operation.address(&names("docs"));
            let answer = api.post(&address, body.clone()).await;
            assert_eq!(answer.status, status, "{id} {body}: {}", answer.text());
            operation.check(&document, &answer);
            assert_eq!(operation.allows(&document, &body), status == 200, "{body}");
        }
        let mut judged = operations["iterate"].described["requestBody"]["content"]
            ["application/json"]["example"]
            .clone();
        judged["cache"] = serde_json::json!({"threshold": -0.5});
        let answer = api.post("/v1/iterate", judged).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        let ancient = api.get("/v1/evidence?from=1600-01-01").await;
        assert_eq!(ancient.status, 200, "{}", ancient.text());
        let ping = r#"{"jsonrpc": "2.0", "id": 1, "method": "ping"}"#;
        for (accept, status) in [("*/*", 200), ("text/html", 406)] {
            let headers = [("content-type", "application/json"), ("accept", accept)];
            let answer = api.send_with(&headers, Method::Post, "/mcp", ping).await;
            assert_eq!(answer.status, status, "{accept}: {}", answer.text());
            operations["mcp"].check(&document, &answer);
        }
    });
}

fn names(collection: &str) -> Map<String, Value> {
    Map::from_iter([("name".to_owned(), collection.into())])
}

#[test]
fn a_method_that_a_path_does_not_have_is_refused_with_those_that_it_has() {
    serve(async |api| {
        let document = described(&api).await;
        for (path, operations) in document["paths"].as_object().unwrap() {
            let operations = operations.as_object().unwrap();
            let documented: Vec<String> =
                operations.keys().map(|name| name.to_uppercase()).collect();
            for name in ["get", "put", "post", "delete"] {
                if operations.contains_key(name) {
                    continue;
                }
                let address = path.replace(['{', '}'], "");
                let answer = api.send(method(name), &address, "").await;
                assert_eq!(answer.status, 405, "{name} {path}: {}", answer.text());
                assert_eq!(answer.header("allow"), documented.join(", "), "{path}");
            }
        }
    });
}
