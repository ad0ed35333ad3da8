//! `boathouse bench`: loads a running server and measures it.

mod run;
mod told;
mod workload;

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;
use tokio::sync::watch;

use super::error::CliError;
use super::{client, output, server};
use crate::config::Overrides;
use run::{Measured, Plan, Shared, due_within, of_thread};
use told::Told;
use workload::{Load, Workload};

const EXAMPLES: &str = "Examples:
  boathouse bench embed                                    one known text, over 32 connections for 10 s
  boathouse bench embed --cold --connections 1,8,32,128    a line for each number of connections
  boathouse bench search --collection docs --rate 500,1000,2000
  boathouse bench chat --model extractive --collection docs --stream
  boathouse bench request POST /v1/validate email.json --json

Without --rate each connection sends its next request when it has its answer (closed loop): that finds the capacity.
With --rate requests fall due by the clock (open loop), and latency counts from then, waiting for a free connection
included: that tells what users of such a load would see. What fell due and could not be sent in the time is told.
What was answered within the time, divided by it, is answered/s. Plain http only: measure the server, not a proxy.
The tool computes too: on the server's machine it takes some of its cores. What is asked becomes evidence, as always.

Exit status: 0 measured, 1 nothing was answered, 2 wrong arguments.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    workload: Workload,
    /// Connections, each with one request in flight, 1 to 10000; several numbers are measured in turn
    #[arg(long, global = true, value_delimiter = ',', default_value = "32", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: Vec<u16>,
    /// Requests a second that fall due; several are measured in turn. Default: as many as are answered
    #[arg(long, global = true, value_delimiter = ',', value_name = "PER_SECOND", value_parser = rate)]
    rate: Vec<f64>,
    /// Time of a measurement, seconds
    #[arg(long, global = true, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Time before it that does not count, seconds
    #[arg(long, global = true, default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=3_600))]
    warm_up: u32,
    /// Longest wait for an answer, seconds
    #[arg(long, global = true, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    timeout: u32,
    /// Threads of the tool; default half of the cores
    #[arg(long, global = true, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Print one JSON document: counts, rates, latencies in milliseconds
    #[arg(long, global = true)]
    json: bool,
    /// The server; default: the one that has the folder of --data, or is at the address of the settings
    #[arg(long, global = true)]
    url: Option<String>,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        // Once a day and less is no load, and far less could not be counted in time.
        Ok(rate) if (1e-5..=1e7).contains(&rate) => Ok(rate),
        _ => Err("a number of requests a second, from 0.00001 to 10000000".to_owned()),
    }
}

/// Runs the command. Ctrl-C ends the measurement and tells what came until then.
pub(super) fn run(overrides: &Overrides, args: &BenchArgs) -> Result<(), CliError> {
    let base = server::running(overrides, args.url.as_deref())?;
    let (host, address) = resolve(&base)?;
    let load = args.workload.load()?;
    let (stop, stopped) = watch::channel(false);
    let system = actix_web::rt::System::new();
    if !args.json {
        output::say(format_args!(
            "{} at {base}, {} s after {} s of warm-up",
            load.name, args.seconds, args.warm_up
        ));
        told::say_head();
    }
    let rates: Vec<Option<f64>> = match args.rate.is_empty() {
        true => vec![None],
        false => args.rate.iter().copied().map(Some).collect(),
    };
    let mut runs = Vec::new();
    for connections in &args.connections {
        for rate in &rates {
            if *stopped.borrow() {
                break;
            }
            let connections = usize::from(*connections);
            let plan = Plan {
                address,
                host: &host,
                headers: &headers(),
                load: &load,
                connections,
                threads: threads(args.threads).min(connections),
                rate: *rate,
                warm_up: Duration::from_secs(args.warm_up.into()),
                time: Duration::from_secs(args.seconds.into()),
                timeout: Duration::from_secs(args.timeout.into()),
                run: now_ns(),
            };
            let measured = measure(&system, &plan, &stop, &stopped)?;
            let unsent = match rate {
                Some(rate) if !*stopped.borrow() => {
                    due_within(plan.warm_up + plan.time, *rate).saturating_sub(measured.sent)
                }
                _ => 0,
            };
            let told = Told {
                connections,
                rate: *rate,
                unsent,
                measured,
            };
            if !args.json {
                told.say(load.streamed);
            }
            runs.push(told);
        }
    }
    if args.json {
        output::say(document(&base, args, &load, &runs));
    }
    match runs.iter().any(|run| !run.measured.latency.is_empty()) {
        true => Ok(()),
        false => Err(CliError::failed("no request was answered with success")),
    }
}

