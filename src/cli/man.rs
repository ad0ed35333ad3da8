//! `boathouse man`: the manual pages.

use std::path::PathBuf;

use clap::Args;
use clap_mangen::Man;

use super::error::CliError;
use super::output;
use crate::types::plain::counted;

const EXAMPLES: &str = "Examples:
  boathouse man | man -l -                                     read it
  boathouse man --dir /usr/local/share/man/man1                a page for each command, as boathouse-search.1";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ManArgs {
    /// Write a page for each command into this folder; left out: the first page to stdout
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(args: &ManArgs) -> Result<(), CliError> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        let rendered = Man::new(super::command()).render(&mut page);
        rendered.map_err(|error| CliError::failed(error.to_string()))?;
        output::write(String::from_utf8_lossy(&page));
        return Ok(());
    };
    let failed = |error: std::io::Error| CliError::failed(format!("{}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(super::command(), dir).map_err(failed)?;
    let pages = std::fs::read_dir(dir).map_err(failed)?.count();
    output::note(format_args!(
        "{} holds {}",
        dir.display(),
        counted(pages, "page")
    ));
    Ok(())
}
