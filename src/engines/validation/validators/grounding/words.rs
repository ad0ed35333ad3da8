//! Words of a text, with what a claim can get wrong: numbers and their units, dates, names, and what is denied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation as _;

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

const NUMBERS: &[(&str, f64)] = &[
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("fifteen", 15.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
];
const SCALES: &[(&str, f64)] = &[
    ("hundred", 1e2),
    ("thousand", 1e3),
    ("million", 1e6),
    ("billion", 1e9),
    ("trillion", 1e12),
];

/// Each line is one unit, by the ways to write it that mean nothing else.
const UNITS: &[&[&str]] = &[
    &["%", "percent", "pct"],
    &["$", "dollar", "dollars", "usd"],
    &["€", "euro", "euros", "eur"],
    &["£", "pound", "pounds", "gbp", "lb", "lbs"],
    &["km", "kilometer", "kilometers", "kilometre", "kilometres"],
    &["mile", "miles", "mi"],
    &["meter", "meters", "metre", "metres"],
    &["foot", "feet", "ft"],
    &["inch", "inches"],
    &[
        "cm",
        "centimeter",
        "centimeters",
        "centimetre",
        "centimetres",
    ],
    &[
        "mm",
        "millimeter",
        "millimeters",
        "millimetre",
        "millimetres",
    ],
    &["kg", "kilogram", "kilograms", "kilos"],
    &["gram", "grams"],
    &["ton", "tons", "tonne", "tonnes"],
    &["ounce", "ounces", "oz"],
    &["liter", "liters", "litre", "litres"],
    &["gallon", "gallons"],
    &["acre", "acres"],
    &["hectare", "hectares", "ha"],
    &["second", "seconds", "sec"],
    &["minute", "minutes", "min"],
    &["hour", "hours"],
    &["day", "days"],
    &["week", "weeks"],
    &["month", "months"],
    &["year", "years"],
    &["decade", "decades"],
    &["century", "centuries"],
    &["am", "a.m"],
    &["pm", "p.m"],
    &["mg", "milligram", "milligrams"],
    &["ml", "milliliter", "milliliters"],
    &["mb", "megabyte", "megabytes"],
    &["gb", "gigabyte", "gigabytes"],
    &["kwh"],
    &["celsius", "°c"],
    &["fahrenheit", "°f"],
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
    LazyLock::new(|| Regex::new(r"\b(\d{4})-(\d{2})-(\d{2})\b").ok());
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"([$€£]\s?)?(\d[\d,]*(?:\.\d+)?)(?:\s*-?\s*(%|°[CFcf]|[\p{Alphabetic}]+(?:\.m)?))?")
        .ok()
});

/// Reads a text.
pub(super) fn read(text: &str) -> Words {
    let mut words = Words::default();
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
    words.read_numbers(&left);
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

    fn read_numbers(&mut self, text: &str) {
        let Some(number) = NUMBER.as_ref() else {
            return;
        };
        let mut at = 0;
        while let Some(found) = number.captures_at(text, at) {
            let Some(whole) = found.get(2) else { break };
            at = whole.end();
            let before = text[..whole.start()].chars().next_back();
            // Part of a word such as B2B, or of a longer number.
            if before.is_some_and(|sign| sign.is_alphabetic() || sign == '.') {
                continue;
            }
            let Ok(mut value) = whole.as_str().replace(',', "").parse::<f64>() else {
                continue;
            };
            let mut word = found.get(3).map(|word| word.as_str().to_lowercase());
            if let Some(scale) = word.as_deref().and_then(|word| of(SCALES, word)) {
                value *= scale;
                let next = found.get(3).map_or("", |word| &text[word.end()..]);
                word = next.unicode_words().next().map(str::to_lowercase);
            }
            let sign = found.get(1).map(|sign| sign.as_str().trim().to_owned());
            self.number(
                value,
                unit(sign.as_deref()).or_else(|| unit(word.as_deref())),
            );
        }
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
            if let Some(scale) = of(SCALES, &base) {
                value = value.map(|value| value * scale);
                continue;
            }
            if let Some(said) = value.take() {
                self.number(said, unit(Some(&base)));
            }
            if let Some(said) = of(NUMBERS, &base) {
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

fn of(table: &[(&str, f64)], word: &str) -> Option<f64> {
    table
        .iter()
        .find(|(known, _)| *known == word)
        .map(|(_, value)| *value)
}

fn unit(word: Option<&str>) -> Option<&'static str> {
    let word = word?;
    let known = UNITS.iter().find(|names| names.contains(&word))?;
    known.first().copied()
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
    fn numbers_are_read_however_they_are_written() {
        for (text, expected) in [
            ("It cost $1,500.", "1500 $"),
            ("1.5 million people", "1500000"),
            ("three million dollars", "3000000 $"),
            ("twelve days", "12 day"),
            ("5 km, 5km and 5-km", "5 km"),
            ("12% or 12 percent", "12 %"),
            ("on 2024-05-06", "2024 6"),
            ("the 19th century", "19"),
            ("B2B and A4", ""),
            ("one of them", ""),
        ] {
            let words = read(text);
            let mut found: Vec<String> = words
                .numbers
                .iter()
                .map(|(value, units)| {
                    let units: String = units.iter().map(|unit| format!(" {unit}")).collect();
                    format!("{value}{units}")
                })
                .collect();
            found.sort_by_key(|one| expected.find(one.as_str()));
            assert_eq!(found.join(" "), expected, "{text}");
        }
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
