//! The lines of a foreign file, one at a time: JSON lines, or the elements of one JSON list, as many exports are.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

/// Longest line, bytes: some times what a record of the journal may hold.
const MAX_LINE_BYTES: usize = 64 << 20;

/// A line: where it begins, from 1, and its text, or why it cannot be read.
pub(super) type Line = (u64, Result<Vec<u8>, String>);

/// A file on its way.
pub(super) struct Lines {
    file: BufReader<File>,
    /// Bytes that were read.
    pub(super) read: u64,
    /// Line of the next byte.
    number: u64,
    form: Form,
    most: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Nothing was read yet.
    Unknown,
    Lines,
    /// Inside a list.
    List,
    /// After it.
    Ended,
}

impl Lines {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: BufReader::with_capacity(1 << 20, File::open(path)?),
            read: 0,
            number: 1,
            form: Form::Unknown,
            most: MAX_LINE_BYTES,
        })
    }

    /// Reads the next line that is not blank.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        if self.form == Form::Unknown {
            self.skip(b"\xef\xbb\xbf")?;
            self.form = match self.solid()? {
                Some(b'[') => {
                    self.bump()?;
                    Form::List
                }
                _ => Form::Lines,
            };
        }
        match self.form {
            Form::List => self.element(),
            Form::Ended => Ok(None),
            _ => self.line(),
        }
    }

    fn line(&mut self) -> io::Result<Option<Line>> {
        loop {
            let (number, mut line) = (self.number, Vec::new());
            let limit = self.most as u64 + 1;
            let read = self
                .file
                .by_ref()
                .take(limit)
                .read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            self.read += read as u64;
            self.number += 1;
            if read as u64 == limit && line.last() != Some(&b'\n') {
                self.discard_line()?;
                return Ok(Some((number, Err(self.too_long()))));
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some((number, Ok(line))));
            }
        }
    }

    fn discard_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.file.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let (count, ended) = match end {
                Some(at) => (at + 1, true),
                None => (buffer.len(), buffer.is_empty()),
            };
            self.file.consume(count);
            self.read += count as u64;
            if ended {
                return Ok(());
            }
        }
    }

    /// Reads the next element of the list.
    fn element(&mut self) -> io::Result<Option<Line>> {
        let mut first = self.solid()?;
        while first == Some(b',') {
            self.bump()?;
            first = self.solid()?;
        }
        let number = self.number;
        match first {
            None => {
                self.form = Form::Ended;
                let reason = "the file ends inside its list: it was cut short";
                return Ok(Some((number, Err(reason.to_owned()))));
            }
            Some(b']') => {
                self.bump()?;
                self.form = Form::Ended;
                return match self.solid()? {
                    None => Ok(None),
                    Some(_) => {
                        let reason = "more after the end of the list, which was not read";
                        Ok(Some((self.number, Err(reason.to_owned()))))
                    }
                };
            }
            Some(_) => {}
        }
        let mut text = Vec::new();
        let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
        loop {
            let Some(byte) = self.peek()? else {
                self.form = Form::Ended;
                let reason = "the file ends inside it: it was cut short";
                return Ok(Some((number, Err(reason.to_owned()))));
            };
            if quoted {
                quoted = escaped || byte != b'"';
                escaped = !escaped && byte == b'\\';
            } else {
                match byte {
                    b'"' => quoted = true,
                    b'{' | b'[' => depth += 1,
                    b',' | b']' if depth == 0 => break,
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
            self.bump()?;
            if text.len() <= self.most {
                text.push(byte);
            }
        }
        if text.len() > self.most {
            return Ok(Some((number, Err(self.too_long()))));
        }
        Ok(Some((number, Ok(text))))
    }

    fn too_long(&self) -> String {
        format!("longer than {} bytes", self.most)
    }

    /// The next byte that is no white space, which stays.
    fn solid(&mut self) -> io::Result<Option<u8>> {
        while let Some(byte) = self.peek()? {
            if !byte.is_ascii_whitespace() {
                return Ok(Some(byte));
            }
            self.bump()?;
        }
        Ok(None)
    }

    fn skip(&mut self, mark: &[u8]) -> io::Result<()> {
        if self.file.fill_buf()?.starts_with(mark) {
            self.file.consume(mark.len());
            self.read += mark.len() as u64;
        }
        Ok(())
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.file.fill_buf()?.first().copied())
    }

    fn bump(&mut self) -> io::Result<()> {
        if self.peek()? == Some(b'\n') {
            self.number += 1;
        }
        self.file.consume(1);
        self.read += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], most: usize) -> Vec<(u64, String)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, text).unwrap();
        let mut lines = Lines::open(&path).unwrap();
        lines.most = most;
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            let shown = match line {
                Ok(line) => String::from_utf8_lossy(line.trim_ascii()).into_owned(),
                Err(reason) => format!("! {reason}"),
            };
            found.push((number, shown));
        }
        assert_eq!(lines.read, text.len() as u64);
        found
    }

    fn check(text: &str, most: usize, expected: &[(u64, &str)]) {
        let found = read(text.as_bytes(), most);
        let found: Vec<(u64, &str)> = found.iter().map(|(at, it)| (*at, it.as_str())).collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn lines_and_lists_are_told_apart() {
        check("", 99, &[]);
        check(" \n\n", 99, &[]);
        check(
            "{\"a\":1}\n\n{\"b\":2}",
            99,
            &[(1, "{\"a\":1}"), (3, "{\"b\":2}")],
        );
        check("\u{feff}{\"a\":1}\r\n", 99, &[(1, "{\"a\":1}")]);
        check("[]", 99, &[]);
        check(
            "\n[\n {\"a\": [1, \"]}\\\"\"]},\n {\"b\":\n  2}, 7]\n",
            99,
            &[
                (3, "{\"a\": [1, \"]}\\\"\"]}"),
                (4, "{\"b\":\n  2}"),
                (5, "7"),
            ],
        );
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_told() {
        check(
            "[{\"a\":1},{\"b\"",
            99,
            &[
                (1, "{\"a\":1}"),
                (1, "! the file ends inside it: it was cut short"),
            ],
        );
        check(
            "[1,\n",
            99,
            &[
                (1, "1"),
                (2, "! the file ends inside its list: it was cut short"),
            ],
        );
        check(
            "123456789\n1\n",
            5,
            &[(1, "! longer than 5 bytes"), (2, "1")],
        );
        check(
            "[123456789,\n1]",
            5,
            &[(1, "! longer than 5 bytes"), (2, "1")],
        );
        check("12345\n", 5, &[(1, "12345")]);
    }

    #[test]
    fn what_follows_a_list_is_not_lost_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "[1]\n[2]\n").unwrap();
        let mut lines = Lines::open(&path).unwrap();
        assert!(lines.next().unwrap().unwrap().1.is_ok());
        let (number, told) = lines.next().unwrap().unwrap();
        assert_eq!(number, 2);
        assert!(told.unwrap_err().starts_with("more after the end"));
        assert_eq!(lines.next().unwrap(), None);
    }
}
