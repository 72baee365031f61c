//! The one thread that writes, and group commit.
//!
//! Batches wait in a channel while the thread is busy with a commit; it takes
//! all that wait into one transaction, commits once (fsync), then answers all.
//! The slower the disk, the larger the groups.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use rusqlite::Connection;

use super::checkpoint::Checkpoints;
use super::fault::sort;
use super::ledger::Ledger;
use super::prepare::Prepared;
use super::slices::SLICE;
use crate::store::StoreError;
use crate::wire::Outcome;

type Answer<T> = Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
pub(super) enum Job {
    /// Store these.
    Ingest(Vec<Prepared>, Answer<Vec<Outcome>>),
    /// Anything else, alone.
    Alone(Box<dyn FnOnce(&mut Writer) + Send>),
}

/// The writer's side of the file.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connection: Connection,
    /// Absent after a rollback: read again before the next transaction.
    ledger: Option<Ledger>,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Result<Writer, StoreError> {
        let ledger = Ledger::load(&connection).map_err(sort)?;
        Ok(Writer { connection, ledger: Some(ledger) })
    }

    /// Works until nobody can ask any more, then closes the file.
    pub(super) fn run(mut self, jobs: &Receiver<Job>, linger: Duration, checkpoints: Checkpoints) {
        let mut next = None;
        while let Some(job) = next.take().or_else(|| jobs.recv().ok()) {
            match job {
                Job::Alone(work) => work(&mut self),
                Job::Ingest(items, answer) => {
                    let (group, other) = gather((items, answer), jobs, linger);
                    self.commit(group);
                    next = other;
                }
            }
        }
        checkpoints.end(&mut self.connection);
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// One transaction for all of them; if it fails, it failed for all.
    fn commit(&mut self, group: Vec<(Vec<Prepared>, Answer<Vec<Outcome>>)>) {
        let said = self.transaction(|ledger, connection| {
            group.iter().map(|(items, _)| outcomes(ledger, connection, items)).collect::<Result<Vec<_>, _>>()
        });
        match said {
            Ok(said) => {
                for ((_, answer), outcomes) in group.into_iter().zip(said) {
                    let _ = answer.send(Ok(outcomes));
                }
            }
            Err(error) => {
                for (_, answer) in group {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Everything that `work` does, or nothing; on disk when it returns.
    pub(super) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Ledger, &Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let connection = &self.connection;
        let mut ledger = match self.ledger.take() {
            Some(ledger) => ledger,
            None => Ledger::load(connection).map_err(sort)?,
        };
        let done = connection.execute_batch("BEGIN IMMEDIATE").and_then(|()| {
            let value = work(&mut ledger, connection)?;
            ledger.settle(connection)?;
            connection.execute_batch("COMMIT")?;
            Ok(value)
        });
        match done {
            Ok(value) => {
                self.ledger = Some(ledger);
                Ok(value)
            }
            Err(error) => {
                let _ = connection.execute_batch("ROLLBACK");
                Err(sort(error))
            }
        }
    }
}

fn outcomes(
    ledger: &mut Ledger,
    connection: &Connection,
    items: &[Prepared],
) -> rusqlite::Result<Vec<Outcome>> {
    items
        .iter()
        .map(|item| {
            let (said, why) = ledger.take(connection, item)?;
            Ok(Outcome { id: crate::record::Id(item.id().to_vec()), said, why })
        })
        .collect()
}

type Batch = (Vec<Prepared>, Answer<Vec<Outcome>>);

fn cost(items: &[Prepared]) -> u64 {
    items.iter().map(Prepared::cost).fold(0, u64::saturating_add)
}

/// The first batch, all that wait behind it until the transaction is large
/// (the first ones have waited long enough), and the job that is no batch.
fn gather(first: Batch, jobs: &Receiver<Job>, linger: Duration) -> (Vec<Batch>, Option<Job>) {
    let until = Instant::now().checked_add(linger);
    let mut sum = cost(&first.0);
    let mut group = vec![first];
    while sum < SLICE {
        let job = match until {
            Some(until) if !linger.is_zero() => jobs.recv_deadline(until).ok(),
            _ => jobs.try_recv().ok(),
        };
        match job {
            Some(Job::Ingest(items, answer)) => {
                sum = sum.saturating_add(cost(&items));
                group.push((items, answer));
            }
            other => return (group, other),
        }
    }
    (group, None)
}
