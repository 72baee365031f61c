//! What the handler may weigh: its file, its dependencies, its memory.
//!
//! The memory is measured on the real kernel (root); says so and passes
//! without. packaging/handler-deps.txt is the golden list of what is linked:
//! EPICORE_BLESS=1 writes it anew, and the difference is there to be reviewed.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::handler_place::handler;
use support::observe::{Observatory, Watch, dumped, records, victim};

/// The file, bytes.
const FILE: u64 = 2_500_000;
/// Resident at its peak, KiB: any ordinary process; one of 2,000 threads.
const ORDINARY_KIB: u64 = 12 << 10;
const THREADS_2000_KIB: u64 = 32 << 10;

#[test]
fn the_handler_is_small_and_static() {
    let path = handler();
    let Ok(bytes) = std::fs::read(&path) else {
        println!("skipped: {} is not there (make build)", path.display());
        return;
    };
    println!("{} bytes", bytes.len());
    assert!(bytes.len() as u64 <= FILE, "{} bytes", bytes.len());
    assert!(!has_interpreter(&bytes), "{} needs a dynamic loader", path.display());
}

#[test]
fn an_interpreter_would_be_seen() {
    let shell = std::fs::read("/proc/self/exe").expect("this program");
    assert!(has_interpreter(&shell), "a test program is linked dynamically");
}

/// PT_INTERP among the program headers of a 64-bit little-endian ELF file.
fn has_interpreter(bytes: &[u8]) -> bool {
    let number = |at: usize, size: usize| {
        bytes[at..at + size].iter().rev().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte))
    };
    assert_eq!(&bytes[..5], b"\x7fELF\x02");
    let (start, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).any(|index| number(start + index * size, 4) == 3)
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--locked")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Names of everything in the handler, for the platform that ships.
fn dependencies() -> BTreeSet<String> {
    let tree = cargo(&[
        "tree",
        "--no-default-features",
        "-e",
        "normal",
        "--prefix",
        "none",
        "--target",
        &platform(),
    ]);
    let names = tree.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty());
    names.filter(|name| *name != "epicore").map(str::to_owned).collect()
}

fn platform() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

#[test]
fn a_new_dependency_of_the_handler_is_a_reviewed_difference() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/handler-deps.txt");
    let found: String = dependencies().iter().map(|name| format!("{name}\n")).collect();
    if std::env::var_os("EPICORE_BLESS").is_some() {
        std::fs::write(&list, &found).expect("packaging/handler-deps.txt");
    }
    let golden = std::fs::read_to_string(&list).unwrap_or_default();
    assert_eq!(golden, found, "packaging/handler-deps.txt is not what the handler links (EPICORE_BLESS=1)");
}

#[test]
fn the_handler_links_no_network_no_runtime_no_database_and_no_c() {
    let names = dependencies();
    let banned = ["reqwest", "hyper", "tokio", "rusqlite", "openssl", "cc", "cmake", "bindgen", "pkg-config"];
    for name in banned {
        assert!(!names.contains(name), "{name}");
    }
    assert!(names.iter().all(|name| !name.ends_with("-sys")), "{names:?}");
    let text = cargo(&["metadata", "--format-version", "1", "--filter-platform", &platform()]);
    let metadata: Value = serde_json::from_str(&text).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let mut seen = 0;
    for package in packages.iter().filter(|p| p["name"].as_str().is_some_and(|name| names.contains(name))) {
        seen += 1;
        assert!(package["links"].is_null(), "{} links {}", package["name"], package["links"]);
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        let builds_c = |d: &Value| d["kind"] == "build" && d["name"] == "cc" && d["optional"] == false;
        assert!(!dependencies.iter().any(builds_c), "{} compiles C", package["name"]);
    }
    assert!(seen >= names.len(), "{seen} of {} packages", names.len());
}

