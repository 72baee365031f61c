//! Everything before the main loop, in words when it fails: the configuration,
//! the spool and its claim, the watcher and the socket. And SIGHUP, which does
//! the half of it again.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crossbeam_channel::Sender;
use nix::errno::Errno;

use super::arguments::Paths;
use super::connector::Ending;
use super::dropped::{Dropped, Places};
use super::event::Event;
use super::forwarder::Forwarder;
use super::notify;
use super::socket::{Bound, Listener};
use super::watch::Watch;
use crate::config::{self, Config};
use crate::forward::Transport;
use crate::hardware::{self, Roots};
use crate::record::{Id, app_specific};
use crate::spool::{Claim, Reader, Spool, SpoolError, Step};
use crate::wire;

/// Why epicored does not run.
#[derive(Debug)]
pub(super) enum Failure {
    /// The command line or the configuration: exit 2.
    Usage(Vec<String>),
    /// Anything else: exit 1.
    Cannot(String),
}

impl Failure {
    /// Tells it, and gives the exit code.
    pub(super) fn tell(&self) -> ExitCode {
        match self {
            Failure::Usage(lines) => {
                lines.iter().for_each(|line| eprintln!("epicored: {line}"));
                ExitCode::from(2)
            }
            Failure::Cannot(what) => {
                eprintln!("epicored: {what}");
                ExitCode::FAILURE
            }
        }
    }
}

/// The configuration; unlike the handler, the daemon takes no part of a wrong
/// one.
pub(super) fn configuration(paths: &Paths) -> Result<Config, Failure> {
    let (mut config, warnings) = config::load(&paths.config);
    let mut lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    if paths.config != Path::new(config::DEFAULT_FILE) && !paths.config.exists() {
        lines.push(format!("{}: no such file", paths.config.display()));
    }
    if let Some(spool) = &paths.spool {
        config.spool = Some(spool.clone());
    }
    if config.collector.url.is_some()
        && let Err(error) = Transport::new(&config.collector, std::time::Duration::from_secs(1))
    {
        lines.push(format!("{}: {error}", paths.config.display()));
    }
    if lines.is_empty() { Ok(config) } else { Err(Failure::Usage(lines)) }
}

/// Opens and claims the spool.
pub(super) fn spool(config: &Config) -> Result<(Spool, Reader, Claim), Failure> {
    let path = config.spool_directory();
    let cannot = |error: SpoolError| Failure::Cannot(spool_words(path, &error));
    let spool = Spool::open(path).map_err(cannot)?;
    let claim = spool.claim().map_err(|error| Failure::Cannot(format!("{}: {error}", path.display())))?;
    let reader = Reader::of(&spool).map_err(cannot)?;
    Ok((spool, reader, claim))
}

fn spool_words(path: &Path, error: &SpoolError) -> String {
    let next = match error {
        SpoolError::Io(Step::Directory, Errno::ENOENT) => "it does not exist; `epicore enable` makes it",
        SpoolError::Io(Step::Directory, Errno::EACCES | Errno::EPERM) => {
            "this user may not open it; epicored runs as the spool's owner"
        }
        _ => "`epicore doctor` looks at it",
    };
    format!("{}: {error}: {next}", path.display())
}

/// Starts the thread that watches the spool and the credentials.
pub(super) fn watch(spool: &Spool, config: &Config, events: &Sender<Event>) -> Result<(), Failure> {
    if config.collector.url.is_none() {
        return Ok(());
    }
    let credentials = Transport::directories(&config.collector);
    let watch = Watch::new(spool, config.forward.private, &credentials).map_err(|errno| {
        Failure::Cannot(format!("the spool cannot be watched: {errno}; see fs.inotify in sysctl(8)"))
    })?;
    let events = events.clone();
    thread("watch", move || watch.run(&events))
}

/// Starts the thread that answers `epicore status`, and says which file is its
/// socket; without it records are forwarded all the same.
pub(super) fn socket(forwarder: &mut Forwarder, spool: &Arc<Spool>, events: &Sender<Event>) -> Option<Bound> {
    let path = forwarder.config.daemon.socket.clone();
    let started = Listener::bind(&path, spool, forwarder.config.forward.private).and_then(|listener| {
        let (events, bound) = (events.clone(), listener.bound);
        let started = thread("socket", move || listener.run(&events));
        started.map(|()| bound).map_err(|_| "no thread for the socket".to_owned())
    });
    started.unwrap_or_else(|why| {
        forwarder.warn(format!("`epicore status` cannot ask this daemon: {why}"));
        None
    })
}

