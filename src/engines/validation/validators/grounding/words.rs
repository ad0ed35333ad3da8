//! Words of a text, with what a claim can get wrong: numbers and their units, dates, names, and what is denied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation as _;

use super::numbers;
use crate::engines::chat::STOP_WORDS;

/// Words that deny what follows, lowercase.
const DENIALS: &[&str] = &[
    "not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "without", "cannot",
    "hardly", "unable",
];

/// Words between a denial and what it denies.
const BETWEEN: &[&str] = &[
    "yet",
    "very",
    "really",
    "quite",
    "just",
    "even",
    "ever",
    "longer",
    "always",
    "necessarily",
];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// Words that say the opposite of each other, by their stems.
const OPPOSITES: &[(&str, &str)] = &[
    ("increas", "decreas"),
    ("rise", "fall"),
    ("rose", "fell"),
    ("more", "less"),
    ("befor", "after"),
    ("abov", "below"),
    ("win", "lose"),
    ("won", "lost"),
    ("open", "close"),
    ("allow", "forbid"),
    ("accept", "reject"),
    ("true", "fals"),
    ("alway", "never"),
    ("first", "last"),
    ("north", "south"),
    ("northern", "southern"),
    ("east", "west"),
    ("eastern", "western"),
    ("buy", "sell"),
    ("bought", "sold"),
    ("enabl", "disabl"),
    ("includ", "exclud"),
    ("aliv", "dead"),
    ("major", "minor"),
    ("minimum", "maximum"),
    ("import", "export"),
    ("approv", "refus"),
    ("permit", "prohibit"),
    ("requir", "option"),
    ("high", "low"),
    ("higher", "lower"),
    ("gain", "loss"),
    ("profit", "loss"),
    ("success", "failur"),
    ("grew", "shrank"),
];

/// Stems of words after which a number without a sign is one less.
const FALLING: &[&str] = &[
    "below", "cut", "declin", "decreas", "dip", "down", "drop", "fall", "fallen", "fell", "less",
    "lose", "loss", "lost", "lower", "negat", "reduc", "shrank", "shrink", "slip", "sank",
];

/// What a text says, as far as a claim is compared with it.
#[derive(Debug, Default, Clone)]
pub(super) struct Words {
    /// Stems of the words that carry meaning, without numbers.
    pub(super) stems: BTreeSet<String>,
    /// Those that a denial covers.
    pub(super) denied: BTreeSet<String>,
    /// Numbers as written in one way, each with its units.
    pub(super) numbers: BTreeMap<String, BTreeSet<&'static str>>,
    /// Months and days of the week.
    pub(super) dates: BTreeSet<&'static str>,
    /// Words with a capital where a sentence would not have one, by their stems, as written.
    pub(super) names: BTreeMap<String, String>,
}

static ISO_DATE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?-u:\b)(\d{4})-(\d{2})-(\d{2})(?-u:\b)").ok());
/// Reads a text.
pub(super) fn read(text: &str) -> Words {
    let mut words = Words::default();
    let text = numbers::in_ascii(text);
    let text = &*text;
    let mut left = text.to_owned();
    if let Some(date) = ISO_DATE.as_ref() {
        for found in date.captures_iter(text) {
            words.number(found[1].parse().unwrap_or_default(), None);
            words.number(found[3].parse().unwrap_or_default(), None);
            let month = found[2].parse::<usize>().unwrap_or_default();
            words
                .dates
                .extend(month.checked_sub(1).and_then(|month| MONTHS.get(month)));
        }
        left = date.replace_all(text, " ").into_owned();
    }
    for (value, unit) in numbers::read(&left) {
        words.number(value, unit);
    }
    words.read_words(&left);
    words
}

impl Words {
    fn number(&mut self, value: f64, unit: Option<&'static str>) {
        self.numbers
            .entry(format!("{value}"))
            .or_default()
            .extend(unit);
    }

    fn read_words(&mut self, text: &str) {
        let stemmer = Stemmer::create(Algorithm::English);
        let shouted = !text.chars().any(char::is_lowercase);
        let titled = is_titled(text);
        // Whether the next word that carries meaning is denied.
        let mut denies = false;
        let mut value: Option<f64> = None;
        let mut previous_end = 0;
        let mut capital_before = false;
        let mut pending: Option<(String, String)> = None;
        for (at, word) in text.unicode_word_indices() {
            let gap = &text[previous_end..at];
            let begins =
                previous_end == 0 || gap.contains(['.', '!', '?', ':', '\n', '•', '"', '“']);
            previous_end = at + word.len();
            if gap.contains([',', ';', '.', '!', '?', ':', '(', ')']) {
                denies = false;
            }
            let lower = word.to_lowercase();
            let base = lower
                .split(['\'', '’'])
                .next()
                .unwrap_or_default()
                .to_owned();
            if DENIALS.contains(&base.as_str()) || lower.ends_with("n't") || lower.ends_with("n’t")
            {
                let next = text[previous_end..].unicode_words().next();
                denies = next != Some("only");
                capital_before = false;
                continue;
            }
            if base.starts_with(|sign: char| sign.is_ascii_digit()) {
                capital_before = false;
                continue;
            }
            if let Some(scale) = numbers::scale(&base) {
                value = value.map(|value| value * scale);
                continue;
            }
            if let Some(said) = value.take() {
                self.number(said, numbers::unit(Some(&base)));
            }
            if let Some(said) = numbers::spelt(&base) {
                value = Some(said);
                continue;
            }
            let capital = word.starts_with(char::is_uppercase) && base != "i";
            if let Some(date) = date(&base, word) {
                self.dates.insert(date);
                capital_before = false;
                continue;
            }
            if base.is_empty() || STOP_WORDS.contains(&base.as_str()) {
                capital_before = false;
                pending = None;
                continue;
            }
            let stem = stemmer.stem(&base).into_owned();
            let acronym = word.chars().count() > 1
                && word
                    .chars()
                    .all(|sign| sign.is_uppercase() || sign.is_ascii_digit());
            if capital && !shouted && !titled {
                if !begins || acronym {
                    self.names.insert(stem.clone(), word.to_owned());
                    // The first of several names in a row may stand where a sentence begins.
                    self.names.extend(pending.take().filter(|_| capital_before));
                } else {
                    pending = Some((stem.clone(), word.to_owned()));
                }
            }
            capital_before = capital;
            if denies && !BETWEEN.contains(&base.as_str()) {
                denies = false;
                self.denied.insert(stem.clone());
            }
            self.stems.insert(stem);
        }
        if let Some(said) = value {
            self.number(said, None);
        }
    }

