//! Out: the server streams, and what arrives goes to the file as it comes.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use serde_json::json;

use super::parquet::ParquetWriter;
use super::{ExportArgs, Format, failed, jsonl};
use crate::cli::error::CliError;
use crate::cli::{output, server};
use crate::config::Overrides;
use crate::transport::HttpStream;
use crate::types::export::ExportLine;
use crate::types::http::Method;
use crate::types::plain::counted;

/// Runs the command.
pub(in crate::cli) fn run(overrides: &Overrides, args: &ExportArgs) -> Result<(), CliError> {
    let format = Format::of(&args.to)?;
    // Nobody takes half a file for a whole one.
    let partial = partial(&args.to);
    let points = server::ask(overrides, &args.server, async |client| {
        let path = format!("/v1/collections/{}/export", args.name);
        let stream = client.stream(Method::Get, &path, None).await?;
        write(stream, &partial, format).await
    });
    if points.is_err() {
        // The first error is the one to tell.
        drop(fs::remove_file(&partial));
    }
    let points = points?;
    fs::rename(&partial, &args.to).map_err(|error| failed(&args.to)(&error))?;
    if args.json {
        let file = args.to.display().to_string();
        output::say(json!({"collection": args.name, "points": points, "file": file}));
        return Ok(());
    }
    output::say(format_args!(
        "{} of collection {} in {}",
        counted(points, "point"),
        args.name,
        args.to.display()
    ));
    Ok(())
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// Where the lines go.
enum Sink {
    Jsonl(BufWriter<File>),
    Parquet(Box<ParquetWriter>),
}

impl Sink {
    fn take(&mut self, raw: &[u8], line: ExportLine) -> Result<(), CliError> {
        match self {
            Self::Jsonl(file) => file
                .write_all(raw)
                .and_then(|()| file.write_all(b"\n"))
                .map_err(|error| CliError::failed(error.to_string())),
            Self::Parquet(file) => match line {
                ExportLine {
                    export: Some(head), ..
                } => file.head(&head),
                ExportLine { end: Some(_), .. } => Ok(()),
                point => file.push(jsonl::row(point).map_err(CliError::failed)?),
            },
        }
    }

    fn finish(self) -> Result<(), CliError> {
        let file = match self {
            Self::Jsonl(file) => file.into_inner().map_err(|error| error.into_error()),
            Self::Parquet(file) => return file.finish(),
        };
        let synced = file.and_then(|file| file.sync_all());
        synced.map_err(|error| CliError::failed(error.to_string()))
    }
}

async fn write(stream: HttpStream, path: &Path, format: Format) -> Result<usize, CliError> {
    let file = File::create(path).map_err(|error| failed(path)(&error))?;
    let mut sink = match format {
        Format::Jsonl => Sink::Jsonl(BufWriter::new(file)),
        Format::Parquet => Sink::Parquet(Box::new(ParquetWriter::new(file))),
    };
    let points = read(stream, |raw, line| {
        sink.take(raw, line).map_err(|error| failed(path)(&error))
    })
    .await?;
    sink.finish().map_err(|error| failed(path)(&error))?;
    Ok(points)
}

/// Hands on each line of an export as it comes, the first and the last too; counts the points.
///
/// Errors: it broke off before its end; what `take` says.
pub(in crate::cli) async fn read(
    mut stream: HttpStream,
    mut take: impl FnMut(&[u8], ExportLine) -> Result<(), CliError>,
) -> Result<usize, CliError> {
    let mut lines = Lines::default();
    let mut bar = ProgressBar::hidden();
    let (mut points, mut ended) = (0, false);
    while let Some(bytes) = stream
        .next()
        .await
        .map_err(|error| CliError::failed(format!("the export broke off: {error}; run it again")))?
    {
        lines.add(&bytes);
        while let Some(raw) = lines.next() {
            let line: ExportLine = serde_json::from_slice(&raw)
                .map_err(|error| CliError::failed(format!("the server's line {raw:?}: {error}")))?;
            if let Some(head) = &line.export {
                bar = output::progress(head.points, "exporting");
            } else if let Some(end) = line.end {
                ended = end.points == points;
            } else {
                points += 1;
                bar.inc(1);
            }
            take(&raw, line)?;
        }
    }
    bar.finish_and_clear();
    if !ended {
        return Err(CliError::failed(format!(
            "the export broke off after {}; run it again",
            counted(points, "point")
        )));
    }
    Ok(points)
}

/// Cuts what arrives into lines.
#[derive(Default)]
struct Lines {
    left: Vec<u8>,
    /// Bytes of `left` that are handed out.
    taken: usize,
    /// Bytes of `left` that are known to hold no end of a line.
    seen: usize,
}

impl Lines {
    fn add(&mut self, bytes: &[u8]) {
        self.left.drain(..self.taken);
        self.seen -= self.taken;
        self.taken = 0;
        self.left.extend_from_slice(bytes);
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let from = self.seen.max(self.taken);
        let Some(end) = self.left[from..].iter().position(|byte| *byte == b'\n') else {
            self.seen = self.left.len();
            return None;
        };
        let line = self.left[self.taken..from + end].to_vec();
        (self.taken, self.seen) = (from + end + 1, from + end + 1);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_wherever_the_pieces_end() {
        let text = b"one\n\ntwo\nthree\nhalf";
        for size in 1..=text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in text.chunks(size) {
                lines.add(piece);
                found.extend(std::iter::from_fn(|| lines.next()));
            }
            assert_eq!(
                found,
                [&b"one"[..], b"", b"two", b"three"],
                "pieces of {size}"
            );
        }
    }
}
