//! `grounding`: an answer, sentence by sentence, against the passages that it cites.
//!
//! No model is asked: a sentence is compared with those of the passages by its words and by an embedding that is compiled
//! in, and what it says of numbers, dates and names, and what it denies, by rules. So it finds what departs from the
//! passages; whether a conclusion follows from them it cannot tell.

mod claims;
mod numbers;
mod passages;
mod rules;
mod words;

#[cfg(test)]
mod measured;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Parts;
use crate::engines::embedding::Embedder;
use crate::engines::validation::fields::{Fields, kind_of};
use crate::engines::validation::shown::quoted;
use crate::engines::validation::{GroundingConfig, Rule, Validator};
use crate::types::validation::Finding;
use claims::{Claim, claims};
use passages::{Pieces, Support};
use words::{Words, read};

struct Grounding {
    config: GroundingConfig,
    embedder: Arc<dyn Embedder>,
}

pub(super) fn build(parts: &Parts<'_>) -> Box<dyn Validator> {
    Box::new(Grounding {
        config: parts.config.grounding.clone(),
        embedder: Arc::clone(&parts.embedder),
    })
}

impl Validator for Grounding {
    fn name(&self) -> &'static str {
        "grounding"
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object",
            "required": ["payload"],
            "properties": {
                "payload": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["answer", "passages"],
                    "properties": {
                        "answer": {"type": "string", "description": "Cites passages by their numbers from 1, as in [1] or [2, 3]."},
                        "passages": {
                            "type": "array",
                            "maxItems": self.config.max_passages,
                            "items": {
                                "type": ["object", "string"],
                                "required": ["text"],
                                "properties": {
                                    "id": {"type": "string"}, "text": {"type": "string"}, "role": {"type": "string"},
                                },
                            },
                        },
                        "question": {"type": "string", "description": "Its names and numbers may stand in the answer."},
                    },
                },
                "context": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "require_citations": {"type": "boolean", "default": self.config.require_citations},
                    },
                },
            },
        })
    }

    fn rules(&self) -> &'static [Rule] {
        rules::ALL
    }

    fn validate(&self, payload: &Value, context: &Value) -> Vec<Finding> {
        let mut findings = Vec::new();
        let cites = self.read_context(context, &mut findings);
        let mut fields = Fields::of_payload(payload, String::new(), rules::SHAPE, &mut findings);
        fields.only(
            &["answer", "passages", "question"],
            rules::SHAPE,
            Some(rules::SHAPE),
        );
        fields.required("answer");
        fields.required("passages");
        let answer = fields.text("answer").unwrap_or_default();
        let question = fields.text("question").unwrap_or_default();
        let passages = fields.get("passages");
        let texts = self.read_passages(passages, &mut findings);
        self.judge(answer, question, &texts, cites, &mut findings);
        findings
    }
}

impl Grounding {
    fn read_context(&self, context: &Value, findings: &mut Vec<Finding>) -> bool {
        let mut fields = Fields::of_context(context, rules::SHAPE, findings);
        fields.only(&["require_citations"], rules::SHAPE, Some(rules::SHAPE));
        match fields.get("require_citations") {
            None => self.config.require_citations,
            Some(Value::Bool(wanted)) => *wanted,
            Some(other) => {
                fields.wrong(
                    "require_citations",
                    &format!("must be a boolean, is {}", kind_of(other)),
                );
                self.config.require_citations
            }
        }
    }

