//! The text of HTML and PDF files, read in a process of its own.
//!
//! What others wrote in these formats makes readers panic, recurse without end or hang. A child process reads the files
//! one after the other; one that ends or takes too long costs the file that it was at, and another takes over.

mod html;
mod pdf;
mod reader;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use reader::run;

/// The command that is the reader; see [`run`].
pub(super) const COMMAND: &str = "read-documents";
/// Longest that one file may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Text of one file, at most.
const MAX_TEXT_BYTES: usize = 64 << 20;

/// Formats that are read here, by the ends of the files' names.
const FORMATS: [(&str, Format); 4] = [
    ("html", Format::Html),
    ("htm", Format::Html),
    ("xhtml", Format::Html),
    ("pdf", Format::Pdf),
];

/// A format that is not plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Format {
    Html,
    Pdf,
}

impl Format {
    /// The format of files whose names end so.
    pub(super) fn of(extension: &str) -> Option<Self> {
        let found = FORMATS.iter().find(|(known, _)| *known == extension);
        found.map(|(_, format)| *format)
    }
}

/// What the reader is asked, one line a file.
#[derive(Debug, Serialize, Deserialize)]
struct Question {
    format: Format,
    path: std::path::PathBuf,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
struct Answer {
    /// Markdown, or why there is none.
    text: Result<String, String>,
}

/// Reads files through a child process, which it starts when it is needed.
pub(super) struct Extractor {
    reader: Option<Reader>,
    start: fn() -> std::io::Result<Command>,
    patience: Duration,
}

struct Reader {
    child: Child,
    answers: Receiver<String>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It may have ended by itself, and nothing can be done about one that does not.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Extractor {
    pub(super) fn new() -> Self {
        Self {
            reader: None,
            start: || {
                let mut reader = Command::new(std::env::current_exe()?);
                reader.arg(COMMAND);
                Ok(reader)
            },
            patience: PATIENCE,
        }
    }

    /// Reads a file as Markdown: headings with `#`, paragraphs with empty lines between.
    pub(super) fn read(&mut self, format: Format, path: &Path) -> Result<String, String> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => (self.start)()
                .and_then(start)
                .map_err(|error| format!("cannot start a reader: {error}"))?,
        };
        let (reader, text) = ask(reader, self.patience, format, path);
        self.reader = reader;
        text
    }
}

/// Asks the reader; it comes back unless it is lost.
fn ask(
    mut reader: Reader,
    patience: Duration,
    format: Format,
    path: &Path,
) -> (Option<Reader>, Result<String, String>) {
    let path = path.to_owned();
    let question = serde_json::to_string(&Question { format, path });
    let sent = question.map_err(std::io::Error::other).and_then(|line| {
        let input = reader.child.stdin.as_mut();
        let input = input.ok_or_else(|| std::io::Error::other("no way in"))?;
        writeln!(input, "{line}")
    });
    if let Err(error) = sent {
        return (None, Err(format!("cannot ask the reader: {error}")));
    }
    match reader.answers.recv_timeout(patience) {
        Ok(line) => match serde_json::from_str::<Answer>(&line) {
            Ok(answer) => (Some(reader), answer.text),
            Err(error) => (None, Err(format!("the reader's answer: {error}"))),
        },
        Err(RecvTimeoutError::Timeout) => {
            let waited = patience.as_secs();
            (None, Err(format!("reading took longer than {waited} s")))
        }
        Err(RecvTimeoutError::Disconnected) => {
            let how = reader.child.wait().map(|status| status.to_string());
            let how = how.unwrap_or_else(|error| error.to_string());
            (None, Err(format!("the file broke its reader: {how}")))
        }
    }
}

fn start(mut reader: Command) -> std::io::Result<Reader> {
    let mut child = reader
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // A panic there is told as its answer.
        .stderr(Stdio::null())
        .spawn()?;
    let output = child.stdout.take();
    let (sender, answers) = channel();
    if let Some(output) = output {
        // Ends with the child.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
    Ok(Reader { child, answers })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that does what a shell is told.
    fn read_by(
        start: fn() -> std::io::Result<Command>,
        patience: Duration,
    ) -> [Result<String, String>; 2] {
        let mut extractor = Extractor {
            reader: None,
            start,
            patience,
        };
        // Whatever became of the first file, the second has a reader.
        [(); 2].map(|()| extractor.read(Format::Html, Path::new("a.html")))
    }

    fn shell(script: &str) -> std::io::Result<Command> {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        Ok(shell)
    }

    #[test]
    fn a_file_that_breaks_its_reader_or_takes_too_long_costs_itself_only() {
        let long = Duration::from_secs(600);
        for text in read_by(|| shell("read line; kill -KILL $$"), long) {
            let error = text.unwrap_err();
            assert!(
                error.contains("the file broke its reader: signal: 9"),
                "{error}"
            );
        }
        // It never answers.
        for text in read_by(|| shell("cat >/dev/null; true"), Duration::from_millis(1)) {
            let error = text.unwrap_err();
            assert!(error.contains("took longer"), "{error}");
        }
        for text in read_by(|| shell("while read line; do echo no JSON; done"), long) {
            assert!(text.unwrap_err().contains("the reader's answer"));
        }
        let echo = || shell("while read line; do echo '{\"text\": {\"Ok\": \"# T\"}}'; done");
        assert_eq!(
            read_by(echo, long),
            [Ok("# T".to_owned()), Ok("# T".to_owned())]
        );
        let none = read_by(|| Ok(Command::new("/nonexistent")), long);
        assert!(
            none[0]
                .as_ref()
                .unwrap_err()
                .contains("cannot start a reader")
        );
    }
}
