//! Walks of real crashes: each file of tests/support/unwind is a victim that
//! says in its first lines how it is built and which call chain it died in.
//!
//! Its core comes from gdb; the image is cut down to what the capture keeps
//! (512 KiB and 64 KiB of the crashing stack, 64 KiB of the others, ELF
//! heads). The chain has to be met in order. Needs gcc, g++, gdb and nm;
//! without them the test passes and says so.

#[path = "support/corefile.rs"]
mod corefile;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use corefile::{Core, Names};
use epicore::module::Modules;
use epicore::unwind::Walk;

struct Victim {
    source: PathBuf,
    compiler: String,
    flags: Vec<String>,
    after: Vec<String>,
    chain: Vec<String>,
    names_from: Option<PathBuf>,
}

fn victims() -> Vec<Victim> {
    let only = std::env::var("VICTIM").ok();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/unwind");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("victims").map(|e| e.unwrap().path()).collect();
    files.sort();
    files.retain(|f| only.as_ref().is_none_or(|o| f.file_stem().unwrap().to_str() == Some(o)));
    files.into_iter().flat_map(|f| variants(&f)).collect()
}

/// One victim for each `// build:` line of a source.
fn variants(source: &Path) -> Vec<Victim> {
    let text = std::fs::read_to_string(source).expect("a source");
    let lines = |key: &str| {
        let key = format!("// {key}:");
        text.lines().filter_map(|l| l.strip_prefix(&key).map(words)).collect::<Vec<_>>()
    };
    let chain = lines("chain").concat();
    let after = lines("after").concat();
    let build = |mut flags: Vec<String>| {
        let compiler = if flags.is_empty() { "gcc".into() } else { flags.remove(0) };
        let (after, chain) = (after.clone(), chain.clone());
        Victim { source: source.to_path_buf(), compiler, flags, after, chain, names_from: None }
    };
    lines("build").into_iter().map(build).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_string).collect()
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let out = Command::new(program).args(arguments).output();
    match out {
        Ok(out) if out.status.success() => true,
        Ok(out) => {
            eprintln!("{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
            false
        }
        Err(error) => {
            eprintln!("{program}: {error}");
            false
        }
    }
}

/// Compiles and runs a victim; the core, and gdb's own answer.
fn crash(victim: &mut Victim, folder: &Path) -> Option<(PathBuf, String)> {
    let program = folder.join("victim");
    let core = folder.join("core");
    let (source, out) = (victim.source.to_str()?, program.to_str()?);
    let mut arguments: Vec<&str> = victim.flags.iter().map(String::as_str).collect();
    if victim.compiler == "rustc" {
        arguments.extend([source, "-A", "warnings"]);
        arguments.retain(|a| *a != "victim" && *a != "-o");
        arguments.extend(["-o", out]);
    } else {
        arguments.extend(["-w", "-o", out, source, "-pthread", "-ldl"]);
    }
    if !run(&victim.compiler, &arguments) {
        return None;
    }
    if victim.after.iter().any(|a| a == "plugin") {
        let plugin = folder.join("plugin.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/plugin.c");
        run("gcc", &["-O1", "-shared", "-fPIC", "-o", plugin.to_str()?, source.to_str()?]);
    }
    if victim.after.iter().any(|a| a == "strip") {
        let full = folder.join("victim.full");
        std::fs::copy(&program, &full).ok()?;
        victim.names_from = Some(full);
        run("strip", &["-s", out]);
    }
    let generate = format!("generate-core-file {}", core.display());
    // The victims' own handlers get their signals; the last stop is the end.
    let mut gdb = Command::new("timeout");
    gdb.args([
        "-k",
        "1",
        "30",
        "gdb",
        "-nx",
        "-batch",
        "-ex",
        "set confirm off",
        "-ex",
        "set backtrace limit 300",
        "-ex",
        "set backtrace past-main on",
    ]);
    gdb.args([
        "-ex",
        "set debuginfod enabled off",
        "-ex",
        "handle SIGUSR1 SIGUSR2 SIGALRM nostop noprint pass",
    ]);
    gdb.args(["-ex", "run"]);
    for _ in 0..victim.after.iter().filter(|a| *a == "continue").count() {
        gdb.args(["-ex", "continue"]);
    }
    let script = folder.join("frames.py");
    std::fs::write(&script, GDB_FRAMES).ok()?;
    let source_script = format!("source {}", script.display());
    gdb.args(["-ex", &generate, "-ex", &source_script, "-ex", "kill", out]);
    let output = gdb.current_dir(folder).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    core.exists().then_some((core, text))
}

