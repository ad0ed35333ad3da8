//! Bytes in chunks of any size to whole lines of bounded length.

use super::ChatError;

/// Longest line, bytes: an image in a data URL fits, a stream that never breaks its line does not.
pub(super) const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// Splits at `\n`, `\r\n` and `\r`. A character that is split between chunks is whole in its line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    /// The last byte was `\r`: a `\n` right after it ends nothing.
    after_return: bool,
}

/// Why reading stopped before the bytes did.
#[derive(Debug)]
pub(super) enum Halt {
    /// A line was longer than [`MAX_LINE_BYTES`].
    LineTooLong,
    /// What a line says ends the stream.
    Error(ChatError),
}

impl Halt {
    /// The error that it is for `provider`.
    pub(super) fn error(self, provider: &str) -> ChatError {
        match self {
            Self::Error(error) => error,
            Self::LineTooLong => ChatError::Malformed {
                provider: provider.to_owned(),
                message: format!("a line of the stream is longer than {MAX_LINE_BYTES} bytes"),
            },
        }
    }
}

impl Lines {
    /// Calls `each` with every line that `bytes` complete; invalid UTF-8 is replaced.
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(&str) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        if bytes.is_empty() {
            return Ok(());
        }
        loop {
            if std::mem::take(&mut self.after_return) && bytes.first() == Some(&b'\n') {
                bytes = &bytes[1..];
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.after_return = false;
                return self.keep(bytes);
            };
            self.after_return = bytes[end] == b'\r';
            let line = &bytes[..end];
            if self.partial.is_empty() {
                each(&String::from_utf8_lossy(line))?;
            } else {
                self.keep(line)?;
                let whole = std::mem::take(&mut self.partial);
                each(&String::from_utf8_lossy(&whole))?;
            }
            bytes = &bytes[end + 1..];
            if bytes.is_empty() {
                return Ok(());
            }
        }
    }

    /// Returns what stands after the last line break.
    pub(super) fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.partial);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Halt> {
        if self.partial.len() + bytes.len() > MAX_LINE_BYTES {
            return Err(Halt::LineTooLong);
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines
                .feed(chunk, |line| {
                    found.push(line.to_owned());
                    Ok(())
                })
                .unwrap();
        }
        found.extend(lines.rest());
        found
    }

    #[test]
    fn every_kind_of_break_and_every_split_give_the_same_lines() {
        let text = "one\ntwö\r\nthree\r\rfünf\n\nend".as_bytes();
        let expected = ["one", "twö", "three", "", "fünf", "", "end"];
        assert_eq!(split(&[text]), expected);
        for at in 0..=text.len() {
            assert_eq!(
                split(&[&text[..at], &text[at..]]),
                expected,
                "split at {at}"
            );
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(split(&bytes), expected);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; 1024 * 1024];
        let refused = (0..9).filter(|_| lines.feed(&chunk, |_| Ok(())).is_err());
        assert_eq!(refused.count(), 1);
    }
}
