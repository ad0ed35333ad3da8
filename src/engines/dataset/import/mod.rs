//! Lines of other systems as conversations: what stands where in them is said by a mapping file.
//!
//! Pure: text comes in, a [`ForeignConversation`] or the reason why there is none goes out. `docs/IMPORT.md` documents
//! the mapping file; [`SHIPPED`] has those that are compiled in.

mod map;
mod path;
mod scores;
#[cfg(test)]
mod tests;
mod turns;
mod values;

use std::borrow::Cow;

use serde_json::Value;

use self::map::MapFile;
use self::path::Pointer;
use self::turns::{Answer, Shape, kind, last_answer};
use crate::storage::evidence_log::canonical;
use crate::types::evidence::TokenUsage;
use crate::types::foreign::{ForeignConversation, ForeignFeedback};

pub use map::MapError;

/// The maps that are compiled in, by name.
pub static SHIPPED: &[(&str, &str)] = &[
    (
        "langfuse",
        include_str!("../../../../config/maps/langfuse.toml"),
    ),
    (
        "litellm",
        include_str!("../../../../config/maps/litellm.toml"),
    ),
    (
        "openai",
        include_str!("../../../../config/maps/openai.toml"),
    ),
    (
        "sharegpt",
        include_str!("../../../../config/maps/sharegpt.toml"),
    ),
];

/// How lines of one system become conversations.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping(MapFile);

