//! National ids that consist of digits.

use super::checks::{mod_11_10, weighted};
use super::context::{Text, Topic};
use super::groups::{Group, digits, is_part, number, pii, shaped};
use super::{Pii, PiiKind};

/// Two that were printed on cards for show. Source: SSA, "Misused SSNs".
const PRINTED: [u64; 2] = [78_051_120, 219_099_999];

pub(super) fn find(text: &Text<'_>, earlier: Option<&Group>, rest: &[Group]) -> Option<Pii> {
    // Most numbers are of no length that any of these has.
    match rest.first()?.len() {
        1 => nir(text, rest, &[1, 2, 2, 2, 3, 3, 2]),
        2 => steuer_id(text, earlier, rest, &[2, 3, 3, 3]),
        3 => of_three(text, earlier, rest),
        8 => bsn(text, earlier, rest, &[8]),
        9 => us(text, earlier, rest, &[9]).or_else(|| bsn(text, earlier, rest, &[9])),
        10 => nhs(text, earlier, rest, &[10]),
        11 => steuer_id(text, earlier, rest, &[11]).or_else(|| pesel(text, earlier, rest)),
        13 => nir(text, rest, &[13, 2]),
        15 => nir(text, rest, &[15]),
        _ => None,
    }
}

fn of_three(text: &Text<'_>, earlier: Option<&Group>, rest: &[Group]) -> Option<Pii> {
    us(text, earlier, rest, &[3, 2, 4])
        .or_else(|| nhs(text, earlier, rest, &[3, 3, 4]))
        .or_else(|| bsn(text, earlier, rest, &[3, 3, 3]))
}

/// The groups at the front of these lengths that are a whole number, with their digits.
fn whole<'a>(
    text: &Text<'_>,
    earlier: Option<&Group>,
    rest: &'a [Group],
    lengths: &[usize],
) -> Option<(&'a [Group], Vec<u32>)> {
    let groups = shaped(rest, lengths)?;
    let part = is_part(earlier, groups, rest.get(lengths.len()));
    (!part).then(|| (groups, digits(text, groups)))
}

/// Area 001-899 but 666, group 01-99, serial 0001-9999 (SSA, randomized since 2011); or area from
/// 900 with a group of taxpayers (IRS, Publication 4757).
fn us(text: &Text<'_>, earlier: Option<&Group>, rest: &[Group], lengths: &[usize]) -> Option<Pii> {
    let groups = shaped(rest, lengths)?;
    let separator = groups.get(1).and_then(|group| group.joined_by);
    let longer = separator.is_some() && is_part(earlier, groups, rest.get(lengths.len()));
    let digits = digits(text, groups);
    let (area, group) = (number(digits.get(..3)?), number(digits.get(3..5)?));
    let kind = match (area, group) {
        (900.., 50..=65 | 70..=88 | 90..=92 | 94..=99) => PiiKind::Itin,
        (1..=665 | 667..=899, 1..) => PiiKind::Ssn,
        _ => return None,
    };
    let unissued = number(digits.get(5..)?) == 0 || PRINTED.contains(&number(&digits));
    if longer || unissued {
        return None;
    }
    // Only the form with hyphens says by itself what it is.
    let topic = match kind {
        PiiKind::Itin => Topic::Itin,
        _ => Topic::Ssn,
    };
    let named = separator == Some('-') || text.is_near(groups, topic);
    named.then(|| pii(kind, groups)).flatten()
}

/// Ten digits; the last makes the weighted sum whole. Source: NHS Data Dictionary.
fn nhs(text: &Text<'_>, earlier: Option<&Group>, rest: &[Group], lengths: &[usize]) -> Option<Pii> {
    let (groups, digits) = whole(text, earlier, rest, lengths)?;
    let sum = weighted(&digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    let valid = sum.is_multiple_of(11) && number(&digits) > 0;
    (valid && text.is_near(groups, Topic::Nhs)).then(|| pii(PiiKind::Nhs, groups))?
}

/// Of the first ten digits one is there twice or three times, and not more than that. Source: BZSt.
fn steuer_id(
    text: &Text<'_>,
    earlier: Option<&Group>,
    rest: &[Group],
    lengths: &[usize],
) -> Option<Pii> {
    let (groups, digits) = whole(text, earlier, rest, lengths)?;
    let mut counts = [0_u8; 10];
    for digit in digits.iter().take(10) {
        *counts.get_mut(usize::try_from(*digit).ok()?)? += 1;
    }
    let repeated: Vec<u8> = counts.into_iter().filter(|count| *count > 1).collect();
    let formed = matches!(repeated.as_slice(), [2 | 3]) && digits.first() != Some(&0);
    (formed && mod_11_10(&digits) && text.is_near(groups, Topic::SteuerId))
        .then(|| pii(PiiKind::SteuerId, groups))?
}

/// Date of birth with the century in its month. Source: Polish law of 24 September 2010, art. 15.
fn pesel(text: &Text<'_>, earlier: Option<&Group>, rest: &[Group]) -> Option<Pii> {
    let (groups, digits) = whole(text, earlier, rest, &[11])?;
    let (month, day) = (number(digits.get(2..4)?) % 20, number(digits.get(4..6)?));
    let sum = weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    let valid = (1..=12).contains(&month) && (1..=31).contains(&day) && sum.is_multiple_of(10);
    (valid && text.is_near(groups, Topic::Pesel)).then(|| pii(PiiKind::Pesel, groups))?
}

/// The elfproef: the last digit counts against the others. Source: Dutch Wabb; RvIG.
fn bsn(text: &Text<'_>, earlier: Option<&Group>, rest: &[Group], lengths: &[usize]) -> Option<Pii> {
    let (groups, digits) = whole(text, earlier, rest, lengths)?;
    let (last, body) = digits.split_last()?;
    let weights: &[u32] = if digits.len() == 8 {
        &[8, 7, 6, 5, 4, 3, 2]
    } else {
        &[9, 8, 7, 6, 5, 4, 3, 2]
    };
    let sum = weighted(body, weights) + 11 - last;
    let valid = sum.is_multiple_of(11) && number(&digits) > 0;
    (valid && text.is_near(groups, Topic::Bsn)).then(|| pii(PiiKind::Bsn, groups))?
}

/// Sex, year, month, place, and a key of two digits. Source: INSEE. Those of Corsica have letters.
fn nir(text: &Text<'_>, rest: &[Group], lengths: &[usize]) -> Option<Pii> {
    let groups = shaped(rest, lengths)?;
    let digits = digits(text, groups);
    let (sex, month) = (*digits.first()?, number(digits.get(3..5)?));
    let (body, key) = (number(digits.get(..13)?), number(digits.get(13..15)?));
    let formed = matches!(sex, 1..=4 | 7 | 8) && matches!(month, 1..=12 | 20..=42 | 50..);
    (formed && key == 97 - body % 97).then(|| pii(PiiKind::Nir, groups))?
}
