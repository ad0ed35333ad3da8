//! docs/CLI.md, made of the commands' own help.

use std::fmt::Write as _;

use clap::Command;

use super::error::STATUSES;
use super::operations;

/// Columns of the help texts in it.
const WIDTH: usize = 120;

const INTRODUCTION: &str = "# Command line

Rendered from the commands' own help by `boathouse reference`. `boathouse help COMMAND` shows the same in a terminal, `boathouse man` as manual pages, and
`boathouse completions SHELL` makes shells complete it.

## With a server or without

A command that works on data finds it in this order:

1. `--url URL`: that server, and no other.
2. `--offline`: the data folder itself. It fails when another process has the folder, and says which.
3. `--data FOLDER`: the server that has this folder, wherever it listens; when none has it, the folder itself. It is made where there is none.
4. Else the server at the address of the settings (`http.bind`, `http.port`); when nobody is there, the data folder of the settings, if it exists. stderr says so.

Opening the folder itself starts the same server inside the command, on a free port of the loopback, and drains it at the end: what was acknowledged is as durable as with a
server that stays, and both ways do the same. It costs what a start costs: collections are read. While a command has the folder, other commands wait for it up to ten seconds, and a server
does not start on it. `collection check`, `collection repair`, `audit` and `keys` are about files, without a server; `tree`, `supervisors`, `jobs`, `validators reload`, `config reload`, `bench`, `mcp`
and `health` are about a server that runs.

Where there are API keys, a server is asked with the key of `BOATHOUSE_API_KEY` or `--api-key-file`. Who may open the folder itself needs none.

## What is printed where

Results go to stdout, everything else (progress, notes, errors) to stderr, so that output can be piped. With `--json` stdout has one JSON document, or one a line where a command lists
things that may be many. Progress bars are shown on a terminal only. Colours too: `NO_COLOR` or `CLICOLOR=0` turns them off, `CLICOLOR_FORCE=1` on. A reader that goes away, as after
`| head`, is no error. JSON as an argument may stand in a file: `@FILE`; `-` is stdin.

";

/// The whole page.
pub(super) fn page() -> String {
    let mut command = super::command().term_width(WIDTH);
    // The page is that of the default features; docs/SQL.md tells of the other.
    #[cfg(feature = "sql")]
    {
        command = command.mut_subcommand("sql", |sql| sql.hide(true));
    }
    command.build();
    let mut page = INTRODUCTION.to_owned();
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "## Exit status\n\n```text\n{STATUSES}\n```\n\n## Commands\n\n"
    );
    for sub in visible(&command) {
        let (name, about) = (sub.get_name(), about(sub));
        let _ = writeln!(page, "- [`boathouse {name}`](#boathouse-{name}): {about}");
    }
    let _ = write!(
        page,
        "\n## Flags of every command\n\n```text\n{}\n```\n",
        help(&command, false)
    );
    let _ = write!(page, "\n{}", operations::section());
    for sub in visible(&command) {
        section(&mut page, "boathouse", sub, 2);
    }
    page
}

fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    let all = command.get_subcommands();
    all.filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
}

fn about(command: &Command) -> String {
    command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn section(page: &mut String, above: &str, command: &Command, level: usize) {
    let name = format!("{above} {}", command.get_name());
    let marks = "#".repeat(level);
    let _ = write!(
        page,
        "\n{marks} {name}\n\n```text\n{}\n```\n",
        help(command, true)
    );
    for sub in visible(command) {
        section(page, &name, sub, level + 1);
    }
}

/// A command's help, without the flags that all commands have.
fn help(command: &Command, hide: bool) -> String {
    let mut command = command.clone().mut_args(|arg| {
        let everywhere = arg.is_global_set() || arg.get_id() == "help";
        arg.hide(hide && everywhere)
    });
    let text = command.render_long_help().to_string();
    let lines = text.lines().map(str::trim_end);
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_docs_is_as_the_commands_are() {
        let written = include_str!("../../docs/CLI.md");
        assert!(
            written == page(),
            "docs/CLI.md is not as the commands are: cargo run -- reference > docs/CLI.md"
        );
    }
}
