//! The other handlers, from Debian: they conflict over core_pattern, so one at
//! a time is installed, measured, and removed again. One that was there
//! before stays.
//!
//! systemd-coredump hands the pipe to a service over /run/systemd/coredump.
//! Where PID 1 is not systemd, systemd-socket-activate listens there and runs
//! the same program for each crash, with the unit's nice value: the work is
//! the same, the unit's sandbox is not.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::contenders::Contender;

pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) contender: Contender,
    program: &'static str,
}

pub(crate) const ALL: [Package; 2] = [
    Package {
        name: "minicoredumper",
        contender: Contender::Minicoredumper,
        program: "/usr/sbin/minicoredumper",
    },
    Package {
        name: "systemd-coredump",
        contender: Contender::SystemdCoredump,
        program: "/lib/systemd/systemd-coredump",
    },
];

/// systemd's socket, as systemd-coredump.socket names it.
const SOCKET: &str = "/run/systemd/coredump";

/// Installed while this lives.
pub(crate) struct Installed {
    remove: Option<&'static str>,
    listener: Option<Child>,
}

impl Package {
    pub(crate) fn install(&self) -> Result<Installed, String> {
        let there = Path::new(self.program).exists();
        if !there {
            eprintln!("release: installing {}", self.name);
            apt(&["install", "-y", "--no-install-recommends", self.name])?;
        }
        let mut installed = Installed { remove: (!there).then_some(self.name), listener: None };
        if !Path::new(self.program).exists() {
            return Err(format!("{} is not in the package", self.program));
        }
        if self.contender == Contender::SystemdCoredump && !Path::new("/run/systemd/system").exists() {
            installed.listener = Some(listen(self.program)?);
        }
        Ok(installed)
    }
}

fn apt(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("apt-get: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("apt-get {}: {}", arguments.join(" "), said.lines().last().unwrap_or("failed")))
}

/// What systemd-coredump.socket does, by hand: one instance a connection.
fn listen(program: &str) -> Result<Child, String> {
    let _ = std::fs::remove_file(SOCKET);
    let child = Command::new("nice")
        .args(["-n", "9", "systemd-socket-activate", "--accept", "--seqpacket", "--listen", SOCKET, program])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("needs systemd as PID 1, or systemd-socket-activate: {error}"))?;
    let end = Instant::now() + Duration::from_secs(5);
    while !Path::new(SOCKET).exists() {
        if Instant::now() > end {
            return Err(format!("needs systemd as PID 1: nothing listens at {SOCKET}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}

impl Drop for Installed {
    fn drop(&mut self) {
        if let Some(mut listener) = self.listener.take() {
            let _ = listener.kill();
            let _ = listener.wait();
            let _ = std::fs::remove_file(SOCKET);
        }
        if let Some(name) = self.remove {
            eprintln!("release: removing {name}");
            if let Err(why) = apt(&["purge", "-y", name]) {
                eprintln!("release: {name} is still installed: {why}");
            }
        }
    }
}
