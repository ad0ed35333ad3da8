//! Check digits.

/// Of cards. Source: ISO/IEC 7812-1, annex B.
pub(super) fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| digit * 2 - if digit > 4 { 9 } else { 0 };
    let digits = digits.iter().rev().enumerate();
    let sum: u32 = digits
        .map(|(at, digit)| if at % 2 == 0 { *digit } else { doubled(*digit) })
        .sum();
    sum.is_multiple_of(10)
}

/// The sum of the digits, each times its weight.
pub(super) fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| digit * weight)
        .sum()
}

/// Of IBANs: the remainder with the first four characters moved to the end, letters as 10 to 35.
/// Source: ISO 13616, ISO/IEC 7064 MOD 97-10.
pub(super) fn mod_97(plain: &[u8]) -> u32 {
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

/// Of German tax ids. Source: ISO/IEC 7064 MOD 11,10.
pub(super) fn mod_11_10(digits: &[u32]) -> bool {
    let Some((last, body)) = digits.split_last() else {
        return false;
    };
    let product = body.iter().fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == *last
}

/// The check letter of an Italian tax code's first fifteen characters, upper case. Source: D.M.
/// 23 December 1976.
pub(super) fn codice_fiscale(body: &[u8]) -> Option<u8> {
    // Values at odd places of 0 to 9, then of A to Z.
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let mut sum = 0;
    for (at, byte) in body.iter().enumerate() {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'Z' => byte - b'A',
            _ => return None,
        };
        sum += match at % 2 {
            0 => *ODD.get(usize::from(value))?,
            _ => u32::from(value),
        };
    }
    u8::try_from(sum % 26).ok().map(|letter| b'A' + letter)
}
