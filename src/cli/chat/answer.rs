//! One answer, written as it comes.

use serde_json::{Value, json};

use super::events::{Event, Events};
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output::{self, Paint};
use crate::types::http::Method;

/// Characters of a quote that are shown.
const QUOTED: usize = 160;

/// What an answer was, put together of its pieces.
#[derive(Debug, Default)]
struct Answer {
    id: String,
    text: String,
    citations: Vec<Value>,
    calls: Vec<(String, String)>,
    finish: String,
}

impl Answer {
    /// Takes a chunk; returns the text that it adds.
    fn take(&mut self, chunk: &Value) -> String {
        if let Some(id) = chunk["id"].as_str() {
            id.clone_into(&mut self.id);
        }
        let choice = &chunk["choices"][0];
        if let Some(finish) = choice["finish_reason"].as_str() {
            finish.clone_into(&mut self.finish);
        }
        let delta = &choice["delta"];
        let citations = delta["annotations"].as_array().into_iter().flatten();
        self.citations.extend(citations.cloned());
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let part = |name: &str| call["function"][name].as_str().unwrap_or_default();
            if call["id"].is_string() {
                self.calls.push((part("name").to_owned(), String::new()));
            }
            if let Some((_, arguments)) = self.calls.last_mut() {
                arguments.push_str(part("arguments"));
            }
        }
        let piece = |name: &str| delta[name].as_str().unwrap_or_default();
        let added = format!("{}{}", piece("content"), piece("refusal"));
        self.text.push_str(&added);
        added
    }

    /// What stands after the text.
    fn tell(&self) {
        for (name, arguments) in &self.calls {
            let call = format!("calls {name}({arguments})");
            output::say(output::foreign(&call));
        }
        if !self.citations.is_empty() {
            output::say("");
        }
        for citation in &self.citations {
            let word =
                |name: &str| output::line(citation[name].as_str().unwrap_or_default(), QUOTED);
            output::say(format_args!(
                "[{}] {}  {}",
                citation["index"],
                Paint::Strong.on(word("id")),
                Paint::Faint.on(word("quote"))
            ));
        }
        match self.finish.as_str() {
            "length" => output::note("the answer was cut: it reached its most tokens"),
            "content_filter" => output::note("the provider's filter ended the answer"),
            _ => {}
        }
    }
}

/// Asks, writes the answer as it comes, and returns it as the next message of the conversation.
pub(super) async fn tell(
    client: &Client,
    mut body: Value,
    messages: &[Value],
) -> Result<Value, CliError> {
    body["messages"] = json!(messages);
    body["stream"] = json!(true);
    let mut stream = client
        .stream(Method::Post, super::PATH, Some(&body))
        .await?;
    let (mut events, mut answer, mut done) = (Events::default(), Answer::default(), false);
    let outcome = loop {
        let event = match events.next() {
            Ok(event) => event,
            Err(error) => break Err(error),
        };
        match event {
            Some(Event::Done) => {
                done = true;
                break Ok(());
            }
            Some(Event::Chunk(chunk)) => {
                let added = answer.take(&chunk);
                output::write(output::foreign(&added));
            }
            None => match stream.next().await {
                Ok(Some(bytes)) => events.push(&bytes),
                Ok(None) => break Ok(()),
                Err(error) => {
                    break Err(CliError::failed(format!("the answer broke off: {error}")));
                }
            },
        }
    };
    if !answer.text.is_empty() {
        output::say("");
    }
    outcome?;
    if !done {
        return Err(CliError::failed(
            "the answer broke off: the stream ended early",
        ));
    }
    answer.tell();
    output::note(Paint::Faint.on_notes(format_args!("id {}", answer.id)));
    Ok(json!({"role": "assistant", "content": answer.text}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_put_together_of_its_pieces() {
        let chunk =
            |delta: Value| json!({"id": "c", "choices": [{"delta": delta, "finish_reason": null}]});
        let mut answer = Answer::default();
        for delta in [
            json!({"role": "assistant", "content": ""}),
            json!({"content": "a"}),
            json!({"content": "b"}),
            json!({"annotations": [{"index": 1, "id": "p", "quote": "q"}]}),
            json!({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{\"x\""}}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
        ] {
            answer.take(&chunk(delta));
        }
        answer.take(&json!({"choices": []}));
        answer.take(&json!({"choices": [{"delta": {}, "finish_reason": "length"}]}));
        assert_eq!(
            (
                answer.id.as_str(),
                answer.text.as_str(),
                answer.finish.as_str()
            ),
            ("c", "ab", "length")
        );
        assert_eq!(answer.citations.len(), 1);
        assert_eq!(answer.calls, [("f".to_owned(), "{\"x\":1}".to_owned())]);
    }
}
