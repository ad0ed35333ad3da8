//! Numbers that consist of groups of digits: cards, social security and routing numbers.

use super::{Pii, PiiKind, after, before, is_word};

/// A run of ASCII digits.
#[derive(Debug, Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
    /// What stands between this and the group before, if that is one separator and no more.
    joined_by: Option<char>,
    /// No letter touches it, and no plus sign precedes it.
    free: bool,
}

impl Group {
    fn len(self) -> usize {
        self.end - self.start
    }
}

/// Groups of one number: 19 digits in fours make five.
const MAX_GROUPS: usize = 5;

pub(super) fn find(text: &str) -> Vec<Pii> {
    let groups = groups(text);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = groups.get(at..).filter(|rest| !rest.is_empty()) {
        let earlier = at.checked_sub(1).and_then(|at| groups.get(at));
        let hit = ssn(text, earlier, rest)
            .or_else(|| card(text, rest))
            .or_else(|| routing(text, rest));
        match hit {
            Some((kind, taken)) => {
                let (first, last) = (rest.first(), rest.get(taken - 1));
                if let (Some(first), Some(last)) = (first, last) {
                    found.push(Pii {
                        kind,
                        span: first.start..last.end,
                    });
                }
                at += taken;
            }
            None => at += 1,
        }
    }
    found
}

fn groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let run = bytes
            .iter()
            .skip(at)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if run == 0 {
            at += 1;
            continue;
        }
        let (start, end) = (at, at + run);
        let left = before(text, start);
        let joined_by = left.filter(|c| {
            matches!(c, ' ' | '-' | '.' | '\u{a0}')
                && groups
                    .last()
                    .is_some_and(|last| last.end + c.len_utf8() == start)
        });
        let free = !is_word(left) && left != Some('+') && !is_word(after(text, end));
        groups.push(Group {
            start,
            end,
            joined_by,
            free,
        });
        at = end;
    }
    groups
}

/// Whether the groups are one number, split by one kind of separator.
fn is_one(groups: &[Group]) -> bool {
    let separator = groups.get(1).and_then(|group| group.joined_by);
    groups.iter().all(|group| group.free)
        && groups
            .iter()
            .skip(1)
            .all(|group| group.joined_by.is_some() && group.joined_by == separator)
}

fn digits(text: &str, groups: &[Group]) -> Vec<u32> {
    let parts = groups
        .iter()
        .filter_map(|group| text.get(group.start..group.end));
    parts
        .flat_map(str::chars)
        .filter_map(|c| c.to_digit(10))
        .collect()
}

fn number(digits: &[u32]) -> u32 {
    digits.iter().fold(0, |number, digit| number * 10 + digit)
}

/// Area 001–899 but 666, group 01–99, serial 0001–9999. Source: SSA, randomized since 2011.
fn ssn(text: &str, earlier: Option<&Group>, rest: &[Group]) -> Option<(PiiKind, usize)> {
    let first = *rest.first()?;
    let (taken, separator) = match (first.len(), rest.get(..3)) {
        (9, _) => (1, None),
        (3, Some([_, second, third])) if second.len() == 2 && third.len() == 4 => {
            (3, second.joined_by)
        }
        _ => return None,
    };
    let groups = rest.get(..taken)?;
    let longer = separator.is_some()
        && (first.joined_by == separator && earlier.is_some_and(|group| group.len() > 1)
            || rest.get(3).is_some_and(|next| next.joined_by == separator));
    let digits = digits(text, groups);
    let (area, group, serial) = (
        number(digits.get(..3)?),
        number(digits.get(3..5)?),
        number(digits.get(5..)?),
    );
    let issued = (1..900).contains(&area) && area != 666 && group != 0 && serial != 0;
    if !is_one(groups) || longer || !issued {
        return None;
    }
    // Only the form with hyphens says by itself what it is.
    let named = separator == Some('-') || near(text, groups, &["ssn", "social security"]);
    named.then_some((PiiKind::Ssn, taken))
}

fn card(text: &str, rest: &[Group]) -> Option<(PiiKind, usize)> {
    (1..=MAX_GROUPS.min(rest.len())).rev().find_map(|taken| {
        let groups = rest.get(..taken)?;
        let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        if !is_one(groups) || !is_card_shape(&lengths) {
            return None;
        }
        let digits = digits(text, groups);
        (is_issued(&digits) && luhn(&digits)).then_some((PiiKind::Card, taken))
    })
}

/// One run, 4-6-5 and 4-6-4, or equal groups of four and more with a shorter last one.
fn is_card_shape(lengths: &[usize]) -> bool {
    let total: usize = lengths.iter().sum();
    let shape = match lengths {
        [_] | [4, 6, 4 | 5] => true,
        [first, middle @ .., last] => {
            *first >= 4 && middle.iter().all(|length| length == first) && last <= first
        }
        [] => false,
    };
    shape && (13..=19).contains(&total)
}

/// Prefix and length of a known network. Source: ISO/IEC 7812 ranges as the networks publish them.
fn is_issued(digits: &[u32]) -> bool {
    let prefix = digits.get(..4).map(number).unwrap_or_default();
    matches!(
        (prefix, digits.len()),
        (4000..=4999, 13 | 16 | 19)
            | (5100..=5599 | 2221..=2720, 16)
            | (3400..=3499 | 3700..=3799, 15)
            | (3000..=3059 | 3600..=3699 | 3800..=3999, 14..=19)
            | (3528..=3589 | 6011 | 6200..=6299 | 6440..=6599, 16..=19)
            | (5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763, 13..=19)
    )
}

/// The check digit of cards. Source: ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match at % 2 {
            0 => *digit,
            _ => digit * 2 - if *digit > 4 { 9 } else { 0 },
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Nine digits of a Federal Reserve district with the ABA checksum, near a word of banking.
fn routing(text: &str, rest: &[Group]) -> Option<(PiiKind, usize)> {
    let groups = rest.get(..1)?;
    let longer = |group: Option<&Group>| {
        group.is_some_and(|group| group.joined_by.is_some_and(|c| c != ' '))
    };
    let first = groups.first()?;
    if first.len() != 9 || !first.free || longer(Some(first)) || longer(rest.get(1)) {
        return None;
    }
    let digits = digits(text, groups);
    let weights = [3, 7, 1, 3, 7, 1, 3, 7, 1];
    let sum: u32 = digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum();
    let district = number(digits.get(..2)?);
    let valid = sum.is_multiple_of(10) && matches!(district, 0..=12 | 21..=32 | 61..=72 | 80);
    let words = ["routing", "account", "aba ", "aba:", "aba#", "rtn"];
    (valid && sum > 0 && near(text, groups, &words)).then_some((PiiKind::Routing, 1))
}

/// Whether one of the words stands shortly before or after.
fn near(text: &str, groups: &[Group], words: &[&str]) -> bool {
    let (Some(first), Some(last)) = (groups.first(), groups.last()) else {
        return false;
    };
    let from = text.floor_char_boundary(first.start.saturating_sub(60));
    let to = text.ceil_char_boundary((last.end + 30).min(text.len()));
    let around = text.get(from..to).unwrap_or_default().to_lowercase();
    words.iter().any(|word| around.contains(word))
}
