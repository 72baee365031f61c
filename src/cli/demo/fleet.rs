//! The second half of the demo: a collector, a daemon, and a fleet.
//!
//! A real epicore-collector on a loopback port with a temporary database, a
//! real epicored on the demo's spool: the five crashes are seen through the
//! API. Then the hosts of a simulation send theirs, and the collector is asked
//! what it knows. Whatever was started is ended with the demo, its files are
//! in the demo's own directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::failure::{Failure, Outcome};
use super::super::list;
use super::super::output::Output;
use super::super::records::now_ns;
use crate::config::Collector;
use crate::forward::Api;
use crate::report::amount;
use crate::report::escape::clean;
use crate::report::table::Table;
use crate::simulate::{Bug, Kind, Level, Plant, Scenario, Simulation};
use crate::wire::api::Page;
use crate::wire::{Answer, Said};

/// How long a program may take to be ready, and a crash to be seen.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(30);
/// Hosts that are simulated.
pub(super) const HOSTS: u32 = 1000;

/// What is planted among them: a bad core, and a bug that needs a kernel.
fn scenario() -> Scenario {
    Scenario {
        plant: vec![Plant {
            kind: Kind::BadCore,
            hosts: 1,
            crashes: 7,
            evidence: Level::Strong,
            ..Plant::default()
        }],
        bug: vec![Bug {
            unit: 1,
            crashes: 30,
            trigger: vec!["kernel=6.12.48+deb13-amd64".into()],
            ratio: 30.0,
            ..Bug::default()
        }],
        ..Scenario::default()
    }
}

/// The programs that were started; they end with this.
#[derive(Debug)]
pub(super) struct Fleet {
    children: Vec<Child>,
    reading: Api,
    sending: Api,
    url: String,
    directory: PathBuf,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // The daemon first: it was started last and talks to the other.
        for child in self.children.iter_mut().rev() {
            if let Ok(pid) = i32::try_from(child.id()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
            let _ = child.wait();
        }
    }
}

impl Fleet {
    /// Starts both programs; `directory` is the demo's own.
    pub(super) fn start(directory: &Path, spool: &Path) -> Result<Fleet, Failure> {
        let (collector, daemon) = (beside("epicore-collector")?, beside("epicored")?);
        prepare(&collector, directory)?;
        let log = |name: &str| {
            fs::File::create(directory.join(name)).map(Stdio::from).map_err(|error| cannot(name, &error))
        };
        let address = directory.join("address");
        let child = Command::new(&collector)
            .arg("--config")
            .arg(directory.join("collector.toml"))
            .arg("--address-file")
            .arg(&address)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log("collector.log")?)
            .spawn()
            .map_err(|error| cannot("epicore-collector", &error))?;
        let mut children = Children(vec![child]);
        let url = format!("http://{}", appear(&address, &mut children, directory)?);
        let api = |role: &str| {
            let access = Collector {
                url: Some(url.clone()),
                token_file: Some(directory.join(format!("token-{role}"))),
                proxy: Some(String::new()),
                ..Collector::default()
            };
            Api::new(&access, REQUEST).map_err(|error| Failure::new(error.to_string(), ""))
        };
        let (reading, sending) = (api("read")?, api("ingest")?);
        let ingest = directory.join("token-ingest");
        let text = format!(
            "spool = \"{}\"\n[collector]\nurl = \"{url}\"\ntoken_file = \"{}\"\nproxy = \"\"\n[daemon]\nsocket = \"{}\"\n",
            spool.display(),
            ingest.display(),
            directory.join("epicored.sock").display(),
        );
        write(&directory.join("epicored.toml"), text.as_bytes())?;
        let child = Command::new(&daemon)
            .arg("--config")
            .arg(directory.join("epicored.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log("epicored.log")?)
            .spawn()
            .map_err(|error| cannot("epicored", &error))?;
        children.0.push(child);
        let children = std::mem::take(&mut children.0);
        Ok(Fleet { children, reading, sending, url, directory: directory.to_owned() })
    }

    /// What runs.
    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.children.iter().map(Child::id)
    }

    /// Waits until so many crashes of this host are there, and shows them.
    pub(super) fn arrived(&self, crashes: usize, out: &mut Output) -> Outcome {
        let until = Instant::now() + PATIENCE;
        let mut page = Page::default();
        while page.records.len() < crashes && Instant::now() < until {
            page = self.get("/v1/records", &[("limit", "100".to_owned()), ("wait", "0".to_owned())])?;
            std::thread::sleep(Duration::from_millis(20));
        }
        if page.records.len() < crashes {
            let what = format!("{} of {crashes} crashes reached the collector", page.records.len());
            return Err(Failure::new(what, format!("{} says why.", self.log("epicored.log"))));
        }
        page.records.reverse();
        let mut late: Vec<u64> = page.records.iter().map(|s| s.received.saturating_sub(s.at)).collect();
        late.sort_unstable();
        if let Some(median) = late.get(late.len() / 2) {
            let median = amount::duration_ns(*median);
            out.line(&format!("\nThe same crashes at a collector, {median} (median) after the fact:"))?;
        }
        out.line(&format!("\n$ epicore --remote {} list", self.url))?;
        list::summaries(&page.records, &mut Table::new(), out)
    }

