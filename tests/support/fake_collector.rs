//! A collector that does what a test tells it: the fault injector. It speaks
//! HTTP/1.1 over TCP or TLS, decodes each batch, and answers by a script; what
//! it "stores" it remembers by id, so that loss and doubling can be counted.
//! It shares no code with `src/` but the types of the wire.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use epicore::record::Id;
use epicore::wire::api::Problem;
use epicore::wire::{Answer, Batch, ItemKind, Outcome, Said};

/// What to do with one request.
#[derive(Clone, Debug)]
pub enum Act {
    /// Stores everything and says so.
    Store,
    /// A status, headers ("Name: value\r\n" each) and a body.
    Status(u16, String, Vec<u8>),
    /// Stores nothing and says so of each item.
    Say(Said),
    /// Status 200 and these bytes.
    Garbage(Vec<u8>),
    /// Stores, and closes in the middle of the answer.
    StoreAndCut,
    /// Reads the request and closes.
    Close,
    /// Stores after this long.
    Late(Duration),
    /// Status 400 (or 413), in a collector's words, when the batch holds one of
    /// these ids, else stores.
    Blame(u16, Vec<[u8; 16]>),
    /// 401 unless this is the token.
    Token(String),
    /// Stores, with this header.
    Header(String),
}

/// One batch as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    pub status: u16,
    pub head: String,
    pub plain: Vec<u8>,
    /// The batch with its bodies unpacked.
    pub opened: Vec<u8>,
    pub batch: Batch,
}

/// What it knows.
#[derive(Debug, Default)]
pub struct State {
    pub script: VecDeque<Act>,
    pub otherwise: Option<Act>,
    pub seen: Vec<Seen>,
    /// How often each id was stored, and its last body.
    pub stored: BTreeMap<[u8; 16], (u32, ItemKind, Vec<u8>)>,
    pub connections: u32,
    pub now: u32,
    pub most_at_once: u32,
}

pub struct Collector {
    pub address: SocketAddr,
    pub state: Arc<(Mutex<State>, Condvar)>,
    ended: Arc<AtomicBool>,
}

pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Collector {
    /// Over plain TCP.
    pub fn start() -> Collector {
        Collector::with(|stream| Some(Box::new(stream)))
    }

    /// Over TLS.
    pub fn start_tls(config: Arc<rustls::ServerConfig>) -> Collector {
        Collector::with(move |stream| {
            let connection = rustls::ServerConnection::new(config.clone()).ok()?;
            Some(Box::new(rustls::StreamOwned::new(connection, stream)))
        })
    }

    fn with(wrap: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (state, ended) = (Arc::<(Mutex<State>, Condvar)>::default(), Arc::<AtomicBool>::default());
        let (shared, over, wrap) = (state.clone(), ended.clone(), Arc::new(wrap));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (state, wrap) = (shared.clone(), wrap.clone());
                state.0.lock().unwrap().connections += 1;
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
                    if let Some(stream) = wrap(stream) {
                        serve(stream, &state);
                    }
                });
            }
        });
        Collector { address, state, ended }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// These acts first, in this order.
    pub fn script(&self, acts: impl IntoIterator<Item = Act>) {
        self.state.0.lock().unwrap().script.extend(acts);
    }

    /// What it does when the script has ended.
    pub fn otherwise(&self, act: Act) {
        let mut state = self.state.0.lock().unwrap();
        state.script.clear();
        state.otherwise = Some(act);
    }

    /// Waits until `done` holds; panics with what was seen after 30 s.
    pub fn until(&self, what: &str, done: impl Fn(&State) -> bool) {
        let (state, changed) = &*self.state;
        let until = Instant::now() + Duration::from_secs(30);
        let mut state = state.lock().unwrap();
        while !done(&state) {
            let left = until.saturating_duration_since(Instant::now());
            let statuses: Vec<u16> = state.seen.iter().map(|seen| seen.status).collect();
            assert!(!left.is_zero(), "never: {what}; stored {}, answered {statuses:?}", state.stored.len());
            state = changed.wait_timeout(state, left).unwrap().0;
        }
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.state.0.lock().unwrap().seen.clone()
    }

    pub fn stored(&self) -> Vec<[u8; 16]> {
        self.state.0.lock().unwrap().stored.keys().copied().collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: Box<dyn Stream>, state: &(Mutex<State>, Condvar)) {
    let mut stream = BufReader::new(stream);
    while let Some((head, body)) = request(&mut stream) {
        let plain = zstd::decode_all(body.as_slice()).unwrap_or_default();
        let mut batch: Batch = rmp_serde::from_slice(&plain).unwrap_or_default();
        for item in &mut batch.items {
            if epicore::wire::pack::is_packed(&item.body) {
                item.body = epicore::wire::pack::unpack(&item.body).expect("a packed body");
            }
        }
        // Whoever looks for what must not be there looks at it unpacked.
        let opened = rmp_serde::to_vec_named(&batch).unwrap_or_default();
        let act = {
            let mut state = state.0.lock().unwrap();
            state.now += 1;
            state.most_at_once = state.most_at_once.max(state.now);
            let otherwise = state.otherwise.clone().unwrap_or(Act::Store);
            state.script.pop_front().unwrap_or(otherwise)
        };
        state.1.notify_all();
        if let Act::Late(time) = &act {
            std::thread::sleep(*time);
        }
        let (status, answer) = perform(&act, &head, &batch, state);
        let seen = Seen { at: Instant::now(), status, head, plain, opened, batch };
        {
            let mut state = state.0.lock().unwrap();
            state.now -= 1;
            state.seen.push(seen);
        }
        state.1.notify_all();
        let _ = stream.get_mut().write_all(&answer);
        let _ = stream.get_mut().flush();
        if matches!(act, Act::Close | Act::StoreAndCut) {
            return;
        }
    }
}

