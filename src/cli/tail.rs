//! `epicore tail` — the newest crashes, and with `-f` each further one as it
//! comes.
//!
//! ```console
//! $ epicore tail -f --unit 'web*'
//! TIME                 ID        SIGNAL   PROGRAM  UNIT         HOST    WHERE            KEY
//! 2026-11-22 14:05:09  41f7a2c3  SIGSEGV  server   web.service  web-12  server+0x4134    9c1185a5
//! ```
//!
//! Here, the kernel tells when a record appears (inotify); of a fleet
//! (`--remote`, `--fleet`), the collector holds its answer back until there is
//! something. A record appears when it is complete, which is milliseconds
//! after the crash. Interrupt ends it. `--json` prints one object a line.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Zoned;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::fd::AsFd;

use super::arguments::Common;
use super::failure::{Failure, Outcome};
use super::filter::{Filter, Typed};
use super::list;
use super::output::Output;
use super::records::{Records, tell_damage};
use super::remote::Remote;
use crate::record::{Kind, Record};
use crate::report::table::Table;
use crate::spool::{PRIVATE, RecordId};
use crate::wire::api::{Page, Summary};

/// What was typed.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    filter: Typed,
    /// So many crashes of the past first
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    number: usize,
    /// Go on with each further crash
    #[arg(short, long)]
    follow: bool,
}

impl Arguments {
    /// One for all that will come.
    fn table(&self) -> Table {
        if self.follow { Table::following() } else { Table::new() }
    }
}

/// A minimal record that stays minimal is shown after this.
const COMPLETE: Duration = Duration::from_secs(15);
/// Seconds that the collector may hold an answer back.
const HOLD: &str = "55";
/// Between two attempts to reach a collector that does not answer.
const AGAIN: Duration = Duration::from_secs(5);

/// Prints the newest, then follows.
pub(super) fn run(arguments: &Arguments, common: &Common, out: &mut Output) -> Outcome {
    let filter = Filter::understand(&arguments.filter, &Zoned::now().with_time_zone(out.zone.clone()))?;
    match Remote::of(common)? {
        Some(remote) => fleet(&remote, &filter, arguments, out),
        None => here(common, &filter, arguments, out),
    }
}

fn here(common: &Common, filter: &Filter, arguments: &Arguments, out: &mut Output) -> Outcome {
    let settings = common.settings()?;
    let path = settings.spool_directory();
    let records = Records::open(path)?;
    // Watched before it is listed: nothing falls between.
    let watch = Inotify::init(InitFlags::IN_CLOEXEC).map_err(|errno| cannot_watch(path, errno))?;
    let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
    watch.add_watch(path, flags).map_err(|errno| cannot_watch(path, errno))?;
    let _ = watch.add_watch(&path.join(PRIVATE), flags);

    let mut seen = BTreeSet::new();
    let mut past = Vec::new();
    for entry in records.list()?.entries.iter().rev() {
        if past.len() >= arguments.number {
            seen.insert(entry.id);
            continue;
        }
        if let Ok(Some(record)) = records.read(entry)
            && seen.insert(entry.id)
            && filter.accepts(&record)
        {
            past.push(record);
        }
    }
    past.reverse();
    let mut table = arguments.table();
    show(&past, &mut table, out)?;
    if !arguments.follow {
        return Ok(());
    }
    let mut unfinished = Vec::new();
    loop {
        wait(&watch, !unfinished.is_empty())?;
        let fresh = fresh(&records, &mut seen, &mut unfinished)?;
        let fresh: Vec<Record> = fresh.into_iter().filter(|record| filter.accepts(record)).collect();
        show(&fresh, &mut table, out)?;
    }
}

