//! What the threads of the daemon tell its main loop.

use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::queue::Hold;
use super::status::Status;
use crate::forward::Trouble;
use crate::spool::{Item, SpoolError};
use crate::storm::Watched;

/// Something happened.
#[derive(Debug)]
pub(super) enum Event {
    /// A file has a pending name now.
    Appeared {
        /// Which.
        item: Item,
        /// Its full record is still to come.
        minimal: bool,
    },
    /// Names were lost on the way: look at the whole spool.
    Overflow,
    /// Files of credentials may be others now.
    Credentials,
    /// A batch has come back.
    Returned(Box<Report>),
    /// Crashes for which no handler began, counted anew; nothing is known any more.
    Dropped {
        /// The numbers.
        known: Option<Watched>,
        /// They are lower bounds for good.
        missed: bool,
    },
    /// Somebody asks on the socket.
    Asked(Request, Sender<Reply>),
    /// SIGHUP.
    Reload,
    /// SIGTERM, SIGINT.
    Stop,
}

/// What may be asked on the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// How things are.
    Status,
    /// Try now, whatever the pace says.
    Flush,
    /// Refused items are pending again.
    Retry,
    /// OpenMetrics.
    Metrics,
}

/// What is answered.
#[derive(Debug)]
pub(super) enum Reply {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To everything else.
    Text(String),
}

/// What became of one item of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// The collector has it, and its name says so.
    Sent {
        /// It had it before.
        duplicate: bool,
    },
    /// The collector will never take it.
    Refused(String),
    /// It is to be sent again.
    Again,
    /// It is minimal; how long the full one may still take.
    Young(Duration),
    /// It has to stay here; why, in words.
    Held(Hold, String),
    /// It was removed.
    Gone,
}

/// What became of a batch.
#[derive(Debug)]
pub(super) struct Report {
    /// When it began.
    pub(super) began: Instant,
    /// The name under which this host spoke.
    pub(super) name: String,
    /// Each of its items, once; those that were sent, as they were read.
    pub(super) items: Vec<(Item, Came)>,
    /// Whether anything was posted at all.
    pub(super) posted: bool,
    /// Bytes that went over a connection, compressed.
    pub(super) bytes: u64,
    /// Requests that did.
    pub(super) requests: u64,
    /// Why something has to be sent again.
    pub(super) trouble: Option<Trouble>,
    /// How long the collector asks us to wait.
    pub(super) retry_after: Option<Duration>,
    /// Seconds that this host's clock is ahead of the collector's.
    pub(super) ahead: Option<i64>,
    /// The spool could not note what the collector has.
    pub(super) unmarked: Option<SpoolError>,
}