fn request(stream: &mut BufReader<Box<dyn Stream>>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn perform(act: &Act, head: &str, batch: &Batch, state: &(Mutex<State>, Condvar)) -> (u16, Vec<u8>) {
    let store = |headers: &str| (200, http(200, headers, &stored(batch, state)));
    match act {
        Act::Store | Act::Late(_) => store(""),
        Act::Header(header) => store(&format!("{header}\r\n")),
        Act::Status(status, headers, body) => (*status, http(*status, headers, body)),
        Act::Say(said) => (200, http(200, "", &answer(batch, |_| *said))),
        Act::Garbage(body) => (200, http(200, "", body)),
        Act::Close => (0, Vec::new()),
        Act::StoreAndCut => {
            let mut answer = http(200, "", &stored(batch, state));
            answer.truncate(answer.len() - 5);
            (200, answer)
        }
        Act::Blame(status, bad) => {
            let blamed = batch.items.iter().any(|item| bad.iter().any(|id| id[..] == item.id.0));
            let problem = Problem { error: "the batch is malformed".into(), next: None };
            let said = rmp_serde::to_vec_named(&problem).unwrap();
            if blamed { (*status, http(*status, "", &said)) } else { store("") }
        }
        Act::Token(token) => {
            let right =
                head.lines().any(|line| line.eq_ignore_ascii_case(&format!("authorization: Bearer {token}")));
            if right { store("") } else { (401, http(401, "", b"")) }
        }
    }
}

fn stored(batch: &Batch, state: &(Mutex<State>, Condvar)) -> Vec<u8> {
    let mut state = state.0.lock().unwrap();
    let mut had = Vec::new();
    for item in &batch.items {
        let id: [u8; 16] = item.id.0.as_slice().try_into().unwrap();
        let known = state.stored.entry(id).or_insert((0, item.kind, Vec::new()));
        known.0 += 1;
        had.push(known.0 > 1);
        known.2.clone_from(&item.body);
    }
    let mut had = had.into_iter();
    answer(batch, |_| if had.next() == Some(true) { Said::Duplicate } else { Said::Stored })
}

/// An answer that says of each item what `said` says.
pub fn answer(batch: &Batch, mut said: impl FnMut(&Id) -> Said) -> Vec<u8> {
    let outcomes =
        batch.items.iter().map(|item| Outcome { id: item.id.clone(), said: said(&item.id), why: None });
    rmp_serde::to_vec_named(&Answer { v: 1, outcomes: outcomes.collect() }).unwrap()
}

pub fn http(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer =
        format!("HTTP/1.1 {status} Said\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}
