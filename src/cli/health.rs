//! `boathouse health`: whether a running server serves, as an exit status. For containers, which have no curl.

use std::time::Duration;

use clap::Args;

use super::client::Client;
use super::error::CliError;
use super::{output, server};
use crate::config::Overrides;
use crate::types::http::Method;

const EXAMPLES: &str = "Examples:
  boathouse health                       what the server says of itself, as JSON
  boathouse health --timeout-ms 500 --url http://house.example:8642

Exit status: 0 it serves, 1 it does not, or cannot be reached.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct HealthArgs {
    /// Longest wait for the answer, milliseconds
    #[arg(long, default_value_t = 5_000)]
    timeout_ms: u64,
    /// The server; default: the one that has the folder of --data, or is at the address of the settings
    #[arg(long)]
    url: Option<String>,
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, args: &HealthArgs) -> Result<(), CliError> {
    let base = server::running(overrides, args.url.as_deref())?;
    let wait = Duration::from_millis(args.timeout_ms);
    let answer = actix_web::rt::System::new().block_on(async {
        let client = Client::new(base.as_str());
        tokio::time::timeout(wait, client.ask(Method::Get, "/readyz", None)).await
    });
    let answer = answer.map_err(|_| {
        CliError::failed(format!("{base} did not answer in {} ms", args.timeout_ms))
    })??;
    match answer.status {
        200 => {
            output::say(answer.body);
            Ok(())
        }
        status => Err(CliError::failed(format!(
            "{base}/readyz answered {status}: {}",
            answer.body
        ))),
    }
}
