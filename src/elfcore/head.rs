//! The state machine over the head of a core, and what it found.
//!
//! A driver asks [`Parser::want`], reads or skips that many bytes, and hands
//! them to [`Parser::feed`] or [`Parser::skipped`]; when the stream ends early
//! it says [`Parser::cut`]. After [`Want::Done`] the stream stands at
//! [`Head::position`], before the first segment.

use super::auxv::Auxv;
use super::file_map::{self, FileMapping};
use super::header::{self, HEADER, PN_XNUM, PROGRAM_HEADER, ProgramHeader};
use super::note::{self, Kind, NOTE_HEADER, NoteHeader};
use super::prpsinfo::Prpsinfo;
use super::prstatus::Thread;
use super::registers::Machine;
use super::segment::Segment;
use super::siginfo::Siginfo;
use crate::bytes::Bytes;
use crate::gap::{Gap, Stage};
use crate::limits;

/// Program headers asked for at once.
const BATCH: u64 = 512;

/// What the parser needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// This many bytes, to look at. Never more than the largest note's limit.
    Keep(usize),
    /// This many bytes, not to look at.
    Skip(u64),
    /// Nothing more.
    Done,
}

/// What the head of a core said.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Whose registers these are; `None` when the core is of another kind.
    pub machine: Option<Machine>,
    /// Mappings, in stream order.
    pub segments: Vec<Segment>,
    /// Threads, the crashing one first.
    pub threads: Vec<Thread>,
    /// NT_PRPSINFO.
    pub prpsinfo: Option<Prpsinfo>,
    /// NT_SIGINFO.
    pub siginfo: Option<Siginfo>,
    /// NT_AUXV.
    pub auxv: Auxv,
    /// NT_FILE; `None` when the note was missing.
    pub files: Option<Vec<FileMapping>>,
    /// Bytes of the stream consumed so far.
    pub position: u64,
    /// What could not be learned.
    pub gaps: Vec<Gap>,
}

impl Head {
    /// What the segments would bring: the sum of p_filesz.
    pub fn core_bytes(&self) -> u64 {
        self.segments.iter().fold(0, |sum, segment| sum.saturating_add(segment.file_size))
    }

    /// Once each: millions of notes may be damaged in the same way.
    fn gap(&mut self, reason: impl Into<String>) {
        let gap = Gap::new(Stage::Elfcore, reason);
        if !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }
}

#[derive(Clone, Debug)]
enum State {
    Header,
    /// On the way to something that begins at an offset.
    Seek {
        to: u64,
        then: Box<State>,
    },
    ProgramHeaders {
        left: u64,
    },
    NoteHeader,
    NoteName(NoteHeader),
    NoteBody(NoteHeader, Kind),
    SkipBody(u64),
    Done,
}

/// The state machine.
#[derive(Clone, Debug)]
pub struct Parser {
    state: State,
    head: Head,
    /// Offset and size of the notes.
    notes: Option<(u64, u64)>,
    /// Where the notes end.
    notes_end: u64,
    /// PN_XNUM: the number of program headers is known from where notes begin.
    many: Option<u64>,
    lost_threads: u64,
    damaged_headers: u64,
}

impl Default for Parser {
    fn default() -> Self {
        Parser {
            state: State::Header,
            head: Head::default(),
            notes: None,
            notes_end: 0,
            many: None,
            lost_threads: 0,
            damaged_headers: 0,
        }
    }
}

impl Parser {
    /// At the beginning of a stream.
    pub fn new() -> Parser {
        Parser::default()
    }

    fn notes_left(&self) -> u64 {
        self.notes_end.saturating_sub(self.head.position)
    }

    /// What is needed next.
    pub fn want(&self) -> Want {
        let keep = |n: u64| usize::try_from(n).map_or(Want::Done, Want::Keep);
        match &self.state {
            State::Header => Want::Keep(HEADER),
            State::Seek { to, .. } => Want::Skip(to.saturating_sub(self.head.position)),
            State::ProgramHeaders { left } => keep((*left).min(BATCH).saturating_mul(PROGRAM_HEADER as u64)),
            State::NoteHeader => Want::Keep(NOTE_HEADER),
            State::NoteName(header) => keep(note::padded(header.name_size)),
            State::NoteBody(header, _) => keep(note::padded(header.size).min(self.notes_left())),
            State::SkipBody(size) => Want::Skip(*size),
            State::Done => Want::Done,
        }
    }

