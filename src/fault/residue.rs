//! What a signal left below the stack pointer.
//!
//! The kernel pushes an rt_sigframe (arch/x86/include/asm/sigframe.h) and the
//! handler's return leaves it there until something is pushed over it. It
//! holds the registers of the moment that was interrupted: when that moment
//! was in code that changes stacks, a race with the signal can be seen in one
//! record.
//!
//! ```text
//! frame + 0    pretcode: the restorer
//!       + 8    ucontext: flags, link, stack (24), then sigcontext
//!       + 48   r8 … rcx, rsp (+168), rip (+176), eflags (+184), cs gs fs ss (+192)
//!       + 232  where the floating point state is
//!       + 312  siginfo: si_signo
//! ```

use super::scene::Scene;
use super::x86_64;
use crate::address::Addr;
use crate::elfcore::Machine;
use crate::limits;

/// cs, gs, fs, ss of a 64-bit process (arch/x86/include/asm/segment.h).
const SEGMENTS: u64 = 0x002b_0000_0000_0033;
const RSP: u64 = 168;
const RIP: u64 = 176;
const FLAGS: u64 = 184;
const SELECTORS: u64 = 192;
const STATE: u64 = 232;
const SIGINFO: u64 = 312;
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
    if scene.machine() != Machine::X86_64 {
        return None;
    }
    let sp = scene.sp();
    let top = Addr(sp.0 & !7);
    for back in 1..limits::STACK_BELOW / 8 {
        let at = top.sub(back.checked_mul(8)?)?;
        if scene.image.u64(at) == Some(SEGMENTS)
            && let Some(residue) = at.sub(SELECTORS).and_then(|frame| read(scene, frame, sp))
        {
            return Some(residue);
        }
    }
    None
}

fn read(scene: &mut Scene<'_>, frame: Addr, sp: Addr) -> Option<Residue> {
    let word = |offset: u64| scene.image.u64(frame.add(offset)?);
    let (ip, then) = (Addr(word(RIP)?), Addr(word(RSP)?));
    // x86 flags: bit 1 is always set, nothing is above bit 21. The floating
    // point state lies above the frame.
    let (flags, state) = (word(FLAGS)?, word(STATE)?);
    let plausible = flags & 2 != 0 && flags >> 22 == 0 && state.wrapping_sub(frame.0) < limits::STACK_BELOW;
    if !plausible || !scene.is_code(ip) || !then.is_canonical() {
        return None;
    }
    // Written only for handlers that asked for it (SA_SIGINFO).
    let signal = scene.image.read(frame.add(SIGINFO)?, 4)?.u32(0)?;
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
    let from = |start: Addr| x86_64::has_switched(&scene.code_between(start, ip)?, start, ip);
    if let Some(known) = function.and_then(from) {
        return known;
    }
    let decoded: Vec<bool> = (4..BACK).filter_map(|back| from(ip.sub(back)?)).collect();
    // Most beginnings meet the true instructions after a few.
    let yes = decoded.iter().filter(|switched| **switched).count();
    yes > decoded.len().saturating_sub(yes)
}
