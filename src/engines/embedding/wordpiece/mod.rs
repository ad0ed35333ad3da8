//! Text to token ids by WordPiece, as `bert-base-uncased` does: lower case, accents stripped,
//! punctuation set apart.
//!
//! Printable ASCII takes a path of our own, some ten times faster; every other word takes the
//! `tokenizers` crate. Both give the same ids. No markers are added.

mod pieces;
mod reference;
mod whole_words;

pub use whole_words::{MAX_PIECES, WholeWords};

use super::error::EmbedError;
use pieces::Pieces;
use reference::Reference;

/// Characters of the longest word that is looked at, as in the reference.
const MAX_WORD: usize = 100;

/// A word in lower case, with room behind it so that 16 bytes can be read from any place in it.
type Word = [u8; MAX_WORD + pieces::INLINE];

/// What a byte is to the tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Space,
    Punctuation,
    /// Control characters, which the reference drops so that what stands beside them joins, and all
    /// that is not ASCII.
    Other,
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        classes[byte as usize] = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => Class::Space,
            _ if byte.is_ascii_alphanumeric() => Class::Word,
            _ if byte.is_ascii_punctuation() => Class::Punctuation,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

/// Splits texts into the pieces of one vocabulary.
pub struct WordPieceTokenizer {
    /// Pieces that begin a word.
    first: Pieces,
    /// Pieces that continue one.
    next: Pieces,
    /// Ids of the ASCII punctuation marks.
    marks: [u32; 128],
    unknown: u32,
    reference: Reference,
}

impl WordPieceTokenizer {
    /// Reads a vocabulary: one piece a line, its id being the line's number from 0.
    ///
    /// Errors: [`EmbedError::Tokenizer`] for a vocabulary without `[UNK]`.
    pub fn new(vocabulary: &str) -> Result<Self, EmbedError> {
        let (mut first, mut next) = (Pieces::default(), Pieces::default());
        let (mut unknown, mut marks) = (None, Vec::new());
        for (id, piece) in (0_u32..).zip(vocabulary.lines().map(str::trim_end)) {
            match (piece.strip_prefix("##"), piece.as_bytes()) {
                (_, b"[UNK]") => unknown = Some(id),
                (_, [mark]) if mark.is_ascii_punctuation() => marks.push((usize::from(*mark), id)),
                (Some(rest), _) => next.insert(rest.as_bytes(), id),
                (None, piece) => first.insert(piece, id),
            }
        }
        let unknown = unknown.ok_or_else(|| EmbedError::Tokenizer {
            reason: "the vocabulary has no [UNK]".to_owned(),
        })?;
        let mut ids = [unknown; 128];
        for (mark, id) in marks {
            ids[mark] = id;
        }
        Ok(Self {
            first,
            next,
            marks: ids,
            unknown,
            reference: Reference::new(vocabulary)?,
        })
    }

    /// Replaces `ids` by the first `limit` ids of `text`.
    ///
    /// Errors: [`EmbedError::Tokenizer`], from the reference only.
    pub fn tokenize(&self, text: &str, limit: usize, ids: &mut Vec<u32>) -> Result<(), EmbedError> {
        ids.clear();
        let bytes = text.as_bytes();
        let mut word: Word = [0; _];
        let mut at = 0;
        while at < bytes.len() && ids.len() < limit {
            let kept = ids.len();
            at = match self.ascii_run(bytes, at, limit, &mut word, ids) {
                Some(end) => end,
                None => {
                    ids.truncate(kept);
                    // No rule of the reference looks beyond an ASCII space, so a run stands for
                    // itself.
                    let end = bytes[at..]
                        .iter()
                        .position(|&byte| class(byte) == Class::Space);
                    let end = end.map_or(bytes.len(), |len| at + len);
                    self.reference.tokenize(&text[at..end], ids)?;
                    end
                }
            } + 1;
        }
        ids.truncate(limit);
        Ok(())
    }

    /// Reads words and marks from `start` to the next space, and returns where that is. None, with
    /// half of the run's ids written, when a byte of the run is for the reference.
    fn ascii_run(
        &self,
        bytes: &[u8],
        start: usize,
        limit: usize,
        word: &mut Word,
        ids: &mut Vec<u32>,
    ) -> Option<usize> {
        let mut at = start;
        loop {
            let mut len = 0;
            while let Some(&byte) = bytes.get(at).filter(|&&byte| class(byte) == Class::Word) {
                if len < MAX_WORD {
                    word[len] = byte.to_ascii_lowercase();
                }
                len += 1;
                at += 1;
            }
            if len > 0 {
                self.split(word, len, ids);
            }
            let Some(&byte) = bytes.get(at) else {
                return Some(at);
            };
            match class(byte) {
                Class::Space => return Some(at),
                Class::Other => return None,
                // What follows a mark does not change what stands before it: enough is enough.
                Class::Punctuation if ids.len() >= limit => return Some(at),
                Class::Punctuation => {
                    ids.push(
                        self.marks
                            .get(usize::from(byte))
                            .copied()
                            .unwrap_or(self.unknown),
                    );
                    at += 1;
                }
                Class::Word => {}
            }
        }
    }

    /// Appends the pieces of one word, the longest first; a word that they do not cover is unknown
    /// as a whole.
    fn split(&self, word: &Word, len: usize, ids: &mut Vec<u32>) {
        if len > MAX_WORD {
            return ids.push(self.unknown);
        }
        let kept = ids.len();
        let (mut at, mut pieces) = (0, &self.first);
        while at < len {
            let Some((id, size)) = pieces.longest(word, at, len) else {
                ids.truncate(kept);
                return ids.push(self.unknown);
            };
            ids.push(id);
            at += size;
            pieces = &self.next;
        }
    }
}

/// Appends a piece to a text that its pieces make up: with a space before it where it begins a
/// word.
pub(super) fn join(text: &mut String, piece: &str) {
    match piece.strip_prefix("##") {
        Some(rest) if !rest.is_empty() => text.push_str(rest),
        _ => {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(piece);
        }
    }
}

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

#[cfg(test)]
mod tests;
