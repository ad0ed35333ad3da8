//! `boathouse backup` and `boathouse restore`: everything that is kept, out and in.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Subcommand};
use indicatif::ProgressBar;

use super::client::Client;
use super::error::CliError;
use super::{output, privacy, serve, server};
use crate::app;
use crate::config::Overrides;
use crate::services::backup::{self, BackupInput, BackupManifest, Closed, Target};
use crate::services::{ServiceError, keys};
use crate::types::http::Method;
use crate::types::plain::counted;

const EXAMPLES: &str = "Examples:
  boathouse backup --to house.tar            of the running server, or of ./data when none runs
  boathouse backup --to /var/backups         a folder: the file is named by the time
  boathouse backup verify house.tar          check every sum in it
  boathouse restore house.tar --data /srv/house
  curl -o house.tar localhost:8642/v1/backup           the same without boathouse at hand

Collections, evidence, datasets and whatever else the data folder holds are in it; what is derived is not (the embedding cache,
the list of imported ids), nor are pulled models without --models, the settings, and rosters that they name. All that was
acknowledged before it began is in it. The server goes on meanwhile.

Exit status: 0 done and verified, 1 failed or stopped; nothing is left of it then.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct BackupArgs {
    #[command(subcommand)]
    command: Option<BackupCommand>,
    /// The file to write, or the folder to put it into; a file that is there is not replaced
    #[arg(long, value_name = "PATH", required = true)]
    to: Option<PathBuf>,
    /// Also the models that were pulled
    #[arg(long)]
    models: bool,
    /// Print its manifest as JSON
    #[arg(long)]
    json: bool,
    /// The server; default: the one that has the data folder, else the folder itself
    #[arg(long)]
    url: Option<String>,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    /// Read a backup and check every sum in it; changes nothing
    Verify {
        /// The backup
        file: PathBuf,
        /// Print its manifest as JSON
        #[arg(long)]
        json: bool,
    },
}

const RESTORE_EXAMPLES: &str = "Examples:
  boathouse restore house.tar --data /srv/house   into a folder that is empty or not there
  boathouse restore house.tar --json";

