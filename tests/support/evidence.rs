//! Every victim's crash, taken twice: once through the tee (live record, full
//! core, and what gdb, eu-stack and replay make of that core) and once with
//! the handler alone. Gathered once per test program.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::full_core::{self, FullCore};
use super::handler_place::{HandlerPlace, judges_only};
use super::judge_gdb::Stacks;
use super::launch::{self, Run};
use super::pattern_guard::PatternGuard;
use super::record_json::{self, RecordJson};
use super::symbols::{AddressSpace, SymbolStore};
use super::victims::Victim;
use super::workshop::{self, Built};
use super::{judge_eu_stack, judge_gdb, on_all_cpus};

/// A run under the tee.
pub(crate) struct Teed {
    pub(crate) run: Run,
    pub(crate) full: FullCore,
    pub(crate) space: AddressSpace,
    pub(crate) record: Result<RecordJson, String>,
    pub(crate) replay: Result<RecordJson, String>,
    pub(crate) gdb: Stacks,
    pub(crate) eu_stack: Stacks,
    /// What the tee wrote in `done`.
    pub(crate) tee: String,
}

/// A run with the handler alone.
pub(crate) struct Direct {
    pub(crate) run: Run,
    pub(crate) record: Result<RecordJson, String>,
    pub(crate) space: AddressSpace,
    /// Files that were not there before, or are larger than a record may be.
    pub(crate) litter: Vec<String>,
}

/// One victim's crashes.
pub(crate) struct Case {
    pub(crate) victim: Victim,
    pub(crate) teed: Result<Teed, String>,
    pub(crate) direct: Option<Direct>,
}

/// Gathers everything. Takes the kernel's core settings for a while.
pub(crate) fn gather() -> Vec<Case> {
    let victims = Victim::all();
    let built = workshop::build_all(&victims);
    let store = SymbolStore::of(&built);
    let field = tempfile::Builder::new().prefix("epicore-victims-").tempdir().expect("a directory");
    super::handler_place::open_to_all(field.path());
    let (mut teed, mut direct) = (Vec::new(), Vec::new());
    {
        let guard = PatternGuard::take();
        let started = Instant::now();
        guard.set("kernel/core_pipe_limit", "64");
        let place = HandlerPlace::make();
        for (i, (victim, built)) in victims.iter().zip(&built).enumerate() {
            let dir = field.path().join(&victim.name);
            teed.push(run_under_tee(victim, built, &guard, &place, &dir, &format!("a{i}")));
            if !judges_only() {
                let dir = field.path().join(format!("{}-direct", victim.name));
                direct.push(Some(run_direct(victim, built, &guard, &place, &dir, &format!("b{i}"), &store)));
            } else {
                direct.push(None);
            }
        }
        println!("{} victims crashed in {:.1?}", victims.len(), started.elapsed());
    }
    let started = Instant::now();
    let jobs: Vec<_> = victims.iter().zip(&built).zip(teed).collect();
    let judged = on_all_cpus(&jobs, |((victim, built), caught)| {
        let (run, spool) = caught.as_ref().map_err(Clone::clone)?;
        judge(victim, built, run, spool, &store)
    });
    println!("judged in {:.1?}", started.elapsed());
    let victims = victims.iter().cloned();
    victims.zip(judged).zip(direct).map(|((victim, teed), direct)| Case { victim, teed, direct }).collect()
}

fn apply_sysctl(victim: &Victim, guard: &PatternGuard) {
    for (path, value) in &victim.sysctl {
        guard.set(path, value);
    }
}

fn reset_sysctl(victim: &Victim, guard: &PatternGuard) {
    for (path, _) in &victim.sysctl {
        guard.set(path, &PatternGuard::saved(path).expect("a saved value"));
    }
}

