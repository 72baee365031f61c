//! Builds cores byte by byte, from elf(5) and the kernel's structures, on
//! purpose without any definition of the parser under test.

#![allow(dead_code, unreachable_pub)]

/// A core in the making.
pub struct CoreBuilder {
    pub class: u8,
    pub data: u8,
    pub machine: u16,
    pub kind: u16,
    /// Segments: address, memory size, bytes, flags.
    pub segments: Vec<(u64, u64, Vec<u8>, u32)>,
    pub notes: Vec<u8>,
    /// Write PN_XNUM and put the number into a section header at the end.
    pub many: bool,
}

pub fn put(into: &mut Vec<u8>, value: u64, size: usize) {
    into.extend_from_slice(&value.to_le_bytes()[..size]);
}

impl Default for CoreBuilder {
    fn default() -> Self {
        CoreBuilder {
            class: 2,
            data: 1,
            machine: 62,
            kind: 4,
            segments: Vec::new(),
            notes: Vec::new(),
            many: false,
        }
    }
}

impl CoreBuilder {
    pub fn note(mut self, name: &[u8], kind: u32, body: &[u8]) -> Self {
        put(&mut self.notes, name.len() as u64 + 1, 4);
        put(&mut self.notes, body.len() as u64, 4);
        put(&mut self.notes, kind.into(), 4);
        self.notes.extend_from_slice(name);
        self.notes.push(0);
        while !self.notes.len().is_multiple_of(4) {
            self.notes.push(0);
        }
        self.notes.extend_from_slice(body);
        while !self.notes.len().is_multiple_of(4) {
            self.notes.push(0);
        }
        self
    }

    /// NT_PRSTATUS of an x86_64 thread: registers by index of user_regs_struct.
    pub fn thread(self, tid: u32, registers: &[(usize, u64)]) -> Self {
        let count = if self.machine == 183 { 34 } else { 27 };
        let mut body = vec![0; 112];
        body[12] = 11;
        body[32..36].copy_from_slice(&tid.to_le_bytes());
        let mut values = vec![0u64; count];
        for (index, value) in registers {
            values[*index] = *value;
        }
        for value in values {
            put(&mut body, value, 8);
        }
        put(&mut body, 1, 8);
        self.note(b"CORE", 1, &body)
    }

    pub fn siginfo(self, signal: u32, code: i32, address: u64) -> Self {
        let mut body = vec![0; 128];
        body[0..4].copy_from_slice(&signal.to_le_bytes());
        body[8..12].copy_from_slice(&code.to_le_bytes());
        body[16..24].copy_from_slice(&address.to_le_bytes());
        self.note(b"CORE", 0x5349_4749, &body)
    }

    pub fn prpsinfo(self, pid: u32, comm: &[u8]) -> Self {
        let mut body = vec![0; 136];
        body[24..28].copy_from_slice(&pid.to_le_bytes());
        body[40..40 + comm.len()].copy_from_slice(comm);
        body[56..72].copy_from_slice(b"--secret=hunter2");
        self.note(b"CORE", 3, &body)
    }

    pub fn auxv(self, entries: &[(u64, u64)]) -> Self {
        let mut body = Vec::new();
        for (key, value) in entries.iter().chain(&[(0, 0)]) {
            put(&mut body, *key, 8);
            put(&mut body, *value, 8);
        }
        self.note(b"CORE", 6, &body)
    }

    pub fn files(self, files: &[(u64, u64, u64, &str)]) -> Self {
        let mut body = Vec::new();
        put(&mut body, files.len() as u64, 8);
        put(&mut body, 4096, 8);
        for (start, end, page, _) in files {
            for value in [start, end, page] {
                put(&mut body, *value, 8);
            }
        }
        for (_, _, _, path) in files {
            body.extend_from_slice(path.as_bytes());
            body.push(0);
        }
        self.note(b"CORE", 0x4649_4c45, &body)
    }

    pub fn segment(mut self, address: u64, bytes: Vec<u8>, flags: u32) -> Self {
        self.segments.push((address, bytes.len() as u64, bytes, flags));
        self
    }

