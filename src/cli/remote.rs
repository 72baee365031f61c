//! The fleet instead of this host: what `--remote` and `--fleet` mean.
//!
//! The token is --token-file's, else ~/.config/epicore/token, else the
//! configuration's, which is the host's and may as a rule only hand in
//! records; the authority --ca-file's, else the configuration's, else the
//! system's. What goes wrong is said in the words of whoever typed it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::arguments::Common;
use super::failure::Failure;
use crate::config::Collector;
use crate::forward::{Api, ApiError, Cause, ForwardError};
use crate::wire::api::{One, Page};

/// Longer than the collector holds an answer back for `tail`.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long a collector that is busy is left alone, first.
const BUSY: Duration = Duration::from_millis(500);

/// Whose token is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// --token-file's.
    Typed(PathBuf),
    /// ~/.config/epicore/token.
    Own(PathBuf),
    /// The configuration's, for want of another.
    Host(PathBuf),
    /// None is.
    None,
}

impl Token {
    fn of(common: &Common, configured: &Collector) -> Token {
        let typed = || common.token_file.clone().map(Token::Typed);
        let host = || configured.token_file.clone().map(Token::Host);
        typed().or_else(|| own_token().map(Token::Own)).or_else(host).unwrap_or(Token::None)
    }

    fn file(&self) -> Option<&Path> {
        match self {
            Token::Typed(file) | Token::Own(file) | Token::Host(file) => Some(file),
            Token::None => None,
        }
    }

    /// Whose it was, for whoever was not let in with it.
    fn told(&self) -> String {
        match self {
            Token::Typed(file) => format!("The token was --token-file's, {}.", file.display()),
            Token::Own(file) => format!("The token was yours, {}.", file.display()),
            Token::Host(file) => {
                format!("The token was this host's, {}, for want of one of yours. {OWN}", file.display())
            }
            Token::None => format!("No token was sent. {OWN}"),
        }
    }

    /// What to do about its file, which is no use.
    fn mend(&self) -> &'static str {
        match self {
            Token::Typed(_) => {
                "--token-file must be a file that you can read, with one token in it: what \
                 `epicore-collector token read NAME` prints, run where the collector is."
            }
            Token::Own(_) | Token::None => {
                "It must be yours to read (0600), with one token in it: what `epicore-collector token read \
                 NAME` prints, run where the collector is."
            }
            Token::Host(_) => OWN,
        }
    }
}

const OWN: &str = "Yours goes to ~/.config/epicore/token (0600), or name a file with --token-file; \
                   `epicore-collector token read NAME` prints one, run where the collector is.";

/// A collector that a person asked for.
#[derive(Debug)]
pub(super) struct Remote {
    api: Api,
    /// Its address, for messages.
    pub(super) url: String,
    /// Where the address comes from: "--remote" or "collector.url".
    source: &'static str,
    token: Token,
}

impl Remote {
    /// The collector of this command line, when one was asked for.
    pub(super) fn of(common: &Common) -> Result<Option<Remote>, Failure> {
        if common.remote.is_none() && !common.fleet {
            return Ok(None);
        }
        let configured = common.settings()?.collector;
        let Some(url) = common.remote.clone().or_else(|| configured.url.clone()) else {
            let next = "Set collector.url in the configuration, or give --remote https://HOST:7464.";
            return Err(Failure::usage("--fleet: no collector is configured", next));
        };
        let source = if common.remote.is_some() { "--remote" } else { "collector.url" };
        let token = Token::of(common, &configured);
        let token_file = token.file().map(Path::to_owned);
        let ca_file = common.ca_file.clone().or(configured.ca_file.clone());
        let access = Collector { url: Some(url.clone()), token_file, ca_file, ..configured };
        match Api::new(&access, PATIENCE) {
            Ok(api) => Ok(Some(Remote { api, url, source, token })),
            Err(error) => Err(unusable(error, source, &token, common, &access)),
        }
    }

