//! The passages, cut into the sentences that a claim can rest on.

use std::sync::Arc;

use super::words::{Words, read};
use crate::engines::chat::sentences;
use crate::engines::embedding::Embedder;

/// Pieces of all passages that are compared with; what comes after is not looked at.
const MAX_PIECES: usize = 4_000;
/// Sentences without a stop are cut, bytes.
const MAX_SENTENCE: usize = 2_000;

/// One sentence of a passage, or two that stand together.
pub(super) struct Piece {
    /// Its passage, from 1.
    pub(super) passage: usize,
    pub(super) text: String,
    pub(super) words: Words,
    vector: Option<Vec<f32>>,
}

/// How well a piece supports a claim.
#[derive(Clone, Copy)]
pub(super) struct Support<'p> {
    pub(super) piece: &'p Piece,
    /// 0 to 1.
    pub(super) score: f32,
    /// Share of the claim's words that stand in the piece.
    pub(super) overlap: f32,
}

/// Everything that claims are compared with.
pub(super) struct Pieces {
    embedder: Arc<dyn Embedder>,
    all: Vec<Piece>,
}

impl Pieces {
    /// Cuts passages, in their order.
    pub(super) fn of<'p>(
        texts: impl Iterator<Item = &'p str>,
        embedder: &Arc<dyn Embedder>,
    ) -> Self {
        let mut all = Vec::new();
        for (at, text) in texts.enumerate() {
            let found: Vec<&str> = sentences(text)
                .into_iter()
                .map(|sentence| &sentence[..sentence.floor_char_boundary(MAX_SENTENCE)])
                .collect();
            let pairs = found.windows(2).map(|pair| pair.join(" "));
            let single = found.iter().map(|one| (*one).to_owned());
            for text in single.chain(pairs) {
                if all.len() == MAX_PIECES {
                    break;
                }
                all.push(Piece {
                    passage: at + 1,
                    words: read(&text),
                    vector: embedded(embedder, &text),
                    text,
                });
            }
        }
        Self {
            embedder: Arc::clone(embedder),
            all,
        }
    }

    /// How well each piece of the passages that `suits` takes supports a claim, best first.
    pub(super) fn supports<'p>(
        &'p self,
        text: &str,
        words: &Words,
        suits: impl Fn(usize) -> bool,
    ) -> Vec<Support<'p>> {
        let vector = embedded(&self.embedder, text);
        let suiting = self.all.iter().filter(|piece| suits(piece.passage));
        let mut found: Vec<Support<'_>> = suiting
            .map(|piece| {
                let overlap = words.covered_by(&piece.words);
                let alike = match (&vector, &piece.vector) {
                    (Some(one), Some(other)) => {
                        let inner: f32 =
                            one.iter().zip(other).map(|(one, other)| one * other).sum();
                        inner.clamp(0.0, 1.0)
                    }
                    _ => overlap,
                };
                Support {
                    piece,
                    score: (alike + overlap) / 2.0,
                    overlap,
                }
            })
            .collect();
        // Of two that support as well, the first says it with fewer words.
        found.sort_by(|one, other| other.score.total_cmp(&one.score));
        found
    }
}

/// `None` for a text without words that the model knows.
fn embedded(embedder: &Arc<dyn Embedder>, text: &str) -> Option<Vec<f32>> {
    let vectors = embedder.embed(&[text]).ok()?.vectors;
    vectors.into_iter().next()
}
