//! A small reader of core files, for tests of the unwinder: it shares no code
//! with src/elfcore on purpose, and trusts its input.

#![allow(unreachable_pub)]

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use epicore::address::{Addr, AddrRange};
use epicore::bytes::Bytes;
use epicore::elfcore::{Machine, Registers};
use epicore::memory::Image;
use epicore::module::{Modules, Origin};
use epicore::process::Mapping;
use epicore::unwind::{Cache, Stacks, Walk, walk};

#[path = "interrupted.rs"]
mod interrupted;
use interrupted::interrupted_stacks;

/// A core file in memory.
#[allow(unreachable_pub)]
pub struct Core {
    pub threads: Vec<(u32, Registers)>,
    pub mappings: Vec<Mapping>,
    pub pieces: Vec<(Addr, Vec<u8>)>,
    pub vdso: Option<Addr>,
}

fn u32_at(d: &[u8], o: usize) -> u32 {
    u32::from_le_bytes(d[o..o + 4].try_into().unwrap())
}

fn u64_at(d: &[u8], o: usize) -> u64 {
    u64::from_le_bytes(d[o..o + 8].try_into().unwrap())
}

impl Core {
    pub fn read(path: &Path) -> Core {
        let data = std::fs::read(path).expect("the core");
        let count = u16::from_le_bytes(data[56..58].try_into().unwrap()) as usize;
        let mut core = Core { threads: vec![], mappings: vec![], pieces: vec![], vdso: None };
        let mut files: HashMap<u64, (u64, Vec<u8>)> = HashMap::new();
        for index in 0..count {
            let h = &data[64 + index * 56..][..56];
            let (kind, flags) = (u32_at(h, 0), u32_at(h, 4));
            let (offset, vaddr) = (u64_at(h, 8) as usize, u64_at(h, 16));
            let (size, memory) = (u64_at(h, 32) as usize, u64_at(h, 40));
            if kind == 4 {
                core.notes(&data[offset..offset + size], &mut files);
            } else if kind == 1 && memory > 0 {
                let range = AddrRange { start: Addr(vaddr), end: Addr(vaddr + memory) };
                core.mappings.push(Mapping {
                    range,
                    executable: flags & 1 != 0,
                    writable: flags & 2 != 0,
                    ..Mapping::default()
                });
                let end = (offset + size).min(data.len());
                core.pieces.push((Addr(vaddr), data[offset.min(end)..end].to_vec()));
            }
        }
        for mapping in &mut core.mappings {
            if let Some((offset, path)) = files.remove(&mapping.range.start.0) {
                (mapping.offset, mapping.path) = (offset, path);
            }
        }
        core.leave_no_file(files, path.parent().unwrap());
        core
    }

    /// gdb writes no PT_LOAD for file pages that it does not dump; the kernel
    /// does. The file tells whether they are executable.
    fn leave_no_file(&mut self, files: HashMap<u64, (u64, Vec<u8>)>, folder: &Path) {
        for (start, (offset, path)) in files {
            let name = String::from_utf8(path.clone()).unwrap();
            let copy = folder.join(format!("mapped-{start:x}"));
            let Ok(data) = std::fs::read(name).or_else(|_| std::fs::read(copy)) else { continue };
            if data.len() < 64 || &data[..4] != b"\x7fELF" {
                continue;
            }
            let count = u16::from_le_bytes(data[56..58].try_into().unwrap()) as usize;
            for h in data[64..].chunks_exact(56).take(count) {
                let aligned = u64_at(h, 8) & !4095;
                if u32_at(h, 0) == 1 && aligned == offset && u32_at(h, 4) & 2 == 0 {
                    let length = (u64_at(h, 8) - aligned + u64_at(h, 32)).next_multiple_of(4096);
                    let range = AddrRange { start: Addr(start), end: Addr(start + length) };
                    let executable = u32_at(h, 4) & 1 != 0;
                    self.mappings.push(Mapping {
                        range,
                        offset,
                        path: path.clone(),
                        executable,
                        ..Mapping::default()
                    });
                }
            }
        }
    }

    fn notes(&mut self, mut d: &[u8], files: &mut HashMap<u64, (u64, Vec<u8>)>) {
        while d.len() >= 12 {
            let (name, size, kind) = (u32_at(d, 0) as usize, u32_at(d, 4) as usize, u32_at(d, 8));
            let start = 12 + name.next_multiple_of(4);
            let desc = &d[start..start + size];
            match kind {
                1 => {
                    let registers = Registers::parse(Machine::X86_64, Bytes::new(&desc[112..])).unwrap();
                    self.threads.push((u32_at(desc, 32), registers));
                }
                6 => {
                    for pair in desc.chunks_exact(16) {
                        if u64_at(pair, 0) == 33 {
                            self.vdso = Some(Addr(u64_at(pair, 8)));
                        }
                    }
                }
                0x4649_4c45 => {
                    let count = u64_at(desc, 0) as usize;
                    let mut names = desc[16 + count * 24..].split(|b| *b == 0);
                    for i in 0..count {
                        let entry = &desc[16 + i * 24..];
                        let path = names.next().unwrap().to_vec();
                        files.insert(u64_at(entry, 0), (u64_at(entry, 16) * u64_at(desc, 8), path));
                    }
                }
                _ => {}
            }
            d = &d[(start + size.next_multiple_of(4)).min(d.len())..];
        }
    }

