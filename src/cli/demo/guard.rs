//! Puts core_pattern back, however the demo ends.
//!
//! A destructor does not run on SIGKILL, nor in a program whose panics abort.
//! So the restoring is another process's only job: it holds the lock, waits
//! for the end of a pipe that only the demo holds (the kernel closes it
//! whatever happens), restores what the demo saved, ends the programs that the
//! demo started, and removes its directory.
//!
//! ```text
//! demo → guard   "child PID\n"   ends with the demo
//!                "restore\n"     core_pattern now, the directory at the end
//!                "done\n"        the programs have ended already
//! guard → demo   "ready\n"  "restored\n"
//! ```
//!
//! It is in a process group of its own: Ctrl-C ends the demo, not the guard.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::failure::{Failure, Outcome, warn};
use super::roots;
use crate::invocation::pattern::Setting;

/// Whoever changes core_pattern for a test or a demo holds this.
const LOCK: &str = "/run/epicore-test.lock";
/// The demo's own directory, for mkdtemp(3).
const DIRECTORY: &str = "/run/epicore-demo-XXXXXX";
/// Its spool is to stay.
const KEEP: &str = "keep";

/// The demo's side.
#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
    leash: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    directory: PathBuf,
    before: Option<Setting>,
}

fn failed(what: impl std::fmt::Display) -> Failure {
    Failure::new(format!("the demo could not be prepared: {what}"), "Nothing was changed.")
}

impl Guard {
    /// Makes the directory and waits until the guard holds the lock.
    pub(super) fn post(keep: bool) -> Result<Guard, Failure> {
        let directory = nix::unistd::mkdtemp(DIRECTORY).map_err(failed)?;
        if keep {
            fs::write(directory.join(KEEP), "").map_err(failed)?;
        }
        let exe = std::env::current_exe().map_err(failed)?;
        let mut child = Command::new(exe)
            .args(["demo", "--guard"])
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let leash = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| failed("its guard has no output"))?;
        let mut guard = Guard { child, leash, answers: BufReader::new(stdout), directory, before: None };
        match guard.answer().as_str() {
            "ready\n" => Ok(guard),
            _ => Err(failed("its guard did not start")),
        }
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        let _ = self.answers.read_line(&mut line);
        line
    }

    fn order(&mut self, line: &str) {
        if let Some(leash) = &mut self.leash {
            let _ = leash.write_all(line.as_bytes());
        }
    }

    /// A program that is to end when the demo is killed.
    pub(super) fn adopt(&mut self, pid: u32) {
        self.order(&format!("child {pid}\n"));
    }

    /// Everything of the demo is in here.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Changes core_pattern; what was there is saved first.
    pub(super) fn install(&mut self, setting: &Setting) -> Outcome {
        let roots = roots(&self.directory);
        let before = roots.current().map_err(failed)?;
        roots.save(&before).map_err(failed)?;
        self.before = Some(before);
        roots.install(setting).map_err(|refusal| {
            Failure::new(
                refusal.to_string(),
                "The kernel's settings are read-only here? Run the demo on the host.",
            )
        })
    }

    /// Lets the guard put core_pattern back, and says what it was.
    pub(super) fn relieve(&mut self) -> Result<Setting, Failure> {
        self.order("restore\n");
        let next = "Look at it: sysctl kernel.core_pattern";
        if self.answer() != "restored\n" {
            return Err(Failure::new("core_pattern could not be put back", next));
        }
        self.before.take().ok_or_else(|| Failure::new("nothing was saved", next))
    }
}

impl Drop for Guard {
    /// The guard sees the end of the pipe, clears up and ends.
    fn drop(&mut self) {
        self.order("done\n");
        self.leash = None;
        let _ = self.child.wait();
    }
}

/// The guard's side: it says "ready" when it holds the lock, then obeys until
/// the demo has ended.
pub(super) fn stand(directory: &Path) -> Outcome {
    close_inherited();
    let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(LOCK).map_err(failed)?;
    let mut lock = Some(hold(lock)?);
    let mut stdout = std::io::stdout();
    let mut say = |line: &[u8]| stdout.write_all(line).and_then(|()| stdout.flush());
    let _ = say(b"ready\n");
    let mut outcome = Ok(());
    let mut children = Vec::new();
    for line in BufReader::new(std::io::stdin()).lines().map_while(Result::ok) {
        if let Some(pid) = line.strip_prefix("child ").and_then(|pid| pid.parse().ok()) {
            children.push(Pid::from_raw(pid));
        } else if line == "restore" && lock.is_some() {
            outcome = restore(directory, false);
            lock = None;
            let _ = say(if outcome.is_ok() { b"restored\n" } else { b"failed\n" });
        } else if line == "done" {
            children.clear();
        }
    }
    if lock.is_some() {
        outcome = restore(directory, true);
    }
    for pid in children {
        let _ = kill(pid, Signal::SIGTERM);
    }
    clear(directory);
    outcome
}

/// Whoever started the demo may have left it descriptors: of this lock, for one
/// (flock(1) does), for which the guard would wait for ever.
fn close_inherited() {
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        let _ = nix::unistd::close(fd);
    }
}

/// A handler may still be writing: what appears meanwhile is removed as well.
fn clear(directory: &Path) {
    if directory.join(KEEP).exists() {
        let _ = fs::remove_file(directory.join("h"));
        return;
    }
    let gone = || fs::remove_dir_all(directory).is_ok() || !directory.exists();
    for _ in 0..100 {
        if gone() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn hold(file: File) -> Result<Flock<File>, Failure> {
    let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(held) => return Ok(held),
        Err((file, _)) => file,
    };
    warn(&format!("waiting: another demo or test holds {LOCK}"));
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| failed(errno))
}

fn restore(directory: &Path, interrupted: bool) -> Outcome {
    let roots = roots(directory);
    let Ok(Some(before)) = roots.saved() else { return Ok(()) };
    roots.restore(&before).map_err(|refusal| {
        Failure::new(
            format!("core_pattern could not be put back: {refusal}"),
            format!("It was: {}", before.pattern),
        )
    })?;
    if interrupted {
        warn(&format!("interrupted; core_pattern is back: {}", before.pattern));
    }
    Ok(())
}
