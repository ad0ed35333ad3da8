//! International bank account numbers.

use super::{Pii, PiiKind, after, before, is_word};

/// Length per country, in characters. Source: SWIFT IBAN registry, release 99.
const LENGTHS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27\
    DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27\
    JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24\
    PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24\
    XK20YE30";

pub(super) fn find(text: &str) -> Vec<Pii> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + 4) {
        let candidate = head.iter().take(2).all(u8::is_ascii_alphabetic)
            && head.iter().skip(2).all(u8::is_ascii_digit)
            && !is_word(before(text, at));
        match candidate.then(|| end_of(text, at)).flatten() {
            Some(end) => {
                found.push(Pii {
                    kind: PiiKind::Iban,
                    span: at..end,
                });
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// Where the account number that starts at `start` ends, if it is one.
fn end_of(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let country = text.get(start..start + 2)?.to_ascii_uppercase();
    let length = length_of(&country)?;
    let mut plain = Vec::with_capacity(length);
    let mut at = start;
    while plain.len() < length {
        let byte = *bytes.get(at)?;
        let single =
            matches!(byte, b' ' | b'-') && bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric);
        if byte.is_ascii_alphanumeric() {
            plain.push(byte.to_ascii_uppercase());
        } else if !single {
            return None;
        }
        at += 1;
    }
    (!is_word(after(text, at)) && mod_97(&plain) == 1).then_some(at)
}

fn length_of(country: &str) -> Option<usize> {
    LENGTHS.as_bytes().chunks(4).find_map(|entry| {
        let entry = std::str::from_utf8(entry).ok()?;
        entry.strip_prefix(country)?.parse().ok()
    })
}

/// The remainder with the first four characters moved to the end, letters as 10 to 35. Source:
/// ISO 13616, ISO/IEC 7064 MOD 97-10.
fn mod_97(plain: &[u8]) -> u32 {
    plain
        .iter()
        .skip(4)
        .chain(plain.iter().take(4))
        .fold(0, |remainder, byte| {
            let value = char::from(*byte).to_digit(36).unwrap_or_default();
            let shift = if value < 10 { 10 } else { 100 };
            (remainder * shift + value) % 97
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