/// Prints `tid pc pc …` for each thread, the crashing one first.
const GDB_FRAMES: &str = r#"
import gdb
import shutil
pid = gdb.selected_inferior().pid
for line in open(f"/proc/{pid}/maps"):
    if "(deleted)" in line and "/dev/zero" not in line:
        # Not padded with zeros, unlike the lines of maps.
        span = "-".join(f"{int(end, 16):x}" for end in line.split()[0].split("-"))
        shutil.copyfile(f"/proc/{pid}/map_files/{span}", f"mapped-{int(span.split('-')[0], 16):x}")
current = gdb.selected_thread()
for thread in [current] + [t for t in gdb.selected_inferior().threads() if t.ptid != current.ptid]:
    thread.switch()
    frame, pcs = gdb.newest_frame(), []
    while frame is not None and len(pcs) < 300:
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            pcs.append(hex(frame.pc()))
        try:
            frame = frame.older()
        except gdb.error:
            break
    print("FRAMES", thread.ptid[1], *pcs)
"#;

/// What gdb found: instruction pointers by thread.
fn gdb_frames(text: &str) -> Vec<(u32, Vec<u64>)> {
    let line = |line: &str| {
        let mut words = line.strip_prefix("FRAMES ")?.split_whitespace();
        let tid = words.next()?.parse().ok()?;
        Some((tid, words.filter_map(|w| u64::from_str_radix(w.trim_start_matches("0x"), 16).ok()).collect()))
    };
    text.lines().filter_map(line).collect()
}

struct Answer {
    walks: Vec<(u32, Walk)>,
    modules: Modules,
    names: HashMap<usize, Names>,
}

impl Answer {
    fn of(victim: &Victim, core: &Core, folder: &Path, full: bool) -> Answer {
        let image = if full { epicore::memory::Image::new(core.pieces.clone()) } else { core.as_captured() };
        let modules = core.modules(&image, folder);
        let walks = core.walk_all(&image, &modules);
        let mut names = HashMap::new();
        for (index, module) in modules.iter().enumerate() {
            let mut path = String::from_utf8_lossy(&module.path).into_owned();
            if path.ends_with("/victim")
                && let Some(other) = &victim.names_from
            {
                path = other.to_str().unwrap().into();
            }
            let copy = folder.join(format!("mapped-{:x}", module.first.start.0));
            if copy.exists() {
                path = copy.to_str().unwrap().into();
            }
            names.insert(index, Names::of(&path));
        }
        Answer { walks, modules, names }
    }

    fn functions(&self, thread: usize) -> Vec<Vec<&str>> {
        let name = |frame: &epicore::unwind::Frame| {
            let Some(index) = frame.module else { return vec!["??"] };
            let module = self.modules.get(index).unwrap();
            self.names[&index].at(module.linked(frame.lookup))
        };
        self.walks[thread].1.frames.iter().map(name).collect()
    }

    /// Names of somebody else's frames: the first is an instruction, the rest
    /// return to theirs.
    fn named(&self, pcs: &[u64]) -> Vec<Vec<&str>> {
        let name = |(index, pc): (usize, &u64)| {
            let lookup = epicore::address::Addr(pc.saturating_sub(u64::from(index > 0)));
            let Some((index, module)) = self.modules.find(lookup) else { return vec!["??"] };
            self.names[&index].at(module.linked(lookup))
        };
        pcs.iter().enumerate().map(name).collect()
    }

