//! What the clients of each API send and read.

use serde_json::{Value, json};

use super::result_of;

/// One API.
pub(super) struct Dialect {
    pub(super) path: &'static str,
    /// Its words for how an answer ends.
    pub(super) stop: &'static str,
    pub(super) tool_calls: &'static str,
    /// What only a complete stream holds.
    pub(super) complete: &'static str,
    /// A question, with tools where the API has them.
    pub(super) ask: fn(&str, bool) -> Value,
    /// The same conversation with the calls made and answered.
    pub(super) follow: fn(&str, bool, &[Call]) -> Value,
    /// A question to `extractive`.
    pub(super) question: fn(&str, bool) -> Value,
    pub(super) read: fn(&str, bool) -> Answer,
    /// The message of an error.
    pub(super) error: fn(&Value) -> String,
}

impl Dialect {
    pub(super) fn has_tools(&self) -> bool {
        !self.tool_calls.is_empty()
    }
}

/// An answer as a client sees it.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) calls: Vec<Call>,
    pub(super) finish: String,
    pub(super) usage: (u64, u64),
}

#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: Value,
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn counts(usage: &Value, names: [&str; 2]) -> (u64, u64) {
    let count = |name: &str| usage[name].as_u64().unwrap_or_default();
    (count(names[0]), count(names[1]))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The data of server-sent events.
fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

fn schema(fields: &Value) -> Value {
    json!({"type": "object", "properties": fields})
}

fn openai_tools() -> Value {
    json!([
        {"type": "function", "function": {
            "name": "get_weather", "parameters": schema(&json!({"city": {"type": "string"}}))}},
        {"type": "function", "function": {"name": "get_time", "parameters": schema(&json!({}))}},
    ])
}

/// The tools without their wrapping.
fn bare_tools() -> Vec<Value> {
    let tools = openai_tools();
    list(&tools)
        .iter()
        .map(|tool| tool["function"].clone())
        .collect()
}

pub(super) const DIALECTS: [Dialect; 5] = [
    Dialect {
        path: "/v1/chat/completions",
        stop: "stop",
        tool_calls: "tool_calls",
        complete: "[DONE]",
        ask: |model, stream| {
            json!({"model": model, "stream": stream, "stream_options": {"include_usage": true},
                "tools": openai_tools(),
                "messages": [{"role": "system", "content": "be brief"},
                    {"role": "user", "content": "hi"}]})
        },
        follow: |model, stream, calls| {
            let made = calls.iter().map(|call| {
                json!({"id": call.id, "type": "function", "function":
                    {"name": call.name, "arguments": call.arguments.to_string()}})
            });
            let mut messages = vec![
                json!({"role": "user", "content": "hi"}),
                json!({"role": "assistant", "content": null, "tool_calls": made.collect::<Vec<_>>()}),
            ];
            messages.extend(calls.iter().map(
                |call| json!({"role": "tool", "tool_call_id": call.id, "content": result_of(call)}),
            ));
            json!({"model": model, "stream": stream, "tools": openai_tools(), "messages": messages})
        },
        question: |text, stream| {
            json!({"model": "extractive", "stream": stream,
                "messages": [{"role": "user", "content": text}]})
        },
        read: |text, stream| {
            let mut answer = Answer::default();
            let mut arguments: Vec<String> = Vec::new();
            let whole = || vec![serde_json::from_str(text).unwrap()];
            for chunk in if stream { events(text) } else { whole() } {
                let choice = &chunk["choices"][0];
                let said = choice.get("delta").unwrap_or(&choice["message"]);
                answer.text += &word(&said["content"]);
                for (place, call) in list(&said["tool_calls"]).iter().enumerate() {
                    let index = call["index"].as_u64().map_or(place, |index| index as usize);
                    if index == answer.calls.len() {
                        answer.calls.push(Call {
                            id: word(&call["id"]),
                            name: word(&call["function"]["name"]),
                            arguments: Value::Null,
                        });
                        arguments.push(String::new());
                    }
                    arguments[index] += &word(&call["function"]["arguments"]);
                }
                answer.finish += &word(&choice["finish_reason"]);
                if chunk["usage"].is_object() {
                    answer.usage = counts(&chunk["usage"], ["prompt_tokens", "completion_tokens"]);
                }
            }
            for (call, text) in answer.calls.iter_mut().zip(arguments) {
                call.arguments = serde_json::from_str(&text).unwrap();
            }
            answer
        },
        error: |body| word(&body["error"]["message"]),
    },
    Dialect {
        path: "/v1/messages",
        stop: "end_turn",
        tool_calls: "tool_use",
        complete: "message_stop",
        ask: |model, stream| {
            json!({"model": model, "stream": stream, "max_tokens": 99, "system": "be brief",
                "tools": anthropic_tools(), "messages": [{"role": "user", "content": "hi"}]})
        },
        follow: |model, stream, calls| {
            let made = calls.iter().map(|call| {
                json!({"type": "tool_use", "id": call.id, "name": call.name,
                    "input": call.arguments})
            });
            let results = calls.iter().map(|call| {
                json!({"type": "tool_result", "tool_use_id": call.id, "content": result_of(call)})
            });
            json!({"model": model, "stream": stream, "max_tokens": 99,
                "tools": anthropic_tools(), "messages": [
                    {"role": "user", "content": "hi"},
                    {"role": "assistant", "content": made.collect::<Vec<_>>()},
                    {"role": "user", "content": results.collect::<Vec<_>>()}]})
        },
        question: |text, stream| {
            json!({"model": "extractive", "stream": stream, "max_tokens": 99,
                "messages": [{"role": "user", "content": text}]})
        },
        read: read_messages,
        error: |body| {
            assert_eq!(body["type"], "error", "{body}");
            assert!(body["request_id"].is_string(), "{body}");
            word(&body["error"]["message"])
        },
    },
    Dialect {
        path: "/api/chat",
        stop: "stop",
        tool_calls: "stop",
        complete: "\"done\":true",
        ask: |model, stream| {
            json!({"model": model, "stream": stream, "tools": openai_tools(),
                "messages": [{"role": "user", "content": "hi"}]})
        },
        follow: |model, stream, calls| {
            let made = calls
                .iter()
                .map(|call| json!({"function": {"name": call.name, "arguments": call.arguments}}));
            let mut messages = vec![
                json!({"role": "user", "content": "hi"}),
                json!({"role": "assistant", "content": "", "tool_calls": made.collect::<Vec<_>>()}),
            ];
            messages.extend(calls.iter().map(
                |call| json!({"role": "tool", "tool_name": call.name, "content": result_of(call)}),
            ));
            json!({"model": model, "stream": stream, "messages": messages})
        },
        question: |text, stream| {
            json!({"model": "extractive", "stream": stream,
                "messages": [{"role": "user", "content": text}]})
        },
        read: |text, _| read_lines(text, |line| &line["message"], "content"),
        error: |body| word(&body["error"]),
    },
    Dialect {
        path: "/api/generate",
        stop: "stop",
        tool_calls: "",
        complete: "\"done\":true",
        ask: |model, stream| json!({"model": model, "stream": stream, "prompt": "hi"}),
        follow: |_, _, _| Value::Null,
        question: |text, stream| json!({"model": "extractive", "stream": stream, "prompt": text}),
        read: |text, _| read_lines(text, |line| line, "response"),
        error: |body| word(&body["error"]),
    },
    Dialect {
        path: "/v1/responses",
        stop: "completed",
        tool_calls: "completed",
        complete: "response.completed",
        ask: |model, stream| {
            json!({"model": model, "stream": stream, "instructions": "be brief",
                "tools": responses_tools(), "input": "hi"})
        },
        follow: |model, stream, calls| {
            let mut input = vec![json!({"role": "user", "content": "hi"})];
            input.extend(calls.iter().map(|call| {
                json!({"type": "function_call", "call_id": call.id, "name": call.name,
                    "arguments": call.arguments.to_string()})
            }));
            input.extend(calls.iter().map(|call| {
                json!({"type": "function_call_output", "call_id": call.id,
                    "output": result_of(call)})
            }));
            json!({"model": model, "stream": stream, "tools": responses_tools(), "input": input})
        },
        question: |text, stream| json!({"model": "extractive", "stream": stream, "input": text}),
        read: read_response,
        error: |body| word(&body["error"]["message"]),
    },
];

fn anthropic_tools() -> Vec<Value> {
    let tools = bare_tools().into_iter();
    tools
        .map(|tool| json!({"name": tool["name"], "input_schema": tool["parameters"]}))
        .collect()
}

fn responses_tools() -> Vec<Value> {
    let tools = bare_tools().into_iter();
    tools
        .map(|mut tool| {
            tool["type"] = json!("function");
            tool
        })
        .collect()
}

fn read_messages(text: &str, stream: bool) -> Answer {
    let mut answer = Answer::default();
    let mut message: Value = Value::Null;
    let mut partial = String::new();
    if stream {
        for event in events(text) {
            let at = event["index"].as_u64().unwrap_or_default() as usize;
            match event["type"].as_str().unwrap() {
                "message_start" => message = event["message"].clone(),
                "content_block_start" => {
                    let content = message["content"].as_array_mut().unwrap();
                    assert_eq!(content.len(), at, "blocks are numbered in order");
                    content.push(event["content_block"].clone());
                    partial.clear();
                }
                "content_block_delta" => {
                    let block = &mut message["content"][at];
                    let more = word(&event["delta"]["text"]);
                    if !more.is_empty() {
                        block["text"] = json!(word(&block["text"]) + &more);
                    }
                    partial += &word(&event["delta"]["partial_json"]);
                }
                "content_block_stop" if !partial.is_empty() => {
                    message["content"][at]["input"] = serde_json::from_str(&partial).unwrap();
                }
                "message_delta" => {
                    message["stop_reason"] = event["delta"]["stop_reason"].clone();
                    message["usage"] = event["usage"].clone();
                }
                _ => {}
            }
        }
    } else {
        message = serde_json::from_str(text).unwrap();
    }
    assert!(word(&message["id"]).starts_with("msg_"), "{message}");
    for block in list(&message["content"]) {
        answer.text += &word(&block["text"]);
        if block["type"] == "tool_use" {
            answer.calls.push(Call {
                id: word(&block["id"]),
                name: word(&block["name"]),
                arguments: block["input"].clone(),
            });
        }
    }
    answer.finish = word(&message["stop_reason"]);
    answer.usage = counts(&message["usage"], ["input_tokens", "output_tokens"]);
    answer
}

fn read_lines(text: &str, place: fn(&Value) -> &Value, field: &str) -> Answer {
    let mut answer = Answer::default();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let said = place(&line);
        answer.text += &word(&said[field]);
        answer
            .calls
            .extend(list(&said["tool_calls"]).iter().map(|call| Call {
                id: word(&call["id"]),
                name: word(&call["function"]["name"]),
                arguments: call["function"]["arguments"].clone(),
            }));
        if line["done"] == true {
            answer.finish = word(&line["done_reason"]);
            answer.usage = counts(&line, ["prompt_eval_count", "eval_count"]);
        }
    }
    answer
}

fn read_response(text: &str, stream: bool) -> Answer {
    let mut answer = Answer::default();
    let mut streamed = String::new();
    let response = if stream {
        let events = events(text);
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], number);
            if event["type"] == "response.output_text.delta" {
                streamed += &word(&event["delta"]);
            }
        }
        events.last().unwrap()["response"].clone()
    } else {
        serde_json::from_str(text).unwrap()
    };
    assert!(word(&response["id"]).starts_with("resp_"), "{response}");
    assert_eq!(response["store"], false);
    for item in list(&response["output"]) {
        for part in list(&item["content"]) {
            answer.text += &word(&part["text"]);
        }
        if item["type"] == "function_call" {
            answer.calls.push(Call {
                id: word(&item["call_id"]),
                name: word(&item["name"]),
                arguments: serde_json::from_str(item["arguments"].as_str().unwrap()).unwrap(),
            });
        }
    }
    if stream {
        assert_eq!(streamed, answer.text);
    }
    answer.finish = word(&response["status"]);
    answer.usage = counts(&response["usage"], ["input_tokens", "output_tokens"]);
    answer
}
