//! The code that ran against the code of its file.
//!
//! Both are read while or after the process lived: the memory live, the file
//! through the descriptor that was opened then. A file of another build is no
//! module's file (module says which is). Breakpoints, hot patches and
//! relocated text are told apart by their shape; what is left is damage.
//!
//! Its limit: a page of the page cache that is damaged itself is read with its
//! damage from both sides. What differs is a private copy.

use super::scene::Scene;
use crate::address::AddrRange;
use crate::bytes::Bytes;
use crate::elfcore::Machine;

/// A page (of what is compared; larger pages are compared in part).
const PAGE: u64 = 4096;
/// Pages that are compared: those of rip and of the stack's words.
const MOST: usize = 128;
/// Bytes that a hot patch, a trace point or a far jump takes.
const PATCH: u64 = 16;
/// Bytes of a page that differ when it is another page altogether.
const OTHER_PAGE: u64 = 512;
/// int3.
const BREAKPOINT: u8 = 0xcc;
/// brk, of aarch64, without its number.
const BRK: (u32, u32) = (0xffe0_001f, 0xd420_0000);

/// How they differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Not at all.
    None,
    /// One bit.
    OneBit {
        /// 0 to 7 within its byte.
        bit: u32,
        /// Where, as linked.
        at: u64,
    },
    /// More, in no shape of the others.
    Several {
        /// How many bits.
        bits: u32,
    },
    /// Bytes of int3: a debugger, a uprobe.
    Breakpoint,
    /// A run that begins with a jump, a call or a no-operation.
    Patched,
    /// So much that it is another page.
    OtherPage,
}

impl Difference {
    /// As the record spells it.
    pub fn name(self) -> &'static str {
        match self {
            Difference::None => "same",
            Difference::OneBit { .. } => "1bit",
            Difference::Several { .. } => "several",
            Difference::Breakpoint => "breakpoint",
            Difference::Patched => "patched",
            Difference::OtherPage => "page",
        }
    }
}

/// What was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePage {
    /// The module.
    pub module: usize,
    /// Bytes that were compared.
    pub compared: u64,
    /// How they differ.
    pub difference: Difference,
}

/// Compares every page of code that was kept, that of rip first; the one that
/// differs, else what was compared. None when there is nothing to compare with.
pub(super) fn check(scene: &Scene<'_>) -> Option<CodePage> {
    let ip = scene.ip().align_down(PAGE);
    let code = |page: &AddrRange| scene.space.find(page.start).is_some_and(|segment| segment.is_executable());
    let kept = scene.image.ranges().flat_map(pages).filter(code);
    let all = ip.range(PAGE).into_iter().chain(kept.filter(|page| page.start.align_down(PAGE) != ip));
    let mut whole: Option<CodePage> = None;
    for page in all.take(MOST) {
        let Some(found) = one(scene, page) else { continue };
        let compared = whole.map_or(0, |whole| whole.compared).saturating_add(found.compared);
        let worse = whole.is_none_or(|whole| weight(found.difference) > weight(whole.difference));
        let kept = if worse { found } else { whole.unwrap_or(found) };
        whole = Some(CodePage { compared, ..kept });
    }
    whole
}

/// What says most about the machine weighs most.
fn weight(difference: Difference) -> u8 {
    match difference {
        Difference::None => 0,
        Difference::Patched => 1,
        Difference::Breakpoint => 2,
        Difference::OtherPage => 3,
        Difference::Several { .. } => 4,
        Difference::OneBit { .. } => 5,
    }
}

/// The parts of a range, page by page.
fn pages(range: AddrRange) -> impl Iterator<Item = AddrRange> {
    let first = range.start.align_down(PAGE);
    let count = range.end.offset_from(first).unwrap_or(0).div_ceil(PAGE);
    (0..count).filter_map(move |n| first.add(n.checked_mul(PAGE)?)?.range(PAGE)?.intersect(&range))
}

fn one(scene: &Scene<'_>, page: AddrRange) -> Option<CodePage> {
    let module = scene.module_of(page.start).or_else(|| scene.module_of(scene.ip()))?;
    let code = scene.modules.get(module)?.executable.iter().find_map(|range| range.intersect(&page))?;
    // What of the page was kept: it may begin or end within it.
    let kept = scene.image.ranges().find_map(|range| range.intersect(&code))?;
    compare(scene, module, kept)
}

fn compare(scene: &Scene<'_>, module: usize, range: AddrRange) -> Option<CodePage> {
    let length = usize::try_from(range.len()).ok()?;
    let memory = scene.image.read(range.start, length)?;
    let linked = scene.modules.get(module)?.linked(range.start);
    let file = scene.modules.file_code(module, linked, length)?;
    let difference = differ(scene.machine(), memory.as_slice(), &file, linked);
    Some(CodePage { module, compared: range.len(), difference })
}