/// Peak resident KiB of the handler of one crash, whose record is examined.
fn peak(what: &str, threads: Option<usize>, signal: i32, mut command: Command) -> Option<u64> {
    let observatory = Observatory::open()?;
    let spool = observatory.spool("s");
    let seen = observatory.crash(Watch::Usage, &spool, &mut command);
    assert!(dumped(seen.status, signal), "{what}: {:?}", seen.status);
    let record = records(&spool).pop().expect("a record");
    assert_eq!(record.kind, epicore::record::Kind::Full, "{what}");
    assert!(
        threads.is_none_or(|n| record.threads.tid.len() == n),
        "{what}: {} threads",
        record.threads.tid.len()
    );
    let frames = record.stacks.first().map_or(0, |stack| stack.frames.len());
    let held = record.capture.held_us.unwrap_or(0);
    println!(
        "{what}: {} KiB resident, {:?} of CPU, held {held} µs, {frames} frames",
        seen.maxrss_kib, seen.cpu
    );
    assert!(seen.maxrss_kib > 100, "{} KiB cannot be true", seen.maxrss_kib);
    Some(seen.maxrss_kib)
}

fn crash(threads: usize) -> Command {
    let mut command = victim(&support::workshop::helper("crash"));
    command.arg(threads.to_string());
    command
}

#[test]
fn ten_threads_cost_at_most_12_mib() {
    let Some(kib) = peak("10 threads", Some(10), 11, crash(10)) else { return };
    assert!(kib <= ORDINARY_KIB, "{kib} KiB");
}

#[test]
fn two_thousand_threads_cost_at_most_32_mib() {
    let Some(kib) = peak("2,000 threads", Some(2000), 11, crash(2000)) else { return };
    assert!(kib <= THREADS_2000_KIB, "{kib} KiB");
}

#[test]
fn node_costs_at_most_12_mib() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(node) = std::env::split_paths(&path).map(|dir| dir.join("node")).find(|node| node.exists())
    else {
        println!("skipped: node is not installed");
        return;
    };
    let mut command = victim(&node);
    command.args(["-e", "process.kill(process.pid, 'SIGSEGV'); setTimeout(() => 0, 10000)"]);
    let Some(kib) = peak("node", None, 11, command) else { return };
    assert!(kib <= ORDINARY_KIB, "{kib} KiB");
}

#[test]
fn a_binary_of_100_mb_costs_at_most_12_mib() {
    let large = large_binary();
    let size = large.metadata().expect("the binary").len();
    assert!(size > 100_000_000, "{size} bytes");
    let Some(kib) = peak("a binary of 100 MB", Some(1), 11, victim(&large)) else { return };
    assert!(kib <= ORDINARY_KIB, "{kib} KiB");
}

/// 200,000 functions with unwind tables of their own, and 90 MB of data.
fn large_binary() -> PathBuf {
    const SOURCE: &str = r#"
#define FUNCTIONS(n) __asm__(".text\n.rept " #n "\n.cfi_startproc\n.skip 16, 0x90\n.cfi_def_cfa_offset 32\n" \
    ".skip 16, 0x90\n.cfi_endproc\n.endr\n")
FUNCTIONS(100000);
__asm__(".data\n.fill 5625000, 8, 0x0123456789abcdef\n.section .rodata\n.fill 5625000, 8, 0x76543210fedcba98\n.text\n");
__attribute__((noinline)) static void deep(int n) {
    if (n == 0) *(volatile int *)0 = 0;
    deep(n - 1);
    __asm__ volatile("" ::: "memory");
}
int main(void) { deep(20); return 0; }
FUNCTIONS(100000);
"#;
    let dir = support::target_dir().join("victims/large");
    std::fs::create_dir_all(&dir).expect("target/victims/large");
    let (source, out) = (dir.join("large.c"), dir.join("large"));
    if std::fs::read_to_string(&source).ok().as_deref() != Some(SOURCE) || !out.exists() {
        let new = dir.join("new.c");
        std::fs::write(&new, SOURCE).expect("the source");
        let built = Command::new("gcc").args(["-O1", "-o"]).arg(&out).arg(&new).output().expect("gcc");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        std::fs::rename(&new, &source).expect("a rename");
    }
    out
}