    fn show(&self, thread: usize) {
        let walk = &self.walks[thread].1;
        for (frame, names) in walk.frames.iter().zip(self.functions(thread)) {
            let module = frame.module.and_then(|i| self.modules.get(i));
            let name = module.map(|m| String::from_utf8_lossy(m.name()).into_owned()).unwrap_or_default();
            eprintln!(
                "    {:?} {:?} sp={:?} {:?} {name} {names:?}",
                frame.ip, frame.how, frame.sp, frame.kind
            );
        }
        eprintln!("    {:?} cut {:?}", walk.end, walk.cut);
    }
}

/// The chain in order; frames between its functions are allowed.
fn meets(functions: &[Vec<&str>], chain: &[String]) -> bool {
    let mut left = functions.iter();
    chain.iter().all(|wanted| left.any(|names| names.iter().any(|n| n.split('.').next() == Some(wanted))))
}

#[test]
fn every_victim_shows_the_call_chain_it_died_in() {
    if !run("gdb", &["--version"]) || !run("gcc", &["--version"]) {
        eprintln!("skipped: gdb or gcc is missing");
        return;
    }
    let (mut met, mut gdb_met, mut all, mut frames, mut equal) = (0, 0, 0, 0, 0);
    let mut missed = Vec::new();
    for mut victim in victims() {
        let folder = tempfile::tempdir().expect("a folder");
        let label =
            format!("{} {}", victim.source.file_stem().unwrap().to_str().unwrap(), victim.flags.join(" "));
        // Only map_files leads to a file that is gone, and that needs root.
        let gone = ["deleted", "memfd", "plugin_gone"].iter().any(|name| label.starts_with(name));
        if gone && !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: {label} needs root");
            continue;
        }
        let Some((path, gdb)) = crash(&mut victim, folder.path()) else {
            eprintln!("NOT BUILT {label}");
            missed.push(label);
            continue;
        };
        let core = Core::read(&path);
        let answer = Answer::of(&victim, &core, folder.path(), std::env::var("FULL").is_ok());
        let found = meets(&answer.functions(0), &victim.chain);
        let gdb_walks = gdb_frames(&gdb);
        let by_gdb = gdb_walks.first().is_some_and(|(_, pcs)| meets(&answer.named(pcs), &victim.chain));
        for (tid, walk) in answer.walks.iter().skip(1) {
            let ours: Vec<u64> = walk.frames.iter().map(|f| f.ip.0).collect();
            let Some((_, theirs)) = gdb_walks.iter().find(|(other, _)| other == tid) else { continue };
            let same = theirs.iter().zip(&ours).filter(|(a, b)| a == b).count();
            (frames, equal) = (frames + theirs.len().max(ours.len()), equal + same);
            if same != theirs.len().max(ours.len()) {
                eprintln!("  thread {tid}: {ours:x?} {:?} gdb {theirs:x?}", walk.end);
            }
        }
        (all, met, gdb_met) = (all + 1, met + usize::from(found), gdb_met + usize::from(by_gdb));
        eprintln!(
            "{} gdb {} {label} {:?}",
            if found { "ok  " } else { "MISS" },
            if by_gdb { "ok  " } else { "miss" },
            answer.walks[0].1.end
        );
        if !found || std::env::var("VICTIM").is_ok() {
            answer.show(0);
            for m in answer.modules.iter() {
                eprintln!(
                    "    module {:?} {:?} {:?} {:?}",
                    String::from_utf8_lossy(&m.path),
                    m.first,
                    m.bias,
                    m.flags.names()
                );
            }
            eprintln!("{:?}", gdb_walks.first());
            eprintln!("    wanted {:?}", victim.chain);
        }
        if std::env::var("VICTIM").is_ok() {
            eprintln!("{gdb}");
        }
        if !found {
            missed.push(label);
        }
    }
    eprintln!("chains met: {met} of {all}; by gdb with the whole core: {gdb_met}");
    eprintln!("frames of other threads equal to gdb's: {equal} of {frames}");
    assert!(missed.is_empty(), "missed: {missed:#?}");
}
