//! What a signal left below the stack pointer.
//!
//! The kernel pushes an rt_sigframe and the handler's return leaves it there
//! until something is pushed over it. It holds the registers of the moment that
//! was interrupted: when that moment was in code that changes stacks, a race
//! with the signal can be seen in one record.
//!
//! ```text
//! x86_64 (arch/x86/include/asm/sigframe.h)
//! frame + 0    pretcode: the restorer
//!       + 8    ucontext: flags, link, stack (24), then sigcontext
//!       + 48   r8 … rcx, rsp (+168), rip (+176), eflags (+184), cs gs fs ss (+192)
//!       + 232  where the floating point state is
//!       + 312  siginfo: si_signo
//!
//! aarch64 (arch/arm64/kernel/signal.c, include/uapi/asm/sigcontext.h)
//! frame + 0    siginfo (128)
//!       + 128  ucontext: flags, link, stack (24), mask (128), then, at 176,
//!              sigcontext: fault address, x0 … x30, sp (+560), pc (+568), pstate
//!       + 592  records; the first is of the floating point state
//! ```

use super::scene::Scene;
use super::{aarch64, x86_64};
use crate::address::Addr;
use crate::elfcore::Machine;
use crate::limits;

/// Where things are in the frame of one machine.
struct Shape {
    sp: u64,
    ip: u64,
    /// eflags, pstate.
    flags: u64,
    siginfo: u64,
    /// A word that every frame has there: what it is found by.
    mark: (u64, u64),
}

/// The mark: cs, gs, fs, ss of a 64-bit process (arch/x86/include/asm/segment.h).
const X86_64: Shape =
    Shape { sp: 168, ip: 176, flags: 184, siginfo: 312, mark: (192, 0x002b_0000_0000_0033) };
/// Where the floating point state is, of x86_64.
const STATE: u64 = 232;
/// The mark: FPSIMD_MAGIC and the size of its record.
const AARCH64: Shape = Shape { sp: 560, ip: 568, flags: 576, siginfo: 0, mark: (592, 0x0000_0210_4650_8001) };
/// Parts of names of functions that load a stack pointer from memory.
const SWITCHES: [&[u8]; 9] = [
    b"setcontext",
    b"swapcontext",
    b"longjmp",
    b"jump_fcontext",
    b"ontop_fcontext",
    b"resume_context",
    b"unw_resume",
    b"coro_transfer",
    b"switch_context",
];

/// One left-over signal frame: the nearest below rsp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residue {
    /// The signal; none where the handler did not ask for its siginfo.
    pub signal: Option<u32>,
    /// What was interrupted.
    pub ip: Addr,
    /// Its module.
    pub module: Option<usize>,
    /// Its function.
    pub function: Option<Addr>,
    /// The stack pointer then, relative to now.
    pub sp: i64,
    /// The frame's distance below rsp.
    pub below: u64,
    /// It had just loaded another stack pointer, or does so by its name.
    pub switches: bool,
}

impl Residue {
    /// "signal 10", "a signal".
    pub(super) fn who(&self) -> String {
        self.signal.map_or("a signal".to_owned(), |signal| format!("signal {signal}"))
    }
}

/// Finds it.
pub(super) fn find(scene: &mut Scene<'_>) -> Option<Residue> {
    let shape = match scene.machine() {
        Machine::X86_64 => &X86_64,
        Machine::Aarch64 => &AARCH64,
    };
    let sp = scene.sp();
    let top = Addr(sp.0 & !7);
    for back in 1..limits::STACK_BELOW / 8 {
        let at = top.sub(back.checked_mul(8)?)?;
        if scene.image.u64(at) == Some(shape.mark.1)
            && let Some(residue) = at.sub(shape.mark.0).and_then(|frame| read(scene, shape, frame, sp))
        {
            return Some(residue);
        }
    }
    None
}

fn read(scene: &mut Scene<'_>, shape: &Shape, frame: Addr, sp: Addr) -> Option<Residue> {
    let word = |offset: u64| scene.image.u64(frame.add(offset)?);
    let (ip, then) = (Addr(word(shape.ip)?), Addr(word(shape.sp)?));
    let flags = word(shape.flags)?;
    let plausible = match scene.machine() {
        // Bit 1 is always set, nothing is above bit 21. The floating point state
        // lies above the frame.
        Machine::X86_64 => {
            flags & 2 != 0 && flags >> 22 == 0 && word(STATE)?.wrapping_sub(frame.0) < limits::STACK_BELOW
        }
        // Exception level 0, 64 bits.
        Machine::Aarch64 => flags & 0x1f == 0 && flags >> 32 == 0,
    };
    if !plausible || !scene.is_code(ip) || !scene.is_address(then) {
        return None;
    }
    // Written only for handlers that asked for it (SA_SIGINFO).
    let signal = scene.image.read(frame.add(shape.siginfo)?, 4)?.u32(0)?;
    let signal = Some(signal).filter(|signal| (1..=64).contains(signal));
    let module = scene.module_of(ip);
    let function = scene.function(ip).map(|(start, _)| start);
    let name = module.and_then(|index| {
        let linked = scene.modules.get(index)?.linked(ip);
        scene.modules.symbol(index, linked)
    });
    let named = name.is_some_and(|name| {
        SWITCHES.iter().any(|part| name.windows(part.len()).any(|window| window == *part))
    });
    let switches = named || has_switched(scene, ip, function);
    Some(Residue {
        signal,
        ip,
        module,
        function,
        sp: then.0.wrapping_sub(sp.0).cast_signed(),
        below: sp.offset_from(frame)?,
        switches,
    })
}

/// By its instructions: from the function's beginning, or, where that is not
/// known, from any of the bytes before from which it can be decoded.
fn has_switched(scene: &Scene<'_>, ip: Addr, function: Option<Addr>) -> bool {
    const BACK: u64 = 64;
    if scene.machine() == Machine::Aarch64 {
        let near =
            ip.sub(BACK).and_then(|start| scene.code_between(function.unwrap_or(start).max(start), ip));
        return near.is_some_and(|code| aarch64::has_switched(&code));
    }
    let from = |start: Addr| x86_64::has_switched(&scene.code_between(start, ip)?, start, ip);
    if let Some(known) = function.and_then(from) {
        return known;
    }
    let decoded: Vec<bool> = (4..BACK).filter_map(|back| from(ip.sub(back)?)).collect();
    // Most beginnings meet the true instructions after a few.
    let yes = decoded.iter().filter(|switched| **switched).count();
    yes > decoded.len().saturating_sub(yes)
}
