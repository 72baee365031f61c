//! Where stacks are: which part of which mapping belongs to which thread.
//!
//! A thread's stack pointer says where it is now; it may stand on an alternate
//! signal stack, on a coroutine's, in a guard page, or nowhere. Where the
//! thread's own stack is, the auxiliary vector tells for the main thread
//! (AT_RANDOM lies just above its frames) and the thread pointer for others
//! (glibc and musl keep the thread's control block at the top of its stack).

use crate::address::{Addr, AddrRange};
use crate::elfcore::{Head, Segment, Thread};

/// How far below its mapping a stack pointer may be and still mean it: a guard
/// page overrun by a frame with large locals (glibc's stack clash probes make
/// it a page; without them a frame may be this large).
const OVERRUN: u64 = 1 << 20;

/// One stack of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// The writable mapping, cut where no frames can be.
    pub range: AddrRange,
    /// Where its frames end, when that is known better than by the mapping.
    pub base: Addr,
}

/// Mappings by address, to ask for stacks.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    segments: Vec<Segment>,
    random: Option<Addr>,
    main: Option<u32>,
}

impl Layout {
    /// From the head of a core.
    pub fn new(head: &Head) -> Layout {
        let mut segments = head.segments.clone();
        // One that holds nothing would hide one that begins at the same address.
        segments.retain(|segment| !segment.range.is_empty());
        segments.sort_by_key(|segment| segment.range.start);
        Layout { segments, random: head.auxv.random, main: head.prpsinfo.as_ref().map(|info| info.pid) }
    }

    /// The segment that holds an address.
    pub fn segment(&self, address: Addr) -> Option<&Segment> {
        let behind = self.segments.partition_point(|segment| segment.range.start <= address);
        let segment = self.segments.get(behind.checked_sub(1)?)?;
        segment.range.contains(address).then_some(segment)
    }

    /// The segment that ends at or below `address`, nearest first.
    pub fn below(&self, address: Addr) -> Option<&Segment> {
        let behind = self.segments.partition_point(|segment| segment.range.end <= address);
        self.segments.get(behind.checked_sub(1)?)
    }

    /// The segment that begins above `address`.
    pub fn above(&self, address: Addr) -> Option<&Segment> {
        self.segments.get(self.segments.partition_point(|segment| segment.range.start <= address))
    }

    /// The stack that a stack pointer stands on, or has just run out of.
    pub fn around(&self, sp: Addr) -> Option<Stack> {
        let at = self.segment(sp).filter(|segment| segment.is_writable());
        let segment = at.or_else(|| {
            let above = self.segments.partition_point(|segment| segment.range.start <= sp);
            let next = self.segments.get(above..)?.iter().take(2).find(|segment| segment.is_writable())?;
            (next.range.start.offset_from(sp)? <= OVERRUN).then_some(next)
        })?;
        Some(self.stack(segment))
    }

    fn stack(&self, segment: &Segment) -> Stack {
        // Above AT_RANDOM lie arguments and environment: never a frame.
        let base = self.random.filter(|random| segment.range.contains(*random)).unwrap_or(segment.range.end);
        Stack { range: AddrRange { start: segment.range.start, end: base }, base }
    }

    /// The thread's own stack, wherever its stack pointer is.
    pub fn own(&self, thread: &Thread) -> Option<Stack> {
        if Some(thread.tid) == self.main {
            return self.segment(self.random?).map(|segment| self.stack(segment));
        }
        let pointer = thread.registers.thread_pointer()?;
        let segment = self.segment(pointer.sub(8)?).filter(|segment| segment.is_writable())?;
        let end = pointer.min(segment.range.end);
        Some(Stack { range: AddrRange { start: segment.range.start, end }, base: end })
    }

    /// All stacks on which frames of a thread may lie: where it stands first.
    pub fn stacks(&self, thread: &Thread) -> Vec<Stack> {
        let current = self.around(thread.registers.sp());
        let own = self.own(thread);
        match (current, own) {
            (Some(current), Some(own)) if current.range.start == own.range.start => {
                // The same mapping: the thread pointer knows the base better.
                let outside = thread.registers.sp() >= own.base;
                vec![if outside { current } else { own }]
            }
            (current, own) => current.into_iter().chain(own).collect(),
        }
    }
}
