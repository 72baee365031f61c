//! What all requests share: the store, the credentials, the limits, and the
//! memory that is left.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::HeaderMap;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::answer::{Format, Trouble};
use super::auth::{Caller, Credentials, Peer};
use super::crowd::Crowd;
use super::health::Ready;
use super::ingest::Sender;
use super::metrics::Metrics;
use super::rate::Rate;
use super::settings::{Limits, Settings};
use super::token::Role;
use crate::store::{Store, StoreError};

/// How long a question waits for its turn.
pub(super) const TURN: Duration = Duration::from_secs(20);
/// Memory is admitted in units of so many bytes.
const UNIT: usize = 1024;

/// Why there is no memory.
const IN_FLIGHT: &str = "too many bytes are in flight";

/// The right to ask, one of `limits.concurrent_reads`.
pub(super) type Turn = OwnedSemaphorePermit;

/// Something that is replaced as a whole while others read it.
#[derive(Debug)]
pub(super) struct Swap<T>(RwLock<Arc<T>>);

impl<T> Swap<T> {
    pub(super) fn new(value: T) -> Swap<T> {
        Swap(RwLock::new(Arc::new(value)))
    }

    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

/// A share of memory, admitted before it is used.
#[derive(Debug)]
pub(super) struct Share {
    units: Arc<Semaphore>,
    all: usize,
}

impl Share {
    fn new(bytes: u64) -> Share {
        let all = usize::try_from(bytes).unwrap_or(usize::MAX).min(u32::MAX as usize) / UNIT;
        Share { units: Arc::new(Semaphore::new(all)), all }
    }

    /// Waits for `bytes`, first come first served; refuses after `patience`.
    pub(super) async fn admit(
        &self,
        bytes: usize,
        patience: Duration,
    ) -> Result<OwnedSemaphorePermit, Trouble> {
        let units = u32::try_from(bytes.div_ceil(UNIT).min(self.all)).unwrap_or(u32::MAX);
        let asked = Arc::clone(&self.units).acquire_many_owned(units);
        match tokio::time::timeout(patience, asked).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Trouble::busy(IN_FLIGHT)),
        }
    }

    /// More for who has some already: at once or not at all, because who waits
    /// while holding is waited for. Nobody gets more than there is.
    pub(super) fn grow(&self, permit: &mut OwnedSemaphorePermit, bytes: usize) -> Result<(), Trouble> {
        let left = self.all.saturating_sub(permit.num_permits());
        let units = u32::try_from(bytes.div_ceil(UNIT).min(left)).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.units).try_acquire_many_owned(units);
        permit.merge(more.map_err(|_| Trouble::busy(IN_FLIGHT))?);
        Ok(())
    }

    /// Bytes that are in use.
    pub(super) fn used(&self) -> usize {
        self.all.saturating_sub(self.units.available_permits()).saturating_mul(UNIT)
    }
}

/// The memory for bodies and answers.
#[derive(Debug)]
pub(super) struct Memory {
    /// Bodies as they arrive.
    pub(super) bodies: Share,
    /// Batches that are unpacked.
    pub(super) unpacked: Share,
    /// Answers on their way.
    pub(super) answers: Share,
}

impl Memory {
    pub(super) fn new(bytes: u64) -> Memory {
        let eighth = bytes / 8;
        let share = |eighths| Share::new(eighth.saturating_mul(eighths));
        Memory { bodies: share(3), unpacked: share(3), answers: share(2) }
    }
}

/// What all requests share.
pub(super) struct Desk {
    /// The store.
    pub(super) store: Arc<dyn Store>,
    /// Who is let in.
    pub(super) credentials: Swap<Credentials>,
    /// How often a host may knock.
    pub(super) rate: Rate,
    /// What is counted.
    pub(super) metrics: Metrics,
    /// Memory that is left.
    pub(super) memory: Memory,
    /// Limits.
    pub(super) limits: Limits,
    /// The store's file, whose disk must have room.
    pub(super) database: PathBuf,
    /// Turns of batches.
    pub(super) ingest: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    /// Batches in flight, by who sends them.
    pub(super) senders: Crowd<Sender>,
    /// Whether it could store, when that was last asked.
    pub(super) ready: Ready,
    /// Rises when something was stored: wakes those who wait for it.
    pub(super) tide: watch::Sender<u64>,
    /// True when the collector is being stopped.
    pub(super) stopping: watch::Receiver<bool>,
}

impl Desk {
    pub(super) fn new(
        store: Arc<dyn Store>,
        credentials: Credentials,
        settings: &Settings,
        stopping: watch::Receiver<bool>,
    ) -> Desk {
        let limits = settings.limits.clone();
        Desk {
            database: settings.database.clone(),
            store,
            credentials: Swap::new(credentials),
            rate: Rate::new(limits.requests_per_host, limits.requests_burst),
            metrics: Metrics::new(),
            memory: Memory::new(limits.memory_bytes),
            ingest: Arc::new(Semaphore::new(limits.concurrent_ingest as usize)),
            reads: Arc::new(Semaphore::new(limits.concurrent_reads as usize)),
            senders: Crowd::new(),
            ready: Ready::default(),
            tide: watch::Sender::new(0),
            limits,
            stopping,
        }
    }

    /// Lets a caller in who may do what `need` may.
    pub(super) fn admit(&self, headers: &HeaderMap, peer: &Peer, need: Role) -> Result<Caller, Trouble> {
        self.credentials.get().identify(headers, peer)?.needs(need)
    }

    /// Asks the store, in turn, on a thread that may block.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Store) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        Ok(self.ask_in_turn(question).await?.0)
    }

    /// The same; the turn is kept until what was answered is admitted, so that
    /// no more answers wait for memory than questions are answered at once.
    pub(super) async fn ask_in_turn<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Store) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<(T, Turn), Trouble> {
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.reads).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Trouble::busy("too many questions at once")) };
        let store = Arc::clone(&self.store);
        let asked = move || {
            let answer = question(&*store)?;
            Ok((answer, turn))
        };
        blocking(asked).await?
    }

    /// Asks the store and writes the answer.
    pub(super) async fn answer<T: Serialize>(
        &self,
        format: Format,
        question: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<axum::response::Response, Trouble> {
        let (bytes, turn) = self.ask_in_turn(move |store| format.encode(&question(store)?)).await?;
        self.send(format, bytes, Some(turn)).await
    }

    /// Sends what was written, when there is memory for it to wait in.
    pub(super) async fn send(
        &self,
        format: Format,
        bytes: Vec<u8>,
        turn: Option<Turn>,
    ) -> Result<axum::response::Response, Trouble> {
        let permit = self.memory.answers.admit(bytes.len(), TURN).await?;
        drop(turn);
        Ok(format.reply(bytes, Some(permit)))
    }
}

/// Ends when the collector is being stopped.
pub(super) async fn stopped(mut stopping: watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Runs what blocks. A panic there is an answer of 500 and no more.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Trouble> {
    let broken = |_| Trouble::from(StoreError::Broken("a thread of the store ended early".to_owned()));
    tokio::task::spawn_blocking(work).await.map_err(broken)
}