    /// How many bytes from here on surely belong to the head.
    pub fn sure(&self) -> u64 {
        match self.state {
            State::NoteHeader | State::NoteName(_) | State::NoteBody(..) | State::SkipBody(_) => {
                self.notes_left()
            }
            _ => 0,
        }
    }

    /// The bytes of a [`Want::Keep`].
    pub fn feed(&mut self, data: &[u8]) {
        self.head.position = self.head.position.saturating_add(data.len() as u64);
        let bytes = Bytes::new(data);
        match std::mem::replace(&mut self.state, State::Done) {
            State::Header => self.on_header(bytes),
            State::ProgramHeaders { left } => self.on_program_headers(bytes, left),
            State::NoteHeader => self.on_note_header(bytes),
            State::NoteName(header) => self.on_note_name(header, bytes),
            State::NoteBody(header, kind) => self.on_note_body(header, kind, bytes),
            State::Seek { .. } | State::SkipBody(_) | State::Done => {}
        }
    }

    /// The bytes of a [`Want::Skip`] have gone by.
    pub fn skipped(&mut self, count: u64) {
        self.head.position = self.head.position.saturating_add(count);
        match std::mem::replace(&mut self.state, State::Done) {
            State::Seek { then, .. } => self.state = *then,
            State::SkipBody(_) => self.next_note(),
            other => self.state = other,
        }
    }

    /// The stream ended before what was wanted came.
    pub fn cut(&mut self, got: u64) {
        self.head.position = self.head.position.saturating_add(got);
        let what = match self.state {
            State::Header => "the stream ended in the ELF header",
            State::Seek { .. } => "the stream ended before the notes",
            State::ProgramHeaders { .. } => "the stream ended in the program headers",
            _ => "the stream ended in the notes",
        };
        self.head.gap(what);
        self.state = State::Done;
    }

    /// What was found. Adds the gaps that only the end can tell.
    pub fn finish(mut self) -> Head {
        if self.lost_threads > 0 {
            let gap = Gap::counted(Stage::Elfcore, "threads beyond the limit", self.lost_threads);
            self.head.gaps.push(gap);
        }
        if self.damaged_headers > 0 {
            let gap = Gap::counted(Stage::Elfcore, "program headers damaged", self.damaged_headers);
            self.head.gaps.push(gap);
        }
        if self.head.machine.is_some() {
            if self.head.threads.is_empty() {
                self.head.gap("no registers: NT_PRSTATUS is missing");
            }
            if self.head.siginfo.is_none() {
                self.head.gap("NT_SIGINFO is missing");
            }
            if self.head.files.is_none() {
                self.head.gap("NT_FILE is missing");
            }
        }
        self.head
    }

    fn on_header(&mut self, bytes: Bytes<'_>) {
        let header = match header::parse(bytes) {
            Ok(header) => header,
            Err(refusal) => return self.head.gap(refusal.to_string()),
        };
        self.head.machine = Some(header.machine);
        if header.program_headers < self.head.position {
            return self.head.gap("program headers inside the ELF header");
        }
        // With PN_XNUM the number stands in a section header behind all the
        // segments, where a stream never gets. But PT_NOTE is the first of
        // them, and the kernel puts the notes right behind the last.
        let many = header.count == PN_XNUM;
        self.many = many.then_some(header.program_headers);
        let left = if many { 1 } else { u64::from(header.count) };
        if left == 0 {
            return self.head.gap("no program headers");
        }
        let then = Box::new(State::ProgramHeaders { left });
        self.state = State::Seek { to: header.program_headers, then };
    }

