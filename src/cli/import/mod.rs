//! `boathouse import`: conversations of other systems, as evidence of a running server.

mod lines;

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use self::lines::Lines;
use super::client::{Client, refused};
use super::error::CliError;
use super::output;
use super::server::{self, ServerArgs};
use crate::config::Overrides;
use crate::services::import::{Mapped, Mapping, SHIPPED};
use crate::types::foreign::ForeignConversation;
use crate::types::http::Method;
use crate::types::plain::counted;

/// Most conversations in one request.
const BATCH: usize = 200;
/// Bytes of their lines, about.
const BATCH_BYTES: usize = 4 << 20;
/// Lines that are named; the others are counted.
const NAMED: u64 = 20;
/// Conversations that a dry run shows.
const SHOWN: u64 = 3;

const EXAMPLES: &str = "Examples:
  boathouse import export.jsonl --map langfuse --dry-run     show what would be imported, ask no server
  boathouse import export.jsonl --map langfuse
  boathouse import spend_logs.jsonl --map litellm --source gateway-eu
  boathouse import calls.jsonl --map my-map.toml             a map of your own; docs/IMPORT.md says how

The same source and id are imported once: the same command again goes on where it was stopped, and adds what is new.
Exit status: 0 all that are conversations are imported, 1 not.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ImportArgs {
    /// The file: JSON lines, or one JSON list
    file: PathBuf,
    /// What stands where in a line: langfuse, litellm, openai, sharegpt, or a mapping file
    #[arg(long, value_name = "NAME|FILE")]
    map: String,
    /// The name of the source, a part of what makes a conversation the same; default the map's
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Read the whole file, show the first conversations and the counts, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the counts as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// What became of the lines.
#[derive(Debug, Default)]
struct Counts {
    lines: u64,
    /// Lines that are conversations.
    mapped: u64,
    /// Lines that the map passes over.
    passed: u64,
    /// Conversations with scores that no rule judges.
    unrated: u64,
    /// Lines that did not map, or were refused.
    failed: u64,
    imported: u64,
    known: u64,
    feedback: u64,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &ImportArgs) -> Result<(), CliError> {
    let mapping = mapping(&args.map)?;
    let source = match (&args.source, mapping.source()) {
        (Some(source), _) => source.clone(),
        (None, "") => {
            let reason = "the map names no source: give one with --source";
            return Err(CliError::failed(reason));
        }
        (None, source) => source.to_owned(),
    };
    let mut import = Import::open(args, mapping, source)?;
    if args.dry_run {
        import.dry_run()?;
        return import.tell();
    }
    server::until_done(overrides, &args.server, async |client| {
        let work = import.send_all(client);
        tokio::select! {
            // First, so that it is heard before anything is sent.
            biased;
            _ = tokio::signal::ctrl_c() => Err(CliError::interrupted(
                "stopped: what was sent is imported, the same command again goes on",
            )),
            done = work => done,
        }
    })?;
    import.tell()
}

/// Finds the map: one that is compiled in, or a file.
fn mapping(name: &str) -> Result<Mapping, CliError> {
    let told = |error: &dyn std::fmt::Display| CliError::failed(format!("map {name}: {error}"));
    let parsed = match Mapping::shipped(name) {
        Some(shipped) => shipped,
        None => {
            let text = std::fs::read_to_string(name).map_err(|error| {
                let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                told(&format_args!("{error}; a map is a file, or one of {names}"))
            })?;
            Mapping::parse(&text)
        }
    };
    parsed.map_err(|error| told(&error))
}

/// A file on its way in.
struct Import {
    path: PathBuf,
    lines: Lines,
    mapping: Mapping,
    source: String,
    counts: Counts,
    json: bool,
    bar: ProgressBar,
}

/// A conversation and its line.
type Item = (u64, ForeignConversation);

impl Import {
    fn open(args: &ImportArgs, mapping: Mapping, source: String) -> Result<Self, CliError> {
        let failed = |error| CliError::failed(format!("{}: {error}", args.file.display()));
        let lines = Lines::open(&args.file).map_err(failed)?;
        let bytes = std::fs::metadata(&args.file).map_err(failed)?.len();
        Ok(Self {
            path: args.file.clone(),
            lines,
            mapping,
            source,
            counts: Counts::default(),
            json: args.json,
            bar: output::byte_progress(bytes, "importing"),
        })
    }

    /// Reads on to the next conversation; tells of the lines between that are none.
    fn next(&mut self) -> Result<Option<(Item, usize)>, CliError> {
        loop {
            let line = self.lines.next();
            let line = line.map_err(|error| {
                self.bar.abandon();
                CliError::failed(format!("{}: {error}", self.path.display()))
            })?;
            self.bar.set_position(self.lines.read);
            let Some((number, text)) = line else {
                return Ok(None);
            };
            self.counts.lines += 1;
            let bytes = text.as_ref().map_or(0, Vec::len);
            match text.and_then(|text| self.mapping.line(&text)) {
                Ok(Mapped::Conversation {
                    conversation,
                    unrated,
                }) => {
                    self.counts.mapped += 1;
                    self.counts.unrated += u64::from(unrated);
                    return Ok(Some(((number, *conversation), bytes)));
                }
                Ok(Mapped::Passed) => self.counts.passed += 1,
                Err(reason) => self.failed(number, &reason),
            }
        }
    }

    fn failed(&mut self, number: u64, reason: &str) {
        self.counts.failed += 1;
        if self.counts.failed <= NAMED {
            let path = self.path.display();
            self.bar
                .suspend(|| output::note(format_args!("{path} line {number}: {reason}")));
        }
    }

    fn dry_run(&mut self) -> Result<(), CliError> {
        while let Some(((number, conversation), _)) = self.next()? {
            if self.counts.mapped <= SHOWN {
                let shown = json!({"line": number, "conversation": conversation});
                self.bar.suspend(|| match self.json {
                    true => output::say(&shown),
                    false => {
                        output::say(format_args!("line {number}: {:#}", shown["conversation"]))
                    }
                });
            }
        }
        Ok(())
    }

    async fn send_all(&mut self, client: &Client) -> Result<(), CliError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some((item, size)) = self.next()? {
            batch.push(item);
            bytes += size;
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                self.send(client, &std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
        }
        if !batch.is_empty() {
            self.send(client, &batch).await?;
        }
        Ok(())
    }

    /// Sends a batch. One that the server refuses is halved until the conversation at fault stands alone.
    async fn send(&mut self, client: &Client, batch: &[Item]) -> Result<(), CliError> {
        let path = "/v1/evidence/import";
        let mut left = vec![batch];
        while let Some(batch) = left.pop() {
            let conversations: Vec<&ForeignConversation> = batch.iter().map(|(_, it)| it).collect();
            let body = json!({"source": self.source, "conversations": conversations});
            let answer = client.settled(Method::Post, path, Some(&body)).await;
            let answer = answer.inspect_err(|_| self.bar.abandon())?;
            match (answer.status, batch) {
                (200..=299, _) => self.take(&answer.body, batch),
                // The source's name is everybody's fault.
                (400, _) if answer.body["param"] == "source" => {
                    self.bar.abandon();
                    return Err(refused(path, &answer));
                }
                (400 | 413, [(number, _)]) => self.failed(*number, &answer.said()),
                (400 | 413, batch) => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    left.extend([second, first]);
                }
                _ => {
                    self.bar.abandon();
                    return Err(CliError::failed(format!(
                        "{}; what was sent before is imported, the same command again goes on",
                        refused(path, &answer)
                    )));
                }
            }
        }
        Ok(())
    }

    /// Takes note of what the server says.
    fn take(&mut self, answer: &Value, batch: &[Item]) {
        let count = |name: &str| answer[name].as_u64().unwrap_or(0);
        self.counts.imported += count("imported");
        self.counts.known += count("known");
        self.counts.feedback += count("feedback");
        for one in answer["refused"].as_array().into_iter().flatten() {
            let index = one["index"]
                .as_u64()
                .and_then(|it| usize::try_from(it).ok());
            let line = index.and_then(|index| batch.get(index));
            let number = line.map_or(0, |(number, _)| *number);
            self.failed(number, one["reason"].as_str().unwrap_or_default());
        }
    }

    /// Says what became of the file.
    fn tell(&self) -> Result<(), CliError> {
        self.bar.finish_and_clear();
        let (counts, path) = (&self.counts, self.path.display());
        if counts.failed > NAMED {
            output::note(format_args!("and {} more", counts.failed - NAMED));
        }
        let mut more = String::new();
        for (count, what) in [
            (counts.passed, "left out as something else"),
            (counts.unrated, "with scores that no rule of the map judges"),
            (counts.failed, "not imported"),
        ] {
            if count > 0 {
                more.push_str(&format!("; {count} {what}"));
            }
        }
        if self.json {
            output::say(json!({
                "source": self.source, "lines": counts.lines, "conversations": counts.mapped, "imported": counts.imported,
                "known": counts.known, "judgements": counts.feedback, "passed": counts.passed, "unrated": counts.unrated,
                "failed": counts.failed,
            }));
            return self.ending();
        }
        output::say(match self.counts.imported + self.counts.known {
            0 => format!(
                "{path}: {}, {} of {}{more}",
                counted(counts.lines, "line"),
                counted(counts.mapped, "conversation"),
                self.source
            ),
            _ => format!(
                "{path}: {} of {} imported with {}, {} there already{more}",
                counted(counts.imported, "conversation"),
                self.source,
                counted(counts.feedback, "judgement"),
                counts.known
            ),
        });
        self.ending()
    }

    fn ending(&self) -> Result<(), CliError> {
        match (self.counts.mapped, self.counts.failed) {
            (0, 0) => Err(CliError::failed(
                "nothing to import: the file has no conversation",
            )),
            (_, 0) => Ok(()),
            (_, failed) => Err(CliError::failed(format!(
                "{failed} of {} could not be imported, see above",
                counted(self.counts.lines, "line")
            ))),
        }
    }
}
