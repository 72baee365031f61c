//! The plan: which addresses are worth keeping, decided from the head alone.
//!
//! In the order of worth: the crashing thread's stacks, the ELF headers of the
//! modules and the vdso (they are what names an address), code around the
//! instruction pointer, then the stacks of the other threads, sharing what the
//! budget leaves.

use super::image::Image;
use super::stack::{Layout, Stack};
use crate::address::{Addr, AddrRange};
use crate::elfcore::{Head, Thread};
use crate::gap::{Gap, Stage};
use crate::limits;
use crate::process::Mapping;

/// Ranges to keep: sorted, disjoint.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    ranges: Vec<AddrRange>,
    /// What the budget cut.
    pub gaps: Vec<Gap>,
}

impl Plan {
    /// Makes the plan. `mappings` are the same that modules are made from.
    pub fn new(head: &Head, layout: &Layout, mappings: &[Mapping]) -> Plan {
        let mut wanted: Vec<AddrRange> = Vec::new();
        if let Some(crashing) = head.threads.first() {
            wanted.extend(crashing_stacks(layout, crashing));
            wanted.extend(code_around(crashing.registers.ip()));
            wanted.extend(crashing.registers.ip().align_down(limits::CODE_PAGE).range(limits::CODE_PAGE));
        }
        wanted.extend(module_heads(mappings));
        wanted.extend(head.auxv.vdso.and_then(|start| start.range(limits::VDSO_BYTES)));
        let spent = wanted.iter().fold(0u64, |sum, range| sum.saturating_add(range.len()));
        let others = head.threads.get(1..).unwrap_or(&[]);
        let (windows, starved) = other_stacks(layout, others, limits::STACK_TOTAL.saturating_sub(spent));
        wanted.extend(windows);
        let mut gaps = Vec::new();
        if starved > 0 {
            gaps.push(Gap::counted(Stage::Memory, "threads without a stack: budget spent", starved));
        }
        Plan { ranges: disjoint(wanted), gaps }
    }

    /// A second one, of what the first has brought: the pages of code that words
    /// around the crashing thread's rsp point into. `mappings` are by address.
    /// What no file stands behind has nothing to be compared with.
    pub fn code(head: &Head, mappings: &[Mapping], image: &Image) -> Plan {
        let Some(thread) = head.threads.first() else { return Plan::default() };
        let sp = Addr(thread.registers.sp().0 & !7);
        // Nearest first, those above rsp before those below.
        let near = (0..limits::CODE_WORDS).flat_map(|n| {
            let bytes = n.saturating_mul(8);
            [sp.add(bytes), sp.sub(bytes)]
        });
        let is_code = |at: Addr| {
            let behind = mappings.partition_point(|mapping| mapping.range.start <= at);
            let mapping = behind.checked_sub(1).and_then(|index| mappings.get(index));
            mapping.is_some_and(|m| m.range.contains(at) && m.executable && m.path.starts_with(b"/"))
        };
        let mut pages: Vec<AddrRange> = Vec::new();
        for word in near.filter_map(|at| image.u64(at?)).map(Addr).filter(|word| is_code(*word)) {
            let page = word.align_down(limits::CODE_PAGE).range(limits::CODE_PAGE);
            pages.extend(page.filter(|page| !pages.contains(page)));
            if pages.len() >= limits::CODE_PAGES {
                break;
            }
        }
        Plan { ranges: disjoint(pages), gaps: Vec::new() }
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[AddrRange] {
        &self.ranges
    }

    /// The parts of the plan inside `range`, ascending.
    pub fn within(&self, range: AddrRange) -> impl Iterator<Item = AddrRange> {
        let first = self.ranges.partition_point(|planned| planned.end <= range.start);
        let rest = self.ranges.get(first..).unwrap_or(&[]);
        rest.iter().map_while(move |planned| planned.intersect(&range))
    }
}

/// The crashing thread: upwards from where it stands, what a signal left just
/// below, and the oldest end; on a stack it does not stand on, both ends.
fn crashing_stacks(layout: &Layout, thread: &Thread) -> Vec<AddrRange> {
    let sp = thread.registers.sp();
    let mut wanted = Vec::new();
    for (index, stack) in layout.stacks(thread).iter().enumerate() {
        let low = stack.range.start;
        let standing = index == 0 && sp < stack.base;
        let from = if standing { sp.sub(limits::STACK_BELOW).unwrap_or(low).max(low) } else { low };
        let reach = limits::STACK_CRASHING.saturating_add(if standing { limits::STACK_BELOW } else { 0 });
        wanted.extend(clip(from, reach, stack));
        let tail = stack.base.sub(limits::STACK_TAIL).unwrap_or(low).max(low);
        wanted.extend(clip(tail, limits::STACK_TAIL, stack));
    }
    wanted
}

fn clip(from: Addr, length: u64, stack: &Stack) -> Option<AddrRange> {
    from.range(length)?.intersect(&stack.range)
}

fn code_around(ip: Addr) -> Option<AddrRange> {
    let start = ip.sub(limits::CODE_AROUND)?;
    start.range(limits::CODE_AROUND.saturating_mul(2))
}

/// The first page of every file: ELF header, program headers, build-id.
fn module_heads(mappings: &[Mapping]) -> impl Iterator<Item = AddrRange> {
    let files = mappings.iter().filter(|mapping| mapping.offset == 0 && mapping.path.starts_with(b"/"));
    files
        .take(limits::MODULES)
        .filter_map(|mapping| mapping.range.start.range(limits::MODULE_HEAD)?.intersect(&mapping.range))
}

/// A fair share for every other thread; what one does not use the next may.
fn other_stacks(layout: &Layout, threads: &[Thread], budget: u64) -> (Vec<AddrRange>, u64) {
    let mut wanted = Vec::with_capacity(threads.len());
    let (mut left, mut starved) = (budget, 0u64);
    for (index, thread) in threads.iter().enumerate() {
        // The first threads are those that the record shows when it is full.
        let waiting = threads.len().saturating_sub(index) as u64;
        let fair = left.checked_div(waiting).unwrap_or(0);
        let share = fair.clamp(limits::STACK_LEAST, limits::STACK_OTHER);
        if left < share {
            starved = starved.saturating_add(1);
            continue;
        }
        let sp = thread.registers.sp();
        for (index, stack) in layout.stacks(thread).iter().enumerate() {
            let standing = index == 0 && sp < stack.base;
            // The 128 bytes of the red zone belong to a leaf's frame.
            let at = sp.sub(128).unwrap_or(sp).max(stack.range.start);
            let top = stack.base.sub(share).unwrap_or(stack.range.start).max(stack.range.start);
            let range = clip(if standing { at } else { top }, share, stack);
            left = left.saturating_sub(range.map_or(0, |range| range.len()));
            wanted.extend(range);
        }
    }
    (wanted, starved)
}

/// Sorts and joins.
fn disjoint(mut ranges: Vec<AddrRange>) -> Vec<AddrRange> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort();
    let mut joined: Vec<AddrRange> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}
