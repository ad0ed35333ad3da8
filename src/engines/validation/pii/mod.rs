//! Personal data in text: checksums, ranges and context decide, so that order ids stay quiet.
//!
//! Finds national ids, cards, bank and passport numbers, and what reaches a person: addresses of
//! mail, phone numbers and addresses of machines. It does not find names or places.

mod banks;
mod checks;
mod contacts;
mod context;
mod groups;
mod letters;
mod national;
mod steps;

use std::ops::Range;

use context::Text;
use groups::Group;

/// What a piece of personal data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PiiKind {
    /// US social security number, in a range that is issued.
    Ssn,
    /// US individual taxpayer number: the ranges of the IRS.
    Itin,
    /// Payment card: a known issuer's prefix and length, and the Luhn check.
    Card,
    /// International bank account: the country's length, and the mod-97 check.
    Iban,
    /// US bank routing number: the ABA checksum, near a word such as "routing" or "account".
    Routing,
    /// UK national insurance number: prefixes that are issued, and a suffix.
    Nino,
    /// UK NHS number: the mod-11 check, near its name.
    Nhs,
    /// German tax id: its rule of repeated digits and check digit, near its name.
    SteuerId,
    /// French social security number: sex, month and key.
    Nir,
    /// Spanish DNI or NIE: its letter.
    Dni,
    /// Italian tax code: its form and check letter.
    CodiceFiscale,
    /// Polish PESEL: a date and the check digit, near its name.
    Pesel,
    /// Dutch BSN: the elfproef, near its name.
    Bsn,
    /// Passport number, by its form after the word.
    Passport,
    /// Address of mail.
    Email,
    /// Phone number: international, of the US, or near a word such as "phone".
    Phone,
    /// Address of a machine, IPv4 or IPv6.
    Ip,
}

impl PiiKind {
    /// Every kind.
    pub const ALL: [Self; 17] = [
        Self::Ssn,
        Self::Itin,
        Self::Card,
        Self::Iban,
        Self::Routing,
        Self::Nino,
        Self::Nhs,
        Self::SteuerId,
        Self::Nir,
        Self::Dni,
        Self::CodiceFiscale,
        Self::Pesel,
        Self::Bsn,
        Self::Passport,
        Self::Email,
        Self::Phone,
        Self::Ip,
    ];

    /// The name for programs, such as `steuer_id`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Ssn => "ssn",
            Self::Itin => "itin",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Routing => "routing",
            Self::Nino => "nino",
            Self::Nhs => "nhs",
            Self::SteuerId => "steuer_id",
            Self::Nir => "nir",
            Self::Dni => "dni",
            Self::CodiceFiscale => "codice_fiscale",
            Self::Pesel => "pesel",
            Self::Bsn => "bsn",
            Self::Passport => "passport",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Ip => "ip",
        }
    }

    /// The name shown to people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ssn => "social security number",
            Self::Itin => "US taxpayer number",
            Self::Card => "card number",
            Self::Iban => "IBAN",
            Self::Routing => "bank routing number",
            Self::Nino => "UK national insurance number",
            Self::Nhs => "NHS number",
            Self::SteuerId => "German tax id",
            Self::Nir => "French social security number",
            Self::Dni => "Spanish DNI or NIE",
            Self::CodiceFiscale => "codice fiscale",
            Self::Pesel => "PESEL",
            Self::Bsn => "BSN",
            Self::Passport => "passport number",
            Self::Email => "mail address",
            Self::Phone => "phone number",
            Self::Ip => "IP address",
        }
    }

    /// Whether it is a way to reach somebody, such as every mail has.
    pub fn is_contact(self) -> bool {
        matches!(self, Self::Email | Self::Phone | Self::Ip)
    }

    /// How many last characters may be shown.
    pub fn shown_tail(self) -> usize {
        match self {
            Self::Card | Self::Iban => 4,
            _ => 0,
        }
    }
}

/// A piece of personal data in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pii {
    /// What it is.
    pub kind: PiiKind,
    /// Where it is, in bytes, on character boundaries.
    pub span: Range<usize>,
}

/// Finds the personal data in `text`, in order, without overlap.
///
/// ```
/// use boathouse::engines::validation::pii::{PiiKind, find};
///
/// let found = find("card 4111 1111 1111 1111, order 4111 1111 1111 1112");
/// assert_eq!((found.len(), found[0].kind, found[0].span.clone()), (1, PiiKind::Card, 5..24));
/// ```
pub fn find(text: &str) -> Vec<Pii> {
    let mut found = contacts::mail_addresses(text);
    found.extend(contacts::machines_v6(text));
    found.sort_by_key(|pii| pii.span.start);
    let taken: Vec<Range<usize>> = found.iter().map(|pii| pii.span.clone()).collect();
    numbers(text, true, &mut found);
    // What was found by its letters first wins over a number inside of it.
    found.retain(|pii| {
        let next = taken.partition_point(|span| span.end <= pii.span.start);
        taken
            .get(next)
            .is_none_or(|span| *span == pii.span || pii.span.end <= span.start)
    });
    apart(found)
}

/// Finds what identifies a person and should be in no mail: [`find`] without ways to reach somebody.
pub fn find_identities(text: &str) -> Vec<Pii> {
    let mut found = Vec::new();
    numbers(text, false, &mut found);
    apart(found)
}

/// Reads every number once; whatever is looked for has a digit.
fn numbers(text: &str, contacts: bool, found: &mut Vec<Pii>) {
    let groups = groups::of(text);
    let text = &Text::new(text);
    let mut at = 0;
    while let Some(group) = groups.get(at) {
        let hit = identity(text, &groups, at).or_else(|| {
            contacts
                .then(|| contacts::number(text, &groups, at))
                .flatten()
        });
        let end = match &hit {
            Some(pii) => pii.span.end,
            None => group.end,
        };
        found.extend(hit);
        at += 1;
        while groups.get(at).is_some_and(|group| group.start < end) {
            at += 1;
        }
    }
}

/// The first that fits: those with letters say most about themselves.
fn identity(text: &Text<'_>, groups: &[Group], at: usize) -> Option<Pii> {
    let (earlier, rest) = (
        at.checked_sub(1).and_then(|at| groups.get(at)),
        groups.get(at..)?,
    );
    letters::find(text, rest)
        .or_else(|| national::find(text, earlier, rest))
        .or_else(|| banks::card(text, rest))
        .or_else(|| banks::routing(text, rest))
        .or_else(|| letters::passport(text, rest))
}

fn apart(mut all: Vec<Pii>) -> Vec<Pii> {
    all.sort_by_key(|pii| pii.span.start);
    let mut end = 0;
    all.retain(|pii| {
        let free = pii.span.start >= end;
        end = if free { pii.span.end } else { end };
        free
    });
    all
}

#[cfg(test)]
mod tests;
