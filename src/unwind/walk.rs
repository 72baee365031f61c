//! The walk: from the registers of one thread to its outermost frame.
//!
//! Gives: [`walk`]. Trusts: nothing. Limits: [`limits::FRAMES_WALKED`]
//! frames, of which [`limits::FRAMES_INNER`] and [`limits::FRAMES_OUTER`] are
//! kept; [`limits::STACK_SWITCHES`] times the stack pointer may do anything
//! but rise.

use std::collections::VecDeque;

use super::cache::Cache;
use super::frame::{Cut, End, Frame, FrameKind, How, Walk};
use super::ground::{Ground, State};
use super::stacks::Stacks;
use crate::address::Addr;
use crate::elfcore::Registers;
use crate::limits;
use crate::memory::Image;
use crate::module::{CodeClass, Modules};

/// Walks one stack.
pub fn walk(
    registers: &Registers,
    stacks: &Stacks,
    image: &Image,
    modules: &Modules,
    cache: &mut Cache,
) -> Walk {
    cache.begin();
    let mut ground = Ground::new(image, modules, stacks, cache);
    let mut state = State { registers: *registers, returns: false, sure: true };
    let mut keeper = Keeper::default();
    let mut how = How::Context;
    let mut switches = limits::STACK_SWITCHES;
    let end = loop {
        keeper.keep(ground.frame(&state, how));
        if keeper.walked >= limits::FRAMES_WALKED {
            break End::LimitReached;
        }
        let found = match ground.step(&state, false) {
            Ok(found) => found,
            Err(end) => match ground.beyond(&state, end, keeper.jumped) {
                Some(found) => {
                    keeper.jump();
                    found
                }
                None => break end,
            },
        };
        if found.state.sp() <= state.sp() {
            // A leaf may keep its sp (aarch64), an interrupted one may be
            // anywhere.
            let leaf = matches!(how, How::Context | How::Signal)
                && found.state.sp() == state.sp()
                && found.state.ip() != state.ip();
            match switches.checked_sub(usize::from(!leaf)) {
                Some(left) if leaf || ground.changes_stack(&state, &found.state) => switches = left,
                _ => break End::Loop,
            }
        }
        if let Some(between) = found.between {
            let sp = state.sp();
            keeper.keep(ground.inferred(between, sp));
        }
        (state, how) = (found.state, found.how);
    };
    keeper.finish(end)
}

impl Ground<'_> {
    fn frame(&mut self, state: &State, how: How) -> Frame {
        let lookup = state.lookup();
        let class = self.modules.code_class(lookup);
        let function = self.function(lookup);
        Frame {
            ip: state.ip(),
            lookup,
            sp: state.sp(),
            module: match class {
                CodeClass::InModule(index) => Some(index),
                _ => None,
            },
            function: function.map(|(start, _)| start),
            function_len: function.map_or(0, |(_, length)| length),
            how,
            kind: match class {
                CodeClass::InModule(_) => FrameKind::Code,
                CodeClass::Jit => FrameKind::Jit,
                _ => FrameKind::Wild,
            },
        }
    }

    fn inferred(&mut self, function: Addr, sp: Addr) -> Frame {
        let mut registers = Registers::zero(self.machine());
        registers.set_ip(function);
        registers.set_sp(sp);
        self.frame(&State { registers, returns: false, sure: false }, How::Scan)
    }

    /// Where the walk can go on although it ended: at the oldest end of a
    /// stack whose middle was not kept.
    fn beyond(&mut self, state: &State, end: End, jumped: bool) -> Option<super::step::Found> {
        let at = match end {
            End::NoMemory { at } => at,
            End::NothingFound => state.sp(),
            _ => return None,
        };
        if jumped {
            return None;
        }
        let area = self.area(state.sp())?;
        let hole = self.image.ranges().find(|range| range.contains(state.sp())).map_or(at, |range| range.end);
        (hole < area.end).then_some(())?;
        self.tail(state, hole)
    }

    /// Signal frames and coroutines change stacks; a frame of the same stack
    /// below its callee is a loop.
    fn changes_stack(&self, from: &State, to: &State) -> bool {
        !to.returns || self.area(from.sp()) != self.area(to.sp())
    }
}

/// Keeps the innermost and the outermost frames.
#[derive(Default)]
struct Keeper {
    inner: Vec<Frame>,
    outer: VecDeque<Frame>,
    walked: usize,
    dropped: usize,
    /// There are bytes in between that were not kept.
    jumped: bool,
}

impl Keeper {
    fn keep(&mut self, frame: Frame) {
        self.walked = self.walked.saturating_add(1);
        if !self.jumped && self.inner.len() < limits::FRAMES_INNER {
            self.inner.push(frame);
            return;
        }
        if self.outer.len() >= limits::FRAMES_OUTER {
            self.outer.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
        self.outer.push_back(frame);
    }

    /// What follows stands behind bytes that were not kept: the frames before
    /// them are no longer the outermost.
    fn jump(&mut self) {
        self.jumped = true;
        self.dropped = self.dropped.saturating_add(self.outer.len());
        self.outer.clear();
    }

    fn finish(self, end: End) -> Walk {
        let at = self.inner.len();
        let cut = match (self.jumped, self.dropped) {
            (true, _) => Some(Cut { at, omitted: None }),
            (false, 0) => None,
            (false, dropped) => Some(Cut { at, omitted: Some(dropped) }),
        };
        let mut frames = self.inner;
        frames.extend(self.outer);
        Walk { frames, cut, end }
    }
}
