//! Which cores a process may use.

use std::process::{Command, Stdio};

/// Cores by their numbers, such as `0-3`.
pub(crate) fn numbered(first: usize, count: usize) -> String {
    format!("{first}-{}", first + count - 1)
}

/// The same command, on these cores only.
pub(crate) fn pinned(command: &Command, cores: &str) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", cores]).arg(command.get_program());
    pinned.args(command.get_args());
    for (key, value) in command.get_envs() {
        pinned.env(key, value.unwrap_or_default());
    }
    if let Some(folder) = command.get_current_dir() {
        pinned.current_dir(folder);
    }
    pinned
}

/// Keeps this thread, and those and the processes that it starts from now on, to these cores.
pub(crate) fn pin_self(cores: &str) {
    let id = std::process::id().to_string();
    let mut command = Command::new("taskset");
    let done = command.args(["-pc", cores, &id]).stdout(Stdio::null());
    assert!(
        done.status().is_ok_and(|status| status.success()),
        "taskset, of util-linux"
    );
}
