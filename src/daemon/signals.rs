//! SIGTERM, SIGINT and SIGHUP become events; a thread waits for them.

use crossbeam_channel::Sender;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::event::Event;
use super::start::{Failure, thread};

/// Starts to listen.
pub(super) fn listen(events: &Sender<Event>) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])
        .map_err(|error| Failure::Cannot(format!("signals cannot be handled: {error}")))?;
    let events = events.clone();
    thread("signals", move || {
        for signal in signals.forever() {
            let event = if signal == SIGHUP { Event::Reload } else { Event::Stop };
            if events.send(event).is_err() {
                return;
            }
        }
    })
}
