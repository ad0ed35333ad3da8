//! Words looked for all at once: one pass over a text tells which patterns are worth trying.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// Most groups of words, one for each bit.
const MAX_GROUPS: usize = 64;

/// Groups of words, found in either case of ASCII letters, also inside of longer words.
#[derive(Debug)]
pub(super) struct Needles {
    /// None where it could not be built; a test of each user holds that it is there.
    automaton: Option<AhoCorasick>,
    /// The group of each word.
    groups: Vec<usize>,
}

impl Needles {
    /// Each item is a group of words.
    pub(super) fn new<'w>(groups: impl IntoIterator<Item = &'w [&'w str]>) -> Self {
        let (mut words, mut of): (Vec<&str>, Vec<usize>) = (Vec::new(), Vec::new());
        for (at, group) in groups.into_iter().enumerate() {
            words.extend(group);
            of.resize(words.len(), at);
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(words);
        let fits = of.last().is_none_or(|last| *last < MAX_GROUPS);
        Self {
            automaton: automaton.ok().filter(|_| fits),
            groups: of,
        }
    }

    /// Whether it was built.
    #[cfg(test)]
    pub(super) fn is_whole(&self) -> bool {
        self.automaton.is_some()
    }

    /// Which groups have a word in `text`, one bit for each.
    pub(super) fn seen(&self, text: &str) -> Seen {
        let mut bits = if self.automaton.is_none() {
            u64::MAX
        } else {
            0
        };
        self.each(text, |group, _| bits |= 1 << group);
        Seen(bits)
    }

    /// Calls `see` with the group and the place of each word in `text`, by where they end.
    pub(super) fn each(&self, text: &str, mut see: impl FnMut(usize, Range<usize>)) {
        let Some(automaton) = &self.automaton else {
            return;
        };
        for found in automaton.find_overlapping_iter(text) {
            if let Some(group) = self.groups.get(found.pattern().as_usize()) {
                see(*group, found.range());
            }
        }
    }
}

/// A set of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen(u64);

impl Seen {
    /// Whether no group is in it.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the group is in it.
    pub(super) fn has(self, group: usize) -> bool {
        self.0 >> group & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_either_case_and_inside_of_each_other() {
        let needles = Needles::new([&["key", "pwd"][..], &["eyj"], &["m\u{f3}vil"]]);
        assert!(needles.is_whole());
        let seen = needles.seen("a KEYJ");
        assert!(seen.has(0) && seen.has(1) && !seen.has(2));
        assert!(needles.seen("nothing here").is_empty());
        let mut places = Vec::new();
        needles.each("pwd m\u{f3}vil KEY", |group, span| {
            places.push((group, span))
        });
        assert_eq!(places, [(0, 0..3), (2, 4..10), (0, 11..14)]);
    }
}
