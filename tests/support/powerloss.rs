//! A filesystem that forgets: what may be on the disk after a power cut.
//!
//! Gives: [`Recording`], the changes that a process made to one directory and
//! its `private/`, out of what strace saw of it; and [`Recording::crash`], one
//! of the states in which a power cut may leave them. Trusts: strace.
//!
//! The rules, harsher than ext4, XFS and btrfs, which commit metadata in order:
//!
//! - the bytes of a file are on disk after its fsync; each write since then may
//!   be there, be missing, be cut anywhere, or be zeros of its length;
//! - a directory's names are on disk after its fsync; of the links, renames and
//!   unlinks since then any may have happened and any not, later ones without
//!   earlier ones too;
//! - fsync of a file says nothing of its name, nor of a directory of its files;
//! - one rename in one directory is one step (a filesystem without a journal may
//!   break even that one; nobody can keep a spool on it).

use std::collections::BTreeMap;
use std::path::Path;

use super::trace::{Call, Trace, label};

type Inode = usize;
/// 0: the spool; 1: its private part.
type Dir = usize;

/// One change, or a word of the recorded process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Write {
        inode: Inode,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        inode: Inode,
        length: usize,
    },
    Names {
        dir: Dir,
        changes: Vec<(String, Option<Inode>)>,
    },
    SyncFile(Inode),
    SyncDir(Dir),
    /// The process looked for `/promise/…`: what it says there is so from here.
    Said(String),
}

/// What one process did, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recording {
    pub(crate) events: Vec<Event>,
    names: [BTreeMap<String, Inode>; 2],
    sizes: Vec<usize>,
    open: BTreeMap<String, Inode>,
}

/// What is on the disk.
pub(crate) type Disk = [BTreeMap<String, (Inode, Vec<u8>)>; 2];

/// The calls that change files, and those that say who did.
pub(crate) const CALLS: &str = "execve,openat,open,creat,write,writev,pwrite64,fsync,fdatasync,sync,syncfs,\
    linkat,link,symlinkat,renameat,rename,renameat2,unlinkat,unlink,ftruncate,truncate,fallocate,mkdirat,\
    copy_file_range,sendfile,dup,dup2,dup3,fcntl,close,statx,newfstatat";

impl Recording {
    /// Out of a trace of [`CALLS`].
    pub(crate) fn of(trace: &[u8], root: &Path) -> Recording {
        assert!(!String::from_utf8_lossy(trace).contains("unfinished ..."), "one thread at a time");
        let mut recording = Recording::default();
        for call in Trace::parse(trace).calls.iter().filter(|call| !call.failed() || is_word(call)) {
            recording.see(call, root.to_str().unwrap());
        }
        recording
    }

    fn see(&mut self, call: &Call, root: &str) {
        let args: Vec<&str> = call.args.split(", ").collect();
        let dir = |at: usize| match label(args[at]).as_deref().and_then(|path| path.strip_prefix(root)) {
            Some("") => Some(0),
            Some("/private") => Some(1),
            _ => None,
        };
        let strings = call.strings();
        let text = |at: usize| String::from_utf8(strings[at].clone()).unwrap();
        let fd = |text: &str| text.split('<').next().unwrap_or("").to_owned();
        match call.name.as_str() {
            "openat" => {
                if let Some(dir) = dir(0) {
                    self.opened(dir, &text(0), args[2], fd(&call.result));
                }
            }
            "write" => {
                if let Some(inode) = self.open.get(&fd(args[0])).copied() {
                    let count: usize = call.result.parse().unwrap();
                    let bytes = strings[0][..count].to_vec();
                    let at = self.sizes[inode];
                    self.sizes[inode] += count;
                    self.events.push(Event::Write { inode, at, bytes });
                }
            }
            "ftruncate" => {
                if let Some(inode) = self.open.get(&fd(args[0])).copied() {
                    self.sizes[inode] = args[1].parse().unwrap();
                    self.events.push(Event::Truncate { inode, length: self.sizes[inode] });
                }
            }
            "fsync" => match (dir(0), self.open.get(&fd(args[0]))) {
                (Some(dir), _) => self.events.push(Event::SyncDir(dir)),
                (None, Some(inode)) => self.events.push(Event::SyncFile(*inode)),
                (None, None) => {}
            },
            "linkat" => {
                if let Some(dir) = dir(2) {
                    let from = text(0);
                    let inode = self.open[from.strip_prefix("/proc/self/fd/").expect("an unnamed file")];
                    self.change(dir, vec![(text(1), Some(inode))]);
                }
            }
            "renameat" => {
                if let Some(dir) = dir(0) {
                    let inode = self.names[dir][&text(0)];
                    self.change(dir, vec![(text(0), None), (text(1), Some(inode))]);
                }
            }
            "unlinkat" => {
                if let Some(dir) = dir(0) {
                    self.change(dir, vec![(text(0), None)]);
                }
            }
            "close" => drop(self.open.remove(&fd(args[0]))),
            "statx" | "newfstatat" => {
                if is_word(call) {
                    self.events.push(Event::Said(text(0)["/promise/".len()..].to_owned()));
                }
            }
            "execve" | "dup" | "dup2" | "dup3" | "fcntl" => {}
            other => assert!(!call.args.contains(root), "the model does not know {other}: {}", call.args),
        }
    }

