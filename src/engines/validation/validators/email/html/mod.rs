//! What a reader of html sees, and what is there besides.

mod page;
mod style;

use std::cell::{Cell, RefCell};

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};

use page::Builder;
pub(super) use page::Page;

/// Attributes of one tag: the tokenizer compares each with all before it. Real ones have a dozen;
/// an image inside its address has as many parts as this at 250 KB.
const MAX_PARTS: usize = 4_096;

/// Reads html as a browser would.
///
/// What one tag of too many parts hides is not read; [`Page::cut`] says so.
pub(super) fn read(html: &str) -> Page {
    let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    let queue = BufferQueue::default();
    let mut guard = Guard::default();
    // Whatever has attributes ends at one of these.
    for piece in html.split_inclusive('>') {
        if !guard.admits(piece) {
            tokenizer.sink.builder.borrow_mut().cut();
            break;
        }
        queue.push_back(StrTendril::from_slice(piece));
        // The sink never asks to stop, so all of it is taken.
        drop(tokenizer.feed(&queue));
        if tokenizer.sink.ended.take() {
            guard = Guard::default();
        }
    }
    tokenizer.end();
    tokenizer.sink.builder.take().finish()
}

/// Counts the parts of a tag before the tokenizer meets them.
#[derive(Default)]
struct Guard {
    /// What was begun and has not ended: a comment has no attributes.
    open: Option<u8>,
    parts: usize,
}

impl Guard {
    fn admits(&mut self, piece: &str) -> bool {
        let mut counted = piece;
        if self.open.is_none() {
            let starts = |pair: &[u8]| match pair {
                [b'<', next] => next.is_ascii_alphabetic() || matches!(next, b'/' | b'!' | b'?'),
                _ => false,
            };
            let Some(at) = piece.as_bytes().windows(2).position(starts) else {
                return true;
            };
            counted = piece.get(at + 1..).unwrap_or_default();
            self.open = counted.bytes().next();
        }
        if !matches!(self.open, Some(b'!' | b'?')) {
            let part =
                |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'"' | b'\'');
            self.parts += counted.as_bytes().iter().filter(|byte| part(byte)).count();
        }
        self.parts <= MAX_PARTS
    }
}

#[derive(Default)]
struct Sink {
    builder: RefCell<Builder>,
    /// A tag or comment ended.
    ended: Cell<bool>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut builder = self.builder.borrow_mut();
        match token {
            Token::CharacterTokens(text) => builder.text(&text),
            Token::CommentToken(comment) => {
                self.ended.set(true);
                builder.comment(&comment);
            }
            Token::DoctypeToken(_) => self.ended.set(true),
            Token::TagToken(tag) => {
                self.ended.set(true);
                let name: &str = &tag.name;
                if tag.kind == TagKind::EndTag {
                    builder.close(name);
                    return TokenSinkResult::Continue;
                }
                let attributes = tag
                    .attrs
                    .iter()
                    .map(|attr| (&*attr.name.local, &*attr.value));
                builder.open(name, &attributes.collect::<Vec<_>>());
                return match name {
                    "script" => TokenSinkResult::RawData(RawKind::ScriptData),
                    "style" | "xmp" | "iframe" | "noembed" | "noframes" => {
                        TokenSinkResult::RawData(RawKind::Rawtext)
                    }
                    "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
                    "plaintext" => TokenSinkResult::Plaintext,
                    _ => TokenSinkResult::Continue,
                };
            }
            Token::NullCharacterToken | Token::ParseError(_) | Token::EOFToken => {}
        }
        TokenSinkResult::Continue
    }
}

#[cfg(test)]
mod tests;
