//! Cards and bank routing numbers.

use super::checks::{luhn, weighted};
use super::context::{Text, Topic};
use super::groups::{Group, digits, is_one, is_part, number, pii};
use super::{Pii, PiiKind};

/// Groups of one number: 19 digits in fours make five.
const MAX_GROUPS: usize = 5;

pub(super) fn card(text: &str, rest: &[Group]) -> Option<Pii> {
    // Of the first digit and the length of its group, cards have few.
    if !matches!(rest.first()?.len(), 4..=6 | 13..=19) {
        return None;
    }
    (1..=MAX_GROUPS.min(rest.len())).rev().find_map(|taken| {
        let groups = rest.get(..taken)?;
        if !is_card_shape(groups) || !is_one(groups) {
            return None;
        }
        let digits = digits(text, groups);
        (is_issued(&digits) && luhn(&digits)).then(|| pii(PiiKind::Card, groups))?
    })
}

/// One run, 4-6-5 and 4-6-4, or equal groups of four and more with a shorter last one.
fn is_card_shape(groups: &[Group]) -> bool {
    let total: usize = groups.iter().map(Group::len).sum();
    let shape = match groups {
        [_] => true,
        [first, middle, last] if first.len() == 4 && middle.len() == 6 => {
            matches!(last.len(), 4 | 5)
        }
        [first, middle @ .., last] => {
            first.len() >= 4
                && middle.iter().all(|group| group.len() == first.len())
                && last.len() <= first.len()
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
        // Visa, Mastercard, American Express, Diners, JCB, Discover, UnionPay, Mir.
        (4000..=4999, 13 | 16 | 19)
            | (5100..=5599 | 2221..=2720, 16)
            | (3400..=3499 | 3700..=3799, 15)
            | (3000..=3059 | 3600..=3699 | 3800..=3999, 14..=19)
            | (3528..=3589 | 6011 | 6200..=6299 | 6440..=6599 | 2200..=2204, 16..=19)
            // Maestro, Elo.
            | (5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763, 13..=19)
            | (5067 | 6362 | 6363, 16)
    )
}

/// Nine digits of a Federal Reserve district with the ABA checksum, near a word of banking.
pub(super) fn routing(text: &Text<'_>, rest: &[Group]) -> Option<Pii> {
    let groups = rest.get(..1)?;
    let first = groups.first()?;
    if first.len() != 9 || !first.free || is_part(None, groups, rest.get(1)) {
        return None;
    }
    let digits = digits(text, groups);
    let sum = weighted(&digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]);
    let district = number(digits.get(..2)?);
    let valid = sum.is_multiple_of(10) && matches!(district, 0..=12 | 21..=32 | 61..=72 | 80);
    (valid && sum > 0 && text.is_near(groups, Topic::Routing))
        .then(|| pii(PiiKind::Routing, groups))?
}
