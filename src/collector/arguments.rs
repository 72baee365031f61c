//! epicore-collector as a program: its words, its signals, its service manager.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use super::server::{Server, Stop};
use super::settings::Settings;
use super::token::{self, Role, Secrets};
use super::{Failure, auth, database, log, tls};
use crate::store::Store;
use crate::store::sqlite::{self, Sqlite};

/// Threads that serve connections, at most: the store has one writer.
const WORKERS: usize = 8;

/// Keeps the crash records of a fleet, and answers questions about them.
#[derive(Debug, Parser)]
#[command(
    name = "epicore-collector",
    version,
    after_help = "`man epicore-collector` is the operator's page; it is docs/collector.md of the sources."
)]
struct Words {
    /// Settings, and drop-ins in FILE.d/*.toml [default: /etc/epicore/collector.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Writes the address it listens on into FILE, one a line
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serves (the default)
    Serve,
    /// Prints a token for a host (ingest; `*` = every host) or a person (read, admin)
    Token {
        /// ingest, read or admin
        role: String,
        /// Host name as `uname -n` says, or a person's name
        subject: String,
    },
    /// Prints a new line for the file of secrets
    Secret,
    /// Copies the database while the collector runs
    Backup {
        /// Must not exist
        file: PathBuf,
    },
    /// Reads settings, secrets and certificates, looks at the database, and says
    /// what is wrong
    Check,
}

/// The program. Exit 0 = done or stopped in order, 1 = failed, 2 = misused.
pub fn run() -> ExitCode {
    let words = Words::parse();
    match obey(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("epicore-collector: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The parser, for whoever generates manual pages and completions.
pub fn command() -> clap::Command {
    <Words as clap::CommandFactory>::command()
}

fn obey(words: Words) -> Result<(), Failure> {
    let config = words.config.as_deref();
    match words.verb {
        None | Some(Verb::Serve) => serve(config, words.address_file.as_deref()),
        Some(Verb::Token { role, subject }) => {
            let role = Role::of(&role).ok_or_else(|| Failure::new("a role is ingest, read or admin"))?;
            let secrets = Secrets::load(&Settings::load(config)?.auth.secrets_file)?;
            say(&secrets.token(role, &subject)?)
        }
        Some(Verb::Secret) => say(&token::new_secret()?),
        Some(Verb::Backup { file }) => backup(&Settings::load(config)?, &file),
        Some(Verb::Check) => check(&Settings::load(config)?),
    }
}

fn say(line: &str) -> Result<(), Failure> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}").map_err(|error| Failure::new(error.to_string()))
}

fn open(settings: &Settings) -> Result<Sqlite, Failure> {
    let file = &settings.database;
    database::refuse_root(file)?;
    Sqlite::open(file, sqlite::Options::default()).map_err(|error| database::failure(file, error))
}

fn backup(settings: &Settings, file: &Path) -> Result<(), Failure> {
    if !settings.database.exists() {
        return Err(Failure::new(format!("{}: there is no database", settings.database.display())));
    }
    if file.exists() {
        return Err(Failure::new(format!("{}: is there already; a backup replaces nothing", file.display())));
    }
    sqlite::usable(&settings.database, false)
        .map_err(|error| database::failure(&settings.database, error))?;
    Sqlite::copy(&settings.database, file)
        .map_err(|error| Failure::new(format!("{}: {error}", file.display())))
}

fn check(settings: &Settings) -> Result<(), Failure> {
    auth::Credentials::load(&settings.auth)?;
    let spoken = if tls::load(&settings.tls)?.is_some() { "https" } else { "http" };
    for address in &settings.listen {
        say(&format!("listens on {spoken}://{address}"))?;
    }
    database::check(&settings.database)?;
    say(&format!("keeps records in {}", settings.database.display()))
}

fn serve(config: Option<&Path>, address_file: Option<&Path>) -> Result<(), Failure> {
    let settings = Settings::load(config)?;
    log::begin(settings.log.level);
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(WORKERS);
    let limits = &settings.limits;
    // Batches, questions, and a few for retention and the scrape.
    let blocking =
        (limits.concurrent_ingest.saturating_add(limits.concurrent_reads) as usize).saturating_add(8);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(blocking)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("threads: {error}")))?;
    let store: Arc<dyn Store> = Arc::new(open(&settings)?);
    let served = runtime.block_on(live(settings, config, address_file, Arc::clone(&store)));
    runtime.shutdown_timeout(Duration::from_secs(1));
    store.close();
    served
}

async fn live(
    settings: Settings,
    config: Option<&Path>,
    address_file: Option<&Path>,
    store: Arc<dyn Store>,
) -> Result<(), Failure> {
    let spoken = if settings.tls.cert_file.is_some() { "https" } else { "http" };
    let server = Server::bind(settings, store).await?;
    let addresses: Vec<String> = server.addresses().iter().map(ToString::to_string).collect();
    if let Some(file) = address_file {
        publish(file, &addresses).map_err(|e| Failure::new(format!("{}: {e}", file.display())))?;
    }
    for address in &addresses {
        tracing::info!("epicore-collector {} listens on {spoken}://{address}", env!("CARGO_PKG_VERSION"));
    }
    let server = Arc::new(server);
    obey_signals(&server, config.map(Path::to_owned))?;
    tokio::spawn(watchdog());
    notify(&[NotifyState::Ready]);
    server.serve().await;
    tracing::info!("stopped");
    Ok(())
}

/// A reader sees all addresses or no file.
fn publish(file: &Path, addresses: &[String]) -> std::io::Result<()> {
    let mut fresh = file.as_os_str().to_owned();
    fresh.push(".new");
    std::fs::write(&fresh, addresses.join("\n") + "\n")?;
    std::fs::rename(&fresh, file)
}

/// SIGTERM and SIGINT stop, SIGHUP reads again.
fn obey_signals(server: &Arc<Server>, config: Option<PathBuf>) -> Result<(), Failure> {
    let of = |kind| signal(kind).map_err(|error| Failure::new(format!("signals: {error}")));
    let (mut term, mut int, mut hup) =
        (of(SignalKind::terminate())?, of(SignalKind::interrupt())?, of(SignalKind::hangup())?);
    let server = Arc::clone(server);
    let stop: Stop = server.stopper();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
                _ = hup.recv() => reload(&server, config.as_deref()),
            }
        }
        notify(&[NotifyState::Stopping]);
        stop.stop();
    });
    Ok(())
}

fn reload(server: &Server, config: Option<&Path>) {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
    match Settings::load(config).and_then(|settings| server.reload(settings)) {
        Ok(()) => tracing::info!("secrets, revocations and certificates were read again"),
        Err(failure) => tracing::error!("nothing was changed: {failure}"),
    }
    notify(&[NotifyState::Ready]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager was not told: {error}");
    }
}

/// Tells systemd that the runtime still turns.
async fn watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let mut clock = tokio::time::interval(period.div_f64(2.0).max(Duration::from_millis(1)));
    loop {
        clock.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}
