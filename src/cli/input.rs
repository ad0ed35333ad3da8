//! What a command is given beside its flags: files, stdin, JSON, and a yes or no.

use std::io::{IsTerminal as _, Read as _, Write as _};
use std::path::Path;

use serde_json::{Map, Value};

use super::error::CliError;

/// Reads a file as text; `-` is stdin.
pub(super) fn read(file: &Path) -> Result<String, CliError> {
    let stdin = file.as_os_str() == "-";
    let bytes = match stdin {
        false => std::fs::read(file),
        true => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        }
    };
    let shown = match stdin {
        true => "stdin".to_owned(),
        false => file.display().to_string(),
    };
    let bytes = bytes.map_err(|error| CliError::failed(format!("{shown}: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        CliError::failed(format!("{shown}: no UTF-8 text: byte {at} is none"))
    })
}

/// The same without the line breaks that editors end a file with.
pub(super) fn read_text(file: &Path) -> Result<String, CliError> {
    let text = read(file)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// JSON: as it stands, of `@FILE`, or of stdin for `-` and `@-`.
pub(super) fn json(given: &str, what: &str) -> Result<Value, CliError> {
    let text = match given.strip_prefix('@') {
        Some(file) => read(Path::new(file))?,
        None if given == "-" => read(Path::new("-"))?,
        None => given.to_owned(),
    };
    parse(&text, what)
}

/// Reads JSON.
pub(super) fn parse(text: &str, what: &str) -> Result<Value, CliError> {
    if text.trim().is_empty() {
        return Err(CliError::failed(format!("{what} is empty")));
    }
    serde_json::from_str(text)
        .map_err(|error| CliError::failed(format!("{what} is no JSON: {error}")))
}

/// A number of the command line that JSON can hold.
pub(super) fn finite(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    match number.is_finite() {
        true => Ok(number),
        false => Err("it must be finite".to_owned()),
    }
}

/// An object of the fields that have a value.
pub(super) fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let fields = fields.into_iter();
    fields
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// Asks on the terminal while other work goes on, such as waiting for Ctrl-C; only a yes is one.
///
/// Errors: there is no terminal to ask on.
pub(super) async fn confirmed_meanwhile(question: String) -> Result<bool, CliError> {
    let (told, answer) = tokio::sync::oneshot::channel();
    // No task: nothing ends one that reads from a terminal, and a runtime would wait for it at its end.
    std::thread::spawn(move || told.send(confirmed(&question)));
    let unasked = |_| CliError::failed("nobody could be asked");
    answer.await.map_err(unasked)?
}

/// Asks on the terminal; only a yes is one.
///
/// Errors: there is no terminal to ask on.
pub(super) fn confirmed(question: &str) -> Result<bool, CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::failed("give --yes to do so without being asked"));
    }
    {
        // Not locked any longer than that: what Ctrl-C did must be told, too.
        let mut out = std::io::stderr().lock();
        let _ = write!(out, "{question} [y/N] ").and_then(|()| out.flush());
    }
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| CliError::failed(format!("stdin: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stands_on_the_command_line_or_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.json");
        std::fs::write(&file, r#"{"a": 1}"#).unwrap();
        let named = format!("@{}", file.display());
        for given in [r#"{"a": 1}"#, named.as_str()] {
            assert_eq!(json(given, "the filter").unwrap()["a"], 1);
        }
        std::fs::write(&file, b"\"\xff\"").unwrap();
        for (given, says) in [
            ("{a}", "the filter is no JSON"),
            (" ", "the filter is empty"),
            ("@/nonexistent/f.json", "/nonexistent/f.json: "),
            (named.as_str(), "no UTF-8 text: byte 1 is none"),
        ] {
            let error = json(given, "the filter").unwrap_err().to_string();
            assert!(error.contains(says), "{given}: {error}");
        }
    }
}
