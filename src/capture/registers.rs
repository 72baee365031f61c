//! What the registers of the crashing thread were, without their values: what
//! of them leaves the host by default.
//!
//! A class, the lowest 12 bits (place in a page, alignment), the offset in a
//! module or from the stack pointer, and how many flipped bits away the
//! nearest mapping is: a pointer that memory or a core has damaged by one bit
//! is 1 from mapped, a wild one is not. Mappings are those that modules were
//! made of, so a replay says the same as the live crash.
//!
//! Distances are searched up to [`FARTHEST`] bits. Mappings begin and end at
//! pages, so only bits 12 to 63 matter: 1 + 52 + 1326 look-ups by binary
//! search for a register that is neither mapped nor small, and 34 registers at
//! most. A third bit would be 22,100 more, and by chance alone it finds a
//! mapping for most numbers.

use std::collections::HashSet;

use super::evidence::Evidence;
use crate::address::{Addr, AddrRange};
use crate::elfcore::Segment;
use crate::memory::Layout;
use crate::module::{CodeClass, Module, Modules};
use crate::record::{RegisterClass, RegisterClasses};

/// Numbers nearer to zero than this are no pointers: the kernel maps nothing
/// below vm.mmap_min_addr, 64 KiB.
const SMALL: u64 = 64 << 10;
/// How far above the executable's end the kernel begins the heap, at most
/// (arch_randomize_brk of x86_64 and arm64).
const HEAP_REACH: u64 = 1 << 30;
/// Bits that are flipped in search of a mapping.
const FARTHEST: i8 = 2;
/// Bits within a page.
const PAGE_BITS: u32 = 12;

/// The classes of the crashing thread; `place` is where the record names a
/// module, by its index among `evidence.modules`.
pub(super) fn classify(
    evidence: &Evidence,
    executable: Option<&Module>,
    place: impl Fn(usize) -> Option<u32>,
) -> RegisterClasses {
    let Some(thread) = evidence.head.threads.first() else { return RegisterClasses::default() };
    let layout = Layout::new(&evidence.head);
    let stack = layout.stacks(thread).first().and_then(|stack| layout.segment(stack.range.start));
    let files = evidence.head.files.iter().flatten().map(|file| file.range.start).collect();
    let space = Space {
        modules: &evidence.modules,
        stack: stack.map(|segment| segment.range),
        heap: executable.and_then(|module| heap(&evidence.head.segments, &files, module.range.end)),
        sp: thread.registers.sp(),
    };
    space.classify(thread.registers.values(), place)
}

/// brk's heap: the first private writable memory of no file above the
/// executable, and what touches it. A program started through its loader has
/// its heap elsewhere; there it is only mapped.
fn heap(segments: &[Segment], files: &HashSet<Addr>, end: Addr) -> Option<AddrRange> {
    let mut above: Vec<&Segment> = segments.iter().filter(|segment| segment.range.start >= end).collect();
    above.sort_by_key(|segment| segment.range.start);
    let is_heap = |segment: &&&Segment| {
        segment.is_writable() && !segment.is_executable() && !files.contains(&segment.range.start)
    };
    let mut heap = above.first().filter(is_heap)?.range;
    if heap.start.offset_from(end)? > HEAP_REACH {
        return None;
    }
    for segment in above.iter().skip(1).take_while(is_heap) {
        if segment.range.start != heap.end {
            break;
        }
        heap.end = segment.range.end;
    }
    Some(heap)
}

/// The address space, as far as a register may point into it.
struct Space<'a> {
    modules: &'a Modules,
    stack: Option<AddrRange>,
    heap: Option<AddrRange>,
    sp: Addr,
}

/// One register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    class: RegisterClass,
    distance: i8,
    module: Option<usize>,
    offset: i64,
}