    fn opened(&mut self, dir: Dir, name: &str, flags: &str, fd: String) {
        if !flags.contains("O_WRONLY") && !flags.contains("O_RDWR") {
            return;
        }
        let known = if flags.contains("O_TMPFILE") { None } else { self.names[dir].get(name).copied() };
        let inode = known.unwrap_or(self.sizes.len());
        if known.is_none() {
            self.sizes.push(0);
            if !flags.contains("O_TMPFILE") {
                self.change(dir, vec![(name.to_owned(), Some(inode))]);
            }
        } else if flags.contains("O_TRUNC") {
            self.sizes[inode] = 0;
            self.events.push(Event::Truncate { inode, length: 0 });
        }
        self.open.insert(fd, inode);
    }

    fn change(&mut self, dir: Dir, changes: Vec<(String, Option<Inode>)>) {
        changes.iter().for_each(|change| apply(&mut self.names[dir], change));
        self.events.push(Event::Names { dir, changes });
    }

    /// One of the disks that a power cut after `steps` events may leave.
    pub(crate) fn crash(&self, steps: usize, dice: &mut Dice) -> Disk {
        let done = &self.events[..steps];
        let mut names: [BTreeMap<String, Inode>; 2] = Default::default();
        let mut bytes: BTreeMap<Inode, Vec<u8>> = BTreeMap::new();
        // How lucky this disk is: from nothing unsynced to everything.
        let luck = dice.roll(5);
        for (at, event) in done.iter().enumerate() {
            let later = &done[at..];
            match event {
                Event::Names { dir, changes } => {
                    if later.contains(&Event::SyncDir(*dir)) || dice.roll(4) < luck {
                        changes.iter().for_each(|change| apply(&mut names[*dir], change));
                    }
                }
                Event::Write { inode, at, bytes: new } => {
                    let durable = later.contains(&Event::SyncFile(*inode));
                    let new = if durable { new.clone() } else { dice.torn(new, luck) };
                    let file = bytes.entry(*inode).or_default();
                    if !new.is_empty() {
                        file.resize(file.len().max(at + new.len()), 0);
                        file[*at..at + new.len()].copy_from_slice(&new);
                    }
                }
                Event::Truncate { inode, length } => {
                    if later.contains(&Event::SyncFile(*inode)) || dice.roll(4) < luck {
                        bytes.entry(*inode).or_default().resize(*length, 0);
                    }
                }
                Event::SyncFile(_) | Event::SyncDir(_) | Event::Said(_) => {}
            }
        }
        names.map(|names| {
            let file = |inode: Inode| (inode, bytes.get(&inode).cloned().unwrap_or_default());
            names.into_iter().map(|(name, inode)| (name, file(inode))).collect()
        })
    }
}

/// Makes a real directory of it.
pub(crate) fn materialise(disk: &Disk, at: &Path) {
    let mut first: BTreeMap<Inode, std::path::PathBuf> = BTreeMap::new();
    for (names, dir) in disk.iter().zip([at.to_owned(), at.join("private")]) {
        for (name, (inode, bytes)) in names {
            let path = dir.join(name);
            match first.get(inode) {
                Some(other) => std::fs::hard_link(other, path).unwrap(),
                None => {
                    std::fs::write(&path, bytes).unwrap();
                    first.insert(*inode, path);
                }
            }
        }
    }
}

fn is_word(call: &Call) -> bool {
    call.is(&["statx", "newfstatat"]) && call.strings().first().is_some_and(|s| s.starts_with(b"/promise/"))
}

fn apply(names: &mut BTreeMap<String, Inode>, (name, inode): &(String, Option<Inode>)) {
    match inode {
        Some(inode) => drop(names.insert(name.clone(), *inode)),
        None => drop(names.remove(name)),
    }
}

/// Reproducible chance (xorshift64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// 0 to `sides` - 1.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 |= 1;
        for shift in [13, -7, 17i32] {
            self.0 ^= if shift > 0 { self.0 << shift } else { self.0 >> -shift };
        }
        (self.0 >> 16) % sides
    }

    /// What became of a write that was not synced.
    fn torn(&mut self, bytes: &[u8], luck: u64) -> Vec<u8> {
        match self.roll(8) {
            _ if luck == 4 => bytes.to_vec(),
            _ if luck == 0 => Vec::new(),
            0 | 1 => Vec::new(),
            2 | 3 => bytes[..self.roll(bytes.len() as u64 + 1) as usize].to_vec(),
            4 => vec![0; bytes.len()],
            _ => bytes.to_vec(),
        }
    }
}
