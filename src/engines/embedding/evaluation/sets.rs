//! The judged texts, read from the lines of their files.

use std::collections::HashMap;

use serde::Deserialize;

use super::super::error::EmbedError;
use crate::engines::index::IndexError;
use crate::storage::eval_set::EvalFolder;
use crate::types::error_kind::ErrorKind;

/// Characters of an unknown id that an error repeats.
const ID_SHOWN: usize = 64;

/// A set that cannot be read, or an embedder that failed on it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// Point to a folder that holds a set.
    #[error(
        "nothing to measure: the folder needs corpus.jsonl, queries.jsonl and qrels.tsv, or sts.tsv"
    )]
    Nothing,
    /// Add the file, or take the others away.
    #[error("{file} is missing: corpus.jsonl, queries.jsonl and qrels.tsv belong together")]
    Missing {
        /// The file's name.
        file: &'static str,
    },
    /// Mend the line.
    #[error("{file} line {line}: {reason}")]
    Line {
        /// The file's name.
        file: &'static str,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Fill the file.
    #[error("{file} holds nothing to measure")]
    Empty {
        /// The file's name.
        file: &'static str,
    },
    /// As the embedder says.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// As the collection says.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl EvalError {
    /// Tells what the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Embed(error) => error.kind(),
            Self::Index(error) => error.kind(),
            _ => ErrorKind::BadRequest,
        }
    }
}

/// Documents, queries, and which of the former answer which of the latter.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrievalSet {
    /// Texts of the corpus, in its order.
    pub documents: Vec<String>,
    /// Texts of the queries, in their order.
    pub queries: Vec<String>,
    /// For each query, the places of its relevant documents with their relevance.
    pub judgements: Vec<HashMap<u32, f64>>,
}

/// Two sentences and how alike people found them.
#[derive(Debug, Clone, PartialEq)]
pub struct SentencePair {
    /// The larger, the more alike.
    pub score: f64,
    /// One sentence.
    pub first: String,
    /// The other.
    pub second: String,
}

impl RetrievalSet {
    /// Reads the set of `folder`; None when it has no part of one.
    pub(super) fn of(folder: &EvalFolder) -> Result<Option<Self>, EvalError> {
        match (
            folder.corpus.as_deref(),
            folder.queries.as_deref(),
            folder.qrels.as_deref(),
        ) {
            (Some(corpus), Some(queries), Some(qrels)) => {
                Self::parse(corpus, queries, qrels).map(Some)
            }
            (None, None, None) => Ok(None),
            (None, ..) => Err(EvalError::Missing {
                file: "corpus.jsonl",
            }),
            (_, None, _) => Err(EvalError::Missing {
                file: "queries.jsonl",
            }),
            (.., None) => Err(EvalError::Missing { file: "qrels.tsv" }),
        }
    }

    /// Reads the contents of `corpus.jsonl`, `queries.jsonl` (`{"id", "text"}` a line) and
    /// `qrels.tsv` (query id, document id, relevance; 0 or less is not relevant). Blank lines are
    /// skipped.
    ///
    /// Errors: [`EvalError::Line`], [`EvalError::Empty`].
    pub fn parse(corpus: &str, queries: &str, qrels: &str) -> Result<Self, EvalError> {
        let (documents, document_places) = texts("corpus.jsonl", corpus)?;
        let (queries, query_places) = texts("queries.jsonl", queries)?;
        let mut judgements = vec![HashMap::new(); queries.len()];
        for (line, text) in lines(qrels) {
            let wrong = |reason| EvalError::Line {
                file: "qrels.tsv",
                line,
                reason,
            };
            let mut fields = text.split('\t').map(str::trim);
            let (Some(query), Some(document), Some(relevance), None) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                return Err(wrong(
                    "expected query id, document id and relevance, divided by tabs".to_owned(),
                ));
            };
            let relevance = number(relevance).map_err(wrong)?;
            let place = query_places
                .get(query)
                .ok_or_else(|| wrong(format!("no query {} in queries.jsonl", shown(query))))?;
            let document = document_places
                .get(document)
                .ok_or_else(|| wrong(format!("no document {} in corpus.jsonl", shown(document))))?;
            if relevance > 0.0
                && let Some(judged) = judgements.get_mut(*place as usize)
            {
                judged.insert(*document, relevance);
            }
        }
        if judgements.iter().all(HashMap::is_empty) {
            return Err(EvalError::Empty { file: "qrels.tsv" });
        }
        Ok(Self {
            documents,
            queries,
            judgements,
        })
    }
}

/// Reads the content of `sts.tsv`: score, first and second sentence a line.
///
/// Errors: [`EvalError::Line`]; [`EvalError::Empty`] for fewer than two pairs, which have no order.
pub(super) fn sentence_pairs(sts: &str) -> Result<Vec<SentencePair>, EvalError> {
    let mut pairs = Vec::new();
    for (line, text) in lines(sts) {
        let wrong = |reason| EvalError::Line {
            file: "sts.tsv",
            line,
            reason,
        };
        let mut fields = text.split('\t');
        let (Some(score), Some(first), Some(second), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(wrong(
                "expected score and two sentences, divided by tabs".to_owned(),
            ));
        };
        let score = number(score.trim()).map_err(wrong)?;
        pairs.push(SentencePair {
            score,
            first: first.to_owned(),
            second: second.to_owned(),
        });
    }
    if pairs.len() < 2 {
        return Err(EvalError::Empty { file: "sts.tsv" });
    }
    Ok(pairs)
}

#[derive(Deserialize)]
struct Record {
    id: String,
    text: String,
}

/// Texts in order, and the place of each id.
fn texts(
    file: &'static str,
    content: &str,
) -> Result<(Vec<String>, HashMap<String, u32>), EvalError> {
    let (mut texts, mut places) = (Vec::new(), HashMap::new());
    for (line, json) in lines(content) {
        let wrong = |reason| EvalError::Line { file, line, reason };
        let record: Record = serde_json::from_str(json)
            .map_err(|error| wrong(format!("expected {{\"id\", \"text\"}}: {error}")))?;
        let place = u32::try_from(texts.len()).map_err(|_| wrong("too many texts".to_owned()))?;
        let id = shown(&record.id);
        if places.insert(record.id, place).is_some() {
            return Err(wrong(format!("id {id} stands here for the second time")));
        }
        texts.push(record.text);
    }
    if texts.is_empty() {
        return Err(EvalError::Empty { file });
    }
    Ok((texts, places))
}

fn lines(content: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(content.lines())
        .filter(|(_, line)| !line.trim().is_empty())
}

fn number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("{} is not a number", shown(text)))
}

fn shown(text: &str) -> String {
    text.chars().take(ID_SHOWN).collect()
}
