//! Text to token ids as the model's `tokenizer.json` says, without its padding and truncation.
//!
//! Where that is BERT's own WordPiece, the project's faster one gives the same ids; a text that
//! spells out a marker, such as `[SEP]`, goes to the crate, which reads it as the marker.

use serde_json::{Value, json};
use tokenizers::Tokenizer;

use crate::engines::embedding::error::EmbedError;
use crate::engines::embedding::wordpiece::{self, WordPieceTokenizer};

/// The tokenizer of one model.
pub(super) struct Tokens {
    whole: Tokenizer,
    fast: Option<WordPieceTokenizer>,
    /// What stands before and behind each text.
    before: u32,
    after: u32,
    unknown: Option<u32>,
    /// Ids that stand for no text, with how they are spelt.
    markers: Vec<(u32, String)>,
    size: usize,
}

impl Tokens {
    /// Reads `tokenizer.json`; `vocab_size` is the number of rows that the model has.
    ///
    /// Errors: says what this model cannot work with.
    pub(super) fn parse(json: &[u8], vocab_size: usize) -> Result<Self, String> {
        let mut whole = Tokenizer::from_bytes(json).map_err(|error| error.to_string())?;
        whole.with_padding(None);
        whole
            .with_truncation(None)
            .map_err(|error| error.to_string())?;
        let size = whole.get_vocab_size(true);
        if size > vocab_size {
            return Err(format!(
                "{size} tokens, but vocab_size of config.json is {vocab_size}"
            ));
        }
        let empty = whole.encode("", true).map_err(|error| error.to_string())?;
        let &[before, after] = empty.get_ids() else {
            return Err("it must put one marker before and one behind a text".to_owned());
        };
        let added = whole.get_added_tokens_decoder();
        let markers = added.iter().map(|(&id, token)| (id, token.content.clone()));
        Ok(Self {
            fast: fast(json),
            before,
            after,
            unknown: whole.token_to_id("[UNK]"),
            markers: markers.collect(),
            whole,
            size,
        })
    }

    /// Whether most texts take the fast path.
    #[cfg(test)]
    pub(super) fn is_fast(&self) -> bool {
        self.fast.is_some()
    }

    /// Returns the ids of `text` between its markers, at most `limit` without them, and whether
    /// there were more. None for a text without a word that the model knows.
    pub(super) fn read(
        &self,
        text: &str,
        limit: usize,
    ) -> Result<Option<(Vec<u32>, bool)>, EmbedError> {
        let spelt = |(_, marker): &(u32, String)| text.contains(marker.as_str());
        let mut ids = Vec::new();
        match &self.fast {
            Some(fast) if !self.markers.iter().any(spelt) => {
                fast.tokenize(text, limit + 1, &mut ids)?;
            }
            _ => {
                let encoded = self.whole.encode_fast(text, false);
                let encoded = encoded.map_err(|error| EmbedError::Tokenizer {
                    reason: error.to_string(),
                })?;
                ids.extend_from_slice(encoded.get_ids());
            }
        }
        let cut = ids.len() > limit;
        ids.truncate(limit);
        if ids.iter().all(|&id| Some(id) == self.unknown) {
            return Ok(None);
        }
        ids.insert(0, self.before);
        ids.push(self.after);
        Ok(Some((ids, cut)))
    }

    /// Turns ids back into a text; markers are left out.
    pub(super) fn decode(&self, ids: &[u32]) -> Result<String, EmbedError> {
        let mut text = String::new();
        for &id in ids {
            let piece = self.whole.id_to_token(id);
            let piece = piece.ok_or_else(|| EmbedError::UnknownToken {
                id,
                last: self.size.saturating_sub(1),
            })?;
            if !self.markers.iter().any(|&(marker, _)| marker == id) {
                wordpiece::join(&mut text, &piece);
            }
        }
        Ok(text)
    }
}

/// Builds the fast path where `json` is BERT's own: lower case, accents stripped.
fn fast(json: &[u8]) -> Option<WordPieceTokenizer> {
    let file: Value = serde_json::from_slice(json).ok()?;
    let normalizer = &file["normalizer"];
    let plain = normalizer["type"] == "BertNormalizer"
        && normalizer["clean_text"] == true
        && normalizer["handle_chinese_chars"] == true
        && normalizer["lowercase"] == true
        // Left out, accents are stripped because the case is.
        && matches!(normalizer["strip_accents"], Value::Null | Value::Bool(true))
        && file["pre_tokenizer"] == json!({"type": "BertPreTokenizer"})
        && file["model"]["type"] == "WordPiece"
        && file["model"]["unk_token"] == "[UNK]"
        && file["model"]["continuing_subword_prefix"] == "##"
        && file["model"]["max_input_chars_per_word"] == 100
        // Such a token would be looked for in the normalized text.
        && !file["added_tokens"].as_array()?.iter().any(|token| token["normalized"] == true);
    if !plain {
        return None;
    }
    let vocabulary = file["model"]["vocab"].as_object()?;
    let mut pieces = vec![None; vocabulary.len()];
    for (piece, id) in vocabulary {
        *pieces.get_mut(usize::try_from(id.as_u64()?).ok()?)? = Some(piece.as_str());
    }
    let pieces: Vec<&str> = pieces.into_iter().collect::<Option<_>>()?;
    let lines = pieces.join("\n");
    // A piece with a line break or a space at its end would not come back out of the lines.
    let same = lines.lines().map(str::trim_end).eq(pieces);
    same.then(|| WordPieceTokenizer::new(&lines).ok()).flatten()
}
