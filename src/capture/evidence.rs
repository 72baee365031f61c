//! What was gathered of a crash, before anything is made of it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use super::slow::Slow;
use super::{abort_message, mappings};
use crate::config::Release;
use crate::elfcore::Head;
use crate::gap::{Gap, Stage};
use crate::invocation::Arguments;
use crate::limits;
use crate::memory::{self, Code, Image, Layout, Plan, Stream};
use crate::module::{Module, Modules, Origin};
use crate::process::{self, Directory, Dying, Facts, Identity, Mapping, Memory};
use crate::storm::enter;
use crate::syscall;

/// Everything known of one crash.
pub(super) struct Evidence {
    pub(super) head: Head,
    pub(super) image: Image,
    pub(super) modules: Modules,
    pub(super) facts: Option<Facts>,
    /// Last CPUs of the first threads, in the order of `head.threads`.
    pub(super) cpus: Vec<Option<u32>>,
    pub(super) identity: Option<Identity>,
    pub(super) source: &'static str,
    pub(super) stream_bytes: u64,
    pub(super) held: Option<Duration>,
    pub(super) killed: bool,
    pub(super) clocks: (Option<u64>, Option<u64>),
    pub(super) unconfined: Vec<String>,
    pub(super) gaps: Vec<Gap>,
    /// What the C library noted of an abort; not for any record.
    pub(super) message: Option<Vec<u8>>,
}

impl Evidence {
    /// While the task is held: head, memory, facts, files, in this order.
    pub(super) fn from_crash<R: Read>(
        stream: &mut Stream<R>,
        arguments: &Arguments,
        proc_root: Option<&Directory>,
        pidfd: Option<&OwnedFd>,
    ) -> Evidence {
        let mut gaps = arguments.gaps.clone();
        let clocks = syscall::clocks();
        enter(Stage::Elfcore);
        let head = stream.head();
        enter(Stage::Process);
        let dying = open_dying(arguments, proc_root, &mut gaps);
        let memory = dying.as_ref().filter(|_| !arguments.stream_only).and_then(|dying| {
            let memory = dying.memory();
            if let Err(error) = &memory {
                gaps.push(Gap::new(Stage::Memory, format!("live memory refused: {}", error.desc())));
            }
            memory.ok()
        });
        let (mut evidence, slow) = Evidence::read(stream, head, dying.as_ref(), memory.as_ref(), gaps);
        evidence.clocks = clocks;
        if let Some(dying) = &dying {
            evidence.ask(dying, &slow, pidfd);
            let noted = memory.as_ref().filter(|_| evidence.identity != Some(Identity::Lost));
            let note = evidence.head.prpsinfo.as_ref().map(|info| info.pid);
            evidence.message = noted.and_then(|memory| {
                let read = |range| slow.may_read(range).then_some(memory);
                abort_message::read(evidence.head.siginfo, [note, arguments.pid], &evidence.modules, read)
            });
            // Asked again after the last read.
            if evidence.message.is_some() && dying.still(pidfd) == Identity::Lost {
                evidence.identity = Some(Identity::Lost);
                evidence.believe_only_the_core();
            }
        }
        evidence
    }

    /// From a core that was kept. Module files are those at their paths, then
    /// those of the same name in `places`, when they are the same build.
    pub(super) fn from_core<R: Read>(stream: &mut Stream<R>, head: Head, places: &[PathBuf]) -> Evidence {
        let mut evidence = Evidence::read(stream, head, None, None, Vec::new()).0;
        let modules = &mut evidence.modules;
        attach(modules, |module| process::open_by_path(&module.literal_path()), Origin::LiteralPath);
        attach(modules, |module| process::open_by_path(&module.path), Origin::CleanPath);
        for place in places {
            let path =
                |module: &Module| place.join(OsStr::from_bytes(module.name())).into_os_string().into_vec();
            attach(modules, |module| process::open_by_path(&path(module)), Origin::CleanPath);
        }
        evidence
    }

