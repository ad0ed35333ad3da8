//! The embedded answerer: no model, only the best sentences of the passages, quoted and cited.

use std::collections::{BTreeMap, BTreeSet};

use unicode_segmentation::UnicodeSegmentation;

use super::EXTRACTIVE;
use crate::engines::chat::ChatError;
use crate::engines::chat::grounding::NOTHING_FOUND;
use crate::engines::chat::sentences::{prose, stems};
use crate::engines::chat::{Plan, Provider, StreamDecoder};
use crate::types::chat::{ChatEvent, ChatReply, ChatRequest, FinishReason, Passage};
use crate::types::evidence::TokenUsage;
use crate::types::http::HttpReply;

/// Most sentences of an answer.
const MAX_SENTENCES: usize = 3;
/// Longest sentence that is quoted whole, characters.
const MAX_QUOTE: usize = 500;
/// Most sentences that are looked at.
const MAX_LOOKED_AT: usize = 2_000;
// The two below were set on the TREC-QA demo corpus: of 134 questions with an answer among five
// passages 131 are answered, 116 with a right citation; of 167 with passages that only share words
// with the question 130 are refused.
/// Least share of the question's words, by weight, that a sentence must speak of.
const MIN_COVERAGE: f64 = 0.3;
/// Weight of a word that stands in no passage; of those that do, from 1.
const ABSENT_WEIGHT: f64 = 2.0;
/// A further sentence must be this good beside the best.
const MIN_SHARE_OF_BEST: f64 = 0.7;
/// Sentences that share more of their words than this say the same.
const MAX_LIKENESS: f64 = 0.7;

const NO_RETRIEVAL: &str = "I only answer from retrieved passages. Name a collection in \
    \"retrieval\": {\"collection\": \"…\"}, or ask a model of another provider.";
const NO_ANSWER: &str = "I found no answer to this question in the retrieved passages.";

/// Answers with sentences of the passages that share the question's words.
pub(super) struct Extractive;

impl Provider for Extractive {
    fn plan(&self, request: &ChatRequest) -> Result<Plan, ChatError> {
        let unsupported = |message: &str| ChatError::Unsupported {
            provider: EXTRACTIVE.to_owned(),
            message: message.to_owned(),
        };
        let format = request
            .response_format
            .as_ref()
            .and_then(|format| format["type"].as_str());
        if format.is_some_and(|format| format != "text") {
            return Err(unsupported("a response_format other than text"));
        }
        let choice = request.tool_choice.as_ref();
        if choice.is_some_and(|choice| choice != "auto" && choice != "none") {
            return Err(unsupported("tool calls"));
        }
        let question = request.question().unwrap_or_default();
        let text = match &request.passages {
            None => NO_RETRIEVAL.to_owned(),
            Some(passages) if passages.is_empty() => NOTHING_FOUND.to_owned(),
            Some(passages) => match quote(&question, passages) {
                found if found.is_empty() => NO_ANSWER.to_owned(),
                found => found.join("\n"),
            },
        };
        let words = |text: &str| text.unicode_words().count() as u64;
        let read = request
            .passages
            .iter()
            .flatten()
            .map(|passage| words(&passage.text));
        let usage = TokenUsage {
            prompt_tokens: words(&question) + read.sum::<u64>(),
            completion_tokens: words(&text),
            ..TokenUsage::default()
        };
        Ok(Plan::Ready(ChatReply {
            text,
            finish: FinishReason::Stop,
            usage: Some(usage),
            ..ChatReply::default()
        }))
    }

    fn decode(&self, _: &HttpReply) -> Result<ChatReply, ChatError> {
        Err(no_upstream())
    }

    fn stream(&self) -> Box<dyn StreamDecoder + Send> {
        Box::new(Nothing)
    }
}

/// The stream of a provider that calls nobody.
struct Nothing;

impl StreamDecoder for Nothing {
    fn feed(&mut self, _: &[u8], _: &mut Vec<ChatEvent>) -> Result<(), ChatError> {
        Err(no_upstream())
    }

    fn is_done(&self) -> bool {
        true
    }

    fn finish(&mut self, _: &mut Vec<ChatEvent>) -> Result<(), ChatError> {
        Err(no_upstream())
    }
}

fn no_upstream() -> ChatError {
    ChatError::Malformed {
        provider: EXTRACTIVE.to_owned(),
        message: "it has no upstream that could answer".to_owned(),
    }
}

struct Sentence<'a> {
    text: &'a str,
    passage: usize,
    stems: BTreeSet<String>,
    score: f64,
}

