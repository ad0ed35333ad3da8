//! Words that tell what a number is, found once for all numbers of a text.

use std::cell::OnceCell;
use std::ops::Deref;
use std::sync::LazyLock;

use super::groups::{Group, before, is_word};
use super::steps::tick;
use crate::engines::validation::needles::Needles;

/// Bytes before and behind a number in which its word begins and ends.
const BEFORE: usize = 60;
const BEHIND: usize = 30;
/// Bytes before a number in which the word for a passport stands.
const BEFORE_PASSPORT: usize = 40;

/// What a word near a number says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Ssn,
    Itin,
    Routing,
    Nhs,
    SteuerId,
    Pesel,
    Bsn,
    Phone,
    Passport,
}

/// Lower case, but for letters beyond ASCII, which stand in both.
const WORDS: &[(Topic, &[&str])] = &[
    (Topic::Ssn, &["ssn", "social security"]),
    (Topic::Itin, &["itin", "taxpayer"]),
    (
        Topic::Routing,
        &["routing", "account", "aba ", "aba:", "aba#", "rtn"],
    ),
    (Topic::Nhs, &["nhs", "national health"]),
    (
        Topic::SteuerId,
        &[
            "steuer",
            "idnr",
            "id-nr",
            "tin",
            "tax id",
            "tax number",
            "tax identification",
        ],
    ),
    (Topic::Pesel, &["pesel"]),
    (
        Topic::Bsn,
        &["bsn", "burgerservice", "sofi", "citizen service"],
    ),
    (
        Topic::Phone,
        &[
            "phone",
            "tel",
            "call",
            "cell",
            "mobile",
            "fax",
            "whatsapp",
            "sms",
            "text me",
            "reach",
            "dial",
            "handy",
            "m\u{f3}vil",
            "m\u{d3}vil",
            "t\u{e9}l\u{e9}phone",
            "t\u{c9}l\u{c9}phone",
        ],
    ),
    (
        Topic::Passport,
        &[
            "passport",
            "pasaporte",
            "reisepass",
            "passeport",
            "passaporto",
        ],
    ),
];

static NEEDLES: LazyLock<Needles> =
    LazyLock::new(|| Needles::new(WORDS.iter().map(|(_, words)| *words)));

/// A word, and where it is.
#[derive(Debug)]
struct Word {
    topic: Topic,
    start: usize,
    end: usize,
}

/// A text whose words are looked for when the first number asks for one.
#[derive(Debug)]
pub(super) struct Text<'t> {
    text: &'t str,
    /// By where they end.
    words: OnceCell<Vec<Word>>,
}

impl<'t> Text<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            words: OnceCell::new(),
        }
    }

    /// Whether a word of the topic begins shortly before the groups or ends shortly behind them.
    pub(super) fn is_near(&self, groups: &[Group], topic: Topic) -> bool {
        let (Some(first), Some(last)) = (groups.first(), groups.last()) else {
            return false;
        };
        let from = self.floor_char_boundary(first.start.saturating_sub(BEFORE));
        let to = self.ceil_char_boundary((last.end + BEHIND).min(self.len()));
        self.has(topic, from, to)
    }

    /// Whether the word for a passport stands shortly before `at`.
    pub(super) fn is_of_passport(&self, at: usize) -> bool {
        let from = self.floor_char_boundary(at.saturating_sub(BEFORE_PASSPORT));
        self.has(Topic::Passport, from, at)
    }

    fn has(&self, topic: Topic, from: usize, to: usize) -> bool {
        let words = self.words.get_or_init(|| words(self.text));
        let next = words.partition_point(|word| word.end <= from);
        let within = words.iter().skip(next).take_while(|word| word.end <= to);
        within
            .inspect(|_| tick(1))
            .any(|word| word.topic == topic && from <= word.start)
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.text
    }
}

fn words(text: &str) -> Vec<Word> {
    tick(text.len());
    let mut words = Vec::new();
    NEEDLES.each(text, |group, span| {
        let Some((topic, _)) = WORDS.get(group) else {
            return;
        };
        // Passports have a name of one piece in many languages, with others before it.
        if *topic == Topic::Passport || !is_word(before(text, span.start)) {
            words.push(Word {
                topic: *topic,
                start: span.start,
                end: span.end,
            });
        }
    });
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count_within_their_reach_and_at_the_start_of_a_word() {
        assert!(NEEDLES.is_whole());
        let near = |text: &str, topic: Topic| {
            let text = Text::new(text);
            let groups = super::super::groups::of(&text);
            text.is_near(&groups, topic)
        };
        assert!(near("SSN 1", Topic::Ssn) && near("1 (Ssn)", Topic::Ssn));
        assert!(near("M\u{d3}VIL 1", Topic::Phone) && near("t\u{e9}l\u{e9}phone: 1", Topic::Phone));
        assert!(!near("hotel 1", Topic::Phone) && !near("SSN 1", Topic::Itin));
        let far = |count: usize| format!("ssn {}1", "\u{e9}".repeat(count));
        assert!(near(&far(28), Topic::Ssn) && !near(&far(29), Topic::Ssn));
        let behind = |count: usize| format!("1{} ssn", "-".repeat(count));
        assert!(near(&behind(26), Topic::Ssn) && !near(&behind(27), Topic::Ssn));
        let passport = |text: &str| Text::new(text).is_of_passport(text.len());
        assert!(passport("Dienstreisepass ") && !passport("a pass "));
        let far = format!("passport{}", " ".repeat(33));
        assert!(passport(&far[..40]) && !passport(&far));
    }
}
