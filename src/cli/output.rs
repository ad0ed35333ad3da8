//! What a command says: results to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::Write as _;

/// Writes one line to stdout. A reader that has gone away is no failure of ours.
pub(super) fn say(line: impl Display) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Writes one line to stderr.
pub(super) fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Writes why a command failed.
pub(super) fn complain(error: &impl Display) {
    note(format_args!("boathouse: {error}"));
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
