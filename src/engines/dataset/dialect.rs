//! One conversation in the words of each flavour.

use serde_json::{Map, Value, json};

use super::flavour::Flavour;

/// The arguments of a tool call are no JSON object.
const MALFORMED_ARGUMENTS: &str = "malformed_tool_arguments";
/// ShareGPT has no words for tools.
const TOOLS: &str = "tools_in_sharegpt";
/// ShareGPT's turns are a person's and the model's in turn.
const TURNS: &str = "turns_do_not_alternate";

/// Writes messages of the uniform shape in place. Errors: the reason why they cannot be.
pub(super) fn write(messages: &mut Value, flavour: Flavour) -> Result<(), &'static str> {
    let Value::Array(items) = messages else {
        return Ok(());
    };
    match flavour {
        Flavour::Trl => {
            items.iter_mut().for_each(without_developers);
            items.iter_mut().try_for_each(with_objects)
        }
        Flavour::OpenAi => {
            items.iter_mut().for_each(without_empty_content);
            Ok(())
        }
        Flavour::ShareGpt => {
            *messages = turns(items)?;
            Ok(())
        }
    }
}

/// Chat templates know the role by its older name, and refuse the newer one.
fn without_developers(message: &mut Value) {
    if message["role"] == "developer" {
        message["role"] = "system".into();
    }
}

/// Chat templates print arguments as JSON, so a string would be quoted twice.
fn with_objects(message: &mut Value) -> Result<(), &'static str> {
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    for call in calls.into_iter().flatten() {
        let arguments = &mut call["function"]["arguments"];
        let text = arguments.as_str().unwrap_or_default();
        let parsed: Map<String, Value> = match text.trim() {
            "" => Map::new(),
            text => serde_json::from_str(text).map_err(|_| MALFORMED_ARGUMENTS)?,
        };
        *arguments = Value::Object(parsed);
    }
    Ok(())
}

/// OpenAI wants the content of a message that only calls tools to be absent or null.
fn without_empty_content(message: &mut Value) {
    if message.get("tool_calls").is_some() && message["content"] == "" {
        message["content"] = Value::Null;
    }
}

fn turns(messages: &[Value]) -> Result<Value, &'static str> {
    let mut turns = Vec::with_capacity(messages.len());
    let mut next = "human";
    for message in messages {
        if message.get("tool_calls").is_some() {
            return Err(TOOLS);
        }
        let from = match message["role"].as_str() {
            Some("system" | "developer") if turns.is_empty() => "system",
            Some("user") => "human",
            Some("assistant") => "gpt",
            Some("tool") => return Err(TOOLS),
            _ => return Err(TURNS),
        };
        match (from, next) {
            ("system", _) => {}
            ("human", "human") => next = "gpt",
            ("gpt", "gpt") => next = "human",
            _ => return Err(TURNS),
        }
        turns.push(json!({"from": from, "value": message["content"]}));
    }
    Ok(turns.into())
}

/// Refuses what ShareGPT has no words for.
pub(super) fn no_tools(row: &Value) -> Result<(), &'static str> {
    match row.get("tools") {
        Some(_) => Err(TOOLS),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(messages: Value, flavour: Flavour) -> Result<Value, &'static str> {
        let mut messages = messages;
        write(&mut messages, flavour).map(|()| messages)
    }

    fn call(arguments: &str) -> Value {
        json!([{"role": "assistant", "content": "", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}]}])
    }

    #[test]
    fn arguments_are_objects_or_strings() {
        let trl = written(call(r#"{"a": [1]}"#), Flavour::Trl).unwrap();
        let arguments =
            |messages: &Value| messages[0]["tool_calls"][0]["function"]["arguments"].clone();
        assert_eq!(arguments(&trl), json!({"a": [1]}));
        assert_eq!(trl[0]["content"], "");
        assert_eq!(
            arguments(&written(call(""), Flavour::Trl).unwrap()),
            json!({})
        );
        let openai = written(call(r#"{"a": [1]}"#), Flavour::OpenAi).unwrap();
        assert_eq!(arguments(&openai), r#"{"a": [1]}"#);
        assert_eq!(openai[0]["content"], Value::Null);
        for bad in ["[1]", "1", "{", "null", r#"{"a": "\ud800"}"#] {
            let refused = written(call(bad), Flavour::Trl);
            assert_eq!(refused, Err(MALFORMED_ARGUMENTS), "{bad}");
        }
    }

    #[test]
    fn developers_are_the_system_to_templates() {
        let developer = json!([{"role": "developer", "content": "s"}]);
        for (flavour, role) in [(Flavour::Trl, "system"), (Flavour::OpenAi, "developer")] {
            let written = written(developer.clone(), flavour).unwrap();
            assert_eq!(written[0]["role"], role);
        }
    }

    #[test]
    fn sharegpt_takes_turns() {
        let message = |role: &str| json!({"role": role, "content": role});
        let of = |roles: &[&str]| {
            Value::from(roles.iter().map(|role| message(role)).collect::<Vec<_>>())
        };
        let good = written(of(&["developer", "user", "assistant"]), Flavour::ShareGpt).unwrap();
        let expected = json!([
            {"from": "system", "value": "developer"},
            {"from": "human", "value": "user"},
            {"from": "gpt", "value": "assistant"},
        ]);
        assert_eq!(good, expected);
        for (roles, reason) in [
            (&["user", "user", "assistant"][..], TURNS),
            (&["assistant", "user", "assistant"], TURNS),
            (&["user", "system", "assistant"], TURNS),
            (&["user", "assistant", "tool", "assistant"], TOOLS),
        ] {
            assert_eq!(
                written(of(roles), Flavour::ShareGpt),
                Err(reason),
                "{roles:?}"
            );
        }
        assert_eq!(written(call("{}"), Flavour::ShareGpt), Err(TOOLS));
    }
}
