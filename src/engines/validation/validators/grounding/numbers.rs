//! Numbers of a text and their units, however they are written.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use unicode_segmentation::UnicodeSegmentation as _;

/// The unit of a difference of percentages.
const POINTS: &str = "percentage points";

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
    &[POINTS, "percentage", "pp", "ppt", "pps"],
    &["basis points", "basis", "bps"],
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

/// First digits of other scripts, each followed by its nine.
const ZEROS: [char; 5] = ['\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}', '\u{e50}'];

static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"([$€£]\s?)?(\d[\d,]*(?:\.\d+)?)(?:\s*-?\s*(%|°[CFcf]|[\p{Alphabetic}]+(?:\.m)?))?")
        .ok()
});

/// The text with full-width signs and the digits of other scripts as ASCII has them.
pub(super) fn in_ascii(text: &str) -> Cow<'_, str> {
    let other = |c: char| ascii_of(c).is_some();
    match text.is_ascii() || !text.contains(other) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.chars().map(|c| ascii_of(c).unwrap_or(c)).collect()),
    }
}

fn ascii_of(c: char) -> Option<char> {
    let code = u32::from(c);
    if (0xff01..=0xff5e).contains(&code) {
        return char::from_u32(code - 0xfee0);
    }
    let digit = |zero: &char| {
        code.checked_sub(u32::from(*zero))
            .filter(|digit| *digit < 10)
    };
    let digit = ZEROS.iter().find_map(digit)?;
    char::from_digit(digit, 10)
}

/// The numbers that are written in digits, each with its unit.
pub(super) fn read(text: &str) -> Vec<(f64, Option<&'static str>)> {
    let mut found = Vec::new();
    let Some(number) = NUMBER.as_ref() else {
        return found;
    };
    let mut at = 0;
    while let Some(hit) = number.captures_at(text, at) {
        let Some(whole) = hit.get(2) else { break };
        at = whole.end();
        let before = &text[..whole.start()];
        // Part of a word such as B2B, or of a longer number; words of some scripts touch their numbers.
        if before.ends_with(|sign: char| sign.is_alphabetic() && !is_cjk(sign) || sign == '.') {
            continue;
        }
        let Ok(mut value) = whole.as_str().replace(',', "").parse::<f64>() else {
            continue;
        };
        let start = hit.get(1).map_or(whole.start(), |sign| sign.start());
        if value > 0.0 && is_negative(&text[..start]) {
            value = -value;
        }
        let mut word = hit.get(3).map(|word| word.as_str().to_lowercase());
        let mut next = hit.get(3).map_or("", |word| &text[word.end()..]);
        if let Some(scale) = word.as_deref().and_then(scale) {
            value *= scale;
            word = next.unicode_words().next().map(str::to_lowercase);
            next = "";
        }
        let sign = hit.get(1).map(|sign| sign.as_str().trim());
        let unit = unit(sign).or_else(|| unit(word.as_deref()));
        let of_points =
            unit == Some("%") && next.trim_start_matches(['-', ' ']).starts_with("point");
        found.push((value, if of_points { Some(POINTS) } else { unit }));
    }
    found
}

/// Whether what stands before a number makes it less than zero: a sign with nothing before it, or the word.
fn is_negative(before: &str) -> bool {
    let apart = |head: &str| {
        head.is_empty()
            || head.ends_with(|sign: char| sign.is_whitespace() || matches!(sign, '(' | '[' | '"'))
    };
    if let Some(head) = before.strip_suffix(['-', '\u{2212}']) {
        return apart(head) || head.ends_with(is_cjk);
    }
    let words = before.trim_end();
    let head = ["minus", "Minus", "negative"]
        .iter()
        .find_map(|word| words.strip_suffix(word));
    // Not of a subtraction.
    head.is_some_and(|head| {
        apart(head)
            && !head
                .trim_end()
                .ends_with(|sign: char| sign.is_ascii_digit())
    }) && words.len() < before.len()
}

/// Whether a letter is of a script that puts no spaces between words.
fn is_cjk(letter: char) -> bool {
    matches!(letter,
        '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// A number in letters.
pub(super) fn spelt(word: &str) -> Option<f64> {
    of(NUMBERS, word)
}

/// What a word such as "million" multiplies by.
pub(super) fn scale(word: &str) -> Option<f64> {
    of(SCALES, word)
}

fn of(table: &[(&str, f64)], word: &str) -> Option<f64> {
    table
        .iter()
        .find(|(known, _)| *known == word)
        .map(|(_, value)| *value)
}

/// A unit by one of its names, lowercase.
pub(super) fn unit(word: Option<&str>) -> Option<&'static str> {
    let word = word?;
    let known = UNITS.iter().find(|names| names.contains(&word))?;
    known.first().copied()
}

#[cfg(test)]
mod tests {
    use super::super::words;

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
            ("minus 5 degrees, or -5", "-5"),
            ("a change of \u{2212}$5", "-5 $"),
            ("+5 percent", "5 %"),
            ("12 minus 5", "12 5"),
            ("10-15 days, COVID-19", "10 15 day 19"),
            ("\u{5728}2024\u{5e74}", "2024"),
            ("\u{ff11}\u{ff12}\u{ff05}", "12 %"),
            ("\u{661}\u{662} km", "12 km"),
            (
                "3 percentage points, 3pp and 3 percent points",
                "3 percentage points",
            ),
            ("25 basis points", "25 basis points"),
        ] {
            let words = words::read(text);
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
    }
}