    /// Asks.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        self.api.get(path, query).map_err(|error| self.failed(&error))
    }

    /// One of many answers: a collector that is busy is asked again, and one that
    /// does not know the question is too old.
    pub(super) fn page<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        let mut wait = BUSY;
        loop {
            match self.api.get(path, query) {
                Err(error) if matches!(error.status(), Some(429 | 503)) && wait <= BUSY * 16 => {
                    std::thread::sleep(wait);
                    wait *= 2;
                }
                answer => return answer.map_err(|error| self.too_old(path, &error)),
            }
        }
    }

    /// Orders what a collector may be too old for.
    pub(super) fn post_new<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Failure> {
        self.api.post(path, body).map_err(|error| self.too_old(path, &error))
    }

    fn too_old(&self, path: &str, error: &ApiError) -> Failure {
        if error.status() != Some(404) || error.cause().is_some() {
            return self.failed(error);
        }
        let what = format!("{}: the collector is older than this epicore and has no {path}", self.url);
        Failure::new(
            what,
            "Upgrade it (before the hosts, docs/collector.md); until then `epicore study DIR` reads records here.",
        )
    }

    /// The one record that an id or a part of one names, else the candidates.
    pub(super) fn one(&self, id: &str) -> Result<Result<One, Page>, Failure> {
        self.api.get_or(&format!("/v1/records/{id}"), 409).map_err(|error| self.failed(&error))
    }

    /// Orders.
    pub(super) fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        self.api.post(path, body).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &ApiError) -> Failure {
        let said = error.to_string().replace("collector.url", "that address");
        let theirs = error.next().unwrap_or_default();
        let next = match (error.status(), error.cause()) {
            (Some(401 | 403), _) if theirs.is_empty() => self.token.told(),
            (Some(401 | 403), _) => format!("{theirs}\n{}", self.token.told()),
            (_, Some(cause)) => self.next(cause).unwrap_or_else(|| theirs.to_owned()),
            _ => theirs.to_owned(),
        };
        Failure::new(format!("{}: {said}", self.url), next)
    }

    /// What a person can do, where it is not what the owner of a host would.
    fn next(&self, cause: Cause) -> Option<String> {
        let source = self.source;
        Some(match cause {
            Cause::Dns => format!("Check the host in {source}, and DNS here: `getent hosts NAME`."),
            Cause::Refused => {
                format!("Start the collector, or check host and port of {source}, and firewalls.")
            }
            Cause::TimedOut => {
                "Check the network, firewalls and the collector's load; or ask for less.".into()
            }
            Cause::Broken => {
                format!("Try again; else see the collector's log, and whether {source} needs https://.")
            }
            Cause::UnknownAuthority => {
                "Give the certificate of the collector's authority with --ca-file; without it the \
                 configuration's or the system's count."
                    .into()
            }
            Cause::WrongName => {
                format!("The host in {source} must be a name (or address) of the certificate.")
            }
            Cause::Tls => format!(
                "Check https:// against http:// in {source}, and the port; a collector without tls.cert_file \
                 speaks plain HTTP."
            ),
            Cause::Proxy => {
                "Check HTTPS_PROXY and NO_PROXY, or collector.proxy in the configuration (\"\" uses none)."
                    .into()
            }
            Cause::NotACollector | Cause::Garbage => {
                format!("Check host, port and path of {source}: `curl {}/healthz` must say 200.", self.url)
            }
            Cause::CannotStore | Cause::Status => {
                "See the log of the collector, or of a proxy before it.".into()
            }
            Cause::Setup => "Put the file right and try again.".into(),
            _ => return None,
        })
    }
}

/// Each cause has its own next step.
fn unusable(
    error: ForwardError,
    source: &str,
    token: &Token,
    common: &Common,
    access: &Collector,
) -> Failure {
    let file = match error {
        ForwardError::Url(why) => {
            let next = "An address looks like https://collector.example:7464.";
            return Failure::usage(format!("{source}: {why}"), next);
        }
        ForwardError::Client(ref why) if why.contains("CA certificates") => {
            let next = "Install the system's authorities (the package ca-certificates), or give --ca-file.";
            return Failure::new(error.to_string(), next);
        }
        ForwardError::Client(_) => {
            return Failure::new(
                error.to_string(),
                "Correct it in the configuration: `epicore config check`.",
            );
        }
        ForwardError::File(ref file, _) => file,
    };
    let next = if token.file() == Some(file) {
        token.mend()
    } else if common.ca_file.as_ref() == Some(file) {
        "--ca-file must be a file that you can read, with the authority's certificate (PEM)."
    } else if access.ca_file.as_ref() == Some(file) {
        "It is the configuration's collector.ca_file; --ca-file names another for you."
    } else {
        "They are the configuration's collector.cert_file and key_file, and must be yours to read."
    };
    Failure::new(error.to_string(), next)
}

/// ~/.config/epicore/token, where there is one.
fn own_token() -> Option<PathBuf> {
    let home = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    Some(home.join("epicore/token")).filter(|path| path.is_file())
}