impl Space<'_> {
    fn classify(&self, values: &[u64], place: impl Fn(usize) -> Option<u32>) -> RegisterClasses {
        let mut classes = RegisterClasses::default();
        for value in values {
            let told = self.one(*value);
            let module = told.module.and_then(&place).and_then(|index| i32::try_from(index).ok());
            classes.class.push(told.class);
            classes.low.push(u16::try_from(value & 0xfff).unwrap_or(0));
            classes.distance.push(told.distance);
            classes.module.push(module.unwrap_or(-1));
            // Without its module an offset says nothing.
            let lost = told.module.is_some() && module.is_none();
            classes.offset.push(if lost { 0 } else { told.offset });
        }
        classes
    }

    fn one(&self, value: u64) -> Told {
        let unasked = Told { distance: -1, ..Told::default() };
        if value == 0 {
            return Told { class: RegisterClass::Null, ..unasked };
        }
        if value < SMALL || value.wrapping_neg() <= SMALL {
            return Told { class: RegisterClass::Small, ..unasked };
        }
        let at = Addr(value);
        match self.modules.code_class(at) {
            CodeClass::InModule(_) => self.in_module(at, RegisterClass::Code),
            CodeClass::Jit => Told { class: RegisterClass::Jit, ..Told::default() },
            CodeClass::NotExecutable => self.mapped(at),
            CodeClass::Unmapped => {
                Told { class: self.unmapped(at), distance: self.distance(value), ..unasked }
            }
        }
    }

    fn mapped(&self, at: Addr) -> Told {
        let inside = |range: Option<AddrRange>| range.is_some_and(|range| range.contains(at));
        if inside(self.stack) {
            let offset = at.0.wrapping_sub(self.sp.0).cast_signed();
            return Told { class: RegisterClass::Stack, offset, ..Told::default() };
        }
        if inside(self.heap) {
            return Told { class: RegisterClass::Heap, ..Told::default() };
        }
        self.in_module(at, RegisterClass::Data)
    }

    fn in_module(&self, at: Addr, class: RegisterClass) -> Told {
        match self.modules.find(at) {
            Some((index, module)) => {
                Told { class, module: Some(index), offset: module.linked(at).cast_signed(), distance: 0 }
            }
            None => Told { class: RegisterClass::Mapped, ..Told::default() },
        }
    }

    fn unmapped(&self, at: Addr) -> RegisterClass {
        if self.modules.machine().is_canonical(at) {
            RegisterClass::Other
        } else {
            RegisterClass::Noncanonical
        }
    }

    /// Bits from a mapping, -1 for more than [`FARTHEST`].
    fn distance(&self, value: u64) -> i8 {
        let flips = |from: u32| (from..u64::BITS).map(|bit| (bit, 1u64 << bit));
        let mapped = |value: u64| self.modules.code_class(Addr(value)) != CodeClass::Unmapped;
        if flips(PAGE_BITS).any(|(_, flip)| mapped(value ^ flip)) {
            return 1;
        }
        let two = |(bit, first): (u32, u64)| flips(bit + 1).any(|(_, second)| mapped(value ^ first ^ second));
        if flips(PAGE_BITS).any(two) { FARTHEST } else { -1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Image;
    use crate::process::Mapping;

    const CODE: u64 = 0x5555_5555_5000;
    const STACK: u64 = 0x7ffc_1234_0000;
    const HEAP: u64 = 0x5555_6000_0000;

    fn mapping(start: u64, offset: u64, path: &str, executable: bool) -> Mapping {
        let range = Addr(start).range(0x1000).unwrap_or_default();
        Mapping { range, offset, path: path.into(), executable, ..Mapping::default() }
    }

    fn modules() -> Modules {
        let mappings = [
            mapping(CODE, 0, "/bin/a", true),
            mapping(CODE + 0x1000, 0x1000, "/bin/a", false),
            mapping(HEAP, 0, "", false),
            mapping(0x7f00_0000_0000, 0, "", true),
            mapping(0x7f10_0000_0000, 0, "", false),
            mapping(STACK, 0, "", false),
        ];
        Modules::assemble(&mappings, &Image::default(), None, crate::elfcore::Machine::X86_64).0
    }

    fn told(values: &[u64]) -> RegisterClasses {
        let modules = modules();
        let space = Space {
            modules: &modules,
            stack: Addr(STACK).range(0x1000),
            heap: Addr(HEAP).range(0x1000),
            sp: Addr(STACK + 0x800),
        };
        space.classify(values, |index| u32::try_from(index + 7).ok())
    }

    #[test]
    fn every_class_is_told_from_the_others() {
        use RegisterClass::*;
        let cases = [
            (0, Null, -1, -1, 0),
            (0x33, Small, -1, -1, 0),
            (u64::MAX, Small, -1, -1, 0),
            (65_535, Small, -1, -1, 0),
            (CODE + 0x123, Code, 0, 7, 0x123),
            (CODE + 0x1abc, Data, 0, 7, 0x1abc),
            (0x7f00_0000_0010, Jit, 0, -1, 0),
            (0x7f10_0000_0010, Mapped, 0, -1, 0),
            (HEAP + 0x10, Heap, 0, -1, 0),
            (STACK + 0x810, Stack, 0, -1, 0x10),
            (STACK + 0x7f8, Stack, 0, -1, -8),
        ];
        let classes = told(&cases.map(|case| case.0));
        for (index, (value, class, distance, module, offset)) in cases.into_iter().enumerate() {
            assert_eq!(classes.class.get(index), Some(&class), "{value:#x}");
            assert_eq!(classes.distance.get(index), Some(&distance), "{value:#x}");
            assert_eq!(classes.module.get(index), Some(&module), "{value:#x}");
            assert_eq!(classes.offset.get(index), Some(&offset), "{value:#x}");
            assert_eq!(classes.low.get(index), Some(&((value & 0xfff) as u16)), "{value:#x}");
        }
    }

    #[test]
    fn a_pointer_with_a_flipped_bit_is_that_far_from_a_mapping() {
        let pointer = STACK + 0x808;
        for bit in 12..64 {
            let classes = told(&[pointer ^ 1 << bit]);
            assert_eq!(classes.distance, [1], "bit {bit}");
            let expected = if bit >= 47 { RegisterClass::Noncanonical } else { RegisterClass::Other };
            assert_eq!(classes.class, [expected], "bit {bit}");
            let far = told(&[pointer ^ 1 << bit ^ 1 << ((bit + 17) % 52 + 12)]);
            assert!(far.distance.iter().all(|distance| (0..=2).contains(distance)), "bit {bit}: {far:?}");
        }
        // Nothing of the program is within two bits of this one.
        assert_eq!(told(&[0xdead_beef_dead_beef]).distance, [-1]);
        assert_eq!(told(&[0x4141_4141_4141_4141]).class, [RegisterClass::Noncanonical]);
    }

    #[test]
    fn no_register_is_told_more_of_than_twelve_bits_outside_modules_and_stack() {
        let values = [HEAP + 0x678, 0x7f10_0000_0abc, 0xdead_beef_dead_beef, 0x1234_5678];
        let classes = told(&values);
        assert_eq!(classes.low, [0x678, 0xabc, 0xeef, 0x678]);
        assert_eq!((classes.offset, classes.module), (vec![0; 4], vec![-1; 4]));
    }

    #[test]
    fn the_heap_is_the_memory_of_no_file_right_above_the_executable() {
        let segment = |start: u64, flags| Segment {
            range: Addr(start).range(0x1000).unwrap_or_default(),
            flags,
            ..Segment::default()
        };
        let files = HashSet::from([Addr(HEAP + 0x5000)]);
        let heap_of = |segments: &[Segment]| heap(segments, &files, Addr(CODE + 0x2000));
        let found = heap_of(&[segment(STACK, 6), segment(HEAP + 0x1000, 6), segment(HEAP, 6)]);
        assert_eq!(found, Addr(HEAP).range(0x2000));
        assert_eq!(heap_of(&[segment(HEAP, 5)]), None, "code is no heap");
        assert_eq!(heap_of(&[segment(HEAP + 0x5000, 6)]), None, "a file is no heap");
        assert_eq!(heap_of(&[segment(STACK, 6)]), None, "too far away");
    }
}
