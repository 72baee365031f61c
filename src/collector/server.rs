//! The collector from its first listener to its last connection.
//!
//! Stopping loses nothing: nothing more is accepted, waiting readers are
//! answered, requests in flight have some seconds to end, and only then is the
//! store closed, which commits what waits.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::accept::{Door, accept};
use super::auth::Credentials;
use super::crowd::Crowd;
use super::desk::{Desk, Swap, blocking, stopped};
use super::ingest::now;
use super::settings::{Retention, Settings};
use super::{Failure, routes, tls};
use crate::store::{Keep, Store};

/// Time between two times that retention is applied.
const RETENTION: Duration = Duration::from_secs(3600);
/// Retention is first applied when the start's rush is over.
const RETENTION_FIRST: Duration = Duration::from_secs(60);

/// A collector that listens.
pub struct Server {
    door: Arc<Door>,
    listeners: Mutex<Vec<TcpListener>>,
    settings: Mutex<Settings>,
    stop: watch::Sender<bool>,
}

/// Stops a [`Server`] from elsewhere.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// Accept nothing more, finish what is in flight.
    pub fn stop(&self) {
        let _ = self.0.send(true);
    }
}

impl Server {
    /// Reads credentials and certificates, and listens.
    pub async fn bind(settings: Settings, store: Arc<dyn Store>) -> Result<Server, Failure> {
        let credentials = Credentials::load(&settings.auth)?;
        let config = tls::load(&settings.tls)?;
        let mut listeners = Vec::new();
        for address in &settings.listen {
            let hint =
                if address.is_ipv6() { " (a host without IPv6 listens on \"0.0.0.0:7464\")" } else { "" };
            let bound = TcpListener::bind(address).await;
            listeners.push(bound.map_err(|e| Failure::new(format!("listen on {address}: {e}{hint}")))?);
        }
        let stop = watch::Sender::new(false);
        let room = Arc::new(Semaphore::new(settings.limits.connections as usize));
        let desk = Arc::new(Desk::new(store, credentials, &settings, stop.subscribe()));
        let router = routes::router(Arc::clone(&desk));
        let door = Arc::new(Door { desk, router, tls: Swap::new(config), room, crowd: Crowd::new() });
        Ok(Server { door, listeners: Mutex::new(listeners), settings: Mutex::new(settings), stop })
    }

    /// Where it listens: with the port that the kernel chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        locked(&self.listeners).iter().flat_map(TcpListener::local_addr).collect()
    }

    /// What stops it.
    pub fn stopper(&self) -> Stop {
        Stop(self.stop.clone())
    }

    /// Takes new secrets, revocations, certificates and authorities, and the
    /// retention. Addresses, limits and the database need a restart. On any
    /// error everything stays as it was.
    pub fn reload(&self, settings: Settings) -> Result<(), Failure> {
        let loaded = Credentials::load(&settings.auth).and_then(|c| Ok((c, tls::load(&settings.tls)?)));
        let loaded =
            loaded.and_then(|(credentials, tls)| match tls.is_some() == self.door.tls.get().is_some() {
                true => Ok((credentials, tls)),
                false => {
                    Err(Failure::new("TLS is not turned on or off while it runs: restart the collector"))
                }
            });
        self.door.desk.metrics.reload(loaded.is_ok());
        let (credentials, tls) = loaded?;
        self.door.desk.credentials.set(credentials);
        self.door.tls.set(tls);
        *locked(&self.settings) = settings;
        Ok(())
    }

    /// Serves until it is stopped, then closes the store.
    pub async fn serve(&self) {
        let graceful = Arc::new(GracefulShutdown::new());
        let accepting: Vec<_> = std::mem::take(&mut *locked(&self.listeners))
            .into_iter()
            .map(|listener| {
                let watched = Arc::clone(&graceful);
                let door = Arc::clone(&self.door);
                tokio::spawn(accept(door, listener, self.stop.subscribe(), move || watched.watcher()))
            })
            .collect();
        tokio::select! {
            () = stopped(self.stop.subscribe()) => {}
            () = self.keep() => {}
        }
        for task in accepting {
            let _ = task.await;
        }
        self.finish(graceful).await;
    }

    /// Lets requests in flight end, then closes the store.
    async fn finish(&self, graceful: Arc<GracefulShutdown>) {
        let seconds = Duration::from_secs(self.door.desk.limits.stop_seconds.into());
        if let Ok(graceful) = Arc::try_unwrap(graceful) {
            let open = graceful.count();
            tracing::info!("stopping: {open} connections may finish within {} s", seconds.as_secs());
            if tokio::time::timeout(seconds, graceful.shutdown()).await.is_err() {
                tracing::warn!("some requests did not end in time; their hosts will send again");
            }
        }
        let store = Arc::clone(&self.door.desk.store);
        let _ = blocking(move || store.close()).await;
    }

    /// Applies retention every hour, for ever.
    async fn keep(&self) {
        tokio::time::sleep(RETENTION_FIRST).await;
        loop {
            let Retention { records_days, bodies_days } = locked(&self.settings).retention.clone();
            let store = Arc::clone(&self.door.desk.store);
            let retain = move || store.retain(Keep { bodies_days, records_days }, now());
            match blocking(retain).await {
                Ok(Ok(0)) => {}
                Ok(Ok(gone)) => tracing::info!("retention: {gone} records are gone"),
                Ok(Err(error)) => tracing::error!("retention: {error}"),
                Err(_) => tracing::error!("retention ended early"),
            }
            tokio::time::sleep(RETENTION).await;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
