//! The spool's directories and those of the credentials, watched.
//!
//! What it gives: an event for each record or report that appears, for a queue
//! of the kernel that overflowed, and for credentials that may be others now.
//! What it trusts: names only, and only exactly the spool's own. It waits in
//! read(2) without a timeout: nothing happens while nothing happens. A minimal
//! record comes by linkat (IN_CREATE), its full one by rename (IN_MOVED_TO):
//! which of the two it was is told, so that a crash is read once.

use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crossbeam_channel::Sender;
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use super::event::Event;
use crate::spool::{Item, Kind, RecordId, Spool, State};

/// What a descriptor watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Spool { private: bool },
    Credentials,
}

/// The watcher, before it has its own thread.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Inotify,
    places: HashMap<WatchDescriptor, Place>,
}

impl Watch {
    /// Watches the spool, its private part only when that may leave.
    pub(super) fn new(spool: &Spool, private: bool, credentials: &[PathBuf]) -> Result<Watch, Errno> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
        let mut places = HashMap::new();
        let parts = if private { 2 } else { 1 };
        for (n, directory) in spool.directories().take(parts).enumerate() {
            // The directory that was opened, whatever its path means by now.
            let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
            let mask = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR;
            let watched = inotify.add_watch(path.as_str(), mask)?;
            places.insert(watched, Place::Spool { private: n == 1 });
        }
        for directory in credentials {
            let mask = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE;
            // In the spool's own directory this replaces a mask by a wider one.
            if let Ok(watched) = inotify.add_watch(directory, mask) {
                places.entry(watched).or_insert(Place::Credentials);
            }
        }
        Ok(Watch { inotify, places })
    }

    /// Tells of everything until nobody listens.
    pub(super) fn run(self, events: &Sender<Event>) {
        loop {
            match self.inotify.read_events() {
                Ok(batch) => {
                    let mut told = batch.iter().filter_map(|event| self.meaning(event)).collect::<Vec<_>>();
                    told.dedup_by(|a, b| matches!((a, b), (Event::Credentials, Event::Credentials)));
                    if told.into_iter().any(|event| events.send(event).is_err()) {
                        return;
                    }
                }
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    tracing::error!("inotify: {errno}; the spool is only looked at every ten minutes now");
                    return;
                }
            }
        }
    }

    fn meaning(&self, event: &InotifyEvent) -> Option<Event> {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return Some(Event::Overflow);
        }
        match self.places.get(&event.wd)? {
            Place::Credentials => Some(Event::Credentials),
            Place::Spool { private } => {
                let item = item(event.name.as_ref()?.as_bytes(), *private)?;
                let linked = event.mask.contains(AddWatchFlags::IN_CREATE);
                Some(Event::Appeared { item, minimal: linked && item.kind == Kind::Crash })
            }
        }
    }
}

/// The pending item of a name.
fn item(name: &[u8], private: bool) -> Option<Item> {
    let (digits, kind) = match name.strip_suffix(b".rec") {
        Some(digits) => (digits, Kind::Crash),
        None => (name.strip_suffix(b".exp")?, Kind::Exposure),
    };
    Some(Item { id: RecordId::from_hex(digits)?, private, kind, state: State::Pending, full: false })
}