    fn on_program_headers(&mut self, mut bytes: Bytes<'_>, left: u64) {
        let mut left = left;
        while let Some(one) = bytes.take(PROGRAM_HEADER) {
            left = left.saturating_sub(1);
            match header::program_header(one) {
                Some(ProgramHeader::Note { offset, size }) if self.notes.is_none() => {
                    self.notes = Some((offset, size));
                    if let Some(count) = self.many.take().and_then(|start| count_of(start, offset)) {
                        left = count;
                    }
                }
                Some(ProgramHeader::Load(segment)) => {
                    if self.head.segments.len() < limits::SEGMENTS {
                        self.head.segments.push(segment);
                    } else {
                        self.damaged_headers = self.damaged_headers.saturating_add(1);
                    }
                }
                Some(ProgramHeader::Damaged) => {
                    self.damaged_headers = self.damaged_headers.saturating_add(1);
                }
                _ => {}
            }
        }
        if left > 0 {
            self.state = State::ProgramHeaders { left };
            return;
        }
        let Some((offset, size)) = self.notes else { return self.head.gap("no notes") };
        if offset < self.head.position {
            return self.head.gap("notes inside the program headers");
        }
        let bounded = size.min(limits::NOTES_BYTES);
        if bounded < size {
            let cut = size.saturating_sub(bounded);
            self.head.gaps.push(Gap::counted(Stage::Elfcore, "notes beyond the limit", cut));
        }
        self.notes_end = offset.saturating_add(bounded);
        let then = Box::new(State::NoteHeader);
        self.state = State::Seek { to: offset, then };
        if bounded < NOTE_HEADER as u64 {
            self.state = State::Done;
        }
    }

    fn next_note(&mut self) {
        let enough = self.notes_left() >= NOTE_HEADER as u64;
        self.state = if enough { State::NoteHeader } else { State::Done };
    }

    fn on_note_header(&mut self, bytes: Bytes<'_>) {
        let Some(header) = NoteHeader::parse(bytes) else { return };
        let name = note::padded(header.name_size);
        // The last descriptor may lack its padding, and no byte of its own.
        if name.saturating_add(header.size) > self.notes_left() {
            return self.head.gap("a note reaches beyond the notes");
        }
        let body = name.saturating_add(note::padded(header.size));
        if header.name_size == 0 || header.name_size > limits::NOTE_NAME_BYTES {
            self.state = State::SkipBody(body.min(self.notes_left()));
        } else {
            self.state = State::NoteName(header);
        }
    }

    fn on_note_name(&mut self, header: NoteHeader, bytes: Bytes<'_>) {
        let size = note::padded(header.size).min(self.notes_left());
        match header.known(bytes) {
            Some(_) if size == 0 => self.next_note(),
            Some(Kind::Prstatus) if self.head.threads.len() >= limits::THREADS => {
                self.lost_threads = self.lost_threads.saturating_add(1);
                self.state = State::SkipBody(size);
            }
            Some(kind) => self.state = State::NoteBody(header, kind),
            None => self.state = State::SkipBody(size),
        }
    }

    fn on_note_body(&mut self, header: NoteHeader, kind: Kind, bytes: Bytes<'_>) {
        let size = usize::try_from(header.size).unwrap_or(usize::MAX);
        let body = bytes.range(0, size).unwrap_or(bytes);
        let Some(machine) = self.head.machine else { return };
        let good = match kind {
            Kind::Prstatus => {
                let thread = Thread::parse(machine, body);
                self.head.threads.extend(thread);
                thread.is_some()
            }
            Kind::Prpsinfo => {
                self.head.prpsinfo = Prpsinfo::parse(body);
                self.head.prpsinfo.is_some()
            }
            Kind::Siginfo => {
                self.head.siginfo = Siginfo::parse(body);
                self.head.siginfo.is_some()
            }
            Kind::Auxv => {
                self.head.auxv = Auxv::parse(body);
                true
            }
            Kind::File => {
                let (files, damaged) = file_map::parse(body);
                self.head.files = Some(files);
                !damaged
            }
        };
        if !good {
            self.head.gap(match kind {
                Kind::Prstatus => "NT_PRSTATUS is too short",
                Kind::Prpsinfo => "NT_PRPSINFO is too short",
                Kind::Siginfo => "NT_SIGINFO is too short",
                Kind::Auxv => "NT_AUXV is too short",
                Kind::File => "NT_FILE is damaged",
            });
        }
        self.next_note();
    }
}

/// The number of program headers between their start and the notes, the one
/// already taken left out.
fn count_of(start: u64, notes: u64) -> Option<u64> {
    let count = notes.checked_sub(start)?.checked_div(PROGRAM_HEADER as u64)?;
    Some(count.min(limits::SEGMENTS as u64).saturating_sub(1))
}