/// Waits for the spool to change; a second at most while a record is minimal.
fn wait(watch: &Inotify, unfinished: bool) -> Outcome {
    let timeout = if unfinished { PollTimeout::from(1000u16) } else { PollTimeout::NONE };
    match poll(&mut [PollFd::new(watch.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(0) | Err(Errno::EINTR) => Ok(()),
        // Which names changed does not matter: the listing knows.
        Ok(_) => watch.read_events().map(drop).map_err(|errno| Failure::new(format!("inotify: {errno}"), "")),
        Err(errno) => Err(Failure::new(format!("poll: {errno}"), "")),
    }
}

/// Records that were not there before and are complete, or will not be.
fn fresh(
    records: &Records,
    seen: &mut BTreeSet<RecordId>,
    unfinished: &mut Vec<(RecordId, Instant)>,
) -> Result<Vec<Record>, Failure> {
    let mut found = Vec::new();
    let mut damaged = Vec::new();
    for entry in records.list()?.entries {
        if seen.contains(&entry.id) {
            continue;
        }
        match records.read(&entry) {
            Ok(Some(record)) if record.kind == Kind::Minimal && !is_late(unfinished, entry.id) => continue,
            Ok(Some(record)) => found.push(record),
            Ok(None) => {}
            Err(why) => damaged.push((entry.id.to_string(), why)),
        }
        unfinished.retain(|(id, _)| *id != entry.id);
        seen.insert(entry.id);
    }
    tell_damage(&damaged);
    Ok(found)
}

/// Remembers when a minimal record was first seen; true when that is long ago.
fn is_late(unfinished: &mut Vec<(RecordId, Instant)>, id: RecordId) -> bool {
    match unfinished.iter().find(|(known, _)| *known == id) {
        Some((_, since)) => since.elapsed() > COMPLETE,
        None => {
            unfinished.push((id, Instant::now()));
            false
        }
    }
}

fn show(records: &[Record], table: &mut Table, out: &mut Output) -> Outcome {
    if records.is_empty() {
        return out.flush();
    }
    let ids: Vec<String> = records.iter().map(|record| record.id.hex()).collect();
    list::print(records, &ids, &[], table, out)?;
    out.flush()
}

fn fleet(remote: &Remote, filter: &Filter, arguments: &Arguments, out: &mut Output) -> Outcome {
    let mut query = filter.query();
    query.push(("order", "newest".to_owned()));
    query.push(("limit", arguments.number.clamp(1, 1000).to_string()));
    let mut page: Page = remote.get("/v1/records", &query)?;
    page.records.truncate(arguments.number);
    page.records.reverse();
    let mut after = newest(&page.records).unwrap_or(0);
    if after == 0 {
        // Nothing matched; what is there already is the past all the same.
        let any = [("order", "newest".to_owned()), ("limit", "1".to_owned())];
        after = newest(&remote.get::<Page>("/v1/records", &any)?.records).unwrap_or(0);
    }
    let mut table = arguments.table();
    list::summaries(&page.records, &mut table, out)?;
    out.flush()?;
    if !arguments.follow {
        return Ok(());
    }
    loop {
        let mut query = filter.query();
        let further = [("order", "oldest"), ("wait", HOLD), ("limit", "1000")];
        query.extend(further.map(|(name, value)| (name, value.to_owned())));
        query.push(("after", after.to_string()));
        match remote.get::<Page>("/v1/records", &query) {
            Ok(page) => {
                after = newest(&page.records).unwrap_or(after).max(after);
                list::summaries(&page.records, &mut table, out)?;
                out.flush()?;
            }
            Err(failure) => {
                // An outage is told and waited for: nobody restarts a `tail`.
                super::failure::tell(failure);
                std::thread::sleep(AGAIN);
            }
        }
    }
}

fn newest(records: &[Summary]) -> Option<u64> {
    records.iter().map(|summary| summary.seq).max()
}

fn cannot_watch(path: &std::path::Path, errno: Errno) -> Failure {
    let next = match errno {
        Errno::EMFILE | Errno::ENOSPC => "Raise fs.inotify.max_user_instances or max_user_watches.",
        _ => "`epicore doctor` looks at the spool.",
    };
    Failure::new(format!("{}: cannot be watched: {}", path.display(), errno.desc()), next)
}
