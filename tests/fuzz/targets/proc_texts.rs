//! Texts of /proc: names that a process chose stand in them (`process::Dying`,
//! `process::Living`), read through a directory as the handler reads them.
//!
//! Input: status, stat, maps, cgroup, limits and comm, a NUL between each two.
//! Beside "no crash": the dying and the living door tell the same; fields of
//! stat are those behind the last parenthesis; a unit is a part of the path, a
//! container id 64 hexadecimal digits; mappings, written as the kernel writes
//! them, are read as they were.
#![cfg_attr(fuzzing, no_main)]

#[path = "scratch.rs"]
mod scratch;

use std::io::Write;

use epicore::limits;
use epicore::process::{Directory, Dying, Living, Mapping};
use nix::sys::stat::{major, minor};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

const NAMES: [&str; 6] = ["status", "stat", "maps", "cgroup", "limits", "comm"];

pub fn run(data: &[u8]) {
    let place = scratch::empty("proc");
    let process = place.join("7");
    std::fs::create_dir(&process).expect("a directory");
    let mut texts = data.splitn(NAMES.len(), |byte| *byte == 0);
    let mut stat: &[u8] = &[];
    for name in NAMES {
        let text = texts.next().unwrap_or(&[]);
        if name == "stat" {
            stat = text;
        }
        std::fs::write(process.join(name), text).expect("written");
    }
    let root = || Directory::open(&place).expect("opened");
    let own = root();
    let living = Living::open(&own, 7).expect("opened");
    let facts = living.facts().expect("its texts are there");
    assert_eq!(living.cgroup().as_ref(), Some(&facts.cgroup));
    let _ = (living.exe(), living.is_kernel_thread(), living.threads());
    let behind = stat.iter().rposition(|byte| *byte == b')').map_or(&[][..], |at| &stat[at + 1..]);
    let words: Vec<&str> = std::str::from_utf8(behind).unwrap_or("").split_ascii_whitespace().collect();
    assert_eq!(facts.cpu, words.get(36).and_then(|word| word.parse().ok()));
    if let Some(path) = &facts.cgroup.path {
        let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        for unit in facts.cgroup.unit.iter().chain(&facts.cgroup.user_unit) {
            assert!(parts.contains(&unit.as_slice()));
        }
    } else {
        assert_eq!(facts.cgroup, epicore::process::Cgroup::default());
    }
    if let Some(id) = &facts.cgroup.container {
        assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    let Some(pid) = facts.status.tgid else {
        assert!(Dying::open(&root(), 1, 7, None).is_err());
        return;
    };
    let root = root();
    let dying = Dying::open(&root, pid, 7, None).expect("the same process");
    assert_eq!(dying.facts(), facts);
    let (mappings, cut) = dying.mappings().expect("maps");
    assert!(!cut && mappings.iter().all(|mapping| mapping.path.len() <= limits::PATH));
    std::fs::write(process.join("maps"), written(&mappings)).expect("written");
    assert_eq!(dying.mappings(), Some((mappings, false)));
    let _ = (dying.still(None), dying.thread_cpus(&[7]));
}

/// As fs/proc/task_mmu.c writes them.
fn written(mappings: &[Mapping]) -> Vec<u8> {
    let mut text = Vec::new();
    for mapping in mappings {
        let (device, inode) = mapping.identity.unwrap_or((0, 0));
        let flag = |set: bool, letter: char| if set { letter } else { '-' };
        let (w, x) = (flag(mapping.writable, 'w'), flag(mapping.executable, 'x'));
        let (start, end) = (mapping.range.start.0, mapping.range.end.0);
        let (major, minor, offset) = (major(device), minor(device), mapping.offset);
        write!(text, "{start:08x}-{end:08x} r{w}{x}p {offset:08x} {major:02x}:{minor:02x} {inode} ").unwrap();
        text.extend_from_slice(&mapping.path);
        text.push(b'\n');
    }
    text
}
