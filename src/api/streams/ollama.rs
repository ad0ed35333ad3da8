//! Ollama's lines: one JSON object each, the last with `done: true`, or with an `error`.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::Writer;
use crate::api::routes::chat::tell_judgement;
use crate::api::routes::messages::calls_with_objects;
use crate::api::routes::ollama_chat::{Form, call_json, ending};
use crate::services::complete::{CompletionStream, Piece};
use crate::types::chat::{ChatDelta, Citation, FinishReason, ToolCall};
use crate::types::demand::Judgement;
use crate::types::evidence::TokenUsage;

/// Writes one answer.
pub(in crate::api) struct OllamaLines {
    form: Form,
    model: String,
    created_at: String,
    started: Instant,
    /// Calls so far: they are written whole, with the last line but one.
    calls: Vec<ToolCall>,
    citations: Vec<Citation>,
    finish: FinishReason,
    usage: TokenUsage,
    validation: Option<Judgement>,
}

impl OllamaLines {
    /// The lines of `stream`; `started` is when the request came.
    pub(in crate::api) fn of(
        form: Form,
        stream: &CompletionStream,
        created_at: String,
        started: Instant,
    ) -> Self {
        Self {
            form,
            model: stream.model.clone(),
            created_at,
            started,
            calls: Vec::new(),
            citations: Vec::new(),
            finish: FinishReason::Stop,
            usage: TokenUsage::default(),
            validation: None,
        }
    }

    fn line(&self, answer: Map<String, Value>) -> String {
        let line = self.form.line(&self.model, &self.created_at, answer);
        format!("{line}\n")
    }

    fn delta(&mut self, delta: ChatDelta) -> String {
        for piece in &delta.tool_calls {
            piece.join(&mut self.calls);
        }
        let content = delta.content + &delta.refusal;
        if content.is_empty() && delta.reasoning.is_empty() {
            return String::new();
        }
        self.line(self.form.answer(content, delta.reasoning))
    }

    fn end(&self) -> String {
        let mut text = String::new();
        let calls = match calls_with_objects(&self.calls, self.finish) {
            Ok(calls) => calls,
            Err(error) => return format!("{}\n", json!({"error": error.message})),
        };
        if !calls.is_empty() {
            let mut answer = self.form.answer(String::new(), String::new());
            let calls = calls
                .into_iter()
                .map(|(call, input)| call_json(call, input));
            self.form.set_calls(&mut answer, calls.collect());
            text.push_str(&self.line(answer));
        }
        let answer = self.form.answer(String::new(), String::new());
        let mut last = self.form.line(&self.model, &self.created_at, answer);
        ending(
            &mut last,
            self.finish,
            self.usage,
            self.started.elapsed(),
            &self.citations,
        );
        tell_judgement(&mut last, self.validation.as_ref());
        text.push_str(&format!("{last}\n"));
        text
    }
}

impl Writer for OllamaLines {
    const CONTENT_TYPE: &'static str = "application/x-ndjson";

    fn begin(&mut self) -> String {
        String::new()
    }

    fn write(&mut self, piece: Piece) -> String {
        match piece {
            Piece::Delta(delta) => return self.delta(delta),
            Piece::Citations(citations) => self.citations = citations,
            Piece::Finish(reason) => self.finish = reason,
            Piece::Usage(usage) => self.usage = usage,
            Piece::Validation(judgement) => self.validation = Some(judgement),
            Piece::Done => return self.end(),
            Piece::Failed(error) => return format!("{}\n", json!({"error": error.message})),
        }
        String::new()
    }

    /// Its clients read every line, so it is one that says nothing.
    fn keep_alive(&self) -> String {
        self.line(self.form.answer(String::new(), String::new()))
    }
}