    /// Units of a number, none where the text does not say it. What fell by 5 changed by -5.
    pub(super) fn units(&self, number: &str, falls: bool) -> Option<&BTreeSet<&'static str>> {
        let opposite = || match number.strip_prefix('-') {
            Some(positive) => self.numbers.get(positive),
            None => self.numbers.get(&format!("-{number}")),
        };
        let known = self.numbers.get(number);
        known.or_else(|| (falls || self.falls()).then(opposite).flatten())
    }

    /// Whether it speaks of less.
    pub(super) fn falls(&self) -> bool {
        FALLING.iter().any(|stem| self.stems.contains(*stem))
    }

    /// Which share of these stems the other text has too.
    pub(super) fn covered_by(&self, other: &Self) -> f32 {
        match self.stems.len() {
            0 => 0.0,
            all => self.stems.intersection(&other.stems).count() as f32 / all as f32,
        }
    }

    /// A stem that one text denies and the other says.
    pub(super) fn denies<'a>(&'a self, other: &'a Self) -> Option<&'a str> {
        let apart = |one: &Self, two: &Self, stem: &String| {
            one.denied.contains(stem) && two.stems.contains(stem) && !two.denied.contains(stem)
        };
        let mut shared = self.stems.intersection(&other.stems);
        shared
            .find(|stem| apart(self, other, stem) || apart(other, self, stem))
            .map(String::as_str)
    }

    /// A word here and its opposite there, where neither text has both.
    pub(super) fn opposes(&self, other: &Self) -> Option<(&'static str, &'static str)> {
        let only = |one: &Self, two: &Self, word: &str| {
            one.stems.contains(word) && !two.stems.contains(word)
        };
        // Not open is closed.
        let denied = |one: &Self, word: &str| one.denied.contains(word);
        let pairs = OPPOSITES
            .iter()
            .flat_map(|&(one, two)| [(one, two), (two, one)]);
        let mut pairs = pairs.filter(|(mine, theirs)| {
            only(self, other, mine)
                && only(other, self, theirs)
                && denied(self, mine) == denied(other, theirs)
        });
        pairs.next()
    }
}

/// A month or a day; "may" and "march" only where they are written as names.
fn date(lower: &str, word: &str) -> Option<&'static str> {
    let capital = word.starts_with(char::is_uppercase);
    let mut known = MONTHS.iter().chain(&DAYS);
    known
        .find(|known| lower == **known && (capital || !["may", "march"].contains(known)))
        .copied()
}

/// Whether nearly every word has a capital: a heading, where capitals tell no names.
fn is_titled(text: &str) -> bool {
    let long = text.unicode_words().filter(|word| word.chars().count() > 3);
    let (all, capital) = long.fold((0, 0), |(all, capital), word| {
        (
            all + 1,
            capital + usize::from(word.starts_with(char::is_uppercase)),
        )
    });
    all >= 3 && capital * 10 >= all * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_are_read_from_dates_and_names() {
        assert_eq!(read("on 2024-05-06").dates, BTreeSet::from(["may"]));
        assert_eq!(
            read("You may go in March.").dates,
            BTreeSet::from(["march"])
        );
    }

    #[test]
    fn names_are_capitals_where_no_sentence_begins() {
        for (text, expected) in [
            ("The boat of Maria lies in Hull.", "Hull Maria"),
            ("Florence Nightingale was a nurse.", "Florence Nightingale"),
            ("Boats float. Rain falls.", ""),
            ("NASA paid.", "NASA"),
            ("How To Mend A Broken Boat Today", ""),
            ("I think so.", ""),
        ] {
            let names = read(text).names;
            let mut found: Vec<&str> = names.values().map(String::as_str).collect();
            found.sort_unstable();
            assert_eq!(found.join(" "), expected, "{text}");
        }
    }

    #[test]
    fn denials_cover_what_follows() {
        let pairs = [
            ("The boat is not blue.", "The boat is blue.", true),
            ("The boat isn't blue.", "The boat is blue.", true),
            ("It never opened.", "It opened.", true),
            ("The boat is not blue.", "The boat was not blue.", false),
            (
                "Not only is it blue, it floats.",
                "It is blue and floats.",
                false,
            ),
            ("It is blue, not red.", "It is blue.", false),
        ];
        for (one, two, expected) in pairs {
            assert_eq!(
                read(one).denies(&read(two)).is_some(),
                expected,
                "{one} {two}"
            );
            assert_eq!(
                read(two).denies(&read(one)).is_some(),
                expected,
                "{two} {one}"
            );
        }
        let (up, down) = (read("Prices increased."), read("Prices decreased."));
        assert_eq!(up.opposes(&down), Some(("increas", "decreas")));
        assert_eq!(up.opposes(&up), None);
    }
}
