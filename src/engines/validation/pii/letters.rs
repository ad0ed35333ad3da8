//! Ids with letters: each is found by the digits in it.

use super::checks::{codice_fiscale, mod_97};
use super::context::Text;
use super::groups::{Group, after, before, is_word};
use super::steps::tick;
use super::{Pii, PiiKind};

/// Length per country, in characters. Source: SWIFT IBAN registry, release 99.
const LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27\
    DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27\
    JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24\
    PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24\
    XK20YE30";

/// Letters of DNI and NIE, by the remainder. Source: Spanish Real Decreto 1553/2005.
const DNI: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
/// What stands before or behind the first digits, at most.
const MAX_BYTES: usize = 48;

/// Tries each kind by what stands before and behind the first group.
pub(super) fn find(text: &str, rest: &[Group]) -> Option<Pii> {
    let group = rest.first()?;
    let bytes = text.as_bytes();
    let letters = letters_before(bytes, group.start);
    match (letters, group.len()) {
        (2, 2..) => iban(text, group).or_else(|| nino(text, group)),
        (0, 2) => nino(text, group).or_else(|| citizen(text, rest, 3)),
        (6, 2) => tax_code(text, group),
        (0 | 1, 7) => foreigner(text, group),
        (0, 8) => citizen(text, rest, 1),
        (0, 1) => citizen(text, rest, 3),
        _ => None,
    }
}

fn letters_before(bytes: &[u8], at: usize) -> usize {
    let head = bytes.get(..at).unwrap_or_default().iter().rev().take(7);
    head.take_while(|byte| byte.is_ascii_alphabetic()).count()
}

/// The upper-case letters and digits from `start`, `length` of them, over single separators; where
/// they end, if no word goes on there.
fn plain(text: &str, start: usize, length: usize, separators: &[u8]) -> Option<(Vec<u8>, usize)> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(length);
    let mut at = start;
    while plain.len() < length {
        let byte = *bytes.get(at)?;
        if byte.is_ascii_alphanumeric() {
            plain.push(byte.to_ascii_uppercase());
        } else if !separators.contains(&byte)
            || !bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric)
        {
            return None;
        }
        at += 1;
        tick(1);
    }
    let free = !is_word(before(text, start)) && !is_word(after(text, at));
    free.then_some((plain, at))
}

fn iban(text: &str, group: &Group) -> Option<Pii> {
    let start = group.start - 2;
    let length = length_of(&text.get(start..group.start)?.to_ascii_uppercase())?;
    let (plain, end) = plain(text, start, length, b" -")?;
    (mod_97(&plain) == 1).then_some(Pii {
        kind: PiiKind::Iban,
        span: start..end,
    })
}

fn length_of(country: &str) -> Option<usize> {
    LENGTHS.as_bytes().chunks(4).find_map(|entry| {
        let entry = std::str::from_utf8(entry).ok()?;
        entry.strip_prefix(country)?.parse().ok()
    })
}

/// Two letters that are issued, six digits, and A to D. Source: HMRC, NIM39110.
fn nino(text: &str, group: &Group) -> Option<Pii> {
    let bytes = text.as_bytes();
    let start = match before(text, group.start)? {
        ' ' => group.start.checked_sub(3)?,
        _ => group.start.checked_sub(2)?,
    };
    let (first, second) = (*bytes.get(start)?, *bytes.get(start + 1)?);
    let issued = first.is_ascii_uppercase()
        && second.is_ascii_uppercase()
        && !b"DFIQUV".contains(&first)
        && !b"DFIOQUV".contains(&second)
        && ![*b"BG", *b"GB", *b"KN", *b"NK", *b"NT", *b"TN", *b"ZZ"].contains(&[first, second]);
    if !issued {
        return None;
    }
    let (plain, end) = plain(text, start, 9, b" ")?;
    let digits = plain.get(2..8)?.iter().all(u8::is_ascii_digit);
    let formed = digits && matches!(plain.last(), Some(b'A'..=b'D'));
    // Order numbers have the same form; their name stands before them.
    let head = text
        .get(text.floor_char_boundary(start.saturating_sub(24))..start)
        .unwrap_or_default();
    let head = head.to_ascii_lowercase();
    let other = [
        "order", "ref", "part", "sku", "ticket", "invoice", "booking", "serial", "model", "case",
        "flight",
    ];
    (formed && !other.iter().any(|word| head.contains(word))).then_some(Pii {
        kind: PiiKind::Nino,
        span: start..end,
    })
}

