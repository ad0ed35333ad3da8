//! Numbers of vectors as decimal text, at a fixed length where that is exact.
//!
//! The shortest text of a number takes some 40 ns to find, most of it for branches that no processor predicts: for a list
//! of texts that is more than embedding them.

/// Digits after the point.
const DIGITS: usize = 10;

/// Below this, ten digits after the point are not enough: neighbours are less than two of their units apart.
const SMALLEST: f32 = 1.0 / 512.0;

/// Bytes of the longest number here, with its comma, and what is written beyond its end.
const ROOM: usize = 32;

/// Bytes that [`write`] takes for so many numbers while it writes them.
pub(super) fn capacity(numbers: usize) -> usize {
    numbers * ROOM + 2
}

/// Appends `numbers`, parted by commas. Reading them back gives the same numbers.
///
/// Those that are not finite become `null`, as JSON has no such numbers.
pub(super) fn write(numbers: &[f32], out: &mut Vec<u8>) {
    let start = out.len();
    // Written over, then cut: checking for room once instead of at each piece.
    out.resize(start + numbers.len() * ROOM, 0);
    let mut at = start;
    for &number in numbers {
        let Some(Ok(room)) = out.get_mut(at..at + ROOM).map(<&mut [u8; ROOM]>::try_from) else {
            break;
        };
        let size = number.abs();
        at += if (SMALLEST..1.0).contains(&size) {
            fixed(number, room)
        } else {
            shortest(number, room)
        };
    }
    // The last comma goes, too.
    out.truncate(at.max(start + 1) - 1);
}

/// Writes a number of `SMALLEST` to 1 and a comma; returns how many bytes they are.
fn fixed(number: f32, room: &mut [u8; ROOM]) -> usize {
    let sign = usize::from(number.is_sign_negative());
    // Rounded by cutting: `round` is a call into the system's library on older processors. The product is not exact,
    // but what it lacks is a thousandth of a unit, and there is more room than that to the next number.
    let units = f64::from(number.abs()) * 1e10 + 0.5;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at least 0, less than 10^10"
    )]
    let units = units as u64;
    let (high, low) = (units / 100_000_000, units % 100_000_000);
    room[0] = b'-';
    room[sign..sign + 2].copy_from_slice(b"0.");
    let high = [(high / 10) as u8 + b'0', (high % 10) as u8 + b'0'];
    room[sign + 2..sign + 4].copy_from_slice(&high);
    room[sign + 4..sign + 12].copy_from_slice(&eight_digits(low));
    room[sign + 2 + DIGITS] = b',';
    sign + DIGITS + 3
}

/// The digits of a number below 10^8, all eight at once.
///
/// Source: Mula, "SSE: conversion integers to decimal representation", in the form for one machine word.
fn eight_digits(number: u64) -> [u8; 8] {
    // Four digits in each half, then two in each quarter, then one in each byte: divisions by multiplying, exact here.
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x7f_0000_007f;
    let quarters = hundreds | ((halves - 100 * hundreds) << 16);
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    let digits = tens | ((quarters - 10 * tens) << 8);
    (digits | 0x3030_3030_3030_3030).to_le_bytes()
}

/// Writes any number and a comma; returns how many bytes they are.
#[cold]
fn shortest(number: f32, room: &mut [u8; ROOM]) -> usize {
    let mut rest = &mut room[..];
    // The longest is `-1.1754944e-38`.
    let written = serde_json::to_writer(&mut rest, &number);
    debug_assert!(written.is_ok());
    let len = ROOM - rest.len();
    room[len] = b',';
    len + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(numbers: &[f32]) -> String {
        let mut out = b"[".to_vec();
        write(numbers, &mut out);
        out.push(b']');
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_is_a_list_in_json() {
        for (numbers, expected) in [
            (&[][..], "[]"),
            (&[0.5][..], "[0.5000000000]"),
            (
                &[-0.0625, 0.0, -0.0, 1.0, 2e-9][..],
                "[-0.0625000000,0.0,-0.0,1.0,2e-9]",
            ),
            (&[f32::NAN, f32::INFINITY][..], "[null,null]"),
            (
                &[f32::MIN, -f32::MIN_POSITIVE][..],
                "[-3.4028235e+38,-1.1754944e-38]",
            ),
        ] {
            assert_eq!(text(numbers), expected);
        }
    }

    #[test]
    fn what_is_read_back_is_the_same_to_the_bit() {
        let mut bits = 0x9e37_79b9_u32;
        let mut random = || {
            bits ^= bits << 13;
            bits ^= bits >> 17;
            bits ^= bits << 5;
            bits
        };
        let mut numbers: Vec<f32> = (0..200_000)
            .map(|_| f32::from_bits(random()))
            .filter(|number| number.is_finite())
            .collect();
        // Those of a normalised vector, and both ends of every power of two among them.
        let usual = |_| {
            let below_one = random() % (1.0_f32.to_bits() - SMALLEST.to_bits());
            f32::from_bits(SMALLEST.to_bits() + below_one)
        };
        numbers.extend((0..400_000).map(usual));
        for exponent in 1..=12 {
            let power = 0.5_f32.powi(exponent).to_bits();
            numbers.extend((power - 50..power + 50).map(f32::from_bits));
        }
        let negative: Vec<f32> = numbers.iter().map(|number| -number).collect();
        numbers.extend(negative);
        let read: Vec<f32> = serde_json::from_str(&text(&numbers)).unwrap();
        assert_eq!(read.len(), numbers.len());
        for (read, number) in read.iter().zip(&numbers) {
            assert_eq!(read.to_bits(), number.to_bits(), "{number}");
        }
    }
}