    /// A mapping without bytes in the core.
    pub fn hole(mut self, address: u64, size: u64, flags: u32) -> Self {
        self.segments.push((address, size, Vec::new(), flags));
        self
    }

    /// The number of bytes before the first segment.
    pub fn head_size(&self) -> usize {
        64 + 56 * (self.segments.len() + 1) + self.notes.len()
    }

    pub fn build(&self) -> Vec<u8> {
        let count = self.segments.len() + 1;
        let notes_at = 64 + 56 * count;
        let mut data_at = (notes_at + self.notes.len()).next_multiple_of(4096);
        let mut core = vec![0x7f, b'E', b'L', b'F', self.class, self.data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let end = data_at + self.segments.iter().map(|segment| segment.2.len()).sum::<usize>();
        put(&mut core, self.kind.into(), 2);
        put(&mut core, self.machine.into(), 2);
        put(&mut core, 1, 4);
        put(&mut core, 0, 8);
        put(&mut core, 64, 8);
        put(&mut core, if self.many { end as u64 } else { 0 }, 8);
        put(&mut core, 0, 4);
        put(&mut core, 64, 2);
        put(&mut core, 56, 2);
        put(&mut core, if self.many { 0xffff } else { count as u64 }, 2);
        put(&mut core, if self.many { 64 } else { 0 }, 2);
        put(&mut core, u64::from(self.many), 2);
        put(&mut core, 0, 2);
        let mut phdr = |kind: u64, flags: u32, offset: usize, address: u64, file: usize, memory: u64| {
            put(&mut core, kind, 4);
            put(&mut core, flags.into(), 4);
            put(&mut core, offset as u64, 8);
            put(&mut core, address, 8);
            put(&mut core, 0, 8);
            put(&mut core, file as u64, 8);
            put(&mut core, memory, 8);
            put(&mut core, 4096, 8);
        };
        phdr(4, 0, notes_at, 0, self.notes.len(), 0);
        for (address, size, bytes, flags) in &self.segments {
            phdr(1, *flags, data_at, *address, bytes.len(), *size);
            data_at += bytes.len();
        }
        core.extend_from_slice(&self.notes);
        core.resize((notes_at + self.notes.len()).next_multiple_of(4096), 0);
        for (_, _, bytes, _) in &self.segments {
            core.extend_from_slice(bytes);
        }
        if self.many {
            let mut section = vec![0; 64];
            section[44..48].copy_from_slice(&(count as u32).to_le_bytes());
            core.extend_from_slice(&section);
        }
        core
    }
}

/// A small but complete process: two threads, a stack, a module, a vdso.
pub fn ordinary() -> CoreBuilder {
    let stack = 0x7ffc_0000_0000u64;
    let mut module = vec![0u8; 4096];
    module[..4].copy_from_slice(b"\x7fELF");
    CoreBuilder::default()
        .thread(100, &[(16, 0x5555_0000_1010), (19, stack + 0x3000), (4, stack + 0x3100)])
        .prpsinfo(100, b"victim")
        .siginfo(11, 1, 0)
        .auxv(&[(33, 0x7fff_0000_0000), (25, stack + 0x7f00), (3, 0x5555_0000_0040)])
        .files(&[
            (0x5555_0000_0000, 0x5555_0000_1000, 0, "/bin/victim"),
            (0x5555_0000_1000, 0x5555_0000_2000, 1, "/bin/victim"),
        ])
        .thread(101, &[(16, 0x5555_0000_1020), (19, 0x7f00_0000_4000), (21, 0x7f00_0000_7000)])
        .segment(0x5555_0000_0000, module, 4)
        .hole(0x5555_0000_1000, 4096, 5)
        .segment(0x7f00_0000_0000, vec![0x11; 0x8000], 6)
        .segment(stack, vec![0x22; 0x8000], 6)
        .segment(0x7fff_0000_0000, vec![0x33; 0x1000], 5)
}