    /// The texts in their order; one that is none is an empty one, so that numbers still fit.
    fn read_passages<'a>(
        &self,
        passages: Option<&'a Value>,
        findings: &mut Vec<Finding>,
    ) -> Vec<&'a str> {
        let items = match passages {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => {
                let message = format!("passages must be a list, is {}", kind_of(other));
                findings.push(rules::SHAPE.finding("/passages", message));
                return Vec::new();
            }
        };
        let max = self.config.max_passages;
        if items.len() > max {
            let message = format!("there are {} passages, the limit is {max}", items.len());
            findings.push(rules::SHAPE.finding("/passages", message));
        }
        let mut wrong = 0;
        let mut texts = Vec::new();
        for (at, item) in items.iter().take(max).enumerate() {
            let text = item.as_str().or_else(|| item.get("text")?.as_str());
            if text.is_none() && wrong < MAX_WRONG {
                wrong += 1;
                let message = format!("passage {} has no text", at + 1);
                findings.push(rules::SHAPE.finding(format!("/passages/{at}"), message));
            }
            texts.push(text.unwrap_or_default());
        }
        texts
    }

    fn judge(
        &self,
        answer: &str,
        question: &str,
        texts: &[&str],
        cites: bool,
        findings: &mut Vec<Finding>,
    ) {
        let max = self.config.max_sentences;
        let (claims, count) = claims(answer, max);
        if claims.is_empty() {
            return;
        }
        let pieces = Pieces::of(texts.iter().copied(), &self.embedder);
        let asked = read(question);
        for claim in &claims {
            let mut cited = BTreeSet::new();
            let mut beyond = BTreeSet::new();
            for number in claim.cited.iter().copied() {
                match (1..=texts.len()).contains(&number) {
                    true => cited.insert(number),
                    false => beyond.insert(number),
                };
            }
            if !beyond.is_empty() {
                let told = beyond.iter().take(MAX_TOLD);
                let told: Vec<String> = told.map(|number| format!("[{number}]")).collect();
                let message = format!(
                    "{} cites {}{}; passages given: {}",
                    quoted(claim.sentence),
                    told.join(", "),
                    if beyond.len() > MAX_TOLD { " …" } else { "" },
                    texts.len()
                );
                findings.push(rules::CITATION_RANGE.finding(ANSWER, message));
            }
            if claim.claims {
                let one = One {
                    config: &self.config,
                    claim,
                    words: read(&claim.text),
                    cited,
                    cites,
                };
                one.judge(&pieces, &asked, findings);
            }
        }
        if count > max {
            let message = format!("only the first {max} of {count} sentences were judged");
            findings.push(rules::CUT.finding(ANSWER, message));
        }
    }
}

/// Where the answer stands in the payload.
const ANSWER: &str = "/answer";
/// Numbers of no passage that are told of one sentence.
const MAX_TOLD: usize = 5;
/// Passages without a text that are told.
const MAX_WRONG: usize = 20;

/// One sentence on trial.
struct One<'a> {
    config: &'a GroundingConfig,
    claim: &'a Claim<'a>,
    words: Words,
    cited: BTreeSet<usize>,
    /// Whether it must cite.
    cites: bool,
}

