//! Personal numbers in text: checksums and context decide, so that order ids and phones stay quiet.
//!
//! Finds US social security numbers, payment cards, IBANs and US bank routing numbers. It does not
//! find names, addresses or phone numbers.

mod digits;
mod iban;

use std::ops::Range;

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PiiKind {
    /// US social security number, in a range that is issued.
    Ssn,
    /// Payment card: a known issuer's prefix and length, and the Luhn check.
    Card,
    /// International bank account: the country's length, and the mod-97 check.
    Iban,
    /// US bank routing number: the ABA checksum, near a word such as "routing" or "account".
    Routing,
}

impl PiiKind {
    /// The name shown to people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ssn => "social security number",
            Self::Card => "card number",
            Self::Iban => "IBAN",
            Self::Routing => "bank routing number",
        }
    }

    /// How many last characters may be shown.
    pub fn shown_tail(self) -> usize {
        match self {
            Self::Ssn | Self::Routing => 0,
            Self::Card | Self::Iban => 4,
        }
    }
}

/// A personal number in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pii {
    /// What it is.
    pub kind: PiiKind,
    /// Where it is, in bytes, on character boundaries.
    pub span: Range<usize>,
}

/// Finds the personal numbers in `text`, in order, without overlap.
///
/// ```
/// use boathouse::engines::validation::pii::{PiiKind, find};
///
/// let found = find("card 4111 1111 1111 1111, order 4111 1111 1111 1112");
/// assert_eq!((found.len(), found[0].kind, found[0].span.clone()), (1, PiiKind::Card, 5..24));
/// ```
pub fn find(text: &str) -> Vec<Pii> {
    let mut all = iban::find(text);
    // An account number may hold digits that look like a card: sorted first, it wins.
    all.extend(digits::find(text));
    all.sort_by_key(|pii| pii.span.start);
    let mut found: Vec<Pii> = Vec::with_capacity(all.len());
    for pii in all {
        if found
            .last()
            .is_none_or(|last| last.span.end <= pii.span.start)
        {
            found.push(pii);
        }
    }
    found
}

/// The last character before a byte offset.
fn before(text: &str, at: usize) -> Option<char> {
    text.get(..at)?.chars().next_back()
}

/// The first character from a byte offset.
fn after(text: &str, at: usize) -> Option<char> {
    text.get(at..)?.chars().next()
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests;
