//! `boathouse doctor`: looks at everything that a server needs, and says what to do about what it has not.

mod machine;
mod server;

use clap::Args;
use serde_json::json;

use super::error::CliError;
use super::output;
use crate::app::doctor::{self, Finding, Level};
use crate::config::{Overrides, load};

const EXAMPLES: &str = "Examples:
  boathouse doctor                           the settings, ./data, this machine, models, upstreams, backends, the server
  boathouse doctor --config /etc/boathouse/boathouse.toml --json
  boathouse doctor --offline                 ask no upstream

Upstreams are asked for their lists of models, never for an answer; engines for their collections. No key is shown. Nothing that is kept is changed, and it may
run beside a server; run it as the user that serves, with that user's environment.

Exit status: 0 all well, 1 something to look at, 2 something is broken.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DoctorArgs {
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
    /// Do not ask upstreams, nor the engines that keep collections, nor object storage
    #[arg(long)]
    offline: bool,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &DoctorArgs) -> Result<(), CliError> {
    let mut told = Told::new(args.json);
    match load(overrides, std::env::vars().collect()) {
        Ok(settings) => {
            told.all(doctor::settings(&settings));
            told.all(doctor::data(&settings));
            told.all(machine::machine(&settings));
            told.all(doctor::models(&settings));
            let (server, upstreams) = actix_web::rt::System::new().block_on(async {
                let upstreams = async {
                    match args.offline {
                        true => Vec::new(),
                        false => {
                            let asked = futures_util::future::join(
                                doctor::upstreams(&settings),
                                doctor::backends(&settings),
                            );
                            let (mut found, backends) = asked.await;
                            found.extend(backends);
                            found.extend(doctor::objects(&settings).await);
                            found
                        }
                    }
                };
                futures_util::future::join(server::server(&settings), upstreams).await
            });
            told.all(server);
            told.all(upstreams);
        }
        Err(error) => told.all([Finding::fail(
            "settings",
            error.to_string(),
            "correct it; docs/CONFIG.md has every setting with its range",
        )]),
    }
    told.end()
}

/// Says each finding as it comes, or all at the end.
struct Told {
    json: bool,
    coloured: bool,
    found: Vec<Finding>,
}

impl Told {
    fn new(json: bool) -> Self {
        Self {
            json,
            coloured: output::colours(&std::io::stdout()),
            found: Vec::new(),
        }
    }

    fn all(&mut self, found: impl IntoIterator<Item = Finding>) {
        for one in found {
            if !self.json {
                output::say(line(&one, self.coloured));
            }
            self.found.push(one);
        }
    }

    fn end(self) -> Result<(), CliError> {
        let worst = self.found.iter().map(|one| one.level).max();
        let status = match worst.unwrap_or(Level::Ok) {
            Level::Ok => 0,
            Level::Warn => 1,
            Level::Fail => 2,
        };
        if self.json {
            let report = json!({"status": status, "findings": self.found});
            output::say(format_args!("{report:#}"));
        } else {
            let count = |level| self.found.iter().filter(|one| one.level == level).count();
            let (warnings, failures) = (count(Level::Warn), count(Level::Fail));
            output::say(format_args!("{failures} broken, {warnings} to look at"));
        }
        match status {
            0 => Ok(()),
            status => Err(CliError::Judged(status)),
        }
    }
}

/// One finding as text.
fn line(one: &Finding, coloured: bool) -> String {
    let (word, colour) = match one.level {
        Level::Ok => ("ok  ", 32),
        Level::Warn => ("warn", 33),
        Level::Fail => ("fail", 31),
    };
    let word = match coloured {
        true => format!("\x1b[{colour}m{word}\x1b[0m"),
        false => word.to_owned(),
    };
    // Values come from settings and files: none of them moves the cursor.
    let plain = |text: &str| text.replace(|c: char| c.is_control(), " ");
    let mut line = format!("{word}  {:<14} {}", one.check, plain(&one.what));
    if let Some(fix) = &one.fix {
        line.push_str(&format!("\n      {:<14} -> {}", "", plain(fix)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_what_to_do_and_colours_only_where_they_are_wanted() {
        let one = Finding::warn("disk space", "little is\u{1b}[2J left", "make room");
        assert_eq!(
            line(&one, false),
            "warn  disk space     little is [2J left\n                     -> make room"
        );
        assert!(line(&one, true).starts_with("\u{1b}[33mwarn\u{1b}[0m  disk space"));
        assert!(!line(&Finding::ok("clock", "right"), false).contains("->"));
    }
}