/// What a line is.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapped {
    /// A conversation, and whether it has scores that no rule of the map could judge.
    Conversation {
        /// The conversation.
        conversation: Box<ForeignConversation>,
        /// Whether it has scores, and no rating.
        unrated: bool,
    },
    /// Something else, which the map says to pass over.
    Passed,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// Errors: names the key at fault.
    pub fn parse(text: &str) -> Result<Self, MapError> {
        MapFile::parse(text).map(Self)
    }

    /// Finds a map that is compiled in.
    ///
    /// Errors: what is wrong with it, which a test keeps from happening.
    pub fn shipped(name: &str) -> Option<Result<Self, MapError>> {
        let (_, text) = SHIPPED.iter().find(|(known, _)| *known == name)?;
        Some(Self::parse(text))
    }

    /// The name of the source, where the file gives one.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Reads a line.
    ///
    /// Errors: why it is no conversation.
    pub fn line(&self, line: &[u8]) -> Result<Mapped, String> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let text = std::str::from_utf8(line)
            .map_err(|error| format!("not UTF-8: bad byte at {}", error.valid_up_to() + 1))?;
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        if !value.is_object() {
            return Err(format!("{}, not a JSON object", kind(&value)));
        }
        if self.passes(&value) {
            return Ok(Mapped::Passed);
        }
        self.conversation(&value)
    }

    /// Whether a line is something else.
    fn passes(&self, line: &Value) -> bool {
        let is = |(pointer, values): &(Pointer, Vec<Value>)| {
            let found = pointer.find(line)?;
            Some(values.contains(&found))
        };
        self.0.only.iter().any(|only| is(only) == Some(false))
            || self.0.skip.iter().any(|skip| is(skip) == Some(true))
    }

    fn conversation(&self, line: &Value) -> Result<Mapped, String> {
        let map = &self.0;
        let (mut messages, answer) = self.turns(line)?;
        let tools = self.read(line, "tools", values::list)?.unwrap_or_default();
        if let Some(system) = self.read(line, "system", values::text)?
            && messages.iter().all(|message| message["role"] != "system")
        {
            messages.insert(0, serde_json::json!({"role": "system", "content": system}));
        }
        let error = self.read(line, "error", values::any_text)?;
        let ts = self.read(line, "time", values::time)?;
        let latency = match self.read(line, "latency_ms", values::number)? {
            Some(ms) => Some(ms),
            None => self
                .read(line, "latency_s", values::number)?
                .map(|s| s * 1_000.0),
        };
        let latency = match latency {
            Some(ms) => values::millis(ms),
            None => match (ts, self.read(line, "end_time", values::time)?) {
                (Some(start), Some(end)) => end.saturating_sub(start),
                _ => 0,
            },
        };
        let model = self.read(line, "model", values::text)?;
        let model = model.or_else(|| map.default_model.clone());
        let requested = self.read(line, "requested_model", values::text)?;
        let provider = self.read(line, "provider", values::text)?;
        let provider = provider.or_else(|| map.default_provider.clone());
        let finish_reason = self.read(line, "finish_reason", values::text)?;
        // What failed did not end as most do.
        let default = map
            .default_finish_reason
            .clone()
            .filter(|_| error.is_none());
        let (scores, feedback) = self.judgement(line)?;
        let mut conversation = ForeignConversation {
            id: self.read(line, "id", values::id)?.unwrap_or_default(),
            ts,
            answered_by: answered_by(provider.as_deref(), model.as_deref()),
            model: requested.or(model).unwrap_or_default(),
            messages,
            answer: answer.text,
            tools,
            tool_calls: answer.calls,
            finish_reason: finish_reason.or(default),
            error,
            usage: self.usage(line)?,
            cost_usd: self.read(line, "cost_usd", values::amount)?,
            user: self.read(line, "user", values::id)?,
            key: self.read(line, "key", values::id)?,
            tags: self.read(line, "tags", values::words)?.unwrap_or_default(),
            latency_ms: latency,
            scores,
            feedback,
        };
        if conversation.id.is_empty() {
            conversation.id = content_id(&conversation);
        }
        let unrated = conversation.feedback.is_none() && !conversation.scores.is_empty();
        Ok(Mapped::Conversation {
            conversation: Box::new(conversation),
            unrated,
        })
    }

    /// The messages before the answer, and the answer.
    fn turns(&self, line: &Value) -> Result<(Vec<Value>, Answer), String> {
        let map = &self.0;
        let shape = Shape {
            roles: &map.roles,
            role_members: &map.role_members,
            content_members: &map.content_members,
        };
        let at = |place: &Pointer, reason: String| format!("{place}: {reason}");
        let paths = map.field("messages").cloned().unwrap_or_default();
        let Some((found, place)) = paths.find(line, &map.nothing) else {
            return Err(format!("no messages at {paths}"));
        };
        let mut messages = shape.messages(&found).map_err(|reason| at(place, reason))?;
        let paths = map.field("answer").cloned().unwrap_or_default();
        let answer = match paths.find(line, &map.nothing) {
            Some((found, place)) => {
                let answer = shape.answer(&found).map_err(|reason| at(place, reason))?;
                Some((answer, place.to_string()))
            }
            None => last_answer(&mut messages).map(|answer| (answer, place.to_string())),
        };
        let Some((answer, place)) = answer else {
            let places = match paths.0.is_empty() {
                true => String::new(),
                false => format!(" at {paths},"),
            };
            return Err(format!(
                "no answer{places} and no message of the assistant at {place}"
            ));
        };
        if answer.is_empty() {
            return Err(format!("{place}: the answer is empty"));
        }
        if messages.is_empty() {
            return Err(format!("{place}: nothing stands before the answer"));
        }
        Ok((messages, answer))
    }

    /// Reads a field.
    ///
    /// Errors: it is there, and is something else.
    fn read<T>(
        &self,
        line: &Value,
        field: &str,
        as_type: impl Fn(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        let paths = self.0.field(field);
        let found = paths.and_then(|paths| paths.find(line, &self.0.nothing));
        let Some((found, place)) = found else {
            return Ok(None);
        };
        let read = as_type(&found);
        read.map(Some)
            .map_err(|reason| format!("{field} at {place}: {reason}"))
    }

    fn usage(&self, line: &Value) -> Result<Option<TokenUsage>, String> {
        let count = |field| self.read(line, field, values::count);
        let (prompt, completion) = (count("prompt_tokens")?, count("completion_tokens")?);
        if prompt.is_none() && completion.is_none() {
            return Ok(None);
        }
        Ok(Some(TokenUsage {
            prompt_tokens: prompt.unwrap_or_default(),
            completion_tokens: completion.unwrap_or_default(),
            cached_tokens: count("cached_tokens")?.unwrap_or_default(),
            cache_write_tokens: 0,
        }))
    }

    fn judgement(
        &self,
        line: &Value,
    ) -> Result<
        (
            Vec<crate::types::evidence::ImportedScore>,
            Option<ForeignFeedback>,
        ),
        String,
    > {
        let map = &self.0;
        let find = |paths: &path::Paths| {
            let found: Option<(Cow<'_, Value>, &Pointer)> = paths.find(line, &map.nothing);
            found.map(|(value, place)| {
                values::text(&value).map_err(|reason| format!("{place}: {reason}"))
            })
        };
        let scores = match map.scores.find(line, &map.nothing) {
            Some((found, place)) => {
                scores::read(&found).map_err(|reason| format!("{place}: {reason}"))?
            }
            None => Vec::new(),
        };
        let judged = scores::judge(&scores, &map.rules)?;
        let edited_answer = find(&map.edited_answer).transpose()?;
        let comment = find(&map.comment).transpose()?;
        let user = find(&map.judge).transpose()?;
        let kept = scores.into_iter().map(|score| score.score).collect();
        let feedback = match (judged, edited_answer) {
            (Some(judged), edited_answer) => Some(ForeignFeedback {
                rating: judged.rating,
                score: judged.score,
                comment: judged.comment.or(comment),
                edited_answer,
                user,
            }),
            (None, Some(edited_answer)) => Some(ForeignFeedback {
                rating: crate::types::evidence::Rating::PartiallyAccepted,
                score: None,
                comment,
                edited_answer: Some(edited_answer),
                user,
            }),
            (None, None) => None,
        };
        Ok((kept, feedback))
    }
}

/// `provider/model`, once.
fn answered_by(provider: Option<&str>, model: Option<&str>) -> Option<String> {
    match (provider, model) {
        (Some(provider), Some(model)) if model.starts_with(&format!("{provider}/")) => {
            Some(model.to_owned())
        }
        (Some(provider), Some(model)) => Some(format!("{provider}/{model}")),
        (one, other) => one.or(other).map(str::to_owned),
    }
}

/// The id of a conversation that has none: the same words have the same.
fn content_id(conversation: &ForeignConversation) -> String {
    let content = serde_json::json!([
        conversation.messages,
        conversation.answer,
        conversation.tool_calls
    ]);
    let digest = blake3::hash(canonical(&content).as_bytes()).to_hex();
    format!("content-{}", digest.get(..32).unwrap_or_default())
}
