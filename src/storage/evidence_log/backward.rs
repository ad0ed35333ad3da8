//! The lines of a file from its end.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::records::MAX_LINE_BYTES;

/// What is read at once, bytes; more while a line is longer.
const CHUNK: usize = 256 * 1024;

/// Reads lines backwards, without their newlines. Memory: a chunk, or the longest line.
#[derive(Debug)]
pub(super) struct Backward {
    file: File,
    /// Where what was not read yet ends.
    end: u64,
    /// The end of a line whose beginning was not read yet.
    begun: Vec<u8>,
    ready: Vec<Vec<u8>>,
}

impl Backward {
    /// Begins with the last whole line of the file's first `limit` bytes.
    pub(super) fn open(path: &Path, limit: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let end = file.metadata()?.len().min(limit);
        let (begun, ready) = (Vec::new(), Vec::new());
        let mut lines = Self {
            file,
            end,
            begun,
            ready,
        };
        // What has no newline is not whole: it stands behind the last one.
        lines.fill()?;
        while lines.ready.is_empty() && lines.end > 0 {
            lines.fill()?;
        }
        match lines.ready.last() {
            Some(last) if last.last() != Some(&b'\n') => drop(lines.ready.pop()),
            _ => {}
        }
        Ok(lines)
    }

    /// The line before; `None` at the start of the file.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(mut line) = self.ready.pop() {
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                return Ok(Some(line));
            }
            if self.end == 0 {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.begun.len() > MAX_LINE_BYTES {
            let reason = format!("a line is longer than {MAX_LINE_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let wanted = CHUNK.max(self.begun.len()) as u64;
        let start = self.end.saturating_sub(wanted);
        self.file.seek(SeekFrom::Start(start))?;
        let mut chunk = Vec::new();
        (&mut self.file)
            .take(self.end - start)
            .read_to_end(&mut chunk)?;
        chunk.append(&mut self.begun);
        self.end = start;
        // At the start of the file everything is whole lines; elsewhere the first one began earlier.
        let whole = match start {
            0 => 0,
            _ => {
                let newline = chunk.iter().position(|byte| *byte == b'\n');
                newline.map_or(chunk.len(), |at| at + 1)
            }
        };
        let rest = chunk.split_off(whole);
        self.begun = chunk;
        let lines = rest.split_inclusive(|byte| *byte == b'\n');
        self.ready.extend(lines.map(<[u8]>::to_vec));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backwards(text: &str, limit: u64) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut lines = Backward::open(file.path(), limit).unwrap();
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(String::from_utf8(line).unwrap());
        }
        found
    }

    #[test]
    fn lines_come_from_the_end_whatever_their_length() {
        for (text, expected) in [
            ("", &[][..]),
            ("\n", &[""]),
            ("a\nb\n", &["b", "a"]),
            ("a\nb", &["a"]),
            ("torn", &[]),
        ] {
            assert_eq!(backwards(text, u64::MAX), expected, "{text:?}");
        }
        assert_eq!(backwards("a\nb\nc\n", 4), ["b", "a"]);
        let lengths = [0, 1, CHUNK - 2, CHUNK - 1, CHUNK, 3 * CHUNK, 5, 900_000, 7];
        let lines: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let mut found = backwards(&text, u64::MAX);
        found.reverse();
        assert!(found == lines);
        assert_eq!(
            backwards(&format!("{text}torn"), u64::MAX).len(),
            lines.len()
        );
    }
}
