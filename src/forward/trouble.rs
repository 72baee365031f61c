//! What went wrong, in words for the person who will mend it.
//!
//! What it gives: [`Trouble`], one sentence of what happened and one of what
//! to do next, from a status or from an error of the transport; `epicore
//! status` and the journal show both. docs/daemon.md lists every one. What it
//! trusts: nothing; text from outside is bounded and made printable
//! ([`plain`]). Limits: [`WHY`] characters of foreign text.

use std::collections::BTreeMap;
use std::error::Error;

use serde::{Deserialize, Serialize};

use super::transport::Reply;
use crate::wire::api::Problem;

/// Characters kept of somebody else's text.
pub(super) const WHY: usize = 200;
/// Maps and lists inside each other; a problem has one.
const DEPTH: usize = 32;

/// What kind of trouble: equal ones are one outage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The name of the collector (or proxy) is not known.
    Dns,
    /// Nobody listens there.
    Refused,
    /// No route, or the network is down.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The connection broke before the answer was whole.
    Broken,
    /// The collector's certificate has expired.
    Expired,
    /// The collector's certificate is not valid yet.
    NotYetValid,
    /// Nobody whom this host trusts signed the collector's certificate.
    UnknownAuthority,
    /// The certificate is another name's.
    WrongName,
    /// The collector does not take this host's client certificate.
    ClientCertificate,
    /// Anything else about TLS.
    Tls,
    /// The proxy does not let it pass.
    Proxy,
    /// 401.
    Token,
    /// 403.
    Forbidden,
    /// 404, 405, 415, 426, redirects, a 400 in no collector's words: not a
    /// collector, or not this protocol.
    NotACollector,
    /// A 413 in no collector's words, for a single item.
    TooLarge,
    /// 429.
    TooMany,
    /// 503 and 507: the collector cannot store now.
    CannotStore,
    /// Any other status.
    Status,
    /// 200, and a body that is no answer.
    Garbage,
    /// The collector said "later" of single items.
    Later,
    /// A file or setting of this host.
    Setup,
    /// epicored is stopping.
    #[default]
    Stopping,
}

/// What went wrong, and what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trouble {
    /// Its kind.
    pub cause: Cause,
    /// What happened.
    pub what: String,
    /// What to do next.
    pub next: String,
    /// No connection came about, so no request left this host.
    #[serde(skip)]
    pub unsent: bool,
}

/// At most `most` characters, none of which a terminal or a log obeys.
pub fn plain(text: &str, most: usize) -> String {
    let mut out: String = text.chars().take(most).flat_map(escape).collect();
    if text.chars().nth(most).is_some() {
        out.push('…');
    }
    out
}

fn escape(c: char) -> Box<dyn Iterator<Item = char>> {
    // Bidirectional controls turn words around where they are shown.
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if c.is_control() || turns { Box::new(c.escape_default()) } else { Box::new(std::iter::once(c)) }
}

impl Trouble {
    /// One of that kind.
    pub fn new(cause: Cause, what: impl Into<String>, next: impl Into<String>) -> Trouble {
        Trouble { cause, what: what.into(), next: next.into(), unsent: false }
    }

    /// The daemon stops before this batch began.
    pub fn stopping() -> Trouble {
        Trouble::new(Cause::Stopping, "epicored is stopping", "")
    }

    /// A batch that could not be encoded: memory, or a mistake of ours.
    pub fn unencodable(error: &std::io::Error) -> Trouble {
        let what = format!("a batch could not be compressed: {}", plain(&error.to_string(), WHY));
        Trouble::new(Cause::Setup, what, "See the memory limits of the service.")
    }

    /// This host has no name to speak under: a collector would refuse it all.
    pub fn nameless() -> Trouble {
        Trouble::new(Cause::Setup, "this host has no name", "Give it one: `hostnamectl hostname NAME`.")
    }

    /// The spool could not be opened for reading.
    pub fn spool(error: &str) -> Trouble {
        Trouble::new(Cause::Setup, format!("the spool cannot be read: {error}"), "`epicore doctor` says why.")
    }

