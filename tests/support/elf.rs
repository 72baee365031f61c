//! Just enough ELF64 for the judge, read by plain offsets from elf(5). It
//! shares no definition with `src/`: an error there must not repeat here.
//! Little-endian x86_64 only, like the victims.

/// Little-endian reads at offsets; out of bounds is zero.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    fn array<const N: usize>(self, at: u64) -> [u8; N] {
        self.range(at, N as u64).and_then(|b| b.try_into().ok()).unwrap_or([0; N])
    }
    pub(crate) fn u16(self, at: u64) -> u16 {
        u16::from_le_bytes(self.array(at))
    }
    pub(crate) fn u32(self, at: u64) -> u32 {
        u32::from_le_bytes(self.array(at))
    }
    pub(crate) fn u64(self, at: u64) -> u64 {
        u64::from_le_bytes(self.array(at))
    }
    pub(crate) fn range(self, at: u64, len: u64) -> Option<&'a [u8]> {
        self.0.get(usize::try_from(at).ok()?..usize::try_from(at.checked_add(len)?).ok()?)
    }
    /// The bytes up to the next NUL.
    pub(crate) fn text(self, at: u64) -> &'a [u8] {
        let rest = usize::try_from(at).ok().and_then(|at| self.0.get(at..)).unwrap_or(&[]);
        rest.split(|b| *b == 0).next().unwrap_or(&[])
    }
}

/// A program header: type, flags, offset, virtual address, file size, memory size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) vaddr: u64,
    pub(crate) filesz: u64,
    pub(crate) memsz: u64,
}

pub(crate) const PT_LOAD: u32 = 1;
pub(crate) const PT_NOTE: u32 = 4;
/// Executable, of `flags`.
pub(crate) const PF_X: u32 = 1;

/// The program headers; PN_XNUM is honoured.
pub(crate) fn segments(file: Bytes) -> Vec<Segment> {
    let (at, size, mut count) = (file.u64(32), u64::from(file.u16(54)), u64::from(file.u16(56)));
    if count == 0xffff {
        count = u64::from(file.u32(file.u64(40) + 44)); // sh_info of section 0
    }
    (0..count)
        .map(|i| at + i * size)
        .map(|p| Segment {
            kind: file.u32(p),
            flags: file.u32(p + 4),
            offset: file.u64(p + 8),
            vaddr: file.u64(p + 16),
            filesz: file.u64(p + 32),
            memsz: file.u64(p + 40),
        })
        .collect()
}

/// Notes: name, type, descriptor.
pub(crate) fn notes(area: &[u8]) -> Vec<(&[u8], u32, &[u8])> {
    let (bytes, mut at, mut found) = (Bytes(area), 0u64, Vec::new());
    while at + 12 <= area.len() as u64 {
        let (name, desc, kind) = (u64::from(bytes.u32(at)), u64::from(bytes.u32(at + 4)), bytes.u32(at + 8));
        let start = at + 12 + name.next_multiple_of(4);
        let (Some(n), Some(d)) = (bytes.range(at + 12, name), bytes.range(start, desc)) else { break };
        found.push((n, kind, d));
        at = start + desc.next_multiple_of(4);
    }
    found
}

/// The GNU build-id among notes.
pub(crate) fn build_id_in(area: &[u8]) -> Option<Vec<u8>> {
    notes(area).into_iter().find(|(n, k, _)| *n == b"GNU\0" && *k == 3).map(|(_, _, d)| d.to_vec())
}

/// The GNU build-id of a file.
pub(crate) fn build_id(file: &[u8]) -> Option<Vec<u8>> {
    let notes = segments(Bytes(file)).into_iter().filter(|s| s.kind == PT_NOTE);
    notes.filter_map(|s| build_id_in(Bytes(file).range(s.offset, s.filesz)?)).next()
}

/// Functions (and labels in code) of .symtab, else .dynsym: start, size, name.
pub(crate) fn functions(file: &[u8]) -> Vec<(u64, u64, String)> {
    let b = Bytes(file);
    let (at, size, count) = (b.u64(40), u64::from(b.u16(58)), u64::from(b.u16(60)));
    let section = |i: u64| at + i * size;
    let table = |kind: u32| (0..count).map(section).find(|s| b.u32(s + 4) == kind);
    let Some(symtab) = table(2).or_else(|| table(11)) else { return Vec::new() };
    let strings = b.u64(section(u64::from(b.u32(symtab + 40))) + 24);
    let (start, bytes) = (b.u64(symtab + 24), b.u64(symtab + 32));
    let executable = |i: u16| i != 0 && i < 0xff00 && b.u64(section(u64::from(i)) + 8) & 4 != 0;
    let mut found: Vec<(u64, u64, String)> = (0..bytes / 24)
        .map(|i| start + i * 24)
        .filter(|s| {
            matches!(file.get(*s as usize + 4).map(|info| info & 15), Some(0 | 2)) && executable(b.u16(s + 6))
        })
        .map(|s| {
            let name = String::from_utf8_lossy(b.text(strings + u64::from(b.u32(s)))).into_owned();
            (b.u64(s + 8), b.u64(s + 16), name)
        })
        .filter(|(_, _, name)| !name.is_empty())
        .collect();
    // Of several names for an address, one with a size is better.
    found.sort_by(|a, b| (a.0, b.1, &a.2).cmp(&(b.0, a.1, &b.2)));
    found.dedup_by_key(|f| f.0);
    found
}
