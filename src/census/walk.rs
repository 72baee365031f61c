//! One walk over /proc: every process counted under what it is, and one drawn.
//!
//! Gives: workloads (unit or image, executable, build) with their processes
//! and threads. Trusts: nothing; processes come, go and call themselves
//! anything while the walk lasts. Costs a dozen system calls a process. Limits:
//! limits::CENSUS_PROCESSES processes, limits::CENSUS_WORKLOADS workloads, the
//! deadline; what is beyond is a gap with its number.
//!
//! The control is drawn by a reservoir of one (Vitter 1985): the n-th process
//! takes the place with probability 1/n, and is asked for its facts at once, so
//! that short-lived processes have the same chance as others.

use std::collections::HashMap;
use std::path::Path;

use nix::errno::Errno;

use super::builds::Builds;
use super::images::Images;
use super::random::Random;
use super::storm::Storms;
use crate::capture::add_facts;
use crate::gap::{Gap, Stage};
use crate::hardware::{Cores, Roots};
use crate::limits;
use crate::process::{Directory, Exe, Facts, Living, Mapping};
use crate::record::{Control, Hex, Id, Process, Running, text};
use crate::syscall::{clocks, deadline_passed};

/// What a walk saw.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) running: Vec<Running>,
    pub(super) images: Vec<(String, String)>,
    pub(super) control: Option<Control>,
    pub(super) processes: u32,
    pub(super) kernel_threads: u32,
    pub(super) unread: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Workload {
    unit: Option<Vec<u8>>,
    image: Option<String>,
    exe: Vec<u8>,
    build_id: Option<Vec<u8>>,
}

/// Processes and threads.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    processes: u32,
    threads: u32,
}

struct Walk<'a> {
    proc_root: &'a Directory,
    random: &'a mut Random,
    builds: Builds,
    images: Images<'a>,
    storms: &'a mut Storms,
    workloads: HashMap<Workload, Count>,
    beyond: u64,
    drawn: Option<(Facts, Option<Vec<u8>>)>,
    seen: Seen,
}

/// Walks once. Container states are looked for below `root`.
pub(super) fn walk(
    root: &Path,
    roots: &Roots,
    random: &mut Random,
    storms: &mut Storms,
    gaps: &mut Vec<Gap>,
) -> Seen {
    let mut gap = |reason: &str, count: u64| {
        if count > 0 {
            gaps.push(Gap::counted(Stage::Process, reason, count));
        }
    };
    let path = Path::new("/proc");
    let (Ok(proc_root), Ok(entries)) = (Directory::open(path), std::fs::read_dir(path)) else {
        gap("/proc could not be listed", 1);
        return Seen::default();
    };
    let mut walk = Walk {
        proc_root: &proc_root,
        random,
        builds: Builds::default(),
        images: Images::new(root),
        storms,
        workloads: HashMap::new(),
        beyond: 0,
        drawn: None,
        seen: Seen::default(),
    };
    let own = std::process::id();
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let (mut late, mut many) = (0u64, 0u64);
    for (index, pid) in pids.filter(|pid| *pid != own).enumerate() {
        if deadline_passed() {
            late = late.saturating_add(1);
        } else if index >= limits::CENSUS_PROCESSES {
            many = many.saturating_add(1);
        } else {
            walk.one(pid);
        }
    }
    gap("processes not looked at: deadline", late);
    gap("processes beyond the limit", many);
    gap("processes of workloads beyond the limit", walk.beyond);
    gap("executables whose build-id was not read: too many", walk.builds.left_out);
    gap("executables whose build-id was not read: remote file system", walk.builds.remote);
    gap("containers whose image was not looked up", walk.images.left_out);
    walk.finish(roots)
}

impl Walk<'_> {
    fn one(&mut self, pid: u32) {
        let unread = |seen: &mut Seen| seen.unread = seen.unread.saturating_add(1);
        let Ok(process) = Living::open(self.proc_root, pid) else { return unread(&mut self.seen) };
        match process.exe() {
            Ok(exe) => self.count(&process, &exe),
            Err(Errno::ENOENT) if process.is_kernel_thread() => {
                self.seen.kernel_threads = self.seen.kernel_threads.saturating_add(1);
            }
            Err(_) => unread(&mut self.seen),
        }
    }

    fn count(&mut self, process: &Living<'_>, exe: &Exe) {
        let build_id = self.builds.of(process, exe);
        let Some(cgroup) = process.cgroup() else {
            self.seen.unread = self.seen.unread.saturating_add(1);
            return;
        };
        let image = cgroup.container.as_deref().and_then(|id| self.images.of(id));
        // The unit of a container is named after its id, which means nothing
        // elsewhere; the image does.
        let unit = if image.is_some() { None } else { cgroup.unit };
        let link = Mapping { path: exe.link.clone(), ..Mapping::default() };
        self.storms.meet(exe, link.clean_path(), || process.user());
        let workload = Workload { unit, image, exe: link.clean_path().to_vec(), build_id };
        let threads = process.threads().unwrap_or(0);
        self.seen.processes = self.seen.processes.saturating_add(1);
        if self.random.once_in(self.seen.processes)
            && let Some(facts) = process.facts()
        {
            self.drawn = Some((facts, workload.build_id.clone()));
        }
        if self.workloads.len() >= limits::CENSUS_WORKLOADS && !self.workloads.contains_key(&workload) {
            self.beyond = self.beyond.saturating_add(1);
            return;
        }
        let count = self.workloads.entry(workload).or_default();
        count.processes = count.processes.saturating_add(1);
        count.threads = count.threads.saturating_add(threads);
    }

    fn finish(self, roots: &Roots) -> Seen {
        let of = self.seen.processes;
        let control = self.drawn.map(|(facts, build_id)| control(&facts, build_id, of, roots));
        let running = self.workloads.into_iter().map(|(workload, count)| Running {
            unit: workload.unit.as_deref().map(text),
            image: workload.image,
            exe: Some(text(&workload.exe)),
            build_id: workload.build_id.map(Id),
            n: count.processes,
            threads: count.threads,
        });
        Seen { running: running.collect(), images: self.images.all(), control, ..self.seen }
    }
}

/// The facts of a living process as a crash's record would hold them.
fn control(facts: &Facts, build_id: Option<Vec<u8>>, of: u32, roots: &Roots) -> Control {
    let mut process = Process { build_id: build_id.map(Id), ..Process::default() };
    add_facts(&mut process, facts, clocks().1);
    process.comm = process.thread_comm.take();
    let mask = facts.status.cpus_allowed.as_ref();
    let allowed = mask.and_then(|mask| Cores::new(roots).allowed(mask.as_bytes()));
    process.allowed_cores = allowed.and_then(|allowed| allowed.cores);
    process.allowed_hash = allowed.map(|allowed| Hex(allowed.hash));
    Control { process, cpu: facts.cpu, of }
}