impl One<'_> {
    fn judge(&self, pieces: &Pieces, asked: &Words, findings: &mut Vec<Finding>) {
        let words = &self.words;
        if words.stems.is_empty() && words.numbers.is_empty() {
            return;
        }
        let suits = |passage: usize| self.cited.is_empty() || self.cited.contains(&passage);
        let supports = pieces.supports(&self.claim.text, words, suits);
        let Some(best) = supports.first().filter(|best| self.supports(best)) else {
            return self.unsupported(pieces, supports.first(), findings);
        };
        if self.cites && self.claim.cited.is_empty() {
            let message = format!("{} cites no passage", self.quoted());
            let suggestion = Some(format!("[{}]", best.piece.passage));
            findings.push(rules::CITATION_MISSING.suggesting(ANSWER, message, suggestion));
        }
        // What speaks of the same things, as far as can be told by words.
        let near: Vec<&Support<'_>> = supports
            .iter()
            .filter(|one| one.overlap >= self.config.min_overlap.min(best.overlap))
            .collect();
        self.facts(&near, best, asked, findings);
        self.denials(&near, best, findings);
    }

    fn supports(&self, support: &Support<'_>) -> bool {
        // Without a word that could be found, its numbers must do.
        self.words.stems.is_empty() || support.score >= self.config.min_support
    }

    fn unsupported(
        &self,
        pieces: &Pieces,
        best: Option<&Support<'_>>,
        findings: &mut Vec<Finding>,
    ) {
        if !self.cited.is_empty() {
            let elsewhere = pieces.supports(&self.claim.text, &self.words, |_| true);
            if let Some(found) = elsewhere.first().filter(|found| self.supports(found)) {
                let message = format!(
                    "{} is not supported by what it cites, but by [{}]",
                    self.quoted(),
                    found.piece.passage
                );
                let suggestion = Some(format!("[{}]", found.piece.passage));
                findings.push(rules::CITATION_WRONG.suggesting(ANSWER, message, suggestion));
                return;
            }
        }
        let message = match best {
            Some(best) => format!(
                "{} is supported by no passage: the best reaches {:.2}, {:.2} is needed",
                self.quoted(),
                best.score,
                self.config.min_support
            ),
            None => format!("{} is supported by no passage", self.quoted()),
        };
        let suggestion = best.map(|best| said(best));
        findings.push(rules::UNSUPPORTED.suggesting(ANSWER, message, suggestion));
    }

    /// Numbers, units, dates and names that no sentence of the passages has.
    fn facts(
        &self,
        near: &[&Support<'_>],
        best: &Support<'_>,
        asked: &Words,
        findings: &mut Vec<Finding>,
    ) {
        let suggestion = || Some(said(best));
        let falls = self.words.falls();
        for (number, units) in &self.words.numbers {
            let found = near
                .iter()
                .filter_map(|one| one.piece.words.units(number, falls));
            let known: Vec<_> = found.collect();
            if known.is_empty() {
                if asked.units(number, falls).is_none() {
                    let message =
                        format!("{} says {number}, which its passages do not", self.quoted());
                    findings.push(rules::NUMBER_DIFFERS.suggesting(ANSWER, message, suggestion()));
                }
                continue;
            }
            let others: BTreeSet<&str> = known
                .iter()
                .flat_map(|units| units.iter().copied())
                .collect();
            let differs = |unit: &&&str| !others.is_empty() && !others.contains(**unit);
            if let Some(unit) = units.iter().find(differs) {
                let others: Vec<&str> = others.into_iter().collect();
                let message = format!(
                    "{} says {number} {unit}, its passages {}",
                    self.quoted(),
                    others.join(", ")
                );
                findings.push(rules::UNIT_DIFFERS.suggesting(ANSWER, message, suggestion()));
            }
        }
        for date in &self.words.dates {
            let known = near.iter().any(|one| one.piece.words.dates.contains(date));
            if !known && !asked.dates.contains(date) {
                let message = format!("{} says {date}, which its passages do not", self.quoted());
                findings.push(rules::DATE_DIFFERS.suggesting(ANSWER, message, suggestion()));
            }
        }
        for (stem, name) in &self.words.names {
            let known = near.iter().any(|one| one.piece.words.stems.contains(stem));
            if !known && !asked.stems.contains(stem) {
                let message = format!(
                    "{} names {}, which its passages do not",
                    self.quoted(),
                    quoted(name)
                );
                findings.push(rules::NAME_DIFFERS.suggesting(ANSWER, message, suggestion()));
            }
        }
    }

    /// What it denies and a passage says, or the other way about.
    fn denials(&self, near: &[&Support<'_>], best: &Support<'_>, findings: &mut Vec<Finding>) {
        // A sentence that agrees speaks for it, whatever another one denies.
        let agrees = |one: &&&Support<'_>| one.overlap >= best.overlap;
        let mut closest = near.iter().filter(agrees).map(|one| &one.piece.words);
        let words = &self.words;
        if closest
            .clone()
            .any(|other| words.denies(other).is_none() && words.opposes(other).is_none())
        {
            return;
        }
        let Some(other) = closest.next() else { return };
        let message = if let Some(stem) = words.denies(other) {
            format!(
                "{} and its passage differ in what they deny, about {}",
                self.quoted(),
                quoted(stem)
            )
        } else if let Some((mine, theirs)) = words.opposes(other) {
            format!("{} says {mine}…, its passage {theirs}…", self.quoted())
        } else {
            return;
        };
        findings.push(rules::CONTRADICTED.suggesting(ANSWER, message, Some(said(best))));
    }

    fn quoted(&self) -> String {
        quoted(self.claim.sentence)
    }
}

/// What a passage says, for the suggestion.
fn said(support: &Support<'_>) -> String {
    format!(
        "[{}] says {}",
        support.piece.passage,
        quoted(&support.piece.text)
    )
}