    /// A thousand hosts that never were send four weeks; then what a study says.
    pub(super) fn simulate(&self, seed: u64, out: &mut Output) -> Outcome {
        let scenario = scenario();
        let simulation = Simulation::new(&scenario, HOSTS, seed);
        let until = now_ns();
        out.line(&format!(
            "\n{} simulated hosts send {:.0} days: their censuses and {} crashes.",
            amount::count(u64::from(HOSTS)),
            scenario.days,
            amount::count(simulation.events.len() as u64),
        ))?;
        out.flush()?;
        let (mut stored, began) = (0u64, Instant::now());
        for batch in simulation.batches(until) {
            let answer: Answer = self.post("/v1/batches", &batch)?;
            let good = answer.outcomes.iter().filter(|o| matches!(o.said, Said::Stored | Said::Duplicate));
            stored = stored.saturating_add(good.count() as u64);
        }
        let seconds = began.elapsed().as_secs_f64();
        out.line(&format!("{} items stored in {seconds:.1} s, one batch a host.", amount::count(stored)))?;
        self.study(out)?;
        let bad = simulation.planted().into_iter().find(|planted| planted.kind.is_defect());
        let bad = bad.map_or(String::new(), |planted| Simulation::host_name(planted.host));
        out.line(&format!(
            "\nPlanted: a core of {bad} computes wrongly, and svc1.service has a bug that one kernel brings out."
        ))
    }

    /// The command itself: what is shown is what whoever types it sees.
    fn study(&self, out: &mut Output) -> Outcome {
        out.line(&format!("\n$ epicore --remote {} study", self.url))?;
        out.flush()?;
        let own = std::env::current_exe().map_err(|error| cannot("epicore", &error))?;
        let token = self.directory.join("token-read");
        let study = Command::new(own)
            .args(["--remote", &self.url, "--token-file"])
            .arg(token)
            .arg("study")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .map_err(|error| cannot("epicore", &error))?;
        if !study.status.success() {
            return Err(self.failed(String::from_utf8_lossy(&study.stderr).trim()));
        }
        out.text(&String::from_utf8_lossy(&study.stdout))
    }

    fn get<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        self.reading.get(path, query).map_err(|error| self.failed(&error.to_string()))
    }

    fn post<B: serde::Serialize, T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Failure> {
        self.sending.post(path, body).map_err(|error| self.failed(&error.to_string()))
    }

    fn failed(&self, error: &str) -> Failure {
        Failure::new(format!("{}: {error}", self.url), format!("{} may say why.", self.log("collector.log")))
    }

    fn log(&self, name: &str) -> String {
        let text = fs::read_to_string(self.directory.join(name)).unwrap_or_default();
        let last: Vec<&str> = text.lines().rev().take(3).collect();
        format!("{name} (\"{}\")", last.into_iter().rev().map(clean).collect::<Vec<_>>().join(" | "))
    }
}

/// Children that end when starting the others fails.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Secret, configuration and tokens of the collector.
fn prepare(collector: &Path, directory: &Path) -> Outcome {
    let config = directory.join("collector.toml");
    let secrets = directory.join("secrets");
    let text = format!(
        "listen = [\"127.0.0.1:0\"]\ndatabase = \"{}\"\n[auth]\nsecrets_file = \"{}\"\n",
        directory.join("fleet.db").display(),
        secrets.display()
    );
    write(&config, text.as_bytes())?;
    write(&secrets, &run(collector, &config, &["secret"])?)?;
    for (role, subject) in [("read", "demo"), ("ingest", "*")] {
        let token = run(collector, &config, &["token", role, subject])?;
        write(&directory.join(format!("token-{role}")), &token)?;
    }
    Ok(())
}

fn run(collector: &Path, config: &Path, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
    let done = Command::new(collector).arg("--config").arg(config).args(arguments).output();
    let done = done.map_err(|error| cannot("epicore-collector", &error))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        return Err(Failure::new(format!("epicore-collector {}: {said}", arguments.join(" ")), ""));
    }
    Ok(done.stdout)
}

/// For nobody but the demo: tokens lie there.
fn write(path: &Path, bytes: &[u8]) -> Outcome {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| Failure::new(format!("{}: {error}", path.display()), ""))
}

/// What a program writes once it listens.
fn appear(file: &Path, children: &mut Children, directory: &Path) -> Result<String, Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if let Some(address) = text.lines().next().filter(|_| text.ends_with('\n')) {
            return Ok(address.to_owned());
        }
        let ended = children.0.iter_mut().any(|child| !matches!(child.try_wait(), Ok(None)));
        if ended || Instant::now() > until {
            let said = fs::read_to_string(directory.join("collector.log")).unwrap_or_default();
            return Err(Failure::new(format!("epicore-collector did not start: {}", clean(said.trim())), ""));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn beside(name: &str) -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().ok();
    let beside = own.map(|exe| exe.with_file_name(name)).filter(|path| path.is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = || std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file());
    beside.or_else(installed).ok_or_else(|| {
        Failure::new(format!("{name} is neither beside this program nor in PATH"), "`make build` makes it.")
    })
}

fn cannot(name: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!("{name} could not be started: {error}"), "")
}
