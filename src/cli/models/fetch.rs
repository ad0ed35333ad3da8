//! A model's files from a server.

use std::time::Duration;

use indicatif::ProgressBar;

use super::failed;
use crate::cli::error::CliError;
use crate::services::models::{ExpectedFile, Pull};
use crate::transport::{Transport, TransportError};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(15);

/// Times in a row that a download may break off without having brought anything.
const MAX_BARREN: u32 = 3;

/// Brings every file from below `base`.
pub(super) fn from_url(pull: &Pull, base: &str, bar: &ProgressBar) -> Result<(), CliError> {
    let base = base.trim_end_matches('/');
    actix_web::rt::System::new().block_on(async {
        let transport = Transport::new(CONNECT);
        let mut before = 0;
        for file in pull.files() {
            let url = format!("{base}/{}", file.name);
            let mut progress = |held| bar.set_position(before + held);
            fetch(&transport, pull, file, &url, &mut progress).await?;
            before += file.bytes;
        }
        Ok(())
    })
}

/// Brings one file, going on where a connection broke.
async fn fetch(
    transport: &Transport,
    pull: &Pull,
    file: &'static ExpectedFile,
    url: &str,
    progress: &mut impl FnMut(u64),
) -> Result<(), CliError> {
    let mut barren = 0;
    let mut held = pull.part(file).map_err(failed)?.held();
    while held < file.bytes {
        let before = held;
        let broke = match attempt(transport, pull, file, url, progress, &mut held).await {
            Ok(()) => None,
            Err(Stop::Final(error)) => return Err(error),
            Err(Stop::Broke(error)) => Some(error.to_string()),
        };
        barren = if held > before { 0 } else { barren + 1 };
        if barren == MAX_BARREN {
            let broke = broke.unwrap_or_else(|| "the server sends nothing".to_owned());
            return Err(CliError::failed(format!(
                "{url}: {broke}; what came so far is kept, run the command again to go on, or bring \
                 the files with --from (see --help)"
            )));
        }
    }
    let part = pull.part(file).map_err(failed)?;
    part.finish()
        .map_err(|error| CliError::failed(format!("{url}: {}", error.message)))
}

/// Why a download ended early.
enum Stop {
    Broke(TransportError),
    Final(CliError),
}

async fn attempt(
    transport: &Transport,
    pull: &Pull,
    file: &'static ExpectedFile,
    url: &str,
    progress: &mut impl FnMut(u64),
    held: &mut u64,
) -> Result<(), Stop> {
    let stop = |error| Stop::Final(failed(error));
    let mut part = pull.part(file).map_err(stop)?;
    *held = part.held();
    let asked = transport.download(url, part.held(), file.bytes).await;
    let mut download = asked.map_err(|error| match error {
        TransportError::BadCall(reason) => {
            Stop::Final(CliError::failed(format!("{url}: {reason}")))
        }
        error => Stop::Broke(error),
    })?;
    match download.stream.head().status {
        200 | 206 => {}
        status => {
            return Err(Stop::Final(CliError::failed(format!(
                "{url}: the server answers {status}; check the address, or bring the files with \
                 --from (see --help)"
            ))));
        }
    }
    if download.from < part.held() {
        part = pull.new_part(file).map_err(stop)?;
    }
    loop {
        *held = part.held();
        progress(*held);
        match download.stream.next().await.map_err(Stop::Broke)? {
            Some(bytes) => part.push(&bytes).map_err(|error| {
                Stop::Final(CliError::failed(format!("{url}: {}", error.message)))
            })?,
            None => return Ok(()),
        }
    }
}
