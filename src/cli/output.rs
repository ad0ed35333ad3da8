//! What a command says: results to stdout, everything else to stderr, colours only where a terminal shows them.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{AnsiColor, Color, Style};
use serde::Serialize;
use serde_json::Value;

use super::error::CliError;

/// Whether whoever read stdout has gone away.
static GONE: AtomicBool = AtomicBool::new(false);

/// Writes one line to stdout. A reader that has gone away is no failure of ours.
pub(super) fn say(line: impl Display) {
    write(format_args!("{line}\n"));
}

/// Writes a value to stdout as JSON, over several lines.
pub(super) fn say_json(value: &(impl Serialize + ?Sized)) -> Result<(), CliError> {
    let json = serde_json::to_string_pretty(value);
    say(json.map_err(|error| CliError::failed(error.to_string()))?);
    Ok(())
}

/// The text that a value is, or none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Writes to stdout as it comes.
pub(super) fn write(text: impl Display) {
    let mut stdout = std::io::stdout().lock();
    let written = write!(stdout, "{text}").and_then(|()| stdout.flush());
    if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        GONE.store(true, Ordering::Relaxed);
    }
}

/// Whether nobody reads stdout any more, as after `| head`: what is still to be said may be left out.
pub(super) fn unheard() -> bool {
    GONE.load(Ordering::Relaxed)
}

/// Writes one line to stderr.
pub(super) fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes why a command failed.
pub(super) fn complain(error: &impl Display) {
    // It may quote a server, or a file.
    let error = plain(&error.to_string());
    note(format_args!(
        "{} {error}",
        Paint::Bad.on_notes("boathouse:")
    ));
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paint {
    /// As it should be.
    Good,
    /// Worth a look.
    Doubtful,
    /// Not as it should be.
    Bad,
    /// A heading.
    Strong,
    /// Beside the point.
    Faint,
}

impl Paint {
    /// The text in this colour, where stdout shows colours.
    pub(super) fn on(self, text: impl Display) -> String {
        match colours(&std::io::stdout()) {
            true => self.dress(text),
            false => text.to_string(),
        }
    }

    /// The same for stderr.
    pub(super) fn on_notes(self, text: impl Display) -> String {
        match colours(&std::io::stderr()) {
            true => self.dress(text),
            false => text.to_string(),
        }
    }

    fn dress(self, text: impl Display) -> String {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(Color::Ansi(colour)));
        let style = match self {
            Self::Good => colour(AnsiColor::Green),
            Self::Doubtful => colour(AnsiColor::Yellow),
            Self::Bad => colour(AnsiColor::Red),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
        };
        format!("{style}{text}{style:#}")
    }
}

/// Whether colours are wanted: on a terminal, unless `NO_COLOR` or `CLICOLOR=0` say no, and with `CLICOLOR_FORCE` anyway.
pub(super) fn colours(stream: &impl anstream::stream::RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// A text on one line, not longer than `most` characters, and without what could move a terminal's cursor.
pub(super) fn line(text: &str, most: usize) -> String {
    let words = text.split_whitespace();
    let text = words.collect::<Vec<_>>().join(" ");
    let mut signs = text.chars().filter(|sign| !sign.is_control());
    let mut short: String = signs.by_ref().take(most).collect();
    if signs.next().is_some() {
        short.push('…');
    }
    short
}

/// A text from elsewhere, such as what a model wrote: as it is, but on a terminal without what could move its cursor.
pub(super) fn foreign(text: &str) -> Cow<'_, str> {
    match on_terminal() {
        true => Cow::Owned(plain(text)),
        false => Cow::Borrowed(text),
    }
}

/// A text with its line breaks and tabs, and without all other signs that a terminal obeys.
pub(super) fn plain(text: &str) -> String {
    let harmless = |sign: &char| !sign.is_control() || matches!(sign, '\n' | '\t');
    text.chars().filter(harmless).collect()
}

/// Writes rows under their headings, each column as wide as it must be. A heading that begins with `>` is of numbers, which
/// stand to the right.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) {
    table_of(&headings, rows);
}

/// The same for columns that are only known now.
pub(super) fn table_of<R: AsRef<[String]>>(headings: &[&str], rows: &[R]) {
    for (at, row) in lay_out(headings, rows).lines().enumerate() {
        match at {
            0 => say(Paint::Strong.on(row)),
            _ => say(row),
        }
    }
}

fn lay_out<R: AsRef<[String]>>(headings: &[&str], rows: &[R]) -> String {
    let names = headings.iter();
    let names: Vec<String> = names
        .map(|heading| heading.trim_start_matches('>').to_owned())
        .collect();
    let all = || std::iter::once(names.as_slice()).chain(rows.iter().map(AsRef::as_ref));
    let width = |at: usize| {
        let widths = all().filter_map(|row| Some(row.get(at)?.chars().count()));
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for ((cell, heading), width) in row.iter().zip(headings).zip(&widths) {
            // Writing to a String cannot fail.
            let _ = match heading.starts_with('>') {
                true => write!(line, "{cell:>width$}  "),
                false => write!(line, "{cell:<width$}  "),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Writes an object, a field a line, those inside others by their path; what is empty is left out.
pub(super) fn fields(value: &Value) {
    let mut found = Vec::new();
    collect("", value, &mut found);
    let width = found.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or(0);
    for (name, value) in found {
        say(format_args!(
            "{}  {value}",
            Paint::Strong.on(format_args!("{name:<width$}"))
        ));
    }
}

fn collect(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                collect(&path, value, found);
            }
        }
        Value::Null => {}
        value => found.push((path.to_owned(), cell(value))),
    }
}

/// A value as a cell of a table: texts as they are, others as JSON, nothing for null.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => line(text, 200),
        value => line(&value.to_string(), 200),
    }
}

/// A number of bytes in the unit that suits it.
pub(super) fn bytes(value: &Value) -> String {
    let bytes = value.as_u64().unwrap_or_default();
    indicatif::BinaryBytes(bytes).to_string()
}

/// Whether a person looks at stdout.
pub(super) fn on_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// A bar on stderr; invisible where stderr is no terminal.
pub(super) fn progress(total: usize, what: &'static str) -> indicatif::ProgressBar {
    let counts = "  {msg} [{bar:32}] {pos}/{len} {per_sec} {eta} left";
    bar(total as u64, what, counts)
}

/// The same for bytes.
pub(super) fn byte_progress(total: u64, what: &'static str) -> indicatif::ProgressBar {
    let counts = "  {msg} [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
    bar(total, what, counts)
}

/// The same for seconds that pass anyway.
pub(super) fn seconds_progress(total: u64, what: &'static str) -> indicatif::ProgressBar {
    bar(total, what, "  [{bar:32}] {pos}/{len} s  {msg}")
}

fn bar(total: u64, what: &'static str, template: &str) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new(total);
    // A malformed template would be a bug of ours; the default style serves then.
    if let Ok(style) = indicatif::ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(what);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_stand_right() {
        let rows = [["a", "7"], ["größer", "1200"]].map(|row| row.map(str::to_owned));
        assert_eq!(
            lay_out(&["name", ">points"], &rows),
            "name    points\na            7\ngrößer    1200\n"
        );
    }

    #[test]
    fn a_line_cannot_move_the_cursor_or_fill_the_screen() {
        assert_eq!(line("a\n\tb\u{1b}[2Jc\u{7}", 20), "a b[2Jc");
        assert_eq!(line("abcdef", 3), "abc…");
        assert_eq!(line("abc", 3), "abc");
        assert_eq!(plain("a\u{1b}[2J\n\tb\r\u{9b}1m"), "a[2J\n\tb1m");
    }
}
