//! Groups of digits: what every number consists of.

use super::{Pii, PiiKind};

/// A run of ASCII digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) start: usize,
    pub(super) end: usize,
    /// What stands between this and the group before, if that is one separator and no more.
    pub(super) joined_by: Option<char>,
    /// No letter touches it, and no plus sign precedes it.
    pub(super) free: bool,
}

impl Group {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }
}

pub(super) fn of(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(next) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(u8::is_ascii_digit))
    {
        let start = at + next;
        let run = bytes
            .iter()
            .skip(start)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let end = start + run;
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
pub(super) fn is_one(groups: &[Group]) -> bool {
    let separator = groups.get(1).and_then(|group| group.joined_by);
    let joined = |group: &Group| group.joined_by.is_some() && group.joined_by == separator;
    groups.iter().all(|group| group.free) && groups.iter().skip(1).all(joined)
}

/// Whether the number of `groups` goes on before or after by the same separator.
pub(super) fn is_part(earlier: Option<&Group>, groups: &[Group], next: Option<&Group>) -> bool {
    let Some(first) = groups.first() else {
        return false;
    };
    match groups.get(1).and_then(|group| group.joined_by) {
        // Spaces also stand between numbers: a short one before is none of this.
        Some(separator) => {
            first.joined_by == Some(separator) && earlier.is_some_and(|group| group.len() > 1)
                || next.is_some_and(|next| next.joined_by == Some(separator))
        }
        None => {
            let tight = |group: &Group| group.joined_by.is_some_and(|c| c != ' ');
            tight(first) || next.is_some_and(tight)
        }
    }
}

/// The groups at the front of `rest` that have these lengths and are one number.
pub(super) fn shaped<'a>(rest: &'a [Group], lengths: &[usize]) -> Option<&'a [Group]> {
    let groups = rest.get(..lengths.len())?;
    let fits = groups
        .iter()
        .zip(lengths)
        .all(|(group, length)| group.len() == *length);
    (fits && is_one(groups)).then_some(groups)
}

pub(super) fn digits(text: &str, groups: &[Group]) -> Vec<u32> {
    let parts = groups
        .iter()
        .filter_map(|group| text.get(group.start..group.end));
    parts
        .flat_map(str::chars)
        .filter_map(|c| c.to_digit(10))
        .collect()
}

pub(super) fn number(digits: &[u32]) -> u64 {
    digits.iter().fold(0, |number, digit| {
        number.wrapping_mul(10).wrapping_add(u64::from(*digit))
    })
}

/// The groups as a finding.
pub(super) fn pii(kind: PiiKind, groups: &[Group]) -> Option<Pii> {
    Some(Pii {
        kind,
        span: groups.first()?.start..groups.last()?.end,
    })
}

/// The last character before a byte offset.
pub(super) fn before(text: &str, at: usize) -> Option<char> {
    text.get(..at)?.chars().next_back()
}

/// The first character from a byte offset.
pub(super) fn after(text: &str, at: usize) -> Option<char> {
    text.get(at..)?.chars().next()
}

pub(super) fn is_word(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}
