//! What systemd is told, where it asks: `Type=notify`, and the watchdog. Nothing happens without `NOTIFY_SOCKET`.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::services::{Services, health};

/// The process serves.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The process drains.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

/// The settings are read again; [`ready`] follows.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "systemd is not told of the reload"),
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

/// How often the watchdog is to be told; `None`: there is none.
pub(super) fn watchdog_every() -> Option<Duration> {
    let limit = sd_notify::watchdog_enabled()?;
    Some((limit / 2).max(Duration::from_millis(1)))
}

/// Tells the watchdog that the caller's thread turns and the supervisors answer. When it is not told for the whole time
/// systemd kills the process and starts it anew.
pub(super) fn alive(services: &Services) {
    if health::health(services).live {
        tell(&[NotifyState::Watchdog]);
    } else {
        tracing::error!("the supervisors do not answer, the watchdog is not told");
    }
}
