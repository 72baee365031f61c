//! A collector that keeps nothing: TLS, HTTP and an answer of "stored", so
//! that what remains is the daemon's.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use epicore::record::Id;
use epicore::wire::{Answer, Outcome, PROTOCOL, Said};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde::Deserialize;

use super::place::Place;

/// Listens until the program ends.
pub(crate) struct Null {
    pub(crate) address: SocketAddr,
    items: Arc<AtomicU64>,
}

/// What an answer needs of a batch.
#[derive(Deserialize)]
struct Ids<'a> {
    #[serde(borrow)]
    items: Vec<OneId<'a>>,
}

#[derive(Deserialize)]
struct OneId<'a> {
    #[serde(borrow)]
    id: &'a [u8],
}

impl Null {
    /// With the certificate that `place` has.
    pub(crate) fn start(place: &Place) -> Result<Null, String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = config(place).map_err(|error| error.to_string())?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let null = Null {
            address: listener.local_addr().map_err(|error| error.to_string())?,
            items: Arc::default(),
        };
        let items = Arc::clone(&null.items);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, items) = (Arc::clone(&config), Arc::clone(&items));
                std::thread::spawn(move || serve(stream, config, &items));
            }
        });
        Ok(null)
    }

    /// Items that were called stored.
    pub(crate) fn items(&self) -> u64 {
        self.items.load(Ordering::Relaxed)
    }
}

fn config(place: &Place) -> Result<Arc<ServerConfig>, Box<dyn std::error::Error>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(place.path("cert.pem"))?.collect();
    let key = PrivateKeyDer::from_pem_file(place.path("key.pem"))?;
    Ok(Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain?, key)?))
}

/// One connection, until it ends.
fn serve(stream: TcpStream, config: Arc<ServerConfig>, items: &AtomicU64) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let tls = StreamOwned::new(ServerConnection::new(config).ok()?, stream);
    let mut tls = BufReader::new(tls);
    loop {
        let body = request(&mut tls)?;
        let batch = zstd::decode_all(body.as_slice()).ok()?;
        let ids: Ids<'_> = rmp_serde::from_slice(&batch).ok()?;
        let outcomes =
            ids.items.iter().map(|item| Outcome { id: Id(item.id.to_vec()), said: Said::Stored, why: None });
        let answer = Answer { v: PROTOCOL, outcomes: outcomes.collect() };
        let answer = rmp_serde::to_vec_named(&answer).ok()?;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/msgpack\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        items.fetch_add(ids.items.len() as u64, Ordering::Relaxed);
        let tls = tls.get_mut();
        tls.write_all(&[head.as_bytes(), &answer].concat()).ok()?;
        tls.flush().ok()?;
    }
}

/// The body of the next request.
fn request(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}
