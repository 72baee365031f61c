//! Moving the WAL into the file, beside the writer.
//!
//! A checkpoint reads and writes about as many pages as the commits before it,
//! and SQLite has the writer do it. Another connection can do the same while
//! the writer goes on (a PASSIVE checkpoint waits for nobody), but the WAL only
//! begins anew when nothing in it is left to move, which is never while somebody
//! writes. So, by the length of the WAL:
//!
//! ```text
//! every `step` pages   a thread moves what is there; the writer goes on
//! from LAST steps on   the writer moves the rest after each commit, until it
//!                      is all moved: its next commit begins the WAL anew
//! ```
//!
//! Errors are left to the next commit, as SQLite leaves them: a checkpoint that
//! fails loses nothing, and a full disk is told by what cannot be written.

use std::path::Path;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::Connection;
use rusqlite::hooks::Wal;

use super::fault::{io, sort};
use super::{Options, open};
use crate::store::StoreError;

/// Steps after which the writer takes over.
const LAST: i32 = 4;

/// The thread that moves pages.
#[derive(Debug)]
pub(super) struct Checkpoints(JoinHandle<()>);

impl Checkpoints {
    /// Takes the place of the writer's own automatic checkpoints.
    pub(super) fn of(
        writer: &mut Connection,
        path: &Path,
        options: &Options,
    ) -> Result<Checkpoints, StoreError> {
        let connection = open::mover(path, options)?;
        let (wake, due) = bounded(1);
        let thread = std::thread::Builder::new()
            .name("store-mover".to_owned())
            .spawn(move || run(&connection, &due))
            .map_err(|error| io("the thread that moves the WAL", &error))?;
        let step = i32::try_from(options.checkpoint_pages).unwrap_or(i32::MAX).max(1);
        writer.wal_hook(Some(hook(step, wake))).map_err(sort)?;
        Ok(Checkpoints(thread))
    }

    /// Ends the thread; the writer's connection moves nothing any more.
    pub(super) fn end(self, writer: &mut Connection) {
        let _ = writer.wal_hook(None::<fn(&mut Wal, i32) -> rusqlite::Result<()>>);
        let _ = self.0.join();
    }
}

/// What happens after each commit, which left `pages` pages in the WAL.
fn hook(step: i32, wake: Sender<()>) -> impl FnMut(&mut Wal, i32) -> rusqlite::Result<()> + Send {
    let mut told = 0;
    move |wal, pages| {
        if pages < told {
            told = 0;
        }
        if pages >= step.saturating_mul(LAST) {
            // Refused while the thread is at it: the thread is not woken again,
            // so that one of the next commits is not refused.
            let _ = wal.checkpoint();
        } else if pages.saturating_sub(told) >= step {
            told = pages;
            let _ = wake.try_send(());
        }
        Ok(())
    }
}

fn run(connection: &Connection, due: &Receiver<()>) {
    for () in due {
        let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}
