//! `boathouse push` and `boathouse pull`: between the data folder and object storage.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, refused};
use super::error::CliError;
use super::output::{self, text};
use super::server::{self, ServerArgs};
use crate::config::Overrides;
use crate::types::http::Method;
use crate::types::plain::counted;

const PUSH: &str = "/v1/push";
const PULL: &str = "/v1/pull";
/// How often the server is asked how far it is.
const LOOK: Duration = Duration::from_millis(200);

const PUSH_EXAMPLES: &str = "Examples:
  boathouse push                         send what is new to object_storage.url
  boathouse push --status                what was pushed last, and how far a push under way is
  boathouse push --json
  BOATHOUSE__OBJECT_STORAGE__URL=file:///srv/lake boathouse --data /tmp/house push

A server with an address pushes by itself, every object_storage.push_every_ms. Credentials come from its environment.
docs/OBJECT_STORAGE.md says what is where, and how DuckDB, Spark and Ray read it.";

const PULL_EXAMPLES: &str = "Examples:
  boathouse pull                         the journals of all replicas that push to object_storage.url, verified
  boathouse pull --json
  boathouse materialize --pull           the same, and then one task of each answer, whichever replica its feedback came to

They are kept in the folder replicas of the data folder, and are part of every materialization from then on.";

#[derive(Debug, Args)]
#[command(after_help = PUSH_EXAMPLES)]
pub(super) struct PushArgs {
    /// Say what was pushed last, and push nothing
    #[arg(long)]
    status: bool,
    /// Replace what another data folder pushed by the same replica's name: its evidence there is lost
    #[arg(long, conflicts_with = "status")]
    take_over: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
#[command(after_help = PULL_EXAMPLES)]
pub(super) struct PullArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Runs `boathouse push`.
pub(super) fn push(overrides: &Overrides, args: &PushArgs) -> Result<(), CliError> {
    let common = &args.common;
    if args.status {
        let status = server::ask(overrides, &common.server, async |client| {
            client.must(Method::Get, PUSH, None).await
        })?;
        return tell_status(&status, common.json);
    }
    let body = json!({"take_over": args.take_over});
    let report = moved(overrides, common, (PUSH, Some(&body)), "pushing")?;
    if common.json {
        return output::say_json(&report);
    }
    output::say(format_args!(
        "{} as replica {}: {} sent ({}), {} deleted, {} there already",
        text(&report["url"]),
        text(&report["replica"]),
        counted(&report["sent"], "object"),
        counted(&report["sent_bytes"], "byte"),
        report["deleted"],
        report["kept"]
    ));
    notes(&report);
    Ok(())
}

fn notes(report: &Value) {
    for note in report["notes"].as_array().into_iter().flatten() {
        output::note(text(note));
    }
}

fn tell_status(status: &Value, json: bool) -> Result<(), CliError> {
    if json {
        return output::say_json(status);
    }
    let url = text(&status["url"]);
    if url.is_empty() {
        output::say("off: object_storage.url is not set");
        return Ok(());
    }
    let replica = status["replica"].as_str().unwrap_or("(no name yet)");
    output::say(format_args!(
        "{url} as replica {replica}: {} since the start, {} failed",
        counted(&status["pushes"], "push").replace("pushs", "pushes"),
        status["failures"]
    ));
    let moving = &status["under_way"];
    if moving.is_object() {
        let (job, done, of) = (text(&moving["job"]), &moving["done"], &moving["of"]);
        output::say(format_args!("under way: {job}, {done} of {of} bytes"));
    }
    if status["last"].is_object() {
        let last = &status["last"];
        output::say(format_args!(
            "last: {} sent, {} deleted, up to record {}",
            counted(&last["sent"], "object"),
            last["deleted"],
            last["head_seq"]
        ));
        notes(last);
    }
    if let Some(error) = status["error"].as_str() {
        output::note(format_args!("the last one failed: {error}"));
    }
    Ok(())
}

/// Runs `boathouse pull`.
pub(super) fn pull(overrides: &Overrides, args: &PullArgs) -> Result<(), CliError> {
    let common = &args.common;
    let report = moved(overrides, common, (PULL, None), "pulling")?;
    if common.json {
        output::say_json(&report)?;
    } else {
        tell_pulled(&report);
    }
    match problems(&report) {
        0 => Ok(()),
        _ => Err(CliError::failed(
            "not every journal was taken: what was here of it before stays",
        )),
    }
}

/// Says what was fetched.
pub(super) fn tell_pulled(report: &Value) {
    let replicas = report["replicas"].as_array().into_iter().flatten();
    let rows: Vec<_> = replicas.map(row).collect();
    if rows.is_empty() {
        output::say("no other replica has pushed there");
    } else {
        let headings = [
            "replica",
            ">records",
            ">segments",
            ">bytes fetched",
            "state",
        ];
        output::table(headings, &rows);
    }
    for name in report["removed"].as_array().into_iter().flatten() {
        output::note(format_args!(
            "{}: no longer there, so removed here too",
            text(name)
        ));
    }
}

fn row(replica: &Value) -> [String; 5] {
    let state = match (replica["problem"].as_str(), replica["unchanged"] == true) {
        (Some(problem), _) => format!("not taken: {problem}"),
        (None, true) => "nothing new".to_owned(),
        (None, false) => "verified".to_owned(),
    };
    [
        output::cell(&replica["replica"]),
        output::cell(&replica["head_seq"]),
        output::cell(&replica["segments"]),
        output::cell(&replica["fetched_bytes"]),
        state,
    ]
}

/// Replicas whose journals were not taken.
fn problems(report: &Value) -> usize {
    let replicas = report["replicas"].as_array().into_iter().flatten();
    replicas
        .filter(|replica| replica["problem"].is_string())
        .count()
}

/// Has bytes moved while a bar shows how far the server is. Interrupted, it stops that.
fn moved(
    overrides: &Overrides,
    common: &Common,
    (path, body): (&str, Option<&Value>),
    doing: &'static str,
) -> Result<Value, CliError> {
    let bar = output::progress(0, doing);
    let answer = server::until_done(overrides, &common.server, async |client| {
        let mut answer = std::pin::pin!(client.must(Method::Post, path, body));
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                _ = &mut interrupt => return Err(CliError::interrupted(stop(client).await)),
                () = tokio::time::sleep(LOOK) => {
                    let status = client.ask(Method::Get, PUSH, None).await?.body;
                    let moving = &status["under_way"];
                    bar.set_length(moving["of"].as_u64().unwrap_or_default());
                    bar.set_position(moving["done"].as_u64().unwrap_or_default());
                }
            }
        }
    });
    bar.finish_and_clear();
    answer
}

/// Stops what this command began: another push or pull would have been told, for there is one at a time.
async fn stop(client: &Client) -> String {
    match client.ask(Method::Delete, PUSH, None).await {
        Ok(answer) => match answer.status {
            200 => "stopped; what was moved until then stays, and the next one goes on".to_owned(),
            404 => "stopped before it began".to_owned(),
            _ => format!("it goes on in the server: {}", refused(PUSH, &answer)),
        },
        Err(error) => format!("whether it was stopped is not known: {error}"),
    }
}
