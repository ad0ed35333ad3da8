//! Lists of recipients: names, comments and groups taken off the addresses they stand around.

/// One recipient of a list, as RFC 5322 has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mailbox<'a> {
    /// As it was written.
    pub(super) raw: &'a str,
    /// The name to show, without quotes.
    pub(super) name: String,
    /// The address alone; not yet known to be one.
    pub(super) spec: String,
}

/// The mailboxes of a text, which separates them by commas, or semicolons as some programs do.
pub(super) fn mailboxes(text: &str) -> Vec<Mailbox<'_>> {
    let mut found = Vec::new();
    let mut reader = Reader::default();
    for (at, c) in text.char_indices() {
        match c {
            ',' | ';' if reader.is_outside() => {
                found.extend(reader.finish(text, at));
                reader = Reader {
                    start: at + 1,
                    ..Reader::default()
                };
            }
            // The name of a group ends; its members are recipients like all others.
            ':' if reader.is_outside() && !reader.outer.contains('@') => {
                reader = Reader {
                    start: at + 1,
                    ..Reader::default()
                };
            }
            _ => reader.take(c),
        }
    }
    found.extend(reader.finish(text, text.len()));
    found
}

#[derive(Debug, Default)]
struct Reader {
    start: usize,
    quoted: bool,
    escaped: bool,
    comments: usize,
    angle: bool,
    /// Outside of angles, without comments.
    outer: String,
    inner: Option<String>,
}

impl Reader {
    fn is_outside(&self) -> bool {
        !self.quoted && self.comments == 0 && !self.angle
    }

    fn take(&mut self, c: char) {
        if self.escaped {
            self.escaped = false;
            self.keep(c);
            return;
        }
        match c {
            '\\' if self.quoted || self.comments > 0 => {
                self.escaped = true;
                self.keep(c);
            }
            '"' if self.comments == 0 => {
                self.quoted = !self.quoted;
                self.keep(c);
            }
            '(' if !self.quoted => self.comments += 1,
            ')' if self.comments > 0 => self.comments -= 1,
            '<' if self.is_outside() && self.inner.is_none() => {
                self.angle = true;
                self.inner = Some(String::new());
            }
            '>' if self.angle && !self.quoted => self.angle = false,
            _ => self.keep(c),
        }
    }

    fn keep(&mut self, c: char) {
        if self.comments > 0 {
            return;
        }
        match &mut self.inner {
            Some(inner) if self.angle => inner.push(c),
            _ => self.outer.push(c),
        }
    }

    /// A blank part is none. What was opened and not closed stays as it is: it is no address.
    fn finish<'a>(&self, text: &'a str, end: usize) -> Option<Mailbox<'a>> {
        let raw = text.get(self.start..end)?.trim();
        if raw.is_empty() {
            return None;
        }
        let whole = Mailbox {
            raw,
            name: String::new(),
            spec: raw.to_owned(),
        };
        if !self.is_outside() {
            return Some(whole);
        }
        let outer = self.outer.trim();
        Some(match &self.inner {
            Some(_) if raw.ends_with('>') || raw.ends_with(')') => Mailbox {
                raw,
                name: unquoted(outer),
                spec: self.inner.as_deref().unwrap_or_default().trim().to_owned(),
            },
            Some(_) => whole,
            None => Mailbox {
                spec: outer.to_owned(),
                ..whole
            },
        })
    }
}

/// A quoted string's contents; other texts as they are.
pub(super) fn unquoted(text: &str) -> String {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
    else {
        return text.to_owned();
    };
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_mail_programs_do() {
        let cases: &[(&str, &[(&str, &str)])] = &[
            (
                "a@x.com, b@x.com;c@x.com,",
                &[("", "a@x.com"), ("", "b@x.com"), ("", "c@x.com")],
            ),
            (
                r#""Lopez, Ana" <a@x.com>, b@x.com"#,
                &[("Lopez, Ana", "a@x.com"), ("", "b@x.com")],
            ),
            (r#""a\",b" <a@x.com>"#, &[("a\",b", "a@x.com")]),
            (
                "Ana (of, the; office) <a@x.com> (home)",
                &[("Ana", "a@x.com")],
            ),
            (
                "a@x.com (Ana (both)), b@x.com",
                &[("", "a@x.com"), ("", "b@x.com")],
            ),
            (
                "Crew: a@x.com, Bo <b@x.com>;",
                &[("", "a@x.com"), ("Bo", "b@x.com")],
            ),
            ("Nobody:;", &[]),
            (r#""a b"@x.com"#, &[("", r#""a b"@x.com"#)]),
            (" ,; ", &[]),
            // What is not closed is no address.
            ("\"a <a@x.com>, b@x.com", &[("", "\"a <a@x.com>, b@x.com")]),
            ("<a@x.com, b@x.com", &[("", "<a@x.com, b@x.com")]),
            ("<a@x.com> b@x.com", &[("", "<a@x.com> b@x.com")]),
        ];
        for (text, expected) in cases {
            let found = mailboxes(text);
            let found: Vec<(&str, &str)> = found
                .iter()
                .map(|m| (m.name.as_str(), m.spec.as_str()))
                .collect();
            assert_eq!(&found, expected, "{text}");
        }
    }
}