fn document(base: &str, args: &BenchArgs, load: &Load, runs: &[Told]) -> serde_json::Value {
    let runs: Vec<_> = runs.iter().map(|run| run.json(load.streamed)).collect();
    json!({
        "load": load.name,
        "url": base,
        "boathouse": env!("CARGO_PKG_VERSION"),
        "warm_up_seconds": args.warm_up,
        "runs": runs,
    })
}

fn headers() -> Vec<(String, String)> {
    let kind = ("content-type".to_owned(), "application/json".to_owned());
    std::iter::once(kind)
        .chain(client::authorization())
        .collect()
}

fn threads(asked: Option<u16>) -> usize {
    asked.map_or_else(
        || std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1)),
        usize::from,
    )
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

/// The host that is asked for, and where it is.
fn resolve(base: &str) -> Result<(String, SocketAddr), CliError> {
    let wrong = || CliError::failed(format!("{base}: give http://HOST:PORT; plain http only"));
    let host = base.strip_prefix("http://").ok_or_else(wrong)?;
    let host = host.trim_end_matches('/');
    if host.contains(['/', '@', '?', '#']) {
        return Err(wrong());
    }
    let with_port = match host.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => host.to_owned(),
        _ => format!("{host}:80"),
    };
    let found = with_port.to_socket_addrs();
    let found = found.map_err(|error| CliError::failed(format!("{host}: {error}")))?;
    let first = found.into_iter().next().ok_or_else(wrong)?;
    Ok((host.to_owned(), first))
}

/// Runs the threads and, meanwhile, the bar and Ctrl-C.
fn measure(
    system: &actix_web::rt::SystemRunner,
    plan: &Plan<'_>,
    stop: &watch::Sender<bool>,
    stopped: &watch::Receiver<bool>,
) -> Result<Measured, CliError> {
    let shared = Shared::new(plan.threads, stopped.clone());
    std::thread::scope(|scope| {
        let shared = &shared;
        let threads: Vec<_> = (0..plan.threads)
            .map(|thread| scope.spawn(move || of_thread(plan, shared, thread)))
            .collect();
        let finished = || threads.iter().all(|thread| thread.is_finished());
        system.block_on(watched(plan, shared, stop, finished));
        let mut all: Option<Measured> = None;
        for thread in threads {
            let measured = thread
                .join()
                .map_err(|_| CliError::failed("a thread of the tool broke"))??;
            match &mut all {
                Some(all) => all.add(&measured),
                None => all = Some(measured),
            }
        }
        all.ok_or_else(|| CliError::failed("no thread ran"))
    })
}

/// Shows a bar until the threads have finished; Ctrl-C has them finish.
async fn watched(
    plan: &Plan<'_>,
    shared: &Shared,
    stop: &watch::Sender<bool>,
    finished: impl Fn() -> bool,
) {
    let seconds = (plan.warm_up + plan.time).as_secs();
    let bar = output::seconds_progress(seconds, "measuring");
    let started = Instant::now();
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let mut interrupted = false;
    while !finished() {
        tokio::select! {
            _ = &mut interrupt, if !interrupted => {
                interrupted = true;
                // The receiver is held by whoever called.
                let _ = stop.send(true);
            }
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        bar.set_position(started.elapsed().as_secs().min(seconds));
        bar.set_message(format!(
            "{} answers",
            shared.answers.load(Ordering::Relaxed)
        ));
    }
    bar.finish_and_clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_is_measured() {
        assert_eq!(
            resolve("http://127.0.0.1:8642/").unwrap(),
            (
                "127.0.0.1:8642".to_owned(),
                "127.0.0.1:8642".parse().unwrap()
            )
        );
        assert_eq!(resolve("http://127.0.0.1").unwrap().1.port(), 80);
        for wrong in [
            "https://127.0.0.1",
            "127.0.0.1:8642",
            "http://127.0.0.1/v1",
            "http://a@127.0.0.1",
        ] {
            let said = resolve(wrong).unwrap_err().to_string();
            assert!(said.contains("plain http only"), "{wrong}: {said}");
        }
    }

    #[test]
    fn rates_are_positive_numbers() {
        assert_eq!(rate("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "1e-300", "1e8", "much", "inf", "NaN"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
