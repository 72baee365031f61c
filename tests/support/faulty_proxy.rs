//! A TCP proxy that fails as networks do: it refuses, delays, cuts a stream
//! after some bytes in either direction, cuts it with a reset, or lets a
//! connection hang. Deterministic by seed except for what threads race over.
//! It knows nothing of what passes: under TLS it could not.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often each fault happens, of 1,000 connections.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Closed at once.
    pub refuse: u32,
    /// Nothing passes for some seconds, then it is closed.
    pub hang: u32,
    /// Cut after some bytes of the request, with a reset.
    pub reset_request: u32,
    /// Cut after some bytes of the answer: it was done, and nobody knows.
    pub cut_answer: u32,
    /// Each chunk is late.
    pub delay: u32,
    /// The others are cut as well, after so many bytes of requests at most: no
    /// connection lives long. 0 = they live.
    pub lifetime: u64,
}

impl Faults {
    pub const NONE: Faults =
        Faults { refuse: 0, hang: 0, reset_request: 0, cut_answer: 0, delay: 0, lifetime: 0 };
    /// Half of the connections suffer soon, the others later.
    pub const BAD: Faults =
        Faults { refuse: 100, hang: 20, reset_request: 120, cut_answer: 160, delay: 120, lifetime: 60_000 };
}

/// What happened.
#[derive(Debug, Default)]
pub struct Count {
    pub connections: AtomicU64,
    pub refused: AtomicU64,
    pub hung: AtomicU64,
    pub reset: AtomicU64,
    pub cut: AtomicU64,
    pub delayed: AtomicU64,
    pub no_upstream: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Pass,
    Refuse,
    Hang,
    ResetRequest(u64),
    CutAnswer(u64),
    Delay(Duration),
}

/// The running proxy.
pub struct Proxy {
    pub address: SocketAddr,
    pub count: Arc<Count>,
    upstream: Arc<AtomicU16>,
    faults: Arc<Mutex<Faults>>,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    /// Listens on a loopback port in front of another one.
    pub fn start(upstream: SocketAddr, faults: Faults, seed: u64) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let proxy = Proxy {
            address: listener.local_addr().expect("its address"),
            count: Arc::default(),
            upstream: Arc::new(AtomicU16::new(upstream.port())),
            faults: Arc::new(Mutex::new(faults)),
            stop: Arc::default(),
        };
        let (count, upstream) = (proxy.count.clone(), proxy.upstream.clone());
        let (faults, stop) = (proxy.faults.clone(), proxy.stop.clone());
        std::thread::spawn(move || {
            let mut state = seed;
            for client in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(client) = client else { continue };
                count.connections.fetch_add(1, Ordering::Relaxed);
                let fate = draw(&faults.lock().expect("no panic holds it"), &mut state);
                let (count, port) = (count.clone(), upstream.load(Ordering::Relaxed));
                std::thread::spawn(move || serve(client, port, fate, &count));
            }
        });
        proxy
    }

    /// Another port behind it: a collector that was restarted.
    pub fn lead_to(&self, upstream: SocketAddr) {
        self.upstream.store(upstream.port(), Ordering::Relaxed);
    }

    pub fn set_faults(&self, faults: Faults) {
        *self.faults.lock().expect("no panic holds it") = faults;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn draw(faults: &Faults, state: &mut u64) -> Fate {
    let mut next = || {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    };
    let mut left = i64::try_from(next() % 1000).expect("small");
    let mut falls = |share: u32| {
        left -= i64::from(share);
        left < 0
    };
    let falls =
        [faults.refuse, faults.hang, faults.reset_request, faults.cut_answer, faults.delay].map(&mut falls);
    match falls.iter().position(|f| *f) {
        Some(0) => Fate::Refuse,
        Some(1) => Fate::Hang,
        // A TLS handshake is about 2 KB one way and 1 KB the other.
        Some(2) => Fate::ResetRequest(next() % 200_000),
        Some(3) => Fate::CutAnswer(next() % 6_000),
        Some(4) => Fate::Delay(Duration::from_millis(next() % 60)),
        _ if faults.lifetime > 0 => Fate::ResetRequest(5_000 + next() % faults.lifetime),
        _ => Fate::Pass,
    }
}

fn serve(client: TcpStream, port: u16, fate: Fate, count: &Count) {
    let add = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    match fate {
        Fate::Refuse => {
            add(&count.refused);
            return reset(&client);
        }
        Fate::Hang => {
            add(&count.hung);
            std::thread::sleep(Duration::from_secs(3));
            return;
        }
        Fate::ResetRequest(_) => add(&count.reset),
        Fate::CutAnswer(_) => add(&count.cut),
        Fate::Delay(_) => add(&count.delayed),
        Fate::Pass => 0,
    };
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
        add(&count.no_upstream);
        return;
    };
    let delay = if let Fate::Delay(delay) = fate { delay } else { Duration::ZERO };
    let request_limit = if let Fate::ResetRequest(bytes) = fate { bytes } else { u64::MAX };
    let answer_limit = if let Fate::CutAnswer(bytes) = fate { bytes } else { u64::MAX };
    let (Ok(client2), Ok(server2)) = (client.try_clone(), server.try_clone()) else { return };
    let aborted = Arc::new(AtomicBool::new(false));
    let told = aborted.clone();
    let up = std::thread::spawn(move || {
        if !pump(&client2, &server2, request_limit, delay, &told) {
            told.store(true, Ordering::SeqCst);
            reset(&client2);
            reset(&server2);
        }
    });
    if !pump(&server, &client, answer_limit, delay, &aborted) {
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
    }
    let _ = up.join();
}

/// Copies until the end (true) or the limit (false).
fn pump(mut from: &TcpStream, mut to: &TcpStream, limit: u64, delay: Duration, aborted: &AtomicBool) -> bool {
    let mut buffer = [0; 16 << 10];
    let mut passed = 0u64;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) | Err(_) => {
                // A FIN now would take the place of the reset.
                if !aborted.load(Ordering::SeqCst) {
                    let _ = to.shutdown(Shutdown::Write);
                }
                return true;
            }
            Ok(read) => read,
        };
        std::thread::sleep(delay);
        let room = usize::try_from((limit - passed).min(read as u64)).expect("at most a buffer");
        if to.write_all(&buffer[..room]).is_err() {
            let _ = from.shutdown(Shutdown::Read);
            return true;
        }
        passed += room as u64;
        if passed >= limit {
            return false;
        }
    }
}

/// Whoever closes it last sends a reset instead of a FIN (SO_LINGER 0); whoever
/// reads from it wakes up.
fn reset(stream: &TcpStream) {
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    let _ = nix::sys::socket::setsockopt(stream, nix::sys::socket::sockopt::Linger, &linger);
    let _ = stream.shutdown(Shutdown::Read);
}
