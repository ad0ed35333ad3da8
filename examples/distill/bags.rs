//! Texts as the bags of rows that the table sums up.

use std::path::Path;

use boathouse::engines::embedding::{EmbedError, Embedded, Embedder, ModelInfo, WholeWords};
use tokenizers::Tokenizer;

use crate::Result;
use crate::matrix::{Matrix, add, normalise};

/// Tokens of a text that are read.
const MOST_TOKENS: usize = 512;

/// The teacher's tokenizer as the table's reader uses it: without markers.
pub(crate) struct Reader {
    tokenizer: Tokenizer,
    pieces: Vec<String>,
    special: Vec<bool>,
}

impl Reader {
    pub(crate) fn open(tokenizer: &Path) -> Result<Self> {
        let mut tokenizer = Tokenizer::from_file(tokenizer).map_err(|error| error.to_string())?;
        tokenizer.with_padding(None);
        let _ = tokenizer.with_truncation(None);
        let pieces: Vec<String> = (0..tokenizer.get_vocab_size(true) as u32)
            .map(|id| tokenizer.id_to_token(id).unwrap_or_default())
            .collect();
        let special = pieces.iter().map(|piece| {
            piece.is_empty() || (piece.starts_with('[') && piece.ends_with(']') && piece.len() > 2)
        });
        Ok(Self {
            special: special.collect(),
            pieces,
            tokenizer,
        })
    }

    pub(crate) fn ids(&self, text: &str) -> Result<Vec<u32>> {
        let read = self
            .tokenizer
            .encode(text, false)
            .map_err(|error| error.to_string())?;
        let ids = read.get_ids().iter().take(MOST_TOKENS);
        Ok(ids
            .copied()
            .filter(|id| !self.special[*id as usize])
            .collect())
    }

    /// The vocabulary.
    pub(crate) fn pieces(&self) -> &[String] {
        &self.pieces
    }

    /// Whether a token stands for no part of a text.
    pub(crate) fn is_special(&self, id: usize) -> bool {
        self.special[id]
    }

    /// A word of several pieces as it is spelt.
    pub(crate) fn spelt(&self, word: &[u32]) -> String {
        let pieces = word.iter().map(|id| self.pieces[*id as usize].as_str());
        pieces
            .map(|piece| piece.strip_prefix("##").unwrap_or(piece))
            .collect()
    }
}

/// The training texts, and what reads any other.
pub(crate) struct Bags<'a> {
    reader: &'a Reader,
    /// Words with a row of their own, as the ids of their pieces.
    words: Vec<Vec<u32>>,
    known: WholeWords,
    bags: Vec<Vec<u32>>,
    /// In how many texts each row is.
    texts_with: Vec<u32>,
}

impl<'a> Bags<'a> {
    /// `texts` are ids as `reader` gives them. Each word is a text more, behind them.
    pub(crate) fn new(
        reader: &'a Reader,
        words: Vec<Vec<u32>>,
        texts: Vec<Vec<u32>>,
    ) -> Result<Self> {
        let pieces = reader.pieces.iter().map(String::as_str);
        let known = WholeWords::new(pieces, &words)?;
        let mut bags = texts;
        bags.extend(words.iter().cloned());
        let mut texts_with = vec![0; reader.pieces.len() + words.len()];
        for bag in &mut bags {
            known.merge(bag);
            let mut different = bag.clone();
            different.sort_unstable();
            different.dedup();
            for row in different {
                texts_with[row as usize] += 1;
            }
        }
        Ok(Self {
            reader,
            words,
            known,
            bags,
            texts_with,
        })
    }

    fn rows(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = self.reader.ids(text)?;
        self.known.merge(&mut ids);
        Ok(ids)
    }

    /// How many tokens there are; the rows of the words are behind theirs.
    pub(crate) fn vocabulary(&self) -> usize {
        self.reader.pieces.len()
    }

    pub(crate) fn words(&self) -> &[Vec<u32>] {
        &self.words
    }

    /// Whether a row stands for no part of a text.
    pub(crate) fn is_special(&self, row: usize) -> bool {
        row < self.vocabulary() && self.reader.is_special(row)
    }

    /// The part of the texts that a row is in.
    pub(crate) fn frequency(&self, row: usize) -> f32 {
        self.texts_with[row] as f32 / self.bags.len().max(1) as f32
    }

    pub(crate) fn all(&self) -> &[Vec<u32>] {
        &self.bags
    }

    pub(crate) fn embedder<'b>(&'b self, table: &'b Matrix) -> impl Embedder + 'b {
        Summed {
            bags: self,
            table,
            info: ModelInfo {
                name: "distilled".to_owned(),
                created: 0,
                owned_by: String::new(),
                dim: table.width,
                max_tokens: MOST_TOKENS,
                fingerprint: String::new(),
            },
        }
    }
}

/// The sum of a bag's rows, of length 1, and how long it was.
pub(crate) fn sum(table: &Matrix, bag: &[u32]) -> (Vec<f32>, f32) {
    let mut vector = vec![0.0; table.width];
    for row in bag {
        add(&mut vector, table.row(*row as usize), 1.0);
    }
    let length = normalise(&mut vector);
    (vector, length)
}

struct Summed<'a> {
    bags: &'a Bags<'a>,
    table: &'a Matrix,
    info: ModelInfo,
}

impl Embedder for Summed<'_> {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str]) -> std::result::Result<Embedded, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let bag = self.bags.rows(text).unwrap_or_default();
            let (vector, length) = sum(self.table, &bag);
            if length == 0.0 {
                return Err(EmbedError::EmptyText { index });
            }
            vectors.push(vector);
        }
        Ok(Embedded {
            tokens: vec![0; vectors.len()],
            vectors,
            cut: None,
        })
    }

    fn decode(&self, _: &[u32]) -> std::result::Result<String, EmbedError> {
        Ok(String::new())
    }
}
