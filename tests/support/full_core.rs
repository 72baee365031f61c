//! The judge's own reading of a full core: what the kernel really saw. By
//! plain offsets (elf(5), core(5), linux/elfcore.h for x86_64), sharing
//! nothing with `src/elfcore`.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::elf::{self, Bytes, Segment};

/// A thread, from its PRSTATUS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Thread {
    pub(crate) tid: u32,
    /// user_regs_struct: r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi
    /// rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs.
    pub(crate) registers: Vec<u64>,
}

impl Thread {
    pub(crate) fn ip(&self) -> u64 {
        self.registers[16]
    }
    pub(crate) fn sp(&self) -> u64 {
        self.registers[19]
    }
}

/// A loaded object.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub(crate) path: String,
    pub(crate) bias: u64,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) build_id: Option<Vec<u8>>,
}

/// What a full core says.
#[derive(Debug, Default)]
pub(crate) struct FullCore {
    /// The crashing thread first.
    pub(crate) threads: Vec<Thread>,
    pub(crate) signal: i32,
    pub(crate) code: i32,
    /// si_addr, or si_pid and si_uid: the first eight bytes of the union.
    pub(crate) union: u64,
    pub(crate) modules: Vec<Module>,
    pub(crate) segments: u64,
}

/// Reads memory out of the core's segments.
struct Memory<'a> {
    file: &'a File,
    loads: Vec<Segment>,
}

impl Memory<'_> {
    fn read(&self, at: u64, len: usize) -> Option<Vec<u8>> {
        let s = self.loads.iter().find(|s| at >= s.vaddr && at - s.vaddr + len as u64 <= s.filesz)?;
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, s.offset + (at - s.vaddr)).ok()?;
        Some(bytes)
    }

    /// Bias, memory end and build-id of the ELF object whose header is at `start`.
    /// None when its code is not mapped to be executed: a file that is only
    /// read through a mapping (Rust's backtraces do that) is not loaded.
    fn object(&self, start: u64) -> Option<(u64, u64, Option<Vec<u8>>)> {
        let head = self.read(start, 4096)?;
        if !head.starts_with(b"\x7fELF") {
            return None;
        }
        let segments = elf::segments(Bytes(&head));
        let loads = || segments.iter().filter(|s| s.kind == elf::PT_LOAD);
        let bias = start.wrapping_sub(loads().find(|s| s.offset < 4096)?.vaddr & !4095);
        let executable = |at: u64| {
            self.loads.iter().any(|s| s.flags & elf::PF_X != 0 && at >= s.vaddr && at - s.vaddr < s.memsz)
        };
        if !loads().any(|s| s.flags & elf::PF_X != 0 && executable(bias.wrapping_add(s.vaddr))) {
            return None;
        }
        let end = loads().map(|s| bias.wrapping_add(s.vaddr + s.memsz).next_multiple_of(4096)).max()?;
        let notes = segments.iter().filter(|s| s.kind == elf::PT_NOTE && s.filesz < 65536);
        let id = notes
            .filter_map(|s| elf::build_id_in(&self.read(bias.wrapping_add(s.vaddr), s.filesz as usize)?))
            .next();
        Some((bias, end, id))
    }
}

/// Reads a core.
pub(crate) fn read(path: &Path) -> FullCore {
    let file = File::open(path).expect("the full core");
    // All headers and notes are at the front; a core with thousands of threads has some MB of them.
    let mut head = vec![0; 64];
    file.read_exact_at(&mut head, 0).expect("an ELF header");
    let length = file.metadata().expect("metadata").len();
    head.resize(usize::try_from(length.min(64 << 20)).expect("a length"), 0);
    file.read_exact_at(&mut head, 0).expect("the head");
    let bytes = Bytes(&head);
    let segments = elf::segments(bytes);
    let note = segments.iter().find(|s| s.kind == elf::PT_NOTE).expect("PT_NOTE");
    let area = bytes.range(note.offset, note.filesz).expect("all notes within the head");
    let loads: Vec<Segment> = segments.iter().copied().filter(|s| s.kind == elf::PT_LOAD).collect();
    let mut core = FullCore { segments: loads.len() as u64, ..FullCore::default() };
    let memory = Memory { file: &file, loads };
    let (mut files, mut vdso) = (Vec::new(), None);
    for (name, kind, desc) in elf::notes(area) {
        let d = Bytes(desc);
        match (name, kind) {
            (b"CORE\0", 1) => core
                .threads
                .push(Thread { tid: d.u32(32), registers: (0..27).map(|i| d.u64(112 + i * 8)).collect() }),
            (b"CORE\0", 0x5349_4749) => {
                (core.signal, core.code, core.union) = (d.u32(0) as i32, d.u32(8) as i32, d.u64(16));
            }
            (b"CORE\0", 0x4649_4c45) => files = mapped_files(desc),
            (b"CORE\0", 6) => {
                vdso = (0..desc.len() as u64 / 16).find(|i| d.u64(i * 16) == 33).map(|i| d.u64(i * 16 + 8));
            }
            _ => {}
        }
    }
    for (start, offset, path) in files {
        if offset == 0
            && let Some((bias, end, build_id)) = memory.object(start)
        {
            core.modules.push(Module { path, bias, start, end, build_id });
        }
    }
    if let Some(start) = vdso
        && let Some((bias, end, build_id)) = memory.object(start)
    {
        core.modules.push(Module { path: "[vdso]".into(), bias, start, end, build_id });
    }
    core
}

/// NT_FILE: start, offset in bytes, path of every mapping.
fn mapped_files(desc: &[u8]) -> Vec<(u64, u64, String)> {
    let d = Bytes(desc);
    let (count, page) = (d.u64(0), d.u64(8));
    let mut name = 16 + count * 24;
    (0..count)
        .map(|i| {
            let text = d.text(name);
            name += text.len() as u64 + 1;
            (d.u64(16 + i * 24), d.u64(16 + i * 24 + 16) * page, String::from_utf8_lossy(text).into_owned())
        })
        .collect()
}

impl FullCore {
    /// Build-ids in hexadecimal by load bias, of objects that have one.
    pub(crate) fn build_ids(&self) -> BTreeMap<u64, String> {
        let hex = |id: &[u8]| id.iter().map(|b| format!("{b:02x}")).collect::<String>();
        self.modules.iter().filter_map(|m| Some((m.bias, hex(m.build_id.as_deref()?)))).collect()
    }

    /// si_addr, for signals of a fault. With SI_KERNEL (0x80: general
    /// protection, a breakpoint) the kernel says nothing (siginfo_layout()).
    pub(crate) fn fault_address(&self) -> Option<u64> {
        (matches!(self.signal, 4 | 5 | 7 | 8 | 11 | 31) && (1..0x80).contains(&self.code))
            .then_some(self.union)
    }

    /// si_pid, for signals that somebody sent (SI_USER, SI_TKILL).
    pub(crate) fn sender(&self) -> Option<u32> {
        matches!(self.code, 0 | -6).then_some(self.union as u32)
    }
}
