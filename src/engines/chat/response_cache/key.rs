//! What two requests must have in common to have the same answer.

use serde_json::{Value, json};

use super::super::routing::Candidate;
use crate::storage::evidence_log::canonical;
use crate::types::chat::{ChatMessage, ChatRequest, Content, Passage, Role};

/// Fields that tell who asks or how it is accounted, and do not change what is answered.
const NOT_ASKED: [&str; 4] = ["metadata", "prompt_cache_key", "safety_identifier", "store"];

/// Names an answer, or the questions that differ in nothing but their words.
// A whole BLAKE3 hash: what one client asks must not be made to collide with what another does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResponseKey([u8; 32]);

/// A request as the cache looks at it, before the passages are written into its messages.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Digest of all that is asked.
    whole: [u8; 32],
    /// The same without the words of the last question.
    rest: Option<[u8; 32]>,
    question: Option<String>,
}

impl Asked {
    /// Reads a request, the `passages` that were found for it, and what names the state of where they
    /// were looked for. `similar` is who may see what was answered to a similar question, where such
    /// ones are to be found.
    pub fn new(
        request: &ChatRequest,
        passages: Option<&[Passage]>,
        snapshot: &Value,
        similar: Option<&str>,
    ) -> Self {
        let mut extra = request.extra.clone();
        let mut who = json!([similar, request.user]);
        for name in NOT_ASKED {
            if let (Some(value), Some(list)) = (extra.remove(name), who.as_array_mut()) {
                list.push(json!([name, value]));
            }
        }
        let passage = |passage: &Passage| {
            json!([passage.collection, passage.id, passage.title, passage.text])
        };
        let found: Option<Vec<Value>> = passages.map(|found| found.iter().map(passage).collect());
        let asked = |messages: Value, found: Option<Vec<Value>>| {
            json!({
                "messages": messages,
                "passages": found,
                "snapshot": snapshot,
                "tools": request.tools,
                "tool_choice": request.tool_choice,
                "response_format": request.response_format,
                "temperature": request.temperature,
                "top_p": request.top_p,
                "max_tokens": request.max_tokens,
                "max_completion_tokens": request.max_completion_tokens,
                "stop": request.stop,
                "seed": request.seed,
                "presence_penalty": request.presence_penalty,
                "frequency_penalty": request.frequency_penalty,
                "extra": extra,
                "native": request.native,
            })
        };
        let whole = digest(&asked(json!(request.messages), found.clone()));
        let last = similar.and_then(|_| last_question(&request.messages));
        let (question, others) = last.unzip();
        let rest = others.map(|others| {
            // Another wording finds the same passages in another order.
            let mut found = found;
            if let Some(found) = &mut found {
                found.sort_by_key(canonical);
            }
            let mut rest = asked(json!(others), found);
            rest["who"] = who;
            digest(&rest)
        });
        Self {
            whole,
            rest,
            question,
        }
    }

    /// Takes the words of the last question, when a similar one may be looked for.
    pub fn take_question(&mut self) -> Option<String> {
        self.question.take()
    }

    /// Names the answer of a candidate.
    pub fn key(&self, candidate: &Candidate) -> ResponseKey {
        hashed("whole", &self.whole, candidate)
    }

    /// Names the questions to a candidate that differ in their words only.
    pub fn near(&self, candidate: &Candidate) -> Option<ResponseKey> {
        let rest = self.rest.as_ref()?;
        Some(hashed("rest", rest, candidate))
    }
}

/// The text of the last message, which must be a user's, and all messages without it.
fn last_question(messages: &[ChatMessage]) -> Option<(String, Vec<ChatMessage>)> {
    let mut others = messages.to_vec();
    let last = others.last_mut().filter(|last| last.role == Role::User)?;
    let content = last.content.take()?;
    let plain = match &content {
        Content::Text(_) => true,
        Content::Parts(parts) => parts
            .iter()
            .all(|part| part.kind == "text" && part.rest.is_empty()),
    };
    let text = content.text().trim().to_owned();
    (plain && !text.is_empty()).then_some((text, others))
}

fn digest(asked: &Value) -> [u8; 32] {
    *blake3::hash(canonical(asked).as_bytes()).as_bytes()
}

