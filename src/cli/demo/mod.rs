//! `boathouse demo`: the whole loop over the real HTTP API, step by step, then a server that goes on.

mod corpus;
mod steps;

use std::time::Instant;

use clap::Args;

use super::client::Client;
use super::error::CliError;
use super::server::url_of;
use super::{logging, output, privacy, serve};
use crate::app::{App, StartError};
use crate::config::{LogConfig, Overrides, Settings};
use crate::types::plain::counted;
use steps::Demo;

const EXAMPLES: &str = "Examples:
  boathouse demo                          run the steps, then go on serving
  boathouse demo --exit --data /tmp/try   run the steps on a folder of their own, and end";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DemoArgs {
    /// End after the steps; status 1 when any of them failed
    #[arg(long)]
    exit: bool,
}

/// Runs the command; of each document its name and text.
pub(super) fn run(
    overrides: &Overrides,
    args: &DemoArgs,
    documents: &[(&str, &str)],
) -> Result<(), CliError> {
    let mut settings = serve::settings(overrides)?;
    // The crash on purpose is a step; warnings of it would only interrupt the picture.
    settings.supervisors.allow_crash = true;
    if settings.log == LogConfig::default() {
        settings.log.filter = "error,boathouse::api=off".to_owned();
    }
    let set_log_filter = logging::start(&settings.log);
    privacy::keep(&settings.storage)?;
    actix_web::rt::System::new().block_on(async {
        let app = start(settings, overrides).await?;
        let mut app = app.with_log_filter(set_log_filter);
        app.announce();
        let base = url_of(app.address());
        output::say(format_args!("Boathouse demo on {base}\n"));
        let failed = steps(Client::of(&app)?, documents).await?;
        output::say(format_args!(
            "\n  console  {base}/console\n  API docs {base}/docs/\n"
        ));
        let outcome = match failed {
            0 => Ok(()),
            count => Err(CliError::failed(format!(
                "{} of the demo failed",
                counted(count, "step")
            ))),
        };
        if args.exit {
            app.stop().await;
            return outcome;
        }
        output::say("Serving. Ctrl-C drains and ends.");
        serve::finish(app).await.and(outcome)
    })
}

/// Starts on the port of the settings, or on a free one when it is taken.
async fn start(mut settings: Settings, overrides: &Overrides) -> Result<App, CliError> {
    match App::start(settings.clone(), serve::source(overrides)).await {
        Err(StartError::Bind { address, .. }) if settings.http.port != 0 => {
            output::say(format_args!("{address} is taken; using a free port"));
            settings.http.port = 0;
            Ok(App::start(settings, serve::source(overrides)).await?)
        }
        outcome => Ok(outcome?),
    }
}

/// Runs the steps; returns how many failed. A step that fails does not keep the next from trying.
async fn steps(client: Client, documents: &[(&str, &str)]) -> Result<usize, CliError> {
    let mut demo = Demo::new(client, documents);
    let mut failed = 0;
    let whole = Instant::now();
    for number in 1.. {
        let started = Instant::now();
        let Some((title, outcome)) = demo.step(number).await else {
            break;
        };
        let took = format!("{} ms", started.elapsed().as_millis());
        match outcome {
            Ok(lines) => {
                output::say(format_args!("{number:>2}  {title:<52} {took:>9}"));
                lines
                    .iter()
                    .for_each(|line| output::say(format_args!("      {line}")));
            }
            Err(error) => {
                failed += 1;
                output::say(format_args!("{number:>2}  {title:<52} {took:>9}  FAILED"));
                output::say(format_args!("      {error}"));
            }
        }
    }
    let took = whole.elapsed().as_secs_f64();
    output::say(format_args!(
        "\nAll steps took {took:.1} s, {failed} failed."
    ));
    Ok(failed)
}
