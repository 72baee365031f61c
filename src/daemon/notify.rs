//! What the service manager is told; nothing at all without one.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

fn tell(states: &[NotifyState<'_>]) {
    // Without NOTIFY_SOCKET this does nothing; a manager that went away is no
    // reason to stop.
    let _ = sd_notify::notify(states);
}

/// The spool is claimed and watched.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// One line for `systemctl status`.
pub(super) fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

/// SIGHUP came.
pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// SIGTERM came.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("ending after the request in flight")]);
}

/// The watchdog, where the unit asks for one: the only regular timer.
#[derive(Debug)]
pub(super) struct Watchdog {
    every: Option<Duration>,
    next: Instant,
}

impl Watchdog {
    /// By WATCHDOG_USEC of the environment.
    pub(super) fn new(now: Instant) -> Watchdog {
        let every = sd_notify::watchdog_enabled().and_then(|timeout| timeout.checked_div(2));
        Watchdog { every: every.filter(|every| !every.is_zero()), next: now }
    }

    /// Tells the manager that the main loop turns, when that is due.
    pub(super) fn pat(&mut self, now: Instant) {
        if let Some(every) = self.every.filter(|_| now >= self.next) {
            tell(&[NotifyState::Watchdog]);
            self.next = now.checked_add(every).unwrap_or(now);
        }
    }

    /// When it is due next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.every.map(|_| self.next)
    }
}