/// Runs the victim; the record, once the tee is done, is in a spool of its own.
fn run_under_tee(
    victim: &Victim,
    built: &Built,
    guard: &PatternGuard,
    place: &HandlerPlace,
    dir: &Path,
    spool: &str,
) -> Result<(Run, Result<RecordJson, String>), String> {
    let (spool, out) = (place.spool(spool), dir.join("tee"));
    std::fs::create_dir_all(&out).expect("a directory");
    apply_sysctl(victim, guard);
    place.point_at_tee(guard, &spool, &out);
    let run = launch::run(&victim.name, built, dir, "unlimited");
    reset_sysctl(victim, guard);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !out.join("done").exists() {
        if Instant::now() > deadline {
            return Err(format!("no core arrived; {run:?}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let record = if judges_only() { Err("judges only".into()) } else { record_json::last(&spool) };
    Ok((run, record))
}

fn run_direct(
    victim: &Victim,
    built: &Built,
    guard: &PatternGuard,
    place: &HandlerPlace,
    dir: &Path,
    spool: &str,
    store: &SymbolStore,
) -> Direct {
    let spool = place.spool(spool);
    apply_sysctl(victim, guard);
    place.point_at_handler(guard, &spool);
    let run = launch::run(&victim.name, built, dir, "unlimited");
    reset_sysctl(victim, guard);
    let record = record_json::wait_for_full(&spool, Duration::from_secs(10));
    let space =
        record.as_ref().map_or_else(|_| AddressSpace::default(), |r| r.address_space(store, run.ranges()));
    let mut litter = cores_in(dir);
    litter.extend(cores_in(Path::new("/")));
    litter.extend(larger_than(&spool, 512 << 10));
    let _ = std::fs::remove_dir_all(dir);
    Direct { run, record, space, litter }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.flat_map(|e| if e.path().is_dir() { files(&e.path()) } else { vec![e.path()] }).collect()
}

fn cores_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let named = |name: &str| name == "core" || name.starts_with("core.");
    let core = |p: &PathBuf| p.is_file() && p.file_name().is_some_and(|n| named(&n.to_string_lossy()));
    entries.map(|e| e.path()).filter(core).map(|p| p.display().to_string()).collect()
}

fn larger_than(dir: &Path, limit: u64) -> Vec<String> {
    let large = |p: &PathBuf| p.metadata().is_ok_and(|m| m.len() > limit);
    files(dir).into_iter().filter(large).map(|p| p.display().to_string()).collect()
}

/// Everything that the full core says, by all who can read it.
fn judge(
    victim: &Victim,
    built: &Built,
    run: &Run,
    record: &Result<RecordJson, String>,
    store: &SymbolStore,
) -> Result<Teed, String> {
    let core = run.dir.join("tee/core");
    let full = full_core::read(&core);
    let mut space = AddressSpace::new(run.ranges());
    for m in &full.modules {
        space.add(store, (m.start, m.end), m.bias, &m.path, m.build_id.as_deref());
    }
    // What was deleted is given to the others from where it was built.
    let executable = if victim.files_gone { &built.app } else { &run.app };
    let teed = Teed {
        gdb: judge_gdb::stacks(&core, executable, &run.dir),
        eu_stack: judge_eu_stack::stacks(&core, executable, &run.dir),
        replay: if judges_only() { Err("judges only".into()) } else { record_json::replay(&core) },
        tee: std::fs::read_to_string(run.dir.join("tee/done")).unwrap_or_default(),
        record: record.clone(),
        run: run.clone(),
        space,
        full,
    };
    for (name, json) in [("live.json", &teed.record), ("replay.json", &teed.replay)] {
        if let Ok(json) = json {
            let _ = std::fs::write(run.dir.join(name), serde_json::to_string_pretty(&json.0).expect("JSON"));
        }
    }
    if std::env::var_os("EPICORE_KEEP_CORES").is_none() {
        let _ = std::fs::remove_dir_all(&run.dir);
    } else {
        let kept = super::target_dir().join("victims").join(&victim.name).join("crash");
        let _ = std::fs::remove_dir_all(&kept);
        let _ =
            std::process::Command::new("cp").args(["-a", "--sparse=always"]).arg(&run.dir).arg(kept).status();
    }
    Ok(teed)
}
