//! Ways to reach somebody: addresses of mail and machines, phone numbers.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::context::{Text, Topic};
use super::groups::{Group, after, before, is_one, is_word};
use super::steps::tick;
use super::{Pii, PiiKind};

/// Longest local part and domain. Source: RFC 5321, 4.5.3.1.
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 255;
/// Longest phone number with its separators.
const MAX_PHONE: usize = 30;

pub(super) fn mail_addresses(text: &str) -> Vec<Pii> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    for (at, _) in text.match_indices('@') {
        let local = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
        let head = bytes
            .get(..at)
            .unwrap_or_default()
            .iter()
            .rev()
            .take(MAX_LOCAL + 1);
        let head = head.take_while(local).count();
        let host = |byte: &&u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
        let tail = bytes
            .get(at + 1..)
            .unwrap_or_default()
            .iter()
            .take(MAX_DOMAIN);
        let tail = tail.take_while(host).count();
        tick(head + tail);
        let domain = text
            .get(at + 1..at + 1 + tail)
            .unwrap_or_default()
            .trim_end_matches(['.', '-']);
        let name = text
            .get(at - head..at)
            .unwrap_or_default()
            .trim_start_matches(['.', '-', '+', '%']);
        let end = domain
            .rsplit_once('.')
            .map(|(_, end)| end)
            .unwrap_or_default();
        let named = end.len() >= 2 && end.bytes().all(|byte| byte.is_ascii_alphabetic())
            || end.starts_with("xn--");
        let formed = !domain.starts_with('.') && !domain.contains("..") && !name.ends_with('.');
        if named && formed && (1..=MAX_LOCAL).contains(&name.len()) {
            let span = at - name.len()..at + 1 + domain.len();
            found.push(Pii {
                kind: PiiKind::Email,
                span,
            });
        }
    }
    found
}

pub(super) fn machines_v6(text: &str) -> Vec<Pii> {
    let bytes = text.as_bytes();
    let part = |byte: &&u8| byte.is_ascii_hexdigit() || b":.".contains(byte);
    let mut found = Vec::new();
    let mut done = 0;
    for (at, _) in text.match_indices(':') {
        if at < done {
            continue;
        }
        let head = bytes
            .get(done..at)
            .unwrap_or_default()
            .iter()
            .rev()
            .take(5)
            .take_while(part)
            .count();
        let tail = bytes
            .get(at..)
            .unwrap_or_default()
            .iter()
            .take(46)
            .take_while(part)
            .count();
        tick(head + tail);
        let (start, end) = (at - head, at + tail);
        done = end;
        let address = text.get(start..end).unwrap_or_default();
        let trimmed = address.strip_suffix('.').unwrap_or(address);
        let trimmed = trimmed
            .strip_suffix(':')
            .filter(|rest| !rest.ends_with(':'))
            .unwrap_or(trimmed);
        let telling = trimmed.len() >= 6 && trimmed.bytes().any(|byte| byte.is_ascii_digit());
        let free = !is_word(before(text, start)) && !is_word(after(text, end));
        if telling && free && trimmed.parse::<Ipv6Addr>().is_ok() {
            found.push(Pii {
                kind: PiiKind::Ip,
                span: start..start + trimmed.len(),
            });
        }
    }
    found
}

/// A phone number or the address of a machine that begins at the group `at`.
pub(super) fn number(text: &Text<'_>, groups: &[Group], at: usize) -> Option<Pii> {
    let rest = groups.get(at..)?;
    machine_v4(text, rest).or_else(|| phone(text, rest))
}

fn machine_v4(text: &str, rest: &[Group]) -> Option<Pii> {
    let groups = rest.get(..4)?;
    let (first, last) = (groups.first()?, groups.last()?);
    let dotted = groups
        .iter()
        .skip(1)
        .all(|group| group.joined_by == Some('.'));
    if !dotted || !is_one(groups) || first.joined_by == Some('.') {
        return None;
    }
    let longer = rest.get(4).is_some_and(|next| next.joined_by == Some('.'));
    let head = text.get(text.floor_char_boundary(first.start.saturating_sub(14))..first.start)?;
    let head = head.to_ascii_lowercase();
    let other = [
        "version", "release", "section", "chapter", "firmware", "build", "clause", "v.",
    ];
    let named = other.iter().any(|word| head.contains(word));
    let address = text.get(first.start..last.end)?.parse::<Ipv4Addr>();
    (!longer && !named && address.is_ok()).then_some(Pii {
        kind: PiiKind::Ip,
        span: first.start..last.end,
    })
}

fn phone(text: &Text<'_>, rest: &[Group]) -> Option<Pii> {
    let first = rest.first()?;
    let left = before(text, first.start);
    let opened = left == Some('(');
    let start = match left {
        Some('+') => first.start - 1,
        Some('(') => first.start - 1,
        _ if is_word(left) || first.joined_by.is_some_and(|c| c != ' ') => return None,
        _ => first.start,
    };
    let start = match opened && before(text, start) == Some('+') {
        true => start - 1,
        false => start,
    };
    let outer = before(text, start);
    if is_word(outer)
        || matches!(
            outer,
            Some('$' | '\u{20ac}' | '\u{a3}' | '#' | '/' | '=' | '.' | '-')
        )
    {
        return None;
    }
    let (digits, end, parts) = dialled(text, start)?;
    if is_word(after(text, end)) {
        return None;
    }
    let international = text.get(start..)?.starts_with('+');
    let groups = rest.get(..1)?;
    let context = || text.is_near(groups, Topic::Phone);
    let us = {
        let local = digits
            .strip_prefix('1')
            .filter(|rest| rest.len() == 10)
            .unwrap_or(&digits);
        let from_two = |at: usize| local.as_bytes().get(at).is_some_and(|byte| *byte >= b'2');
        local.len() == 10 && from_two(0) && from_two(3)
    };
    let shown = text.get(start..end)?;
    let grouped = matches!(parts.as_slice(), [3, 3, 4] | [1, 3, 3, 4]);
    let formed = grouped && us && (opened || shown.contains(['-', '.', '(']));
    let national =
        (9..=11).contains(&digits.len()) && (digits.starts_with('0') && parts.len() > 1 || us);
    let is_phone = match international {
        true => (8..=15).contains(&digits.len()) && !digits.starts_with('0'),
        false => formed || national && parts.len() < 7 && context(),
    };
    is_phone.then_some(Pii {
        kind: PiiKind::Phone,
        span: start..end,
    })
}

/// The digits from `start`, where they end, and the lengths of their groups.
fn dialled(text: &str, start: usize) -> Option<(String, usize, Vec<usize>)> {
    let bytes = text.as_bytes();
    let (mut digits, mut parts, mut end) = (String::new(), Vec::new(), start);
    let (mut run, mut separators) = (0, 0);
    for (at, byte) in bytes.iter().enumerate().skip(start).take(MAX_PHONE) {
        match byte {
            b'0'..=b'9' => {
                digits.push(char::from(*byte));
                (run, separators, end) = (run + 1, 0, at + 1);
                continue;
            }
            b'+' if at <= start + 1 => {}
            b' ' | b'-' | b'.' | b'(' | b')' | b'/' if separators < 2 => separators += 1,
            _ => break,
        }
        if run > 0 {
            parts.push(run);
            run = 0;
        }
    }
    tick(MAX_PHONE);
    if run > 0 {
        parts.push(run);
    }
    // A parenthesis that was opened and not closed belongs to the sentence.
    let shown = text.get(start..end)?;
    let whole = shown.matches('(').count() == shown.matches(')').count();
    (whole && !digits.is_empty()).then_some((digits, end, parts))
}
