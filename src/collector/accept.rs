//! Connections: accepted within a number, shaken hands with within a time,
//! served as HTTP/1.1, and let go when the collector stops.
//!
//! A connection that finds no room waits in the kernel's queue; it costs
//! nothing there. One address does not get all the room: what is too much from
//! it is closed at once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::auth::Peer;
use super::crowd::{Crowd, neighbourhood};
use super::desk::{Desk, Swap, stopped};
use super::stall::Stall;
use super::tls;

/// The longest head of a request (line and headers); the read buffer too.
const HEAD: usize = 64 << 10;
/// Headers of one request.
const HEADERS: usize = 64;
/// How long nothing is accepted after the kernel had no descriptor left.
const BREATH: Duration = Duration::from_millis(100);

/// What every connection is served with.
pub(super) struct Door {
    /// Shared by all requests.
    pub(super) desk: Arc<Desk>,
    /// The routes.
    pub(super) router: Router,
    /// TLS, replaced on SIGHUP; `None` = plain HTTP.
    pub(super) tls: Swap<Option<Arc<rustls::ServerConfig>>>,
    /// Room for connections.
    pub(super) room: Arc<Semaphore>,
    /// Connections by address.
    pub(super) crowd: Crowd<IpAddr>,
}

impl Door {
    /// A place for a connection from `address`, as long as it lives.
    fn place(&self, address: SocketAddr) -> Result<impl Send + 'static, ()> {
        let most = self.desk.limits.connections_per_address;
        match neighbourhood(address.ip()) {
            Some(one) if most > 0 => self.crowd.enter(one, most).map(Some).ok_or(()),
            _ => Ok(None),
        }
    }
}

/// Accepts until the collector stops.
pub(super) async fn accept(
    door: Arc<Door>,
    listener: TcpListener,
    stopping: watch::Receiver<bool>,
    watcher: impl Fn() -> Watcher,
) {
    loop {
        let next = async {
            let room = Arc::clone(&door.room).acquire_owned().await;
            (room, listener.accept().await)
        };
        let (room, accepted) = tokio::select! {
            next = next => next,
            () = stopped(stopping.clone()) => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("a connection was not accepted: {error}");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let Ok(place) = door.place(address) else {
            door.desk.metrics.tls_failure("too many");
            tracing::debug!("{address}: it has limits.connections_per_address already");
            continue;
        };
        let (door, watcher, stopping) = (Arc::clone(&door), watcher(), stopping.clone());
        tokio::spawn(async move {
            door.desk.metrics.connections.inc();
            greet(&door, stream, address, watcher, stopping).await;
            door.desk.metrics.connections.dec();
            drop((room, place));
        });
    }
}

/// Shakes hands, when TLS is spoken here, then serves.
async fn greet(
    door: &Door,
    stream: TcpStream,
    address: SocketAddr,
    watcher: Watcher,
    stopping: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let limits = &door.desk.limits;
    let stream = Stall::new(stream, Duration::from_secs(limits.stall_seconds.into()));
    let config = door.tls.get();
    let Some(config) = config.as_ref() else {
        return serve(door, stream, Peer { address, names: Vec::new() }, watcher).await;
    };
    let patience = Duration::from_secs(limits.handshake_seconds.into());
    let handshake = TlsAcceptor::from(Arc::clone(config)).accept(stream);
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(patience, handshake) => shaken,
        () = stopped(stopping.clone()) => return,
    };
    match shaken {
        Ok(Ok(stream)) => {
            let names = tls::names(stream.get_ref().1.peer_certificates());
            serve(door, stream, Peer { address, names }, watcher).await;
        }
        Ok(Err(error)) => {
            door.desk.metrics.tls_failure("handshake");
            tracing::debug!("{address}: no TLS: {}", super::log::clean(&error.to_string()));
        }
        Err(_) => door.desk.metrics.tls_failure("timeout"),
    }
}

async fn serve<S>(door: &Door, stream: S, peer: Peer, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = Arc::new(peer);
    let address = peer.address;
    let router = TowerToHyperService::new(door.router.clone());
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Arc::clone(&peer));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(door.desk.limits.header_seconds.into()))
        .max_buf_size(HEAD)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!("{address}: {}", super::log::clean(&error.to_string()));
    }
}
