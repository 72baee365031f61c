//! The plan: which addresses are worth keeping, decided from the head alone.
//!
//! In the order of worth: the crashing thread's stacks, the ELF headers of the
//! modules and the vdso (they are what names an address), code around the
//! instruction pointer, then the stacks of the other threads, sharing what the
//! budget leaves.

use super::callees::{self, Step};
use super::image::Image;
use super::stack::{Layout, Stack};
use crate::address::{Addr, AddrRange};
use crate::elfcore::{Head, Machine, Thread};
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

    /// The same without these.
    pub fn without(self, gone: Vec<AddrRange>) -> Plan {
        let gone = disjoint(gone);
        let ranges = self.ranges.iter().flat_map(|range| cut(*range, &gone)).collect();
        Plan { ranges, gaps: self.gaps }
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

/// Further plans, of what the first has brought: code that ran last. Looks
/// through the stacks once.
pub struct Code<'a> {
    mappings: &'a [Mapping],
    machine: Option<Machine>,
    /// Beside rip, and what the registers hold.
    held: Vec<Addr>,
    /// Words of the crashing thread's stacks that point into code.
    returns: Vec<Addr>,
}

impl<'a> Code<'a> {
    /// `mappings` are by address. What no file stands behind has nothing to be
    /// compared with.
    pub fn new(head: &Head, layout: &Layout, mappings: &'a [Mapping], image: &Image) -> Code<'a> {
        let mut code = Code { mappings, machine: head.machine, held: Vec::new(), returns: Vec::new() };
        if let Some(thread) = head.threads.first() {
            let registers = &thread.registers;
            let ip = registers.ip();
            let beside = [ip.sub(limits::CODE_PAGE), ip.add(limits::CODE_PAGE)].into_iter().flatten();
            code.held = beside.chain(registers.values().iter().copied().map(Addr)).collect();
            code.returns = words(&layout.stacks(thread), registers.sp(), image);
            code.returns.retain(|word| is_code(mappings, *word));
        }
        code
    }

    /// The pages that registers and words point into.
    pub fn pages(&self) -> Plan {
        let mut pages: Vec<AddrRange> = Vec::new();
        let held = self.held.iter().filter(|word| is_code(self.mappings, **word));
        for word in held.chain(&self.returns) {
            push_page(&mut pages, *word);
            if pages.len() >= limits::CODE_PAGES {
                break;
            }
        }
        Plan { ranges: disjoint(pages), gaps: Vec::new() }
    }

    /// The next step towards the functions that were called from there and have
    /// returned ([`callees`]). Empty when there is nothing more.
    pub fn callees(&self, image: &Image) -> Plan {
        let Some(machine) = self.machine else { return Plan::default() };
        let mut distinct: Vec<Addr> = Vec::new();
        for word in &self.returns {
            if !distinct.contains(word) {
                distinct.push(*word);
            }
            if distinct.len() >= limits::CODE_CALLS {
                break;
            }
        }
        let mut wanted: Vec<AddrRange> = Vec::new();
        for back in distinct {
            match callees::follow(machine, back, image) {
                Some(Step::At(code)) if is_code(self.mappings, code) => push_page(&mut wanted, code),
                Some(Step::Read(range)) if is_code(self.mappings, range.start) => {
                    push_page(&mut wanted, range.start);
                }
                // A slot is data of a file: what lies elsewhere may be slow to read.
                Some(Step::Read(range)) if of_file(self.mappings, range.start).is_some() => {
                    wanted.push(range)
                }
                _ => {}
            }
        }
        wanted.retain(|range| image.read(range.start, 1).is_none());
        wanted.truncate(limits::CODE_PAGES);
        Plan { ranges: disjoint(wanted), gaps: Vec::new() }
    }
}

/// Code of a file; `mappings` are by address.
fn is_code(mappings: &[Mapping], at: Addr) -> bool {
    // Most words of a stack are no address at all.
    if at.0 <= 0xffff || at.0 >> 48 != 0 {
        return false;
    }
    of_file(mappings, at).is_some_and(|mapping| mapping.executable)
}

fn of_file(mappings: &[Mapping], at: Addr) -> Option<&Mapping> {
    let behind = mappings.partition_point(|mapping| mapping.range.start <= at);
    let mapping = mappings.get(behind.checked_sub(1)?)?;
    (mapping.range.contains(at) && mapping.path.starts_with(b"/")).then_some(mapping)
}

fn push_page(pages: &mut Vec<AddrRange>, code: Addr) {
    let page = code.align_down(limits::CODE_PAGE).range(limits::CODE_PAGE);
    pages.extend(page.filter(|page| !pages.contains(page)));
}

/// Words that may be return addresses, likely ones first: a little upwards from
/// where the thread stands, a little downwards, then further up; of a stack that
/// it does not stand on the oldest.
fn words(stacks: &[Stack], sp: Addr, image: &Image) -> Vec<Addr> {
    let sp = Addr(sp.0 & !7);
    let mut all = Vec::new();
    for stack in stacks {
        if !stack.range.contains(sp) {
            // AT_RANDOM, where the main stack ends, is not aligned.
            let oldest = stack.base.align_down(8).sub(limits::CODE_WORDS.saturating_mul(8));
            all.extend(run(oldest, limits::CODE_WORDS, image));
            continue;
        }
        let near = limits::CODE_WORDS_NEAR;
        let above = run(Some(sp), limits::CODE_WORDS, image);
        let below = run(sp.sub(near.saturating_mul(8)), near, image);
        let split = above.len().min(usize::try_from(near).unwrap_or(0));
        all.extend(above.iter().take(split));
        all.extend(below.iter().rev());
        all.extend(above.iter().skip(split));
    }
    all
}

/// Kept words from an address on.
fn run(from: Option<Addr>, words: u64, image: &Image) -> Vec<Addr> {
    let kept = || {
        let wanted = from?.range(words.saturating_mul(8))?;
        let kept = image.ranges().find_map(|range| range.intersect(&wanted))?;
        let start = kept.start.add(7)?.align_down(8);
        let kept = AddrRange { start, end: kept.end.max(start) };
        image.read(kept.start, usize::try_from(kept.len()).ok()?)
    };
    let word = |bytes: &[u8; 8]| Addr(u64::from_le_bytes(*bytes));
    kept().map_or(Vec::new(), |bytes| bytes.as_slice().as_chunks::<8>().0.iter().map(word).collect())
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

/// What is left of a range without these, which are ascending and disjoint.
fn cut(range: AddrRange, gone: &[AddrRange]) -> Vec<AddrRange> {
    let (mut left, mut at) = (Vec::new(), range.start);
    for gone in gone.iter().filter_map(|gone| gone.intersect(&range)) {
        left.extend(AddrRange::new(at, gone.start).filter(|part| !part.is_empty()));
        at = at.max(gone.end);
    }
    left.extend(AddrRange::new(at, range.end).filter(|part| !part.is_empty()));
    left
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
