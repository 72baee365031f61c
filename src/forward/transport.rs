//! HTTPS to one collector, with files that may change under it.
//!
//! What it gives: [`Transport`], which posts one batch and returns whatever was
//! answered as a [`Reply`], or the trouble in words. The client is built on the
//! first request and again when a certificate, key or authority changed; the
//! token is read again when its file changed and after every 401. What it
//! trusts: the authorities configured, or the system's; of an answer nothing.
//! Limits: [`ANSWER`] bytes of an answer, the configured time for all of it.
//! Redirects are not followed: a token is for one address.

use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use reqwest::blocking::{Body, Client, RequestBuilder, Response};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderName, HeaderValue, RETRY_AFTER,
};
use reqwest::{NoProxy, Proxy, Url};

use super::credentials::{self, Stamp, stamp};
use super::trouble::{Cause, Trouble};
use super::verdict::retry_after;
use crate::config::Collector;

/// The largest answer to a batch: 1,000 outcomes are 100 KiB, with reasons
/// 400 KiB.
pub(super) const ANSWER: u64 = 4 << 20;
/// A host that does not answer the first packet for so long is not there.
const CONNECT: Duration = Duration::from_secs(10);
pub(super) const MSGPACK: HeaderValue = HeaderValue::from_static("application/msgpack");

/// What this host's files or settings make impossible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardError {
    /// The address of the collector; what is wrong with it.
    Url(String),
    /// A file; what is wrong with it.
    File(PathBuf, String),
    /// The proxy or the client; what is wrong with it.
    Client(String),
}

impl std::fmt::Display for ForwardError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ForwardError::Url(why) => write!(f, "collector.url: {why}"),
            ForwardError::File(path, why) => write!(f, "{}: {why}", path.display()),
            ForwardError::Client(why) => write!(f, "the HTTP client cannot be set up: {why}"),
        }
    }
}

impl std::error::Error for ForwardError {}

impl From<ForwardError> for Trouble {
    fn from(error: ForwardError) -> Trouble {
        let next = match &error {
            ForwardError::Client(why) if why.contains("CA certificates") => {
                "Install the system's authorities (the package ca-certificates), or set collector.ca_file."
            }
            ForwardError::File(..) => {
                "Put the file right; it is read again by itself. It must be readable for the user that epicored runs as."
            }
            _ => "Correct the configuration, then `systemctl reload epicored`.",
        };
        Trouble { unsent: true, ..Trouble::new(Cause::Setup, error.to_string(), next) }
    }
}

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// How long the collector asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Seconds that this host's clock is ahead of the answer's Date.
    pub ahead: Option<i64>,
    /// The body, bounded.
    pub body: Vec<u8>,
}

/// What is live: made of files, until they change.
#[derive(Debug, Default)]
struct Live {
    client: Option<Client>,
    client_of: [Stamp; 3],
    token: Option<HeaderValue>,
    token_of: Stamp,
}

/// The way to one collector.
#[derive(Debug)]
pub struct Transport {
    access: Collector,
    base: Url,
    patience: Duration,
    live: Mutex<Live>,
}

impl Transport {
    /// The way to `access.url`; a request may take `patience`. Nothing is
    /// opened yet, except what the configuration alone shows to be wrong.
    pub fn new(access: &Collector, patience: Duration) -> Result<Transport, ForwardError> {
        let base = address(access)?;
        if access.cert_file.is_some() != access.key_file.is_some() {
            return Err(ForwardError::Client("collector.cert_file and key_file belong together".into()));
        }
        Ok(Transport { access: access.clone(), base, patience, live: Mutex::default() })
    }

    /// Reads every file now, for whoever wants to hear of mistakes at once.
    pub fn prepare(&self) -> Result<(), ForwardError> {
        self.refreshed().map(drop)
    }

    /// Posts one batch, compressed already.
    pub fn post_batch(&self, body: Vec<u8>) -> Result<Reply, Trouble> {
        let url = self.url("/v1/batches", &[]);
        self.exchange(ANSWER, |client| {
            let request = client.post(url).header(CONTENT_TYPE, MSGPACK);
            request.header(CONTENT_ENCODING, HeaderValue::from_static("zstd")).body(Body::from(body))
        })
    }

    /// The directories to watch for other credentials.
    pub fn directories(access: &Collector) -> Vec<PathBuf> {
        let files = [&access.token_file, &access.ca_file, &access.cert_file, &access.key_file];
        credentials::directories(files.into_iter().flatten())
    }

