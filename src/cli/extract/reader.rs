//! The child process: a question a line in, an answer a line out.

use std::io::{BufRead as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Answer, Format, MAX_TEXT_BYTES, Question, html, pdf};
use crate::cli::error::CliError;

/// Memory of the process: a file that claims to be larger inside ends it, not the machine.
const MEMORY_BYTES: u64 = 2 << 30;

/// Reads files until there are no more questions.
pub(in crate::cli) fn run() -> Result<(), CliError> {
    let limit = getrlimit(Resource::As);
    let most = limit.maximum.unwrap_or(u64::MAX);
    let lower = Rlimit {
        current: Some(MEMORY_BYTES.min(most)),
        maximum: limit.maximum,
    };
    setrlimit(Resource::As, lower).map_err(|error| CliError::failed(error.to_string()))?;
    let failed = |error: std::io::Error| CliError::failed(error.to_string());
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(failed)?;
        let question: Question =
            serde_json::from_str(&line).map_err(|error| CliError::failed(error.to_string()))?;
        let text = catch_unwind(AssertUnwindSafe(|| read(&question)))
            .unwrap_or_else(|_| Err("the file broke its reader".to_owned()));
        let answer = serde_json::to_string(&Answer { text })
            .map_err(|error| CliError::failed(error.to_string()))?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")
            .and_then(|()| out.flush())
            .map_err(failed)?;
    }
    Ok(())
}

fn read(question: &Question) -> Result<String, String> {
    let bytes = std::fs::read(&question.path).map_err(|error| error.to_string())?;
    let text = match question.format {
        Format::Html => html::markdown(&bytes),
        Format::Pdf => pdf::markdown(&bytes),
    }?;
    match text.len() {
        len if len > MAX_TEXT_BYTES => {
            Err(format!("{len} bytes of text, more than {MAX_TEXT_BYTES}"))
        }
        _ => Ok(text),
    }
}
