//! One bug in several builds: real programs, real crashes, real records. Needs a C++
//! compiler and gdb, which writes the cores; the kernel's core_pattern is not asked.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use epicore::record::{Host, Record, decode, encode, slim};
use epicore::study::{Gather, Study, study};

const UNTIL: u64 = 1_795_356_309_000_000_000;
const DAY: u64 = 86_400_000_000_000;

/// Bugs of tests/support/forms.cpp.
const BUGS: [&str; 4] = ["1", "2", "3", "4"];
/// Name of the build, and what the compiler is told.
const BUILDS: [(&str, &[&str]); 6] = [
    ("unoptimised", &["-O0"]),
    ("little", &["-O1"]),
    ("inlined", &["-O2", "-DINLINED"]),
    ("inlined-elsewhere", &["-O2", "-DINLINED", "-DMORE=77"]),
    ("small", &["-Os", "-DMORE=5"]),
    ("split", &["-O2", "-DSPLIT"]),
];

fn ran(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Each build lies in a directory of its own, under the same name.
fn build(place: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let directory = place.join(name);
    std::fs::create_dir_all(&directory).expect("a directory");
    let program = directory.join("server");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/forms.cpp");
    let mut compiler = Command::new("g++");
    compiler.args(flags).args(["-rdynamic", "-fno-optimize-sibling-calls", "-Wl,--build-id", "-o"]);
    assert!(ran(compiler.arg(&program).arg(source)), "g++ {flags:?}");
    program
}

fn crash(program: &Path, bug: &str) -> Record {
    let core = program.with_extension(format!("{bug}.core"));
    let mut gdb = Command::new("timeout");
    gdb.args([
        "-k",
        "1",
        "60",
        "gdb",
        "-nx",
        "-batch",
        "-ex",
        "set debuginfod enabled off",
        "-ex",
        "run",
        "-ex",
    ]);
    gdb.arg(format!("generate-core-file {}", core.display())).arg("--args").arg(program).arg(bug);
    assert!(ran(&mut gdb), "gdb {}", program.display());
    let file = std::fs::File::open(&core).expect("a core");
    epicore::capture::replay_file(&file, &[])
}

/// Every crash, with its bug and build.
fn crashes() -> Option<Vec<(&'static str, &'static str, Record)>> {
    for tool in ["g++", "gdb"] {
        if !ran(Command::new(tool).arg("--version")) {
            println!("skipped: {tool} is not installed");
            return None;
        }
    }
    let place = tempfile::tempdir().expect("a directory");
    let mut all = Vec::new();
    for (name, flags) in BUILDS {
        let program = build(place.path(), name, flags);
        all.extend(BUGS.map(|bug| (bug, name, crash(&program, bug))));
    }
    Some(all)
}

fn key(record: &Record) -> String {
    let keys = &record.keys;
    keys.portable.or(keys.functions).or(keys.leaf).map_or(String::new(), |key| format!("{:016x}", key.0))
}

/// Each on three hosts, as the wire would bring them.
fn studied(crashes: &[(&str, &str, Record)]) -> Study {
    let mut gather = Gather::new(UNTIL - 28 * DAY, UNTIL);
    for (number, (_, build, record)) in (0u64..).zip(crashes) {
        for host in 0..3 {
            let mut record = Record { realtime_ns: Some(UNTIL - number * DAY / 2 - host), ..record.clone() };
            record.id.0 = [number.to_be_bytes(), host.to_be_bytes()].concat();
            record.host = Host { name: Some(format!("{build}-{host}")), ..Host::default() };
            let record = decode(&encode(&record).expect("a record")).expect("a record");
            gather.crash(&slim(record));
        }
    }
    let (population, directory, heard) = gather.done();
    study(&population, &directory, heard, UNTIL)
}

#[test]
fn forms_of_one_bug_are_one_and_two_bugs_are_two() {
    let Some(crashes) = crashes() else { return };
    let found = studied(&crashes);
    // The bug that each key is told under.
    let told = |key: &str| {
        let own = |bug: &&epicore::study::Bug| {
            bug.signature == key || bug.variants.iter().any(|variant| variant.signature == key)
        };
        found.bugs.iter().find(own).map(|bug| bug.signature.clone())
    };
    let mut text = String::new();
    for (bug, build, record) in &crashes {
        let key = key(record);
        text += &format!("bug {bug} {build}: {key} told under {:?}\n", told(&key));
    }
    for variant in found.bugs.iter().flat_map(|bug| &bug.variants) {
        text += &format!("{variant:?}\n");
    }
    println!("{text}");
    for (bug, _, record) in &crashes {
        for (other, _, theirs) in crashes.iter().filter(|(other, ..)| other != bug) {
            assert_ne!(told(&key(record)), told(&key(theirs)), "bugs {bug} and {other} are one\n{text}");
        }
    }
    let keys = |bug: &str| {
        let own = crashes.iter().filter(|(own, ..)| *own == bug);
        own.map(|(_, _, record)| key(record)).collect::<std::collections::BTreeSet<_>>()
    };
    for bug in ["1", "2", "3"] {
        let all: std::collections::BTreeSet<_> = keys(bug).iter().map(|key| told(key)).collect();
        assert!(keys(bug).len() >= 3, "bug {bug} has too few forms to join\n{text}");
        assert_eq!(all.len(), 1, "bug {bug} is told more than once\n{text}");
    }
    assert!(found.bugs.iter().flat_map(|bug| &bug.variants).all(|variant| variant.frames.len() >= 3));
}
