//! Where control was, and how it came there.

use super::instruction::{Instruction, Kind, Target};
use super::scene::{SI_KERNEL, SIGSEGV, Scene};
use super::space::NULL_PAGES;
use super::x86_64;
use crate::address::Addr;
use crate::elfcore::{Machine, Registers};
use crate::module::CodeClass;
use crate::unwind::Site;

/// Bytes of a function that are decoded to find its instructions' beginnings.
const FUNCTION: u64 = 64 << 10;

/// What rip points at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpClass {
    /// Code of a module.
    #[default]
    Code,
    /// Code of a module, but in the middle of an instruction.
    Middle,
    /// Executable memory of no module.
    Jit,
    /// Near zero.
    Null,
    /// No address.
    NonCanonical,
    /// A stack.
    Stack,
    /// Other memory that is not executable.
    Data,
    /// Nothing.
    Unmapped,
}

impl IpClass {
    /// As the record spells it.
    pub fn name(self) -> &'static str {
        match self {
            IpClass::Code => "code",
            IpClass::Middle => "middle",
            IpClass::Jit => "jit",
            IpClass::Null => "null",
            IpClass::NonCanonical => "noncanonical",
            IpClass::Stack => "stack",
            IpClass::Data => "data",
            IpClass::Unmapped => "unmapped",
        }
    }

    /// Nothing can be fetched there.
    pub fn is_nowhere(self) -> bool {
        !matches!(self, IpClass::Code | IpClass::Middle | IpClass::Jit)
    }
}

/// How control came to a rip that is no code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Not told, or rip is code.
    #[default]
    Unknown,
    /// A return: the slot below rsp holds rip.
    Return,
    /// A call, whose return address is at rsp; through this register, else
    /// through memory.
    Call(Option<&'static str>),
}

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// What rip points at.
    pub ip: IpClass,
    /// What control was to go to, when that is no code: rip itself, or, where
    /// the processor refuses at the jump, the jump's target.
    pub to: Option<IpClass>,
    /// How it was to come there.
    pub origin: Origin,
    /// The instruction that called or returned, when it is known: where the
    /// return address at rsp points.
    pub caller: Option<Addr>,
    /// rsp is so many bytes from where call frame information wants it: the
    /// return address is there instead.
    pub off: Option<i64>,
}

/// Looks.
pub(super) fn look(scene: &mut Scene<'_>, instruction: Option<&Instruction>) -> Control {
    let ip = class(scene);
    let mut control = Control { ip, ..Control::default() };
    if scene.machine() != Machine::X86_64 || scene.was_sent() {
        return control;
    }
    if ip.is_nowhere() {
        control.to = Some(ip);
        nowhere(scene, &mut control);
        return control;
    }
    if let Some(instruction) = instruction {
        refused(scene, instruction, &mut control);
    }
    if control.off.is_none() && ip == IpClass::Code {
        let registers = *scene.registers;
        control.off = off_by_frame(scene, &registers, false);
    }
    control
}

/// A jump to what is no address fails at the jump.
fn refused(scene: &mut Scene<'_>, instruction: &Instruction, control: &mut Control) {
    if scene.signal() != SIGSEGV || scene.code() != SI_KERNEL {
        return;
    }
    if scene.target(instruction).is_none_or(Addr::is_canonical) {
        return;
    }
    control.to = Some(IpClass::NonCanonical);
    control.origin = match (instruction.kind, instruction.target) {
        (Kind::Return, _) => Origin::Return,
        (_, Target::Register(register)) => Origin::Call(Some(register)),
        _ => Origin::Call(None),
    };
    if control.origin == Origin::Return {
        // The return did not happen: its slot is still at rsp.
        let sp = scene.sp();
        let beside = |scene: &mut Scene<'_>, at: Option<Addr>| {
            let word = at.and_then(|at| scene.image.u64(at)).map(Addr);
            word.is_some_and(|word| scene.is_return(word))
        };
        if sp.0 & 0xf == 0 {
            let above = beside(scene, sp.add(8)).then_some(-8);
            control.off = above.or_else(|| beside(scene, sp.sub(8)).then_some(8));
        }
    }
}

fn class(scene: &mut Scene<'_>) -> IpClass {
    let ip = scene.ip();
    if ip.0 < NULL_PAGES {
        return IpClass::Null;
    }
    if !ip.is_canonical() {
        return IpClass::NonCanonical;
    }
    match scene.modules.code_class(ip) {
        CodeClass::InModule(_) if is_middle(scene, ip) => IpClass::Middle,
        CodeClass::InModule(_) => IpClass::Code,
        CodeClass::Jit => IpClass::Jit,
        CodeClass::NotExecutable if is_stack(scene, ip) => IpClass::Stack,
        CodeClass::NotExecutable => IpClass::Data,
        CodeClass::Unmapped => IpClass::Unmapped,
    }
}