fn hashed(kind: &str, asked: &[u8; 32], candidate: &Candidate) -> ResponseKey {
    let mut hasher = blake3::Hasher::new();
    for part in [kind, &candidate.provider, &candidate.model] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(asked);
    ResponseKey(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(model: &str) -> Candidate {
        Candidate {
            provider: "up".to_owned(),
            model: model.to_owned(),
        }
    }

    fn request(question: &str) -> ChatRequest {
        ChatRequest {
            model: "up/m".to_owned(),
            messages: vec![
                ChatMessage::new(Role::System, "be kind"),
                ChatMessage::new(Role::User, question),
            ],
            ..ChatRequest::default()
        }
    }

    fn passages(ids: &[&str]) -> Vec<Passage> {
        let passage = |id: &&str| Passage {
            collection: "docs".to_owned(),
            id: (*id).to_owned(),
            score: id.len() as f32,
            text: format!("text of {id}"),
            title: None,
            role: None,
        };
        ids.iter().map(passage).collect()
    }

    /// The keys of a request that differs from the plain one by `change`.
    fn keys(change: impl FnOnce(&mut ChatRequest)) -> (ResponseKey, Option<ResponseKey>) {
        let mut request = request("hi");
        change(&mut request);
        let asked = Asked::new(&request, None, &Value::Null, Some("k"));
        (asked.key(&candidate("m")), asked.near(&candidate("m")))
    }

    #[test]
    fn what_is_asked_makes_the_key_and_how_it_is_delivered_does_not() {
        let plain = keys(|_| {});
        assert_eq!(keys(|request| request.stream = true), plain);
        assert_eq!(keys(|request| request.model = "alias".to_owned()), plain);
        // Who asks does not change the answer, but nobody gets another's similar one.
        for (key, near) in [
            keys(|request| request.user = Some("u".to_owned())),
            keys(|request| {
                request.extra.insert("metadata".to_owned(), json!({"a": 1}));
            }),
        ] {
            assert_eq!(key, plain.0);
            assert_ne!(near, plain.1);
        }
        let changes: [fn(&mut ChatRequest); 9] = [
            |request| request.temperature = Some(0.0),
            |request| request.max_tokens = Some(9),
            |request| request.seed = Some(1),
            |request| request.stop = vec!["x".to_owned()],
            |request| request.response_format = Some(json!({"type": "json_object"})),
            |request| request.tool_choice = Some(json!("none")),
            |request| {
                request.native.insert("top_k".to_owned(), json!(3));
            },
            |request| {
                request
                    .extra
                    .insert("reasoning_effort".to_owned(), json!("low"));
            },
            |request| request.messages[0] = ChatMessage::new(Role::System, "be rude"),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let (key, near) = keys(change);
            assert!(key != plain.0 && near != plain.1, "{number}");
        }
        let (key, near) = keys(|request| *request = self::request("hello"));
        assert_ne!(key, plain.0);
        assert_eq!(near, plain.1, "only the words of the question differ");
    }

    #[test]
    fn a_model_and_a_snapshot_have_answers_of_their_own() {
        let asked = |snapshot: Value| Asked::new(&request("hi"), None, &snapshot, Some("k"));
        let one = asked(json!({"lsn": 1}));
        assert_ne!(one.key(&candidate("m")), one.key(&candidate("n")));
        assert_ne!(one.near(&candidate("m")), one.near(&candidate("n")));
        let two = asked(json!({"lsn": 2}));
        assert_ne!(one.key(&candidate("m")), two.key(&candidate("m")));
        assert_ne!(one.near(&candidate("m")), two.near(&candidate("m")));
        let (a, b) = (("a", "b/c"), ("a/b", "c"));
        let [a, b] = [a, b].map(|(provider, model)| Candidate {
            provider: provider.to_owned(),
            model: model.to_owned(),
        });
        assert_ne!(one.key(&a), one.key(&b));
    }

    #[test]
    fn passages_count_in_their_order_for_the_same_question_and_as_a_set_for_a_similar_one() {
        let m = candidate("m");
        let asked = |ids: &[&str]| {
            let found = passages(ids);
            Asked::new(&request("hi"), Some(&found), &Value::Null, Some("k"))
        };
        let (one, two, less) = (asked(&["a", "b"]), asked(&["b", "a"]), asked(&["a"]));
        assert_ne!(one.key(&m), two.key(&m));
        assert_eq!(one.near(&m), two.near(&m));
        assert_ne!(one.near(&m), less.near(&m));
    }

    #[test]
    fn only_a_text_of_the_user_has_similar_ones() {
        let parts = |value: Value| -> ChatMessage {
            serde_json::from_value(json!({"role": "user", "content": value})).unwrap()
        };
        let image = json!({"type": "image_url", "image_url": {"url": "u"}});
        for (message, question) in [
            (ChatMessage::new(Role::User, " hi "), Some("hi")),
            (parts(json!([{"type": "text", "text": "hi"}])), Some("hi")),
            (parts(json!([{"type": "text", "text": "hi"}, image])), None),
            (ChatMessage::new(Role::User, " "), None),
            (ChatMessage::new(Role::Assistant, "hi"), None),
        ] {
            let request = ChatRequest {
                messages: vec![message],
                ..ChatRequest::default()
            };
            let mut asked = Asked::new(&request, None, &Value::Null, Some("k"));
            assert_eq!(asked.near(&candidate("m")).is_some(), question.is_some());
            assert_eq!(asked.take_question().as_deref(), question);
            // Where no similar ones are wanted, nothing is made for them, and the answer is the same.
            let mut exact = Asked::new(&request, None, &Value::Null, None);
            assert_eq!(exact.near(&candidate("m")), None);
            assert_eq!(exact.take_question(), None);
            assert_eq!(exact.key(&candidate("m")), asked.key(&candidate("m")));
        }
    }
}
