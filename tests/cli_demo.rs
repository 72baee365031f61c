//! The demo, as root: five records, and core_pattern as it was.
#![allow(missing_docs)]

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("skipped: the demo changes kernel.core_pattern, which needs root");
    }
    root
}

fn pattern() -> String {
    fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap()
}

fn demo() -> Command {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_epicore"));
    demo.args(["demo", "--json", "--handler", env!("CARGO_BIN_EXE_epicore-handler")]);
    demo
}

/// A demo that somebody else's test does not interrupt: it holds the lock
/// itself, so the pattern before and after is looked at from its own report.
#[test]
fn five_programs_crash_and_leave_five_records() {
    if !root() {
        return;
    }
    let output = demo().output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let signals: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|record| record["crash"]["sig"].to_string())
        .collect();
    let mut sorted = signals.clone();
    sorted.sort();
    assert_eq!(sorted, ["11", "11", "11", "6", "8"], "{signals:?}");
}

#[test]
fn a_demo_that_is_killed_leaves_no_pattern_behind() {
    if !root() {
        return;
    }
    let mut child = demo().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while !pattern().contains("/run/epicore-demo-") && Instant::now() < until {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = child.kill();
    let _ = child.wait();
    let until = Instant::now() + Duration::from_secs(20);
    while pattern().contains("/run/epicore-demo-") && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!pattern().contains("/run/epicore-demo-"), "{}", pattern());
}