/// Quotes the sentences that answer best, each with the number of its passage; none when none fits.
fn quote(question: &str, passages: &[Passage]) -> Vec<String> {
    let wanted = stems(question);
    let mut pool: Vec<Sentence> = passages
        .iter()
        .enumerate()
        .flat_map(|(passage, from)| {
            prose(&from.text)
                .into_iter()
                .map(move |text| (passage, text))
        })
        .take(MAX_LOOKED_AT)
        .map(|(passage, text)| Sentence {
            text,
            passage,
            stems: stems(text),
            score: 0.0,
        })
        .collect();
    let weights = weights(&wanted, &pool);
    let total: f64 = weights.values().sum();
    if total <= 0.0 {
        return Vec::new();
    }
    let coverage = |own: &BTreeSet<String>| -> f64 {
        wanted
            .intersection(own)
            .filter_map(|stem| weights.get(stem))
            .sum::<f64>()
            / total
    };
    let around: Vec<f64> = passages
        .iter()
        .map(|from| coverage(&stems(&from.text)))
        .collect();
    let wants_number = asks_for_number(question);
    for sentence in &mut pool {
        let own = coverage(&sentence.stems);
        if own < MIN_COVERAGE {
            continue;
        }
        let rank = 1.0 / (1.0 + sentence.passage as f64);
        let number = wants_number && sentence.text.bytes().any(|byte| byte.is_ascii_digit());
        // A question repeated is not its answer.
        let asks = sentence.text.ends_with('?');
        sentence.score =
            own + 0.2 * around[sentence.passage] + 0.25 * rank + if number { 0.2 } else { 0.0 }
                - if asks { 0.3 } else { 0.0 };
    }
    pool.retain(|sentence| sentence.score > 0.0);
    // A stable sort: of equals, the one that was retrieved first.
    pool.sort_by(|one, other| other.score.total_cmp(&one.score));
    let mut chosen: Vec<&Sentence> = Vec::new();
    for sentence in &pool {
        let best = chosen.first().map_or(sentence.score, |best| best.score);
        if chosen.len() == MAX_SENTENCES || sentence.score < best * MIN_SHARE_OF_BEST {
            break;
        }
        if chosen
            .iter()
            .all(|known| likeness(&known.stems, &sentence.stems) < MAX_LIKENESS)
        {
            chosen.push(sentence);
        }
    }
    let count = passages.len();
    chosen
        .iter()
        .map(|sentence| cited(sentence.text, sentence.passage + 1, count))
        .collect()
}

/// Weighs each wanted stem: the rarer among the sentences, the more it tells.
fn weights(wanted: &BTreeSet<String>, pool: &[Sentence]) -> BTreeMap<String, f64> {
    let count = pool.len() as f64;
    wanted
        .iter()
        .map(|stem| {
            let with = pool
                .iter()
                .filter(|sentence| sentence.stems.contains(stem))
                .count() as f64;
            let rarity = (1.0 + (count - with + 0.5) / (with + 0.5)).ln();
            let weight = if with > 0.0 {
                1.0 + rarity
            } else {
                ABSENT_WEIGHT
            };
            (stem.clone(), weight)
        })
        .collect()
}

fn likeness(one: &BTreeSet<String>, other: &BTreeSet<String>) -> f64 {
    let shared = one.intersection(other).count() as f64;
    shared / one.union(other).count().max(1) as f64
}

fn asks_for_number(question: &str) -> bool {
    let question = question.to_lowercase();
    [
        "when",
        "how many",
        "how much",
        "how old",
        "how long",
        "how far",
        "how tall",
        "what year",
    ]
    .iter()
    .any(|words| question.contains(words))
}