    pub(super) fn url(&self, path: &str, query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    pub(super) fn exchange(
        &self,
        most: u64,
        request: impl FnOnce(&Client) -> RequestBuilder,
    ) -> Result<Reply, Trouble> {
        let until = Instant::now().checked_add(self.patience);
        let (client, token) = self.refreshed()?;
        let mut request = request(&client).header(ACCEPT, MSGPACK);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        let response = request.send().map_err(|error| Trouble::of(&error))?;
        let reply = read(response, most, until)?;
        if reply.status == 401 {
            self.live().token_of = None;
        }
        Ok(reply)
    }

    fn live(&self) -> std::sync::MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The client and the Authorization header of the files as they are now.
    fn refreshed(&self) -> Result<(Client, Option<HeaderValue>), ForwardError> {
        let mut live = self.live();
        let files = [&self.access.ca_file, &self.access.cert_file, &self.access.key_file];
        let stamps = files.map(|file| file.as_deref().and_then(stamp));
        let client = match live.client.take().filter(|_| live.client_of == stamps) {
            Some(client) => client,
            None => self.build()?,
        };
        live.client = Some(client.clone());
        live.client_of = stamps;
        if let Some(file) = &self.access.token_file {
            let now = stamp(file);
            if live.token.is_none() || live.token_of.is_none() || live.token_of != now {
                live.token = Some(credentials::authorization(file)?);
                live.token_of = now;
            }
        }
        Ok((client, live.token.clone()))
    }

    fn build(&self) -> Result<Client, ForwardError> {
        // The second call of a process fails, and has nothing to do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("epicore/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .timeout(self.patience)
            .connect_timeout(CONNECT.min(self.patience))
            // Neither probes nor timers while nothing happens: whoever owns the
            // transport drops it when it has been idle.
            .tcp_keepalive(None)
            .pool_idle_timeout(None);
        builder = match self.access.proxy.as_deref() {
            None => builder,
            Some("") => builder.no_proxy(),
            Some(url) => {
                let proxy = Proxy::all(url)
                    .map_err(|_| ForwardError::Client("collector.proxy is not a URL".into()))?;
                builder.proxy(proxy.no_proxy(NoProxy::from_env()))
            }
        };
        if let Some(file) = &self.access.ca_file {
            builder = builder.tls_certs_only(credentials::authorities(file)?);
        } else if self.base.scheme() == "http" {
            // The system's authorities are not needed, and may not be there.
            builder = builder.tls_certs_only([]);
        }
        if let (Some(certificate), Some(key)) = (&self.access.cert_file, &self.access.key_file) {
            builder = builder.identity(credentials::identity(certificate, key)?);
        }
        builder.build().map_err(|error| ForwardError::Client(innermost(&error)))
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    super::plain(&error.to_string(), super::trouble::WHY)
}

/// The address, when a token may be sent to it.
fn address(access: &Collector) -> Result<Url, ForwardError> {
    let text = access.url.as_deref().ok_or_else(|| ForwardError::Url("none is configured".into()))?;
    let url = Url::parse(text).map_err(|error| ForwardError::Url(format!("{text}: {error}")))?;
    let plain = url.scheme() == "http" && !access.plain_http;
    if url.host_str().is_none() || !matches!(url.scheme(), "http" | "https") {
        return Err(ForwardError::Url(format!("{text}: it must begin with https:// or http://")));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(ForwardError::Url(
            "no user, password or query belongs in it; a token has a file of its own".into(),
        ));
    }
    if plain && !is_loopback(&url) {
        return Err(ForwardError::Url(format!(
            "{text}: http:// would show token and records to the network; use https://, or set collector.plain_http = true"
        )));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn header<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Reads an answer: not more than `most` bytes, not later than `until`.
fn read(mut response: Response, most: u64, until: Option<Instant>) -> Result<Reply, Trouble> {
    let status = response.status().as_u16();
    let date = header(&response, &DATE).and_then(|value| httpdate::parse_http_date(value).ok());
    let retry_after = header(&response, &RETRY_AFTER).and_then(|value| retry_after(value, date));
    let ahead = date.map(seconds_ahead);
    let mut body = Vec::new();
    let mut chunk = [0; 8192];
    loop {
        // The client's own limit is one for each read.
        if until.is_some_and(|until| Instant::now() > until) {
            return Err(Trouble::new(
                Cause::TimedOut,
                "the collector's answer did not end in time",
                "Check the network and the collector's load; forward.timeout_seconds is how long it is waited for.",
            ));
        }
        let count = match response.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => return Err(Trouble::reading(&error)),
        };
        body.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if body.len() as u64 > most {
            return Err(Trouble::new(
                Cause::Garbage,
                format!("the answer is larger than {most} bytes"),
                "Check collector.url; something else may answer in the collector's place.",
            ));
        }
    }
    Ok(Reply { status, retry_after, ahead, body })
}

/// How far this host's clock is before `date`.
fn seconds_ahead(date: SystemTime) -> i64 {
    let whole = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(date) {
        Ok(ahead) => whole(ahead),
        Err(behind) => whole(behind.duration()).saturating_neg(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(url: &str) -> Result<Transport, ForwardError> {
        let access = Collector { url: Some(url.into()), ..Collector::default() };
        Transport::new(&access, Duration::from_secs(1))
    }

    #[test]
    fn a_token_is_not_sent_in_clear_to_another_host() {
        for url in ["https://c.example:7464", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"] {
            assert!(made(url).is_ok(), "{url}");
        }
        for url in
            ["http://c.example", "http://10.0.0.1:7464", "ftp://x", "https://u:p@x", "https://x/?a=b", "x"]
        {
            assert!(matches!(made(url), Err(ForwardError::Url(_))), "{url}");
        }
    }

    #[test]
    fn a_path_before_the_collector_stays() {
        let url = made("https://c.example/fleet/").unwrap().url("/v1/records", &[("host", "a b&c".into())]);
        assert_eq!(url.as_str(), "https://c.example/fleet/v1/records?host=a+b%26c");
    }
}