    /// True when somebody has to act before it can get better: it is tried
    /// slowly.
    pub fn needs_a_person(&self) -> bool {
        use Cause::{ClientCertificate, Expired, Forbidden, NotACollector, NotYetValid, Setup};
        use Cause::{Token, TooLarge, UnknownAuthority, WrongName};
        matches!(
            self.cause,
            ClientCertificate
                | Expired
                | Forbidden
                | NotACollector
                | NotYetValid
                | Setup
                | Token
                | TooLarge
                | UnknownAuthority
                | WrongName
        )
    }

    /// A status other than 200, and other than a 400 or 413 of the collector's.
    pub fn status(reply: &Reply) -> Trouble {
        let (status, said) = (reply.status, reply.said());
        let (cause, what, next) = match status {
            400 => (
                Cause::NotACollector,
                "something before the collector refuses this host's requests",
                "See what answers at collector.url: a client certificate that has expired (collector.cert_file), http:// where https is spoken, or the log of a proxy; `curl URL/healthz` must say 200.",
            ),
            413 => (
                Cause::TooLarge,
                "something before the collector finds a single record too large",
                "Raise the limit of the proxy before the collector to 8 MiB (nginx: client_max_body_size 8m).",
            ),
            401 => (
                Cause::Token,
                "the collector does not know this host's token (401)",
                "Issue one with `epicore-collector token ingest HOSTNAME` and put it into collector.token_file; it is read again by itself.",
            ),
            403 => (
                Cause::Forbidden,
                "the collector does not let this host hand in records under its name (403)",
                "The token's subject or the client certificate's DNS name must be this host's name: `uname -n`.",
            ),
            300..=399 => (
                Cause::NotACollector,
                "collector.url redirects elsewhere, which is not followed",
                "Set collector.url to the address of the collector itself.",
            ),
            404 | 405 | 415 | 426 => (
                Cause::NotACollector,
                "what answers at collector.url is no collector of this protocol",
                "Check host, port and path of collector.url; `curl URL/healthz` must say 200. A collector must not be older than epicored.",
            ),
            429 => (
                Cause::TooMany,
                "the collector asks this host to send less (429)",
                "Nothing, when it passes. Else raise the collector's rate, or find what crashes so often.",
            ),
            503 | 507 => (
                Cause::CannotStore,
                "the collector cannot store now",
                "See the collector: its disk may be full. Everything waits in the spool meanwhile.",
            ),
            _ => (
                Cause::Status,
                "the collector, or a proxy before it, failed",
                "See the log of the collector. Everything waits in the spool meanwhile.",
            ),
        };
        use Cause::{CannotStore, NotACollector, Status, TooLarge};
        let what = match cause {
            Status | NotACollector | TooLarge | CannotStore => format!("{what} ({status})"),
            _ => what.to_owned(),
        };
        let what = if said.is_empty() { what } else { format!("{what}: {said}") };
        // A name that is not the token's, or a role that is not ingest: only
        // the collector knows which.
        let theirs = reply.problem().and_then(|problem| problem.next).filter(|_| status == 403);
        let next = theirs.map_or_else(
            || next.to_owned(),
            |theirs| format!("{}; into collector.token_file with it.", plain(&theirs, WHY)),
        );
        Trouble::new(cause, what, next)
    }

    /// Status 200 and a body that is no answer.
    pub fn garbage(body: &[u8]) -> Trouble {
        let begin = String::from_utf8_lossy(body.get(..40).unwrap_or(body)).into_owned();
        let what = format!(
            "the answer is not a collector's: {} bytes that begin with \"{}\"",
            body.len(),
            plain(&begin, 40)
        );
        Trouble::new(
            Cause::Garbage,
            what,
            "Check collector.url; a proxy or login page may answer in its place.",
        )
    }

    /// The collector said "later" of some items.
    pub fn later(count: usize, why: &str) -> Trouble {
        let colon = if why.is_empty() { "" } else { ": " };
        let what = format!("the collector did not take {count} of a batch now{colon}{why}");
        Trouble::new(Cause::Later, what, "Nothing; they are sent again.")
    }

    /// An error of the HTTP client.
    pub(super) fn of(error: &reqwest::Error) -> Trouble {
        Trouble { unsent: error.is_connect(), ..Trouble::in_words(error) }
    }

