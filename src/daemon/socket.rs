//! The socket of `epicore status`: one line in, one answer out.
//!
//! ```text
//! "status"   one line of JSON (Status)      "flush"   try now
//! "metrics"  OpenMetrics                    "retry"   refused items again (root, owner)
//! ```
//!
//! What it gives: [`Listener`], served by one thread that waits in accept(2);
//! [`ask`] and [`ask_status`] for the command line. What it trusts: the file's
//! mode (0660, the spool's group) says who may ask, SO_PEERCRED who it was. One
//! caller at a time, two seconds each. Limits: [`LINE`] bytes of a request,
//! [`ANSWER`] of an answer.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Gid, chown};

use super::event::{Event, Reply, Request};
use super::status::{Refusal, Status, Tally};
use crate::forward::plain;
use crate::spool::{Counts, Reader, Spool};

/// Bytes of a request: the longest word and a newline, generously.
const LINE: usize = 64;
/// Bytes of an answer that a caller reads.
const ANSWER: u64 = 4 << 20;
/// How long one caller may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the main loop may take: it may be waiting for a slow disk.
const LOOP: Duration = Duration::from_secs(10);
/// Refusals that are shown.
const REFUSALS: usize = 20;
/// Characters of a reason that are shown.
const REASON: usize = 200;

/// Why the daemon could not be asked.
#[derive(Debug)]
pub enum AskError {
    /// Nothing answers there: it does not run, or its socket is elsewhere.
    NotThere(std::io::Error),
    /// The socket may not be used by this user.
    Denied,
    /// It answered late, or in a way that is not understood.
    Garbled(String),
    /// It refuses, in its words.
    Refused(String),
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AskError::NotThere(error) => write!(f, "epicored does not answer: {error}"),
            AskError::Denied => f.write_str("epicored's socket is for root and the spool's group"),
            AskError::Garbled(why) => write!(f, "epicored's answer is not understood: {why}"),
            AskError::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for AskError {}

/// Asks the daemon at `socket` one word ("flush", "retry", "metrics").
pub fn ask(socket: &Path, word: &str) -> Result<String, AskError> {
    let broken = |error: std::io::Error| AskError::Garbled(error.to_string());
    let mut stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => AskError::Denied,
        _ => AskError::NotThere(error),
    })?;
    stream.set_read_timeout(Some(LOOP.saturating_add(PATIENCE))).map_err(broken)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(broken)?;
    stream.write_all(format!("{word}\n").as_bytes()).map_err(broken)?;
    let mut answer = String::new();
    stream.take(ANSWER).read_to_string(&mut answer).map_err(broken)?;
    match answer.strip_prefix("error: ") {
        Some(why) => Err(AskError::Refused(plain(why.trim_end(), REASON))),
        None => Ok(answer),
    }
}

/// Asks the daemon at `socket` how it is.
pub fn ask_status(socket: &Path) -> Result<Status, AskError> {
    let answer = ask(socket, "status")?;
    serde_json::from_str(&answer).map_err(|error| AskError::Garbled(error.to_string()))
}

/// Which file the socket is: device and inode. While it is open, no other file
/// is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound(u64, u64);

impl Bound {
    fn of(path: &Path) -> Option<Bound> {
        std::fs::symlink_metadata(path).ok().map(|meta| Bound(meta.dev(), meta.ino()))
    }