/// Starts the thread that counts crashes for which no handler began, where the kernel
/// tells of crashes; elsewhere the census goes by the kernel's log.
pub(super) fn dropped(forwarder: &mut Forwarder, paths: &Paths, events: &Sender<Event>) -> Option<Ending> {
    forwarder.run.clone_from(&paths.run);
    if !forwarder.config.daemon.count_dropped {
        uncounted(forwarder, "daemon.count_dropped is false".to_owned());
        return None;
    }
    let file = forwarder.config.daemon.dropped_file();
    let places = hardware::boot_id().map(|boot| Places { run: paths.run.clone(), file, boot });
    let counter = places.clone().ok_or_else(|| "the boot has no id".to_owned()).and_then(Dropped::new);
    let events = events.clone();
    let started = counter.and_then(|counter| {
        let ending = counter.ending();
        let started = thread("dropped", move || counter.run(&events));
        started.map(|()| ending).map_err(|_| "no thread can be started".to_owned())
    });
    match started {
        Ok(ending) => {
            forwarder.ledger = places;
            ending
        }
        Err(why) => {
            uncounted(forwarder, why);
            None
        }
    }
}

fn uncounted(forwarder: &mut Forwarder, why: String) {
    tracing::info!("what the kernel drops is known from its log only: {why}");
    forwarder.uncounted = Some(why);
}

pub(super) fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let builder = std::thread::Builder::new().name(name.into());
    builder
        .spawn(work)
        .map(drop)
        .map_err(|error| Failure::Cannot(format!("no thread can be started: {error}")))
}

/// The name under which this host speaks now, as in the records that it makes
/// now; nothing when it has none.
pub(super) fn name() -> String {
    hardware::nodename().unwrap_or_default()
}

/// Who speaks: the same words as in this host's records.
pub(super) fn identity() -> wire::Sender {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let Ok(roots) = Roots::open(Path::new("/proc"), Path::new("/sys")) else {
        return wire::Sender { name: name(), version, ..wire::Sender::default() };
    };
    let identity = hardware::identity(&roots, Path::new("/etc/machine-id"));
    wire::Sender {
        name: identity.hostname.unwrap_or_default(),
        mid: identity.machine_id.map(|id| Id(app_specific(&id).to_vec())),
        boot: identity.boot_id.map(|id| Id(id.to_vec())),
        version,
    }
}

/// One line for the journal and `systemctl status`.
pub(super) fn greeting(config: &Config) -> String {
    let spool = config.spool_directory().display();
    match &config.collector.url {
        Some(url) => format!("forwards {spool} to {url}"),
        None => format!("tidies {spool}; no collector is configured, so nothing leaves this host"),
    }
}

/// What is left behind: the socket's name, when it is this daemon's.
pub(super) fn farewell(config: &Config, socket: Option<Bound>) {
    if let Some(socket) = socket {
        socket.remove(&config.daemon.socket);
    }
    tracing::info!("ended; what was not acknowledged stays in the spool");
}

const RESTART: &str = "spool, daemon.socket, daemon.count_dropped, forward.private and a first collector.url need a restart: \
                       `systemctl restart epicored`";

/// The new configuration with the old values of what is open already; whether
/// that is all of it.
fn reloadable(new: Config, old: &Config) -> (Config, bool) {
    let opened = |config: &Config| {
        let url = config.collector.url.is_some();
        let daemon = (config.daemon.socket.clone(), config.daemon.count_dropped);
        (config.spool_directory().to_owned(), daemon, config.forward.private, url)
    };
    let whole = opened(&new) == opened(old);
    let mut kept = new;
    kept.spool = old.spool.clone();
    kept.daemon.socket = old.daemon.socket.clone();
    kept.daemon.count_dropped = old.daemon.count_dropped;
    kept.forward.private = old.forward.private;
    if old.collector.url.is_none() {
        kept.collector.url = None;
    }
    (kept, whole)
}

/// SIGHUP: the configuration and all credentials anew. A wrong configuration
/// changes nothing.
pub(super) fn reload(forwarder: &mut Forwarder, paths: &Paths) {
    notify::reloading();
    forwarder.warnings.clear();
    match configuration(paths) {
        Ok(config) => {
            let (config, whole) = reloadable(config, &forwarder.config);
            tracing::info!("the configuration and all credentials were read again");
            if !whole {
                forwarder.warn(RESTART.to_owned());
            }
            forwarder.reconfigure(config);
        }
        Err(Failure::Usage(lines)) => {
            lines.iter().for_each(|line| forwarder.warn(format!("{line} (the old configuration stays)")));
        }
        Err(Failure::Cannot(what)) => forwarder.warn(what),
    }
    notify::ready(&greeting(&forwarder.config));
}
