use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{SHAPES, document};

fn operations() -> Vec<(String, &'static Value)> {
    let paths = document()["paths"].as_object().unwrap();
    let of_path = |(path, operations): (&String, &'static Value)| {
        let operations = operations.as_object().unwrap();
        let named = operations
            .iter()
            .map(|(method, operation)| (format!("{method} {path}"), operation));
        named.collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

#[test]
fn every_operation_is_told_whole() {
    let mut ids = BTreeSet::new();
    let tags: Vec<&str> = document()["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    for (name, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id), "{name}: {id} is twice there");
        assert!(operation["summary"].is_string(), "{name} has no summary");
        let tag = operation["tags"][0].as_str().unwrap();
        assert!(tags.contains(&tag), "{name}: tag {tag} is not described");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let told = parameter["description"].is_string();
            assert!(told, "{name}: {} is not described", parameter["name"]);
        }
        if let Some(body) = operation.get("requestBody") {
            let body = &body["content"]["application/json"];
            assert!(body["example"].is_object(), "{name} has no example");
        }
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.contains_key("403"), "{name}");
        for (code, response) in responses {
            let content = response["content"].as_object();
            let shared = response.get("$ref").is_some();
            // A notification is taken without a word.
            let silent = name == "post /mcp" && code == "202";
            assert!(
                shared || silent || content.is_some(),
                "{name}: {code} has no body that is described"
            );
            let header = &response["headers"]["x-request-id"];
            assert!(shared || header.is_object(), "{name}: {code}");
            let json = content.and_then(|content| content.get("application/json"));
            if let Some(json) = json.filter(|_| code.starts_with('2')) {
                assert!(!json["example"].is_null(), "{name}: {code} has no example");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    found.insert(reference.clone());
                }
                map.values().for_each(|value| walk(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    walk(document(), &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document().pointer(pointer).is_some(), "{reference}");
    }
    let shapes: serde_json::Map<String, Value> = serde_json::from_str(SHAPES).unwrap();
    for name in shapes.keys() {
        let reference = format!("#/components/schemas/{name}");
        assert!(found.contains(&reference), "nothing refers to {name}");
    }
}

#[test]
fn examples_and_their_answers_are_what_the_schemas_say() {
    for (name, operation) in operations() {
        let mut contents = vec![("request", &operation["requestBody"]["content"])];
        for (code, response) in operation["responses"].as_object().unwrap() {
            let response = match response["$ref"].as_str() {
                Some(reference) => document().pointer(&reference[1..]).unwrap(),
                None => response,
            };
            contents.push((code, &response["content"]));
        }
        for (part, content) in contents {
            for content in content.as_object().into_iter().flat_map(|map| map.values()) {
                let Some(example) = content.get("example").filter(|it| !it.is_null()) else {
                    continue;
                };
                let mut schema = content["schema"].clone();
                schema["components"] = document()["components"].clone();
                let validator = jsonschema::draft202012::new(&schema).unwrap();
                let errors: Vec<String> = validator
                    .iter_errors(example)
                    .map(|error| format!("{}: {error}", error.instance_path()))
                    .collect();
                assert!(errors.is_empty(), "{name} {part}: {errors:?}");
            }
        }
    }
}

#[test]
fn the_methods_of_a_pattern_are_those_of_its_path() {
    let methods = super::methods("/v1/collections/{name}/points/{id:.+}");
    assert_eq!(methods, ["GET"]);
    assert_eq!(
        super::methods("/v1/collections/{name}"),
        ["GET", "PUT", "DELETE"]
    );
    assert_eq!(document()["openapi"], json!("3.1.0"));
}
