//! Which runs of digits are meant: a pattern alone would take dates, ids and addresses for numbers.

use std::ops::Range;

/// Finds a card number that begins and ends with groups of digits in a longer run of them.
pub(super) fn card(text: &str, found: Range<usize>) -> Option<Range<usize>> {
    let run = text.get(found.clone())?;
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, _) in run
        .bytes()
        .enumerate()
        .filter(|(_, byte)| byte.is_ascii_digit())
    {
        match groups.last_mut() {
            Some(last) if last.end == at => last.end = at + 1,
            _ => groups.push(at..at + 1),
        }
    }
    for (first, group) in groups.iter().enumerate() {
        let mut digits = Vec::new();
        for last in groups.iter().skip(first) {
            digits.extend(run.get(last.clone())?.bytes().map(|byte| byte - b'0'));
            if digits.len() > 19 {
                break;
            }
            let range = found.start + group.start..found.start + last.end;
            if digits.len() >= 13 && is_card(&digits) && stands_alone(text, &range) {
                return Some(range);
            }
        }
    }
    None
}

/// Whether digits are a card number: of an issuer (ISO/IEC 7812: banks have 2 to 6), with the Luhn
/// check.
fn is_card(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let weighed = u32::from(*digit) * (1 + at as u32 % 2);
            if weighed > 9 { weighed - 9 } else { weighed }
        })
        .sum();
    digits.first().is_some_and(|first| (2..=6).contains(first)) && sum.is_multiple_of(10)
}

/// A number that was issued: no area 000, 666 or 9xx, no group 00, no serial 0000.
pub(super) fn ssn(text: &str, found: Range<usize>) -> Option<Range<usize>> {
    let number = text.get(found.clone())?;
    let area = number.get(..3)?;
    let issued = !matches!(area, "000" | "666")
        && !area.starts_with('9')
        && number.get(4..6)? != "00"
        && number.get(7..)? != "0000";
    (issued && stands_alone(text, &found)).then_some(found)
}

pub(super) fn phone(text: &str, found: Range<usize>) -> Option<Range<usize>> {
    let number = text.get(found.clone())?;
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    let range = match number.as_bytes() {
        [b'+', ..] => 8..=15,
        [b'(', ..] => 9..=13,
        _ if number.contains('(') => 9..=13,
        // Three groups of four are rather years or an order's number.
        _ => 10..=11,
    };
    (range.contains(&digits) && stands_alone(text, &found)).then_some(found)
}

/// Whether a number is not a part of a word, a longer number, an address or an id.
fn stands_alone(text: &str, found: &Range<usize>) -> bool {
    let mut before = text.get(..found.start).unwrap_or_default().chars().rev();
    let mut after = text.get(found.end..).unwrap_or_default().chars();
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let link = |c: char| matches!(c, '-' | '.' | ':' | '/');
    let joined = |side: &mut dyn Iterator<Item = char>| match side.next() {
        Some(c) if part(c) => true,
        Some(c) if link(c) => side.next().is_some_and(|c| c.is_ascii_digit()),
        _ => false,
    };
    !joined(&mut before) && !joined(&mut after)
}