/// Compares bytes of memory with those of a file that are linked at `linked`.
pub fn differ(machine: Machine, memory: &[u8], file: &[u8], linked: u64) -> Difference {
    let differing: Vec<(u64, u8, u8)> = (0u64..)
        .zip(memory.iter().zip(file))
        .filter(|(_, (memory, file))| memory != file)
        .map(|(at, (memory, file))| (at, *memory, *file))
        .collect();
    let (Some(first), Some(last)) = (differing.first(), differing.last()) else { return Difference::None };
    let bits = differing
        .iter()
        .map(|(_, memory, file)| (memory ^ file).count_ones())
        .fold(0u32, u32::saturating_add);
    let word = |at: u64| {
        let start =
            usize::try_from(at).ok()?.checked_sub(usize::try_from(linked.wrapping_add(at) & 3).ok()?)?;
        Bytes::new(memory).u32(start)
    };
    let breaks = |(at, byte, _): &(u64, u8, u8)| match machine {
        Machine::X86_64 => *byte == BREAKPOINT,
        Machine::Aarch64 => word(*at).is_some_and(|word| word & BRK.0 == BRK.1),
    };
    // First: 0xcc is one bit from a REX prefix.
    if differing.iter().all(breaks) {
        return Difference::Breakpoint;
    }
    if bits == 1 {
        let at = linked.wrapping_add(first.0);
        return Difference::OneBit { bit: (first.1 ^ first.2).trailing_zeros(), at };
    }
    if differing.len() as u64 >= OTHER_PAGE {
        return Difference::OtherPage;
    }
    // A patch may keep its first byte (a jump that goes elsewhere).
    let span = last.0.saturating_sub(first.0);
    let begins = |at: u64| usize::try_from(at).ok().and_then(|at| memory.get(at)).copied();
    let patch = |byte: Option<u8>| matches!(byte, Some(0xe8 | 0xe9 | 0xeb | 0x90 | 0xcc));
    let near = [first.0, first.0.saturating_sub(1)];
    let patched = match machine {
        Machine::X86_64 => near.iter().any(|at| patch(begins(*at))),
        // b, bl, nop.
        Machine::Aarch64 => {
            word(first.0).is_some_and(|word| word & 0x7c00_0000 == 0x1400_0000 || word == 0xd503_201f)
        }
    };
    if span < PATCH && differing.len() > 1 && patched {
        return Difference::Patched;
    }
    Difference::Several { bits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Addr;

    fn file() -> Vec<u8> {
        (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    #[test]
    fn every_single_bit_of_a_page_is_found_where_it_is() {
        let file = file();
        for at in [0usize, 1, 77, 4095] {
            for bit in 0..8 {
                let mut memory = file.clone();
                memory[at] ^= 1 << bit;
                let expected = Difference::OneBit { bit, at: 0x5000 + at as u64 };
                assert_eq!(differ(Machine::X86_64, &memory, &file, 0x5000), expected);
            }
        }
        assert_eq!(differ(Machine::X86_64, &file, &file, 0), Difference::None);
    }

    #[test]
    fn what_tools_write_into_code_is_no_damage() {
        let file = vec![0x55; 4096];
        let with = |at: usize, bytes: &[u8]| {
            let mut memory = file.clone();
            memory[at..at + bytes.len()].copy_from_slice(bytes);
            differ(Machine::X86_64, &memory, &file, 0)
        };
        assert_eq!(with(100, &[0xcc]), Difference::Breakpoint);
        let mut prefix = file.clone();
        prefix[7] = 0x4c;
        let mut probed = prefix.clone();
        probed[7] = 0xcc;
        assert_eq!(differ(Machine::X86_64, &probed, &prefix, 0), Difference::Breakpoint);
        assert_eq!(with(100, &[0xe9, 1, 2, 3, 4]), Difference::Patched);
        assert_eq!(with(100, &[0xe8, 0x55, 2, 3, 4]), Difference::Patched);
        assert_eq!(with(100, &[0x0f; 600]), Difference::OtherPage);
        assert_eq!(with(100, &[0x56 ^ 0x01 ^ 0x04]), Difference::Several { bits: 2 });
        assert_eq!(with(100, &[0x51, 0x55, 0x54]), Difference::Several { bits: 2 });
    }

    #[test]
    fn breakpoints_and_patches_of_aarch64_are_words() {
        let file = vec![0x55; 4096];
        let with = |word: u32| {
            let mut memory = file.clone();
            memory[100..104].copy_from_slice(&word.to_le_bytes());
            differ(Machine::Aarch64, &memory, &file, 0x1000)
        };
        assert_eq!(with(0xd420_0000), Difference::Breakpoint);
        assert_eq!(with(0xd420_00a0), Difference::Breakpoint);
        assert_eq!(with(0x1400_1234), Difference::Patched);
        assert_eq!(with(0x5555_5556), Difference::Several { bits: 2 });
        assert_eq!(with(0x5555_5554), Difference::OneBit { bit: 0, at: 0x1064 });
    }

    #[test]
    fn a_range_is_looked_at_page_by_page() {
        let range = AddrRange { start: Addr(0x1f00), end: Addr(0x4010) };
        let parts: Vec<(u64, u64)> = pages(range).map(|page| (page.start.0, page.end.0)).collect();
        assert_eq!(parts, [(0x1f00, 0x2000), (0x2000, 0x3000), (0x3000, 0x4000), (0x4000, 0x4010)]);
    }
}