    fn in_words(error: &reqwest::Error) -> Trouble {
        let mut chain: Vec<&(dyn Error + 'static)> = Vec::new();
        let mut source = error.source();
        while let Some(inner) = source {
            chain.push(inner);
            source = inner.source();
        }
        if let Some(trouble) = chain.iter().find_map(|error| tls(*error)) {
            return trouble;
        }
        let text = chain.last().map_or_else(|| error.to_string(), ToString::to_string);
        let text = plain(&text, WHY);
        if let Some(trouble) = through_proxy(&chain, &text) {
            return trouble;
        }
        if error.is_dns() {
            return Trouble::new(
                Cause::Dns,
                format!("the name of the collector cannot be resolved: {text}"),
                "Check the host in collector.url, and DNS on this host: `getent hosts NAME`.",
            );
        }
        if error.is_timeout() {
            return Trouble::new(
                Cause::TimedOut,
                "the collector did not answer in time",
                "Check the network and the collector's load; forward.timeout_seconds is how long it is waited for.",
            );
        }
        chain.iter().find_map(|error| io(*error)).unwrap_or_else(|| broken(&text))
    }
}

impl Trouble {
    /// The answer ended early or late; `error` wraps one of the HTTP client.
    pub(super) fn reading(error: &std::io::Error) -> Trouble {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>()) {
            Some(error) => Trouble::of(error),
            None => io(error).unwrap_or_else(|| broken(&error.to_string())),
        }
    }
}

fn broken(text: &str) -> Trouble {
    Trouble::new(
        Cause::Broken,
        format!("the exchange with the collector broke: {}", plain(text, WHY)),
        "Nothing, when it passes. Else see the collector's log, and whether collector.url needs https.",
    )
}