    /// Memory by the plan, live where it can be had, else from the stream.
    fn read<'a, R: Read>(
        stream: &mut Stream<R>,
        head: Head,
        dying: Option<&'a Dying<'a>>,
        live: Option<&Memory>,
        mut gaps: Vec<Gap>,
    ) -> (Evidence, Slow<'a>) {
        enter(Stage::Memory);
        let layout = Layout::new(&head);
        let mut mappings = mappings::of(&head, &layout, dying, &mut gaps);
        // Before data files are forgotten: a stack may be one.
        let slow = Slow::of(&mappings, dying, &mut gaps);
        mappings::forget_data_files(&mut mappings);
        let mut plan = Plan::new(&head, &layout, &mappings);
        gaps.extend(head.gaps.iter().cloned());
        gaps.append(&mut plan.gaps);
        let (image, lost) = match live {
            Some(memory) => {
                let plan = slow.without(plan, &mut gaps);
                let (mut image, lost) = memory::live(memory, &plan, &layout);
                let code = Code::new(&head, &layout, &mappings, &image);
                image = image.and(memory::live(memory, &slow.without(code.pages(), &mut gaps), &layout).0);
                for _ in 0..limits::CODE_STEPS {
                    let more = code.callees(&image);
                    if more.ranges().is_empty() {
                        break;
                    }
                    image = image.and(memory::live(memory, &slow.without(more, &mut gaps), &layout).0);
                }
                (image, lost)
            }
            None => memory::from_stream(stream, &head, &plan),
        };
        gaps.extend(lost);
        let vdso = head.auxv.vdso;
        let machine = head.machine.unwrap_or(crate::elfcore::Machine::X86_64);
        enter(Stage::Module);
        let (modules, damaged) = Modules::assemble(&mappings, &image, vdso, machine);
        gaps.extend(damaged);
        let evidence = Evidence {
            image,
            modules,
            facts: None,
            cpus: Vec::new(),
            identity: None,
            source: if live.is_some() { "live" } else { "stream" },
            stream_bytes: stream.bytes_read(),
            held: None,
            killed: false,
            clocks: (None, None),
            unconfined: Vec::new(),
            message: None,
            gaps,
            head,
        };
        (evidence, slow)
    }

    /// What only the living can tell; forgotten again when it turns out to
    /// have been somebody else.
    fn ask(&mut self, dying: &Dying, slow: &Slow<'_>, pidfd: Option<&OwnedFd>) {
        enter(Stage::Process);
        let facts = dying.facts();
        self.cpus = vec![facts.cpu];
        // Ids in the core are those of the process's own pid namespace; they
        // are ours only when that is ours.
        if !facts.namespaces.iter().any(|(name, _)| name == "pid") {
            let others = self.head.threads.iter().skip(1).take(limits::THREAD_CPUS);
            self.cpus.extend(dying.thread_cpus(&others.map(|thread| thread.tid).collect::<Vec<_>>()));
        }
        let mapping = |module: &Module| Mapping {
            range: module.first,
            path: module.path.clone(),
            identity: module.identity,
            ..Mapping::default()
        };
        let open =
            |module: &Module| (!slow.has(&module.path)).then(|| dying.open_mapped(&mapping(module)))?;
        attach(&mut self.modules, open, Origin::Mapped);
        self.identity = Some(dying.still(pidfd));
        if self.identity == Some(Identity::Lost) {
            self.believe_only_the_core();
        } else {
            self.facts = Some(facts);
        }
    }

    /// Somebody else's memory and files must not enter this record.
    fn believe_only_the_core(&mut self) {
        let reason = "the process could not be verified: only the core is believed";
        self.gaps.push(Gap::new(Stage::Process, reason));
        (self.facts, self.message) = (None, None);
        self.cpus.clear();
        self.image = Image::default();
        let mut mappings = mappings::of(&self.head, &Layout::new(&self.head), None, &mut self.gaps);
        mappings::forget_data_files(&mut mappings);
        self.modules = Modules::assemble(&mappings, &self.image, None, self.modules.machine()).0;
        self.source = "none";
    }

    /// The kernel walks holes of mappings page by page and notices a closed
    /// pipe only when it writes. Where that would take too long and the site
    /// has chosen so, the task is ended.
    pub(super) fn end_sparse_walk(&mut self, release: &Release, pidfd: Option<&OwnedFd>) {
        let resident =
            self.facts.as_ref().and_then(|facts| facts.status.rss_kib).map(|kib| kib.saturating_mul(1024));
        let (Some(pidfd), Some(resident)) = (pidfd, resident) else { return };
        let holes = self.head.core_bytes().saturating_sub(resident);
        if release.kills() && holes > release.sparse_threshold {
            self.killed = syscall::pidfd_send_signal(pidfd.as_fd(), nix::libc::SIGKILL).is_ok();
        }
    }
}

fn open_dying<'a>(
    arguments: &Arguments,
    proc_root: Option<&'a Directory>,
    gaps: &mut Vec<Gap>,
) -> Option<Dying<'a>> {
    let mut lost = |reason: String| {
        gaps.push(Gap::new(Stage::Process, reason));
        None
    };
    let Some(proc_root) = proc_root else { return lost("/proc is not there".to_owned()) };
    let Some(pid) = arguments.pid else { return lost("no pid was given".to_owned()) };
    let tid = arguments.tid.unwrap_or(pid);
    match Dying::open(proc_root, pid, tid, arguments.uid) {
        Ok(dying) => Some(dying),
        Err(error) => lost(format!("/proc/TID could not be used: {}", error.desc())),
    }
}

/// Opens what unwinding will need, where it is not there yet.
fn attach(modules: &mut Modules, mut open: impl FnMut(&Module) -> Option<File>, origin: Origin) {
    for index in 0..modules.len().min(limits::MODULES) {
        let module = modules.get(index).filter(|module| module.flags.no_file && !module.flags.vdso);
        if let Some(file) = module.and_then(&mut open) {
            modules.attach(index, file, origin);
        }
    }
}
