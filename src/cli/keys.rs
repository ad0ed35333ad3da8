//! `boathouse keys`: makes, lists and revokes the API keys of a data folder.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::error::CliError;
use super::{output, privacy, serve};
use crate::config::Overrides;
use crate::services::ServiceError;
use crate::services::keys::{self, KeyInfo, NewKey};
use crate::types::api_key::Scope;

const EXAMPLES: &str = "Examples:
  boathouse keys new app --scope read,chat                  prints the key, once
  boathouse keys new ci --scope write --expires 90d
  boathouse keys new guest --scope chat --rpm 60 --tokens-per-day 200000
  boathouse keys list --json
  boathouse keys revoke 1f0c93ab

Scopes: read searches and reads collections and the state of the server; write changes collections, brings evidence, makes
datasets; chat asks models, validates and gives feedback; admin may everything, evidence of all callers and erasing too.

They act on the data folder, with or without a running server, which notices within a second. Only hashes are kept: a key
that is lost is revoked and made anew.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum KeysCommand {
    /// Make a key and print it, once
    New(NewArgs),
    /// List the keys: ids, names, scopes, bounds, whether they are good
    List(ListArgs),
    /// Revoke a key, by its id, or by a name that only one has
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// What its use is counted under: in usage, budgets and evidence
    name: String,
    /// What it may do: read, write, chat, admin; several with commas
    #[arg(long, required = true, value_delimiter = ',')]
    scope: Vec<Scope>,
    /// When it ends by itself: so many seconds, minutes, hours, days or weeks from now, such as 90d
    #[arg(long, value_parser = lifetime, value_name = "TIME")]
    expires: Option<Duration>,
    /// Most requests in any minute; one more gets 429
    #[arg(long, value_name = "COUNT")]
    rpm: Option<u64>,
    /// Most tokens of chat calls in a day, UTC
    #[arg(long, value_name = "COUNT")]
    tokens_per_day: Option<u64>,
    /// Print the key and what is known of it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// Its id or name
    key: String,
    /// Print what is known of it as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &KeysCommand) -> Result<(), CliError> {
    let storage = serve::settings(overrides)?.storage;
    privacy::keep(&storage)?;
    let data = storage.data_dir;
    match command {
        KeysCommand::New(args) => {
            let wanted = NewKey {
                name: args.name.clone(),
                scopes: args.scope.clone(),
                expires_in_ms: args.expires.map(milliseconds),
                requests_per_minute: args.rpm,
                tokens_per_day: args.tokens_per_day,
            };
            let made = keys::make(&data, wanted).map_err(failed)?;
            if args.json {
                return output::say_json(&made);
            }
            // The key alone on stdout: `KEY=$(boathouse keys new …)`.
            output::say(&made.key);
            output::note(format_args!(
                "key {} of {:?} may {}; it is shown only now, and kept nowhere",
                made.info.id,
                made.info.name,
                scopes(&made.info)
            ));
        }
        KeysCommand::List(args) => {
            let all = keys::list(&data).map_err(failed)?;
            if args.json {
                return output::say_json(&all);
            }
            if all.is_empty() {
                output::note(format_args!("no keys; `{}` makes one", keys::HOW_TO_MAKE));
            }
            for key in &all {
                output::say(line(key));
            }
        }
        KeysCommand::Revoke(args) => {
            let revoked = keys::revoke(&data, &args.key).map_err(failed)?;
            if args.json {
                return output::say_json(&revoked);
            }
            output::say(format_args!("revoked {} of {:?}", revoked.id, revoked.name));
        }
    }
    Ok(())
}

fn failed(error: ServiceError) -> CliError {
    CliError::failed(error.message)
}

fn scopes(key: &KeyInfo) -> String {
    let words: Vec<&str> = key.scopes.iter().map(|scope| scope.name()).collect();
    words.join(",")
}

fn line(key: &KeyInfo) -> String {
    let mut line = format!(
        "{}  {:<7}  {:<21}  {}  made {}",
        key.id,
        key.state,
        scopes(key),
        key.name,
        key.created
    );
    let moments = [("ends", &key.expires), ("revoked", &key.revoked)];
    for (what, moment) in moments {
        if let Some(moment) = moment {
            line.push_str(&format!(", {what} {moment}"));
        }
    }
    let bounds = [
        ("requests a minute", key.requests_per_minute),
        ("tokens a day", key.tokens_per_day),
    ];
    for (what, bound) in bounds {
        if let Some(bound) = bound {
            line.push_str(&format!(", {bound} {what}"));
        }
    }
    line
}

fn milliseconds(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX)
}

/// `30s`, `15m`, `12h`, `90d` or `4w`.
fn lifetime(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no time; write it as 90d, 12h, 15m, 4w or 30s");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let count = text
        .strip_suffix(unit)
        .and_then(|count| count.parse::<u64>().ok());
    let life = count
        .filter(|count| *count > 0)
        .and_then(|count| count.checked_mul(seconds));
    life.map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_others_refused() {
        for (text, seconds) in [
            ("30s", Some(30)),
            ("15m", Some(900)),
            ("12h", Some(43_200)),
            ("90d", Some(7_776_000)),
            ("4w", Some(2_419_200)),
            ("0d", None),
            ("d", None),
            ("", None),
            ("90", None),
            ("-1d", None),
            ("1é", None),
            ("99999999999999999999d", None),
        ] {
            let read = lifetime(text).ok();
            assert_eq!(read, seconds.map(Duration::from_secs), "{text:?}");
        }
    }
}