#[derive(Debug, Args)]
#[command(after_help = RESTORE_EXAMPLES)]
pub(super) struct RestoreArgs {
    /// The backup
    from: PathBuf,
    /// Print its manifest as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `boathouse backup`.
pub(super) fn run(overrides: &Overrides, args: &BackupArgs) -> Result<(), CliError> {
    actix_web::rt::System::new().block_on(async {
        if let Some(BackupCommand::Verify { file, json }) = &args.command {
            let manifest = verified(file).await?;
            return tell(&manifest, &format!("{} is whole", file.display()), *json);
        }
        let path = place(args.to.as_deref().unwrap_or(Path::new(".")))?;
        if args.url.is_none() {
            refuse_within(&path, &serve::settings(overrides)?.storage.data_dir)?;
        }
        let input = BackupInput {
            models: args.models,
        };
        let target = Target::create(&path).map_err(|error| failed(error.into()))?;
        let target = write(overrides, args.url.as_deref(), input, target).await?;
        // What is on the disk is what counts.
        let part = target.written().map_err(|error| failed(error.into()))?;
        let manifest = verified(part).await?;
        target.commit().map_err(|error| failed(error.into()))?;
        tell(
            &manifest,
            &format!("backup in {}", path.display()),
            args.json,
        )
    })
}

/// Runs `boathouse restore`.
pub(super) fn restore(overrides: &Overrides, args: &RestoreArgs) -> Result<(), CliError> {
    let storage = serve::settings(overrides)?.storage;
    privacy::keep(&storage)?;
    let data_dir = storage.data_dir;
    actix_web::rt::System::new().block_on(async {
        let (from, to) = (args.from.clone(), data_dir.clone());
        let bar = output::byte_progress(length(&from), "restored");
        let manifest = stoppable(bar, move |go_on| backup::restore(&from, &to, go_on)).await?;
        let done = format!("restored into {}", data_dir.display());
        tell(&manifest, &done, args.json)?;
        tell_keys(&data_dir)
    })
}

/// Says which keys are good now: those that were revoked after the backup are so again.
fn tell_keys(data_dir: &Path) -> Result<(), CliError> {
    let keys = keys::list(data_dir).map_err(failed)?;
    let good = keys.iter().filter(|key| key.state == "good");
    let good: Vec<String> = good
        .map(|key| format!("{} ({})", key.name, key.id))
        .collect();
    if !good.is_empty() {
        let good = good.join(", ");
        output::note(format_args!("  good API keys, as they were then: {good}"));
    }
    Ok(())
}

/// Where the backup goes: in a folder it is named by the time.
fn place(to: &Path) -> Result<PathBuf, CliError> {
    if !to.is_dir() {
        return Ok(to.to_owned());
    }
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    // Two in a second do not meet.
    let names = (1..).map(|number| match number {
        1 => format!("boathouse-{now}.tar"),
        more => format!("boathouse-{now}-{more}.tar"),
    });
    let mut paths = names.map(|name| to.join(name));
    paths
        .find(|path| !path.exists())
        .ok_or_else(|| CliError::failed("no name is free"))
}

/// Refuses a backup that would lie in what it is a backup of.
fn refuse_within(path: &Path, data_dir: &Path) -> Result<(), CliError> {
    let folder = path.parent().filter(|one| !one.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize();
    // What is not there is told where it is used.
    let (Ok(folder), Ok(data)) = (folder, data_dir.canonicalize()) else {
        return Ok(());
    };
    if folder.starts_with(&data) {
        return Err(CliError::failed(format!(
            "{} is in the data folder {}, and would be lost with it; name another folder with --to",
            path.display(),
            data_dir.display()
        )));
    }
    Ok(())
}

/// Fills the file: from the data folder where nobody has it, from the server where it does.
async fn write(
    overrides: &Overrides,
    url: Option<&str>,
    input: BackupInput,
    mut target: Target,
) -> Result<Target, CliError> {
    let url = match url {
        Some(url) => url.to_owned(),
        None => {
            let data_dir = serve::settings(overrides)?.storage.data_dir;
            if let Some(closed) = Closed::open(&data_dir).map_err(failed)? {
                return write_closed(closed, input, target).await;
            }
            // The address of the settings may be another server's.
            server::url_of(holder(&data_dir)?)
        }
    };
    let client = Client::new(url);
    let path = format!("/v1/backup?models={}", input.models);
    let mut stream = client.stream(Method::Get, &path, None).await?;
    let about = stream.head().header("x-boathouse-bytes-about");
    let about = about.and_then(|about| about.parse().ok()).unwrap_or(0);
    let bar = output::byte_progress(about, "backed up");
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    loop {
        let piece = tokio::select! {
            // First, so that it is listened for before anything is there to clear up.
            biased;
            _ = &mut interrupted => return Err(failed(backup::stopped())),
            piece = stream.next() => piece,
        };
        let piece = piece.map_err(|error| {
            CliError::failed(format!(
                "the backup broke off: {error}; the server's log says why"
            ))
        })?;
        let Some(piece) = piece else {
            break;
        };
        bar.inc(piece.len() as u64);
        target.write(&piece).map_err(|error| failed(error.into()))?;
    }
    bar.finish_and_clear();
    Ok(target)
}

/// The same from a data folder that nobody has.
async fn write_closed(
    closed: Closed,
    input: BackupInput,
    mut target: Target,
) -> Result<Target, CliError> {
    let bar = output::byte_progress(closed.bytes_about(&input), "backed up");
    stoppable(bar, move |go_on| {
        closed.back_up(&input, |piece| match go_on(piece.len() as u64) {
            true => target.write(piece).map_err(ServiceError::from),
            false => Err(backup::stopped()),
        })?;
        Ok(target)
    })
    .await
}

/// Where the server listens that has a data folder.
fn holder(data_dir: &Path) -> Result<SocketAddr, CliError> {
    app::served_at(data_dir).ok_or_else(|| {
        CliError::failed(format!(
            "a command has the data folder {} open, or a server that does not serve yet; try again",
            data_dir.display()
        ))
    })
}

async fn verified(path: &Path) -> Result<BackupManifest, CliError> {
    let bar = output::byte_progress(length(path), "verified");
    let path = path.to_owned();
    stoppable(bar, move |go_on| backup::verify(&path, go_on)).await
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

/// Does work that blocks and hears of Ctrl-C, which ends it where it can clear up after itself.
async fn stoppable<T: Send + 'static>(
    bar: ProgressBar,
    work: impl FnOnce(&mut dyn FnMut(u64) -> bool) -> Result<T, ServiceError> + Send + 'static,
) -> Result<T, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    let (told, shown) = (Arc::clone(&stop), bar.clone());
    let mut working = tokio::task::spawn_blocking(move || {
        work(&mut |bytes| {
            shown.inc(bytes);
            !told.load(Ordering::Relaxed)
        })
    });
    let done = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => {
            stop.store(true, Ordering::Relaxed);
            working.await
        }
        done = &mut working => done,
    };
    bar.finish_and_clear();
    done.map_err(|error| CliError::failed(error.to_string()))?
        .map_err(failed)
}

fn failed(error: ServiceError) -> CliError {
    CliError::failed(error.message)
}

/// Says what is in a backup.
fn tell(manifest: &BackupManifest, done: &str, json: bool) -> Result<(), CliError> {
    if json {
        return output::say_json(manifest);
    }
    let journal = match &manifest.journal {
        Some(head) => format!("evidence up to record {} ({})", head.seq, head.hash),
        None => "no evidence".to_owned(),
    };
    let began = i64::try_from(manifest.began_ms).ok();
    let began = began.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    output::say(format_args!(
        "{done}: {}, {}, of boathouse {} at {}",
        counted(manifest.files.len(), "file"),
        counted(manifest.bytes(), "byte"),
        manifest.boathouse,
        began.map_or_else(String::new, |began| began.to_string()),
    ));
    let collections = match manifest.collections.len() {
        0 => "none".to_owned(),
        count => format!("{count} ({})", manifest.collections.join(", ")),
    };
    output::say(format_args!("  collections: {collections}"));
    output::say(format_args!("  {journal}"));
    for warning in &manifest.warnings {
        output::note(format_args!("  warning: {warning}"));
    }
    Ok(())
}