/// Writes a quote with its mark. Marks of the passage's own that would count as citations are taken
/// out.
fn cited(sentence: &str, number: usize, count: usize) -> String {
    let mut quoted = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    if quoted.contains('[') {
        for mark in 1..=count {
            quoted = quoted.replace(&format!("[{mark}]"), "");
        }
    }
    if let Some((end, _)) = quoted.char_indices().nth(MAX_QUOTE) {
        quoted.truncate(end);
        quoted.push('…');
    }
    format!("“{}” [{number}]", quoted.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::chat::citations;
    use crate::types::chat::{ChatMessage, Role};

    const WICCA: &str = "Wicca is a modern pagan religion.[2] It was introduced to the public in \
        1954 by Gerald Gardner. Wiccans typically worship a Goddess and a Horned God. It has no \
        central authority.";
    const BOATS: &str = "The harbour of Westport holds forty boats. Its pier was built in 1887, \
        after the great storm. What do the fishermen worship? Nobody knows.";

    fn passages(texts: &[&str]) -> Vec<Passage> {
        let passage = |(index, text): (usize, &&str)| Passage {
            collection: "docs".into(),
            id: format!("p{index}"),
            score: 1.0,
            text: (*text).to_owned(),
            title: None,
            role: None,
        };
        texts.iter().enumerate().map(passage).collect()
    }

    fn answer(question: &str, passages: Option<Vec<Passage>>) -> String {
        let request = ChatRequest {
            messages: vec![
                ChatMessage::new(Role::User, "earlier question about dragons"),
                ChatMessage::new(Role::User, question),
            ],
            passages,
            ..ChatRequest::default()
        };
        match Extractive.plan(&request) {
            Ok(Plan::Ready(reply)) => {
                assert!(reply.usage.unwrap().completion_tokens > 0);
                reply.text
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_sentence_that_answers_comes_first_and_is_cited() {
        for (question, expected, mark) in [
            (
                "What do wiccans worship?",
                "Wiccans typically worship a Goddess and a Horned God.",
                "[1]",
            ),
            (
                "When was the pier built?",
                "Its pier was built in 1887, after the great storm.",
                "[2]",
            ),
            (
                "How many boats are in Westport's harbour?",
                "holds forty boats",
                "[2]",
            ),
        ] {
            let given = passages(&[WICCA, BOATS]);
            let text = answer(question, Some(given.clone()));
            let first = text.lines().next().unwrap();
            assert!(
                first.contains(expected) && first.ends_with(mark),
                "{question}: {text}"
            );
            let found = citations(&text, &given);
            assert!(!found.is_empty() && found.len() <= MAX_SENTENCES);
            for citation in found {
                // What is quoted stands in the passage.
                let passage = &given[citation.index - 1];
                assert!(passage.text.contains(&citation.quote), "{citation:?}");
            }
        }
    }

    #[test]
    fn without_an_answer_it_says_so() {
        let given = || Some(passages(&[WICCA, BOATS]));
        for (question, passages, expected) in [
            ("Which enzyme splits lactose?", given(), NO_ANSWER),
            ("", given(), NO_ANSWER),
            ("who is it?", given(), NO_ANSWER),
            ("anything", Some(Vec::new()), NOTHING_FOUND),
            ("anything", None, NO_RETRIEVAL),
            ("x", Some(self::passages(&["", " \n"])), NO_ANSWER),
        ] {
            assert_eq!(answer(question, passages), expected, "{question}");
        }
    }

    #[test]
    fn code_is_not_quoted() {
        let given = passages(&[
            "The ferry is started from the shell.\n\n```console\n$ ferry start --when \
             nine\nferry started at nine\n```\n\ncurl -s localhost/ferry/start --data nine",
        ]);
        assert_eq!(
            answer("How is the ferry started?", Some(given.clone())),
            "“The ferry is started from the shell.” [1]"
        );
        let only_code = passages(&["```\nferry started at nine\n```"]);
        assert_eq!(
            answer("When was the ferry started?", Some(only_code)),
            NO_ANSWER
        );
    }

    #[test]
    fn footnotes_of_a_passage_are_no_citations() {
        let given = passages(&[WICCA, BOATS]);
        let text = answer("Is wicca a modern pagan religion?", Some(given));
        assert!(
            text.starts_with("“Wicca is a modern pagan religion.” [1]"),
            "{text}"
        );
    }

    #[test]
    fn huge_and_odd_passages_do_no_harm() {
        let wall = "boat".repeat(50_000);
        let many = "The boat is here. ".repeat(20_000);
        let text = answer(
            "where is the boat boat?",
            Some(passages(&[&wall, &many, "boat \u{0}[1]"])),
        );
        assert!(
            text.chars().count() < 3 * (MAX_QUOTE + 10),
            "{}",
            text.len()
        );
    }

    #[test]
    fn json_and_forced_tools_go_to_the_next_candidate() {
        for (format, choice) in [
            (Some(serde_json::json!({"type": "json_object"})), None),
            (None, Some(serde_json::json!("required"))),
        ] {
            let request = ChatRequest {
                response_format: format,
                tool_choice: choice,
                ..ChatRequest::default()
            };
            let planned = Extractive.plan(&request);
            assert!(
                matches!(planned, Err(ChatError::Unsupported { .. })),
                "{planned:?}"
            );
        }
    }
}
