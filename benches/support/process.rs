//! Servers as child processes, and what the system says about them.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The release build of Boathouse, with `settings` over its defaults and its data in `folder`, whose `boathouse.toml` it
/// reads if there is one.
pub(crate) fn boathouse(folder: &Path, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_boathouse"));
    command
        .args(["serve", "--port", "0", "--data"])
        .arg(folder.join("data"))
        .current_dir(folder)
        .env("BOATHOUSE__LOG__FILTER", "warn");
    for (key, value) in settings {
        command.env(format!("BOATHOUSE__{key}"), value);
    }
    command
}

/// A server on a free port of loopback; ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server that prints a line with `http://ADDRESS` when it is ready.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = output.lines().map(Result::unwrap);
        let line = lines.find(|line| line.contains("http://")).unwrap();
        let (_, rest) = line.split_once("http://").unwrap();
        let address = rest.split([' ', '/']).next().unwrap().parse().unwrap();
        // Who prints later must not meet a closed pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self::of(child, address)
    }

    /// A child that listens there.
    pub(crate) fn of(child: Child, address: SocketAddr) -> Self {
        Self { child, address }
    }

    /// Microseconds that it has computed so far, also on threads that have ended; to ten milliseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        // After the name, which may hold anything but a line's end: the 14th and 15th field, in ticks of 1/100 s.
        let (_, rest) = stat.rsplit_once(')').unwrap_or_default();
        let ticks: Vec<f64> = rest
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse().ok())
            .collect();
        match ticks[..] {
            [user, system] => (user + system) * 10_000.0,
            _ => f64::NAN,
        }
    }

    /// See [`memory_mb`].
    pub(crate) fn memory_mb(&self, name: &str) -> f64 {
        memory_mb(self.child.id(), name)
    }
}

/// A line of `/proc/PID/status` in MB, such as `VmRSS`.
pub(crate) fn memory_mb(id: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let found = status.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?.strip_prefix(':')?;
        rest.trim().strip_suffix(" kB")?.parse::<f64>().ok()
    });
    found.unwrap_or(f64::NAN) * 1_024.0 / 1e6
}

impl Server {
    /// Asks it to end, and waits until it has drained.
    pub(crate) fn stop(mut self) {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").arg(&id).status();
        assert!(asked.is_ok_and(|status| status.success()));
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
