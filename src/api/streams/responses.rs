//! The events of OpenAI's responses: each item opens, grows and is done, and the whole answer
//! stands in the first and the last event.

use serde_json::{Value, json};

use super::Writer;
use crate::api::error_body::{failure_json, openai_body};
use crate::api::routes::chat::tell_judgement;
use crate::api::routes::responses::{
    Items, annotation, call_item, message_item, reasoning_item, refusal_part, response_json,
    status_of, text_part, usage_json,
};
use crate::services::complete::{CompletionStream, Piece};
use crate::services::surfaces::responses::ResponsesEcho;
use crate::types::chat::{ChatDelta, Citation, FinishReason, ToolCall};
use crate::types::demand::Judgement;
use crate::types::evidence::TokenUsage;

/// Writes one answer.
pub(in crate::api) struct ResponseEvents {
    id: String,
    created: u64,
    model: String,
    echo: ResponsesEcho,
    request_id: String,
    sequence: u64,
    /// Items that have begun, in their order: what they will be is in `parts`.
    items: Vec<Item>,
    parts: Parts,
    finish: FinishReason,
    usage: Option<TokenUsage>,
    validation: Option<Judgement>,
}

/// What an item of the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Reasoning,
    /// With text, a refusal, or both.
    Message,
    /// By its place among the calls.
    Call(usize),
}

#[derive(Default)]
struct Parts {
    reasoning: String,
    thinking_blocks: Vec<Value>,
    text: String,
    refusal: String,
    citations: Vec<Citation>,
    calls: Vec<ToolCall>,
}

impl ResponseEvents {
    pub(in crate::api) fn of(
        stream: &CompletionStream,
        echo: ResponsesEcho,
        request_id: String,
    ) -> Self {
        Self::new(&stream.id, stream.created, &stream.model, echo, request_id)
    }

    fn new(id: &str, created: u64, model: &str, echo: ResponsesEcho, request_id: String) -> Self {
        Self {
            id: id.to_owned(),
            created,
            model: model.to_owned(),
            echo,
            request_id,
            sequence: 0,
            items: Vec::new(),
            parts: Parts::default(),
            finish: FinishReason::Stop,
            usage: None,
            validation: None,
        }
    }