    /// Removes it, unless the name is another's by now.
    pub(super) fn remove(self, path: &Path) {
        if Bound::of(path) == Some(self) {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The socket, before it has its own thread.
#[derive(Debug)]
pub(super) struct Listener {
    listener: UnixListener,
    /// Its file.
    pub(super) bound: Option<Bound>,
    reader: Reader,
    owner: u32,
    private: bool,
}

impl Listener {
    /// Makes the socket. One that nobody answers is somebody's who died, and is
    /// replaced.
    pub(super) fn bind(path: &Path, spool: &Spool, private: bool) -> Result<Listener, String> {
        let told = |error: std::io::Error| format!("{}: {error}", path.display());
        if UnixStream::connect(path).is_ok() {
            return Err(format!("{}: another epicored answers there", path.display()));
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(told)?;
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(told(error)),
            _ => {}
        }
        let listener = UnixListener::bind(path).map_err(told)?;
        let bound = Bound::of(path);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(told)?;
        let (owner, group) = spool.owner();
        // Under the unit it has this group already, and chown(2) is forbidden.
        let has = std::fs::symlink_metadata(path).is_ok_and(|made| made.gid() == group);
        if !has && chown(path, None, Some(Gid::from_raw(group))).is_err() {
            tracing::warn!("{}: only this user may ask; it is not in the spool's group", path.display());
        }
        let reader = Reader::of(spool).map_err(|error| error.to_string())?;
        Ok(Listener { listener, bound, reader, owner, private })
    }

    /// Answers until nobody listens.
    pub(super) fn run(self, events: &Sender<Event>) {
        for stream in self.listener.incoming() {
            match stream {
                // A caller that hangs up or dawdles is its own problem.
                Ok(stream) => drop(self.serve(stream, events)),
                // Out of descriptors: do not spin.
                Err(_) => std::thread::sleep(Duration::from_secs(1)),
            }
        }
    }

    fn serve(&self, mut stream: UnixStream, events: &Sender<Event>) -> std::io::Result<()> {
        stream.set_write_timeout(Some(PATIENCE))?;
        let uid = getsockopt(&stream, PeerCredentials).map(|peer| peer.uid()).unwrap_or(u32::MAX);
        let line = read_line(&mut stream)?;
        let answer = match request(&line) {
            Some(Request::Retry) if uid != 0 && uid != self.owner => {
                "error: only root and the spool's owner may send refused items again\n".into()
            }
            Some(request) => {
                if matches!(request, Request::Flush | Request::Retry) {
                    tracing::info!("{line}, asked by user {uid}");
                }
                self.answer(request, events)
            }
            None => "error: one of: status, flush, retry, metrics\n".into(),
        };
        stream.write_all(answer.as_bytes())
    }

    fn answer(&self, request: Request, events: &Sender<Event>) -> String {
        let (sender, receiver) = bounded(1);
        let busy = || "error: epicored is busy with its disk; ask again\n".to_owned();
        if events.send(Event::Asked(request, sender)).is_err() {
            return "error: epicored is ending\n".into();
        }
        match receiver.recv_timeout(LOOP) {
            Ok(Reply::Text(text)) => text,
            Ok(Reply::Status(status)) => match serde_json::to_string(&self.counted(*status)) {
                Ok(json) => json + "\n",
                Err(_) => busy(),
            },
            Err(_) => busy(),
        }
    }

    /// Adds what the directory says, which is nobody's memory.
    fn counted(&self, mut status: Status) -> Status {
        let mut private = 0u64;
        let found = self.reader.pending_of(0, &mut |item| {
            private = private.saturating_add(u64::from(item.private));
            true
        });
        match found {
            Ok(found) => {
                status.crashes = tally(found.totals.crashes);
                status.exposures = tally(found.totals.exposures);
                status.strangers = found.totals.strangers;
                if !self.private {
                    status.held.private = status.held.private.saturating_add(private);
                }
            }
            Err(error) => status.warnings.push(format!("the spool cannot be listed: {error}")),
        }
        status.evicted = self.reader.evicted();
        let refusals = self.reader.refusals();
        let old = refusals.len().saturating_sub(REFUSALS);
        let shown = refusals.into_iter().skip(old);
        status.refusals =
            shown.map(|(id, why)| Refusal { id: id.to_string(), why: plain(&why, REASON) }).collect();
        status
    }
}

fn tally(counts: Counts) -> Tally {
    Tally { pending: counts.pending, sent: counts.sent, refused: counts.refused }
}

fn request(line: &str) -> Option<Request> {
    Some(match line {
        "status" => Request::Status,
        "flush" => Request::Flush,
        "retry" => Request::Retry,
        "metrics" => Request::Metrics,
        _ => return None,
    })
}

/// One line, in the time that one caller has for all of it.
fn read_line(stream: &mut UnixStream) -> std::io::Result<String> {
    let until = Instant::now().checked_add(PATIENCE);
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LINE {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let left = left.filter(|left| !left.is_zero()).ok_or(std::io::ErrorKind::TimedOut)?;
        stream.set_read_timeout(Some(left))?;
        if stream.read(&mut byte)? == 0 || byte == *b"\n" {
            break;
        }
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).trim().to_owned())
}