/// hyper-util names its tunnel's errors only in text.
fn through_proxy(chain: &[&(dyn Error + 'static)], text: &str) -> Option<Trouble> {
    let tunnel = chain.iter().any(|error| {
        let text = error.to_string();
        text.contains("tunnel") || text.contains("proxy")
    });
    tunnel.then(|| {
        Trouble::new(Cause::Proxy, format!("the proxy does not let it pass: {text}"),
            "Check collector.proxy, or HTTPS_PROXY and NO_PROXY in the service's environment; collector.proxy = \"\" uses none.")
    })
}

fn io(error: &(dyn Error + 'static)) -> Option<Trouble> {
    use std::io::ErrorKind as E;
    let kind = error.downcast_ref::<std::io::Error>()?.kind();
    Some(match kind {
        E::ConnectionRefused => Trouble::new(
            Cause::Refused,
            "nobody listens at collector.url (connection refused)",
            "Start the collector, or check host and port of collector.url, and firewalls.",
        ),
        E::NetworkUnreachable | E::HostUnreachable | E::NetworkDown | E::AddrNotAvailable => Trouble::new(
            Cause::Unreachable,
            "the collector's network cannot be reached",
            "Check the routes and firewalls of this host.",
        ),
        E::TimedOut => Trouble::new(
            Cause::TimedOut,
            "no connection to the collector in time",
            "Check the network and firewalls: a dropped packet looks like this.",
        ),
        E::ConnectionReset | E::ConnectionAborted | E::BrokenPipe | E::UnexpectedEof => Trouble::new(
            Cause::Broken,
            "the connection broke before the answer was whole",
            "Nothing, when it passes. Else see the collector's log, and whether collector.url needs https.",
        ),
        _ => return None,
    })
}

fn tls(error: &(dyn Error + 'static)) -> Option<Trouble> {
    // Each layer wraps an io::Error around the one below, and an io::Error
    // does not name what it wraps as its source.
    let mut error = error;
    let found = loop {
        match error.downcast_ref::<rustls::Error>() {
            Some(found) => break found,
            None => error = error.downcast_ref::<std::io::Error>()?.get_ref()?,
        }
    };
    Some(match found {
        rustls::Error::InvalidCertificate(why) => certificate(why),
        rustls::Error::AlertReceived(alert) => Trouble::new(
            Cause::ClientCertificate,
            format!("the collector ended the handshake: {alert:?}"),
            "It may want a client certificate (collector.cert_file, key_file) of its authority that has not expired.",
        ),
        rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => Trouble::new(
            Cause::Tls,
            "what answers at collector.url speaks no TLS: plain HTTP, it seems",
            "Check https:// against http:// in collector.url; a collector without tls.cert_file speaks plain HTTP.",
        ),
        other => Trouble::new(
            Cause::Tls,
            format!("TLS: {}", plain(&other.to_string(), WHY)),
            "Check that collector.url is the collector's TLS port; it speaks TLS 1.2 or 1.3.",
        ),
    })
}

fn certificate(why: &rustls::CertificateError) -> Trouble {
    use rustls::CertificateError as C;
    match why {
        C::Expired | C::ExpiredContext { .. } => Trouble::new(
            Cause::Expired,
            "the collector's certificate has expired",
            "Renew it at the collector; or this host's clock is ahead: `timedatectl`.",
        ),
        C::NotValidYet | C::NotValidYetContext { .. } => Trouble::new(
            Cause::NotYetValid,
            "the collector's certificate is not valid yet",
            "This host's clock is probably behind: `timedatectl`.",
        ),
        C::UnknownIssuer => Trouble::new(
            Cause::UnknownAuthority,
            "nobody whom this host trusts signed the collector's certificate",
            "Set collector.ca_file to the authority's certificate; without it the system's authorities count.",
        ),
        C::NotValidForName | C::NotValidForNameContext { .. } => Trouble::new(
            Cause::WrongName,
            format!("the collector's certificate is another name's: {}", plain(&why.to_string(), WHY)),
            "The host in collector.url must be a DNS name (or address) of the certificate.",
        ),
        other => Trouble::new(
            Cause::UnknownAuthority,
            format!("the collector's certificate is not accepted: {}", plain(&other.to_string(), WHY)),
            "Check the certificate with `openssl s_client -connect HOST:PORT`.",
        ),
    }
}

impl Reply {
    /// The body as an error of the collector's, which is proof that the
    /// collector said it. MessagePack, as it was asked for, or JSON with the
    /// two keys that the collector writes and no other: `{"error": …}` is what
    /// many a gateway says.
    pub fn problem(&self) -> Option<Problem> {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(&self.body);
        deserializer.set_max_depth(DEPTH);
        let packed = Problem::deserialize(&mut deserializer).ok();
        packed.or_else(|| json(&self.body)).filter(|problem| !problem.error.is_empty())
    }

    /// What the body says of an error, when it says anything: bounded and
    /// printable.
    pub fn said(&self) -> String {
        // A page of a proxy: its status says enough.
        self.problem().map_or_else(String::new, |problem| plain(&problem.error, WHY))
    }
}

fn json(body: &[u8]) -> Option<Problem> {
    let mut keys: BTreeMap<String, Option<String>> = serde_json::from_slice(body).ok()?;
    let problem = Problem { error: keys.remove("error")??, next: keys.remove("next")? };
    keys.is_empty().then_some(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_short_and_obeyed_by_no_terminal() {
        assert_eq!(plain("a\x1b[31m\n\u{202e}b", 100), "a\\u{1b}[31m\\n\\u{202e}b");
        assert_eq!(plain("grün und länger", 4), "grün…");
    }

    #[test]
    fn a_problem_is_repeated_in_the_collectors_words() {
        let problem = Problem { error: "disk is full".into(), next: None };
        let body = rmp_serde::to_vec_named(&problem).unwrap();
        let trouble = Trouble::status(&Reply { status: 503, body, ..Reply::default() });
        assert_eq!(trouble.cause, Cause::CannotStore);
        assert_eq!(trouble.what, "the collector cannot store now (503): disk is full");
        assert!(!trouble.needs_a_person());
        // A token of the role read was told to be of another name.
        let problem = Problem {
            error: "the role read may not do this: it needs ingest".into(),
            next: Some("`epicore-collector token ingest NAME` makes one".into()),
        };
        let body = rmp_serde::to_vec_named(&problem).unwrap();
        let trouble = Trouble::status(&Reply { status: 403, body, ..Reply::default() });
        assert!(trouble.what.ends_with("it needs ingest") && trouble.next.contains("token ingest"));
        assert!(!trouble.next.contains("uname"), "{}", trouble.next);
        let html = Reply { status: 502, body: b"<html>".to_vec(), ..Reply::default() };
        assert_eq!(Trouble::status(&html).what, "the collector, or a proxy before it, failed (502)");
    }
}