    /// The stack windows and module heads that the capture would keep.
    pub fn as_captured(&self) -> Image {
        let mut kept = Vec::new();
        let copy = |kept: &mut Vec<(Addr, Vec<u8>)>, from: u64, length: u64| {
            for (start, bytes) in &self.pieces {
                let end = start.0 + bytes.len() as u64;
                let (low, high) = (from.max(start.0), (from + length).min(end));
                if low < high {
                    let range = (low - start.0) as usize..(high - start.0) as usize;
                    kept.push((Addr(low), bytes[range].to_vec()));
                }
            }
        };
        for mapping in &self.mappings {
            let is_vdso = Some(mapping.range.start) == self.vdso;
            copy(
                &mut kept,
                mapping.range.start.0,
                if is_vdso {
                    16 << 10
                } else if mapping.path.is_empty() {
                    0
                } else {
                    4096
                },
            );
        }
        for (index, (_, registers)) in self.threads.iter().enumerate() {
            let sp = registers.sp().0;
            copy(&mut kept, sp.saturating_sub(16 << 10), 16 << 10);
            copy(&mut kept, sp, if index == 0 { 512 << 10 } else { 64 << 10 });
            copy(&mut kept, registers.ip().0.saturating_sub(256), 512);
            let holding =
                |m: &&Mapping| m.writable && m.range.start.0 <= sp + (1 << 20) && sp < m.range.end.0;
            if let Some(m) = self.mappings.iter().find(holding) {
                copy(&mut kept, m.range.start.0.max(sp), if index == 0 { 512 << 10 } else { 64 << 10 });
                copy(&mut kept, m.range.end.0.saturating_sub(64 << 10).max(m.range.start.0), 64 << 10);
            }
        }
        for _ in 0..4 {
            let image = Image::new(kept.clone());
            for (_, registers) in self.threads.iter().take(64) {
                for sp in interrupted_stacks(registers, &image) {
                    copy(&mut kept, sp.0.saturating_sub(128), 64 << 10);
                }
            }
        }
        Image::new(kept)
    }

    /// Modules with their files: by a copy from map_files, else by path.
    pub fn modules(&self, image: &Image, folder: &Path) -> Modules {
        let (mut modules, gaps) = Modules::assemble(&self.mappings, image, self.vdso, Machine::X86_64);
        assert!(gaps.is_empty(), "{gaps:?}");
        for index in 0..modules.len() {
            let path = modules.get(index).unwrap().path.clone();
            let first = modules.get(index).unwrap().first.start.0;
            if let Ok(file) = File::open(folder.join(format!("mapped-{first:x}"))) {
                modules.attach(index, file, Origin::Mapped);
            } else if let Ok(file) = File::open(String::from_utf8(path).unwrap()) {
                modules.attach(index, file, Origin::CleanPath);
            }
        }
        modules
    }

    pub fn stacks(&self) -> Stacks {
        Stacks::new(self.mappings.iter().filter(|m| m.writable).map(|m| m.range))
    }

    pub fn walk_all(&self, image: &Image, modules: &Modules) -> Vec<(u32, Walk)> {
        let (stacks, mut cache) = (self.stacks(), Cache::new());
        let one = |(tid, registers): &(u32, Registers)| {
            (*tid, walk(registers, &stacks, image, modules, &mut cache))
        };
        self.threads.iter().map(one).collect()
    }
}

/// Function names of one module, from `nm`.
pub struct Names(Vec<(u64, String)>);

impl Names {
    pub fn of(path: &str) -> Names {
        let mut names = Vec::new();
        for arguments in [vec!["--defined-only"], vec!["-D", "--defined-only"]] {
            let out = std::process::Command::new("nm").args(arguments).arg(path).output().expect("nm");
            for line in String::from_utf8_lossy(&out.stdout).lines() {
                let mut words = line.split_whitespace();
                let (Some(value), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
                    continue;
                };
                if "tTwWiu".contains(kind) {
                    let plain = name.split('@').next().unwrap().to_string();
                    names.push((u64::from_str_radix(value, 16).unwrap(), plain));
                }
            }
        }
        names.sort();
        Names(names)
    }

    pub fn at(&self, linked: u64) -> Vec<&str> {
        let behind = self.0.partition_point(|(value, _)| *value <= linked);
        let Some((start, _)) = behind.checked_sub(1).map(|i| &self.0[i]) else { return vec![] };
        self.0.iter().filter(|(value, _)| value == start).map(|(_, name)| name.as_str()).collect()
    }
}
