//! Examples: requests that a running server answers, and what it answered. A test sends them in their order.

use serde_json::Value;

const EXAMPLES: &str = include_str!("examples.json");

/// Puts each example where its operation describes its parameters, its body and its answer.
pub(super) fn insert(document: &mut Value) {
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    let operations = paths
        .values_mut()
        .filter_map(Value::as_object_mut)
        .flat_map(|operations| operations.values_mut());
    for operation in operations {
        let id = &operation["operationId"];
        let mut examples = examples.as_array().into_iter().flatten();
        if let Some(example) = examples.find(|example| example["operation"] == *id) {
            of_operation(operation, example);
        }
    }
}

fn of_operation(operation: &mut Value, example: &Value) {
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let value = parameter["name"]
            .as_str()
            .and_then(|name| example["parameters"].get(name));
        if let Some(value) = value {
            parameter["example"] = value.clone();
        }
    }
    if let Some(body) = operation.pointer_mut("/requestBody/content/application~1json") {
        body["example"] = example["request"].clone();
    }
    let responses = operation["responses"].as_object_mut();
    let succeeded = responses
        .into_iter()
        .flatten()
        .filter(|(code, _)| code.starts_with('2'))
        .filter_map(|(_, response)| response.pointer_mut("/content/application~1json"));
    for content in succeeded {
        content["example"] = example["response"].clone();
    }
}