fn is_stack(scene: &Scene<'_>, address: Addr) -> bool {
    let holds = |at: Addr| scene.space.find(at).map(|segment| segment.range);
    holds(address).is_some() && holds(address) == holds(scene.sp())
}

fn is_middle(scene: &mut Scene<'_>, ip: Addr) -> bool {
    if scene.machine() != Machine::X86_64 {
        return false;
    }
    let Some((start, length)) = scene.function(ip) else { return false };
    let Some(before) = ip.offset_from(start).filter(|n| *n < FUNCTION && (length == 0 || *n < length)) else {
        return false;
    };
    let bytes = usize::try_from(before.saturating_add(15)).ok().and_then(|n| scene.code_bytes(start, n));
    bytes.is_some_and(|bytes| x86_64::boundary(&bytes, start, ip) == Some(false))
}

/// A jump to nowhere: by a return, which left rip in the slot below rsp, or by
/// a call, which left its return address at rsp.
fn nowhere(scene: &mut Scene<'_>, control: &mut Control) {
    let sp = scene.sp();
    let word = |scene: &Scene<'_>, at: Option<Addr>| at.and_then(|at| scene.image.u64(at));
    let popped = word(scene, sp.sub(8)) == Some(scene.ip().0);
    let at = word(scene, Some(sp)).map(Addr);
    if let Some(back) = at
        && let Some(through) = called_through(scene, back)
    {
        // The register still holds where it went, or the stack is as a call
        // leaves it: a null word below rsp is no proof of a return.
        let still = through.and_then(|name| scene.registers.by_name(name)) == Some(scene.ip().0);
        if !popped || still || (through.is_none() && sp.0 & 0xf == 8) {
            control.origin = Origin::Call(through);
            control.caller = at;
            // The frame of the caller, as the call left it.
            let mut caller = *scene.registers;
            caller.set_ip(back);
            caller.set_sp(sp.add(8).unwrap_or(sp));
            control.off = off_by_frame(scene, &caller, true);
            return;
        }
    }
    if popped {
        control.origin = Origin::Return;
        control.off = off_by_return(scene);
        control.caller = at.filter(|address| scene.is_return(*address));
    }
}

/// The register of the indirect call before `back` (None: through memory); no
/// answer when there is no such call.
fn called_through(scene: &mut Scene<'_>, back: Addr) -> Option<Option<&'static str>> {
    match scene.site(back) {
        Site::Indirect => {
            let bytes = back.sub(8).and_then(|start| scene.code_bytes(start, 8));
            Some(bytes.and_then(|bytes| x86_64::target_register(&bytes, back)))
        }
        // A call of a stub, which jumps through its table.
        Site::Direct(stub) => {
            let bytes = scene.code_bytes(stub, 16)?;
            x86_64::is_stub(&bytes, stub).then_some(None)
        }
        Site::Not | Site::Unknown => None,
    }
}

/// After a return rsp is a multiple of 16 (System V psABI 3.2.2). When it is
/// not, and the word on one side is a return address, the return took its
/// neighbour.
fn off_by_return(scene: &mut Scene<'_>) -> Option<i64> {
    let sp = scene.sp();
    if sp.0 & 0xf != 8 {
        return None;
    }
    let mut returns = |at: Option<Addr>| {
        let word = at.and_then(|at| scene.image.u64(at)).map(Addr);
        word.is_some_and(|word| scene.is_return(word))
    };
    // The return address still lies at rsp: the one taken was 8 below it.
    if returns(Some(sp)) {
        return Some(-8);
    }
    returns(sp.sub(16)).then_some(8)
}

/// Frames that are looked at outwards.
const FRAMES: usize = 8;

/// The return address is not where call frame information says, but one word
/// beside it, where the stack would be aligned. Looked for in the frame of
/// `registers` and, while each leads to its caller, in the ones around it.
fn off_by_frame(scene: &mut Scene<'_>, registers: &Registers, returns: bool) -> Option<i64> {
    let (mut registers, mut returns) = (*registers, returns);
    for _ in 0..FRAMES {
        let base = scene.base(&registers, returns)?;
        // The outermost frame has no return address to be beside.
        let caller = scene.caller(&registers, returns)?;
        let slot = base.cfa.sub(8)?;
        let mut is_return = |at: Option<Addr>| {
            let word = at.and_then(|at| scene.image.u64(at)).map(Addr);
            word.map(|word| scene.is_return(word))
        };
        if base.by_sp && base.cfa.0 & 0xf == 8 && is_return(Some(slot)) == Some(false) {
            let above = is_return(slot.add(8)) == Some(true);
            let below = is_return(slot.sub(8)) == Some(true);
            return if above { Some(-8) } else { below.then_some(8) };
        }
        if caller.sp() <= registers.sp() {
            return None;
        }
        (registers, returns) = (caller, true);
    }
    None
}