    fn event(&mut self, name: &str, mut fields: Value, text: &mut String) {
        fields["type"] = json!(name);
        fields["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        text.push_str(&super::event(name, &fields));
    }

    /// Finds the place of an item; a new one is announced.
    fn place(&mut self, item: Item, text: &mut String) -> usize {
        if let Some(place) = self.items.iter().position(|known| *known == item) {
            return place;
        }
        let place = self.items.len();
        let mut begun = self.item(item, "in_progress");
        match item {
            Item::Reasoning => begun["content"] = json!([]),
            Item::Message => begun["content"] = json!([]),
            Item::Call(_) => begun["arguments"] = json!(""),
        }
        self.items.push(item);
        let added = json!({"output_index": place, "item": begun});
        self.event("response.output_item.added", added, text);
        place
    }

    fn item_id(&self, item: Item) -> String {
        Items(&self.id).id(
            match item {
                Item::Reasoning => "rs",
                Item::Message => "msg",
                Item::Call(_) => "fc",
            },
            match item {
                Item::Call(place) => place,
                _ => 0,
            },
        )
    }

    fn item(&self, item: Item, status: &str) -> Value {
        let id = self.item_id(item);
        match item {
            Item::Reasoning => {
                reasoning_item(&id, &self.parts.reasoning, &self.parts.thinking_blocks)
            }
            Item::Message => message_item(&id, status, self.contents()),
            Item::Call(place) => match self.parts.calls.get(place) {
                Some(call) => call_item(&id, status, call),
                None => Value::Null,
            },
        }
    }

    /// The parts of the message; a part of text stands before one of refusal.
    fn contents(&self) -> Vec<Value> {
        let parts = &self.parts;
        let text = (!parts.text.is_empty()).then(|| text_part(&parts.text, &parts.citations));
        let refusal = (!parts.refusal.is_empty()).then(|| refusal_part(&parts.refusal));
        text.into_iter().chain(refusal).collect()
    }

    /// Writes more of a part of the message, which is announced when it is new.
    fn words(&mut self, more: &str, refusal: bool, text: &mut String) {
        let place = self.place(Item::Message, text);
        let item_id = self.item_id(Item::Message);
        let index = usize::from(refusal && !self.parts.text.is_empty());
        let known = if refusal {
            &mut self.parts.refusal
        } else {
            &mut self.parts.text
        };
        let new = known.is_empty();
        known.push_str(more);
        let (part, name) = if refusal {
            (refusal_part(""), "response.refusal.delta")
        } else {
            (text_part("", &[]), "response.output_text.delta")
        };
        let at = json!({"item_id": item_id, "output_index": place, "content_index": index});
        if new {
            let mut added = at.clone();
            added["part"] = part;
            self.event("response.content_part.added", added, text);
        }
        let mut delta = at;
        delta["delta"] = json!(more);
        if !refusal {
            delta["logprobs"] = json!([]);
        }
        self.event(name, delta, text);
    }

    fn reasoning(&mut self, more: &str, text: &mut String) {
        let place = self.place(Item::Reasoning, text);
        let at = json!({
            "item_id": self.item_id(Item::Reasoning), "output_index": place, "summary_index": 0,
        });
        if self.parts.reasoning.is_empty() {
            let mut added = at.clone();
            added["part"] = json!({"type": "summary_text", "text": ""});
            self.event("response.reasoning_summary_part.added", added, text);
        }
        self.parts.reasoning.push_str(more);
        let mut delta = at;
        delta["delta"] = json!(more);
        self.event("response.reasoning_summary_text.delta", delta, text);
    }

    fn delta(&mut self, delta: ChatDelta) -> String {
        let mut text = String::new();
        if !delta.reasoning.is_empty() {
            self.reasoning(&delta.reasoning, &mut text);
        }
        if !delta.thinking_blocks.is_empty() {
            self.place(Item::Reasoning, &mut text);
            self.parts.thinking_blocks.extend(delta.thinking_blocks);
        }
        if !delta.content.is_empty() {
            self.words(&delta.content, false, &mut text);
        }
        if !delta.refusal.is_empty() {
            self.words(&delta.refusal, true, &mut text);
        }
        for piece in &delta.tool_calls {
            piece.join(&mut self.parts.calls);
            if piece.index >= self.parts.calls.len() {
                continue;
            }
            let item = Item::Call(piece.index);
            let place = self.place(item, &mut text);
            if piece.arguments.is_empty() {
                continue;
            }
            let more = json!({
                "item_id": self.item_id(item), "output_index": place, "delta": piece.arguments,
            });
            self.event("response.function_call_arguments.delta", more, &mut text);
        }
        text
    }

    /// Says that a part and its text are complete.
    fn end_item(&mut self, place: usize, item: Item, status: &str, text: &mut String) {
        let item_id = self.item_id(item);
        match item {
            Item::Reasoning if !self.parts.reasoning.is_empty() => {
                let at = json!({"item_id": item_id, "output_index": place, "summary_index": 0});
                let (mut done, mut part) = (at.clone(), at);
                done["text"] = json!(self.parts.reasoning);
                self.event("response.reasoning_summary_text.done", done, text);
                part["part"] = json!({"type": "summary_text", "text": self.parts.reasoning});
                self.event("response.reasoning_summary_part.done", part, text);
            }
            Item::Reasoning => {}
            Item::Message => {
                for (index, part) in self.contents().into_iter().enumerate() {
                    let at = json!({
                        "item_id": item_id, "output_index": place, "content_index": index,
                    });
                    let mut done = at.clone();
                    if part["type"] == "refusal" {
                        done["refusal"] = part["refusal"].clone();
                        self.event("response.refusal.done", done, text);
                    } else {
                        self.annotations(&at, text);
                        done["text"] = part["text"].clone();
                        done["logprobs"] = json!([]);
                        self.event("response.output_text.done", done, text);
                    }
                    let mut whole = at;
                    whole["part"] = part;
                    self.event("response.content_part.done", whole, text);
                }
            }
            Item::Call(index) => {
                let call = self.parts.calls.get(index);
                let function = call.map(|call| call.function.clone());
                let done = json!({
                    "item_id": item_id, "output_index": place,
                    "name": function.as_ref().map(|function| &function.name),
                    "arguments": function.as_ref().map(|function| &function.arguments),
                });
                self.event("response.function_call_arguments.done", done, text);
            }
        }
        let item = self.item(item, status);
        let done = json!({"output_index": place, "item": item});
        self.event("response.output_item.done", done, text);
    }

    fn annotations(&mut self, at: &Value, text: &mut String) {
        let annotations: Vec<Value> = self.parts.citations.iter().map(annotation).collect();
        for (index, annotation) in annotations.into_iter().enumerate() {
            let mut added = at.clone();
            added["annotation_index"] = json!(index);
            added["annotation"] = annotation;
            self.event("response.output_text.annotation.added", added, text);
        }
    }

    fn response(&self, status: &str, ended: bool) -> Value {
        let item_status = if status == "incomplete" {
            "incomplete"
        } else {
            "completed"
        };
        let output = if ended {
            let items = self.items.iter();
            items.map(|item| self.item(*item, item_status)).collect()
        } else {
            Vec::new()
        };
        let mut written = response_json(
            &self.id,
            self.created,
            &self.model,
            status,
            output,
            &self.echo,
        );
        if ended {
            written["usage"] = self.usage.map_or(Value::Null, usage_json);
        }
        written
    }
}

impl Writer for ResponseEvents {
    const CONTENT_TYPE: &'static str = "text/event-stream; charset=utf-8";