/// Six letters of names, date with the month as a letter, place, and a check letter.
fn tax_code(text: &str, group: &Group) -> Option<Pii> {
    let start = group.start - 6;
    let (plain, end) = plain(text, start, 16, b"")?;
    let (body, check) = (plain.get(..15)?, *plain.last()?);
    let form = "LLLLLLDDMDDLDDD"
        .bytes()
        .zip(body)
        .all(|(form, byte)| match form {
            b'L' => byte.is_ascii_uppercase(),
            b'M' => b"ABCDEHLMPRST".contains(byte),
            _ => byte.is_ascii_digit(),
        });
    (form && codice_fiscale(body) == Some(check)).then_some(Pii {
        kind: PiiKind::CodiceFiscale,
        span: start..end,
    })
}

/// DNI: eight digits, also as 12.345.678, and a letter.
fn citizen(text: &str, rest: &[Group], taken: usize) -> Option<Pii> {
    let groups = rest.get(..taken)?;
    let dotted = groups
        .iter()
        .skip(1)
        .all(|group| group.joined_by == Some('.') && group.len() == 3);
    let (start, end) = (groups.first()?.start, groups.last()?.end);
    let count: usize = groups.iter().map(Group::len).sum();
    if !dotted || count != 8 || is_word(before(text, start)) {
        return None;
    }
    let digits: String = groups
        .iter()
        .filter_map(|group| text.get(group.start..group.end))
        .collect();
    let date = digits.starts_with("19") || digits.starts_with("20");
    if date && taken == 1 && is_date(&digits) {
        return None;
    }
    letter(text, start, end, digits.parse().ok()?)
}

/// NIE: X, Y or Z for a first digit, seven more, and a letter.
fn foreigner(text: &str, group: &Group) -> Option<Pii> {
    let hyphen = before(text, group.start)? == '-';
    let start = group.start.checked_sub(if hyphen { 2 } else { 1 })?;
    let first = match text.as_bytes().get(start)? {
        b'X' => 0,
        b'Y' => 1,
        b'Z' => 2,
        _ => return None,
    };
    let number: u32 = text.get(group.start..group.end)?.parse().ok()?;
    let found = letter(text, start, group.end, first * 10_000_000 + number)?;
    (!is_word(before(text, start))).then_some(found)
}

fn letter(text: &str, start: usize, end: usize, number: u32) -> Option<Pii> {
    let bytes = text.as_bytes();
    let at = if *bytes.get(end)? == b'-' {
        end + 1
    } else {
        end
    };
    let expected = DNI.get(usize::try_from(number % 23).ok()?);
    (bytes.get(at) == expected && number > 99_999 && !is_word(after(text, at + 1))).then_some(Pii {
        kind: PiiKind::Dni,
        span: start..at + 1,
    })
}

/// Basic ISO dates may have a letter for their zone.
fn is_date(digits: &str) -> bool {
    let part = |range| {
        digits
            .get(range)
            .and_then(|part: &str| part.parse::<u32>().ok())
            .unwrap_or(0)
    };
    (1..=12).contains(&part(4..6)) && (1..=31).contains(&part(6..8))
}

/// Six to nine letters and digits, most of them digits, after the word.
pub(super) fn passport(text: &Text<'_>, rest: &[Group]) -> Option<Pii> {
    let groups = rest.get(..1)?;
    let group = groups.first()?;
    let bytes = text.as_bytes();
    if group.len() > 9 || !text.is_of_passport(group.start) {
        return None;
    }
    let word = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let head = bytes
        .get(..group.start)?
        .iter()
        .rev()
        .take(MAX_BYTES)
        .take_while(|b| word(b))
        .count();
    let tail = bytes
        .get(group.end..)?
        .iter()
        .take(MAX_BYTES)
        .take_while(|b| word(b))
        .count();
    let (start, end) = (group.start - head, group.end + tail);
    let number = bytes.get(start..end)?;
    let digits = number.iter().filter(|byte| byte.is_ascii_digit()).count();
    let apart = |c: Option<char>| !is_word(c) && !matches!(c, Some('-' | '/' | '+'));
    let formed = (6..=9).contains(&number.len()) && digits >= 5 && head <= 2;
    // A date has its own separators; a phone follows a plus.
    let whole = apart(before(text, start)) && apart(after(text, end));
    (formed && whole).then_some(Pii {
        kind: PiiKind::Passport,
        span: start..end,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_country_has_a_length() {
        assert_eq!(LENGTHS.len() % 4, 0);
        for entry in LENGTHS.as_bytes().chunks(4) {
            let country = std::str::from_utf8(&entry[..2]).unwrap();
            assert!(
                (15..=34).contains(&length_of(country).unwrap()),
                "{country}"
            );
        }
        assert_eq!(length_of("US"), None);
    }
}