    fn begin(&mut self) -> String {
        let mut text = String::new();
        for name in ["response.created", "response.in_progress"] {
            let response = self.response("in_progress", false);
            self.event(name, json!({"response": response}), &mut text);
        }
        text
    }

    fn write(&mut self, piece: Piece) -> String {
        let mut text = String::new();
        match piece {
            Piece::Delta(delta) => return self.delta(delta),
            Piece::Citations(citations) => self.parts.citations = citations,
            Piece::Finish(reason) => self.finish = reason,
            Piece::Usage(usage) => self.usage = Some(usage),
            Piece::Validation(judgement) => self.validation = Some(judgement),
            Piece::Done => {
                let (status, details) = status_of(self.finish);
                // An answer of nothing is a message of nothing, as it is when it comes whole.
                if self.items.is_empty() {
                    self.place(Item::Message, &mut text);
                }
                let items = self.items.clone();
                for (place, item) in items.into_iter().enumerate() {
                    self.end_item(place, item, status, &mut text);
                }
                let mut response = self.response(status, true);
                response["incomplete_details"] = details;
                tell_judgement(&mut response, self.validation.as_ref());
                let name = format!("response.{status}");
                self.event(&name, json!({"response": response}), &mut text);
            }
            Piece::Failed(error) => {
                let mut response = self.response("failed", true);
                response["error"] = failure_json(&error);
                self.event("response.failed", json!({"response": response}), &mut text);
                // OpenAI's clients raise an error when they see this one.
                let mut told = openai_body(&error, &self.request_id);
                told["code"] = told["error"]["code"].clone();
                told["message"] = told["error"]["message"].clone();
                told["param"] = told["error"]["param"].clone();
                self.event("error", told, &mut text);
            }
        }
        text
    }

    fn keep_alive(&self) -> String {
        ": keep-alive\n\n".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::ServiceError;
    use crate::types::chat::ToolCallDelta;
    use crate::types::error_kind::ErrorKind;

    fn writer() -> ResponseEvents {
        ResponseEvents::new("resp_1", 7, "p/m", ResponsesEcho::default(), "req-1".into())
    }

    fn events(text: &str) -> Vec<Value> {
        let events = text.split("\n\n").filter(|event| !event.is_empty());
        events
            .map(|event| serde_json::from_str(event.split_once("\ndata: ").unwrap().1).unwrap())
            .collect()
    }

    #[test]
    fn items_open_grow_and_are_done() {
        let mut writer = writer();
        let mut text = writer.begin();
        let words = |content: &str| ChatDelta {
            content: content.into(),
            ..ChatDelta::default()
        };
        let call = ToolCallDelta {
            index: 0,
            id: Some("c".into()),
            name: Some("f".into()),
            arguments: "{}".into(),
            ..ToolCallDelta::default()
        };
        let call = ChatDelta {
            tool_calls: vec![call],
            ..ChatDelta::default()
        };
        let thought = ChatDelta {
            reasoning: "hm".into(),
            ..ChatDelta::default()
        };
        for delta in [thought, words("He"), words("llo"), call] {
            text.push_str(&writer.write(Piece::Delta(delta)));
        }
        text.push_str(&writer.write(Piece::Finish(FinishReason::ToolCalls)));
        text.push_str(&writer.write(Piece::Done));
        let events = events(&text);
        let numbers = events
            .iter()
            .map(|event| event["sequence_number"].as_u64().unwrap());
        assert!(numbers.eq(0..events.len() as u64));
        let names: Vec<&str> = events
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .map(|name| name.strip_prefix("response.").unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "created",
                "in_progress",
                "output_item.added",
                "reasoning_summary_part.added",
                "reasoning_summary_text.delta",
                "output_item.added",
                "content_part.added",
                "output_text.delta",
                "output_text.delta",
                "output_item.added",
                "function_call_arguments.delta",
                "reasoning_summary_text.done",
                "reasoning_summary_part.done",
                "output_item.done",
                "output_text.done",
                "content_part.done",
                "output_item.done",
                "function_call_arguments.done",
                "output_item.done",
                "completed",
            ]
        );
        let output = &events.last().unwrap()["response"]["output"];
        assert_eq!(output[1]["content"][0]["text"], "Hello");
        assert_eq!(output[2]["call_id"], "c");
        assert_eq!(events[9]["output_index"], 2);
        assert_eq!(events[9]["item"]["id"], output[2]["id"]);
    }

    #[test]
    fn a_broken_answer_fails_and_raises() {
        let mut writer = writer();
        writer.begin();
        let failed = ServiceError::new(ErrorKind::Upstream, "cut").code("cut");
        let events = events(&writer.write(Piece::Failed(failed)));
        assert_eq!(events[0]["type"], "response.failed");
        assert_eq!(events[0]["response"]["status"], "failed");
        assert_eq!(events[1]["type"], "error");
        assert_eq!(events[1]["error"]["message"], "cut");
    }
}
